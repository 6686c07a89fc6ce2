//! What a device says it has. It may say anything: names are checked, and there is a bound on how many there are.

use std::collections::HashMap;

use super::{
    item::{Beneath, InvalidName, Item, Kind, MODE},
    plan::{Found, FoundKind},
};

/// How many names one copy may have.
const MOST: usize = 1_000_000;
/// Bytes of a link's target.
const LONGEST_TARGET: usize = 4096;

/// What there is at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Where it really is.
    pub at: Vec<u8>,
    /// What is there, folders before what is in them. The first one is the path itself.
    pub items: Vec<Item>,
    /// What the device's clock said then, in seconds, if it did.
    pub now: Option<i64>,
    /// What went away while it was listed.
    pub gone: Vec<Vec<u8>>,
}

/// An answer that is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// It ends too early, or a line is none of those that were asked for.
    #[error("its answer is not what it was asked for")]
    Form,
    /// Something that leads out.
    #[error(transparent)]
    Name(#[from] InvalidName),
    /// The same name twice.
    #[error("it names {0:?} twice")]
    Twice(String),
    /// Something below what is no folder.
    #[error("it names {0:?}, and what that is in is no folder")]
    NoFolder(String),
    /// Too much.
    #[error("it has more than {MOST} files; copy parts of it")]
    Many,
}

/// Bytes that are taken from the front.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn until(&mut self, end: u8) -> Result<&'a [u8], Unreadable> {
        let at = memchr::memchr(end, self.0).ok_or(Unreadable::Form)?;
        let (taken, rest) = self.0.split_at(at);
        self.0 = rest.get(1..).unwrap_or_default();
        Ok(taken)
    }

    fn is_end(&self) -> bool {
        self.0.is_empty()
    }

    fn starts_with(&self, byte: u8) -> bool {
        self.0.first() == Some(&byte)
    }
}

/// Reads what the script of a listing answers; `None` when there is nothing at the path.
pub fn listing(answer: &[u8]) -> Result<Option<Listing>, Unreadable> {
    let mut rest = Rest(answer);
    let mut words = rest.until(b'\n')?.splitn(2, |byte| *byte == b' ');
    let kind = words.next().unwrap_or_default();
    let now = words.next().and_then(|now| std::str::from_utf8(now).ok());
    if kind == b"n" {
        return Ok(None);
    }
    let at = rest.until(0)?.to_vec();
    if !at.starts_with(b"/") {
        return Err(Unreadable::Form);
    }
    let mut listing = Listing {
        at,
        now: now.and_then(|now| now.parse().ok()),
        items: Vec::new(),
        gone: Vec::new(),
    };
    match kind {
        b"f" => {
            let found = fields(rest.until(b'\n')?)?;
            listing.items.push(item(Beneath::default(), found));
        }
        b"d" => {
            folder(&mut rest, &mut listing)?;
            links(&mut rest, &mut listing)?;
            listing.items.sort_by(|a, b| a.path.cmp_as_tree(&b.path));
            let twice = listing.items.windows(2).find_map(|pair| match pair {
                [a, b] if a.path == b.path => Some(a.path.path().display().to_string()),
                _ => None,
            });
            if let Some(twice) = twice {
                return Err(Unreadable::Twice(twice));
            }
            let is_folder = |item: &Item| item.path.is_root() && item.kind == Kind::Folder;
            if !listing.items.first().is_some_and(is_folder) {
                return Err(Unreadable::Form);
            }
            listing.check_folders()?;
        }
        _ => return Err(Unreadable::Form),
    }
    if rest.is_end() {
        Ok(Some(listing))
    } else {
        Err(Unreadable::Form)
    }
}

impl Listing {
    /// Everything is in a folder; what is in one that went away has gone with it.
    fn check_folders(&mut self) -> Result<(), Unreadable> {
        let mut is_folder = HashMap::new();
        let mut there = Vec::with_capacity(self.items.len());
        for item in std::mem::take(&mut self.items) {
            let (folder, _) = item.path.divided();
            match is_folder.get(&folder) {
                Some(false) => {
                    return Err(Unreadable::NoFolder(item.path.path().display().to_string()));
                }
                None if !item.path.is_root() => {
                    self.gone.push(item.path.bytes().to_vec());
                    continue;
                }
                Some(true) | None => {}
            }
            is_folder.insert(item.path.clone(), item.kind == Kind::Folder);
            there.push(item);
        }
        self.items = there;
        Ok(())
    }
}

fn folder(rest: &mut Rest<'_>, listing: &mut Listing) -> Result<(), Unreadable> {
    while !rest.starts_with(0) {
        let mut names = Vec::new();
        loop {
            match rest.until(0)? {
                b"" => break,
                name => names.push(name),
            }
            if names.len() + listing.items.len() > MOST {
                return Err(Unreadable::Many);
            }
        }
        for name in names {
            let line = rest.until(b'\n')?;
            let path = Beneath::parse(name)?;
            match line {
                b"-" => listing.gone.push(path.bytes().to_vec()),
                line => listing.items.push(item(path, fields(line)?)),
            }
        }
    }
    rest.until(0).map(|_| ())
}

fn links(rest: &mut Rest<'_>, listing: &mut Listing) -> Result<(), Unreadable> {
    let mut targets = HashMap::new();
    while !rest.is_end() {
        let path = Beneath::parse(rest.until(0)?)?;
        let target = rest.until(0)?;
        if target.len() > LONGEST_TARGET || targets.len() > MOST {
            return Err(Unreadable::Form);
        }
        targets.insert(path, target.to_vec());
    }
    for item in &mut listing.items {
        if let Kind::Link(target) = &mut item.kind {
            *target = targets.remove(&item.path).unwrap_or_default();
        }
    }
    let gone = listing.items.extract_if(
        ..,
        |item| matches!(&item.kind, Kind::Link(target) if target.is_empty()),
    );
    let gone: Vec<_> = gone.map(|item| item.path.bytes().to_vec()).collect();
    listing.gone.extend(gone);
    Ok(())
}

fn item(path: Beneath, found: Found) -> Item {
    let kind = match found.kind {
        FoundKind::Folder => Kind::Folder,
        FoundKind::File => Kind::File(found.size),
        FoundKind::Link => Kind::Link(Vec::new()),
        FoundKind::Special => Kind::Special,
    };
    Item {
        path,
        kind,
        mode: found.mode,
        mtime: found.mtime,
    }
}

/// `MODE SIZE TIME`: hexadecimal, bytes, seconds.
fn fields(line: &[u8]) -> Result<Found, Unreadable> {
    let text = std::str::from_utf8(line).map_err(|_| Unreadable::Form)?;
    let mut words = text.split(' ');
    let (Some(mode), Some(size), Some(time), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Unreadable::Form);
    };
    let mode = u32::from_str_radix(mode, 16).map_err(|_| Unreadable::Form)?;
    Ok(Found {
        kind: kind_of(mode),
        mode: mode & MODE,
        size: size.parse().map_err(|_| Unreadable::Form)?,
        mtime: time.parse().map_err(|_| Unreadable::Form)?,
    })
}

pub(super) fn kind_of(mode: u32) -> FoundKind {
    match mode & 0o170_000 {
        0o040_000 => FoundKind::Folder,
        0o100_000 => FoundKind::File,
        0o120_000 => FoundKind::Link,
        _ => FoundKind::Special,
    }
}

/// What a copy finds at the path that it goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    /// A folder, and what is in it of what was asked for.
    Folder {
        at: Vec<u8>,
        found: HashMap<Vec<u8>, Found>,
    },
    /// A file.
    File { at: Vec<u8>, found: Found },
    /// Nothing, in this folder.
    Nothing { parent: Vec<u8> },
    /// Not even a folder that it could be in.
    Nowhere,
}

/// Reads what the script of a survey answers about these paths.
pub(super) fn target(answer: &[u8], asked: &[Vec<u8>]) -> Result<Target, Unreadable> {
    let mut rest = Rest(answer);
    let kind = rest.until(b'\n')?;
    if kind == b"x" {
        return Ok(Target::Nowhere);
    }
    let at = rest.until(0)?.to_vec();
    if !at.starts_with(b"/") {
        return Err(Unreadable::Form);
    }
    match kind {
        b"n" => Ok(Target::Nothing { parent: at }),
        b"f" => {
            let found = fields(rest.until(b'\n')?)?;
            Ok(Target::File { at, found })
        }
        b"d" => Ok(Target::Folder {
            at,
            found: stats(rest.0, asked)?,
        }),
        _ => Err(Unreadable::Form),
    }
}

/// How many of these a device says there are, and what: a door for the fuzz target.
#[doc(hidden)]
pub fn found(answer: &[u8], asked: &[Vec<u8>]) -> Result<usize, Unreadable> {
    stats(answer, asked).map(|found| found.len())
}

/// Reads what is said about paths, in the order in which they were asked for.
pub(super) fn stats(
    answer: &[u8],
    asked: &[Vec<u8>],
) -> Result<HashMap<Vec<u8>, Found>, Unreadable> {
    let mut rest = Rest(answer);
    let mut all = HashMap::new();
    let (odd, plain): (Vec<_>, Vec<_>) = asked.iter().partition(|path| path.contains(&b'\n'));
    let mut plain = plain.into_iter();
    while !rest.starts_with(0) {
        let line = rest.until(b'\n')?;
        let mut parts = line.splitn(4, |byte| *byte == b' ');
        let head = parts.by_ref().take(3).map(<[u8]>::len).sum::<usize>() + 2;
        let name = line.get(head + 1..).ok_or(Unreadable::Form)?;
        let path = plain.find(|path| path.as_slice() == name);
        let path = path.ok_or(Unreadable::Form)?;
        all.insert(path.clone(), fields(line.get(..head).unwrap_or_default())?);
    }
    rest.until(0)?;
    for path in odd {
        match rest.until(b'\n')? {
            b"-" => {}
            line => {
                all.insert(path.clone(), fields(line)?);
            }
        }
    }
    Ok(all)
}

impl Beneath {
    /// Folders right before what is in them: a slash comes before all other bytes.
    fn cmp_as_tree(&self, other: &Self) -> std::cmp::Ordering {
        let order = |byte: &u8| if *byte == b'/' { 0 } else { *byte };
        let (ours, theirs) = (self.bytes().iter(), other.bytes().iter());
        ours.map(order).cmp(theirs.map(order))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FOLDER: &[u8] = b"d\n/srv/x\0.\0./a\0./a/b\nc\0./l\0\x0041ed 4096 9\n41c0 4096 9\n81a4 5 7\na1ff 1 7\n\0./l\0../t\0";

    #[test]
    fn a_folder_is_read_with_odd_names() {
        let listing = listing(FOLDER).unwrap().unwrap();
        assert_eq!(listing.at, b"/srv/x");
        let told: Vec<_> = listing
            .items
            .iter()
            .map(|item| (item.path.bytes(), item.kind.clone(), item.mode))
            .collect();
        assert_eq!(
            told,
            [
                (&b""[..], Kind::Folder, 0o755),
                (b"a", Kind::Folder, 0o700),
                (b"a/b\nc", Kind::File(5), 0o644),
                (b"l", Kind::Link(b"../t".to_vec()), 0o777),
            ]
        );
    }

    #[test]
    fn names_that_lead_out_are_refused() {
        for name in [
            "../evil",
            "./../evil",
            "/etc/evil",
            "./a/../../evil",
            "./a//b",
        ] {
            let answer = format!("d\n/x\0.\0{name}\0\041ed 1 1\n81a4 1 1\n\0");
            assert!(
                matches!(listing(answer.as_bytes()), Err(Unreadable::Name(_))),
                "{name}"
            );
        }
        let twice = b"d\n/x\0.\0./a\0./a\0\x0041ed 1 1\na1ff 1 1\n41ed 1 1\n\0./a\0/etc\0";
        assert!(matches!(listing(twice), Err(Unreadable::Twice(_))));
    }

    #[test]
    fn what_is_in_no_folder_is_refused_and_what_is_in_none_any_more_is_gone() {
        let answer = b"d\n/x\0.\0./l\0./l/x\0\x0041ed 1 1\na1ff 1 1\n81a4 1 1\n\0./l\0/etc\0";
        assert!(matches!(listing(answer), Err(Unreadable::NoFolder(_))));
        let answer = b"d\n/x\0.\0./d\0./d/x\0./d/e\0./d/e/y\0\x0041ed 1 1\n-\n81a4 1 1\n41ed 1 1\n81a4 1 1\n\0";
        let listing = listing(answer).unwrap().unwrap();
        assert_eq!(listing.items.len(), 1);
        assert_eq!(listing.gone, [&b"d"[..], b"d/e", b"d/e/y", b"d/x"]);
    }

    #[test]
    fn what_ends_too_early_is_refused() {
        for end in 0..FOLDER.len() {
            // Without its link, what is left may be a whole answer.
            let answer = listing(&FOLDER[..end]);
            assert!(
                answer.is_err() || end == FOLDER.len() - 9,
                "{end}: {answer:?}"
            );
        }
        assert_eq!(listing(b"n\n"), Ok(None));
    }

    #[test]
    fn paths_that_are_not_there_are_left_out() {
        let asked = [&b"./a"[..], b"./b c", b"./n\nn", b"./d"].map(<[u8]>::to_vec);
        let answer = b"81a4 5 7 ./b c\n41ed 1 1 ./d\n\0-\n";
        let found = stats(answer, &asked).unwrap();
        assert_eq!(found.len(), 2);
        assert_eq!(found[&b"./b c"[..]].size, 5);
        assert!(stats(b"81a4 5 7 ./other\n\0-\n", &asked).is_err());
        assert!(stats(b"81a4 5 7 ./d\n41ed 1 1 ./a\n\0-\n", &asked).is_err());
    }
}
