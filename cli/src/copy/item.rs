//! What is copied: names that lead nowhere else, and what they are.

use std::{
    ffi::OsStr,
    os::unix::ffi::OsStrExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

/// Bytes of a path, as the kernel bounds it.
const LONGEST: usize = 4096;
/// Bytes of a name, as file systems bound it.
const LONGEST_NAME: usize = 255;
/// Bytes of a file's own name in the name of its part: the rest is for what tells parts apart.
const NAME_IN_PART: usize = 200;
/// Modes are copied without the bits that lend a file's owner to whoever runs it.
pub(super) const MODE: u32 = 0o777;

/// A path below a folder: names with slashes between them, none of which leads out of it. Empty for the folder itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Beneath(Vec<u8>);

/// A path that may lead out, or that no file has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the name {:?} leads out of the folder, or is none", String::from_utf8_lossy(.0))]
pub struct InvalidName(pub Vec<u8>);

/// One file, folder or link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Where it is.
    pub path: Beneath,
    /// What it is.
    pub kind: Kind,
    /// Its permissions, without the bits of set-user-id and the like.
    pub mode: u32,
    /// When it was changed last, in seconds.
    pub mtime: i64,
}

/// What something is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A folder.
    Folder,
    /// A file of so many bytes.
    File(u64),
    /// A link to this.
    Link(Vec<u8>),
    /// A device, a socket, a pipe: nothing that has a content.
    Special,
}

impl Beneath {
    /// Checks a relative path. `.` and what begins with `./` mean the same without it.
    pub fn parse(path: &[u8]) -> Result<Self, InvalidName> {
        let path = path.strip_prefix(b"./").unwrap_or(path);
        if path.is_empty() || path == b"." {
            return Ok(Self::default());
        }
        let wrong = |name: &[u8]| {
            matches!(name, b"" | b"." | b"..") || name.len() > LONGEST_NAME || name.contains(&0)
        };
        if path.len() > LONGEST || path.split(|byte| *byte == b'/').any(wrong) {
            return Err(InvalidName(path.iter().copied().take(LONGEST).collect()));
        }
        Ok(Self(path.to_vec()))
    }

    /// Something in this folder. `name` has been checked.
    #[must_use]
    pub fn join(&self, name: &Self) -> Self {
        match (self.is_root(), name.is_root()) {
            (true, _) => name.clone(),
            (_, true) => self.clone(),
            _ => Self([self.0.as_slice(), b"/", &name.0].concat()),
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// As a path.
    #[must_use]
    pub fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.0))
    }

    /// Where it is on this machine, below a path that may be that of a file.
    pub(super) fn below(&self, path: &Path) -> PathBuf {
        if self.is_root() {
            path.to_owned()
        } else {
            path.join(self.path())
        }
    }

    /// Whether it is the folder itself.
    #[must_use]
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The folder that it is in, and its name there.
    #[must_use]
    pub fn divided(&self) -> (Self, &[u8]) {
        match self.0.iter().rposition(|byte| *byte == b'/') {
            Some(slash) => {
                let (folder, name) = self.0.split_at(slash);
                (Self(folder.to_vec()), name.get(1..).unwrap_or_default())
            }
            None => (Self::default(), &self.0),
        }
    }

    /// Whether it is in a folder, however deep.
    #[must_use]
    pub fn is_in(&self, folder: &Self) -> bool {
        folder.is_root()
            || self
                .0
                .strip_prefix(folder.0.as_slice())
                .is_some_and(|rest| rest.starts_with(b"/"))
    }

    /// As a shell takes it below the folder.
    #[must_use]
    pub fn dotted(&self) -> Vec<u8> {
        if self.is_root() {
            return b".".to_vec();
        }
        [b"./", self.0.as_slice()].concat()
    }
}

impl Item {
    /// Bytes of its content.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self.kind {
            Kind::File(size) => size,
            Kind::Folder | Kind::Link(_) | Kind::Special => 0,
        }
    }
}

/// How long the second lasts in which a file was changed last, if that is now. Times are compared by their seconds: what is read when it is over
/// has another time once it is changed again. `now` is by the clock of the side where the files are.
pub(super) fn unfinished(items: &[Item], now: Duration) -> Option<Duration> {
    /// A kernel's times are behind by so much.
    const GRAIN: Duration = Duration::from_millis(20);
    let second = i64::try_from(now.as_secs()).ok()?;
    let is_now = |item: &Item| matches!(item.kind, Kind::File(_)) && item.mtime == second;
    let rest =
        Duration::from_secs(1).saturating_sub(Duration::from_nanos(now.subsec_nanos().into()));
    items.iter().any(is_now).then_some(rest + GRAIN)
}

/// How the names of what is unfinished of a file begin.
pub(super) fn part_begin(name: &[u8]) -> Vec<u8> {
    [b".", name.get(..NAME_IN_PART).unwrap_or(name)].concat()
}

/// What the unfinished copy of a file is called in the same folder. It belongs to one state of the source: another size or time is
/// another name.
pub(super) fn part_name(name: &[u8], size: u64, mtime: i64) -> Vec<u8> {
    let mut hash = blake3::Hasher::new();
    hash.update(name);
    hash.update(&[0]);
    hash.update(&size.to_le_bytes());
    hash.update(&mtime.to_le_bytes());
    let hex = hash.finalize().to_hex();
    let hex = hex.as_str().get(..16).unwrap_or_default();
    [
        &part_begin(name),
        b".".as_slice(),
        hex.as_bytes(),
        b".os-part",
    ]
    .concat()
}

/// Whether a name is that of an unfinished copy of a file, in whatever state.
pub(super) fn is_part_of(part: &[u8], name: &[u8]) -> bool {
    let state = part
        .strip_prefix(part_begin(name).as_slice())
        .and_then(|part| part.strip_prefix(b"."))
        .and_then(|part| part.strip_suffix(b".os-part"));
    state.is_some_and(|state| state.len() == 16 && state.iter().all(u8::is_ascii_hexdigit))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_one_file_are_known() {
        let part = part_name(b"x", 5, 7);
        assert!(is_part_of(&part, b"x"));
        assert!(is_part_of(&part_name(&[b'y'; 255], 5, 7), &[b'y'; 255]));
        for name in [&b"y"[..], b"", b"x."] {
            assert!(!is_part_of(&part, name));
        }
        assert!(!is_part_of(b".x.os-part", b"x"));
    }

    #[test]
    fn a_second_that_is_not_over_is_waited_for() {
        let items = |kind: &Kind| {
            [7, 1_000].map(|mtime| Item {
                path: Beneath::default(),
                kind: kind.clone(),
                mode: 0o644,
                mtime,
            })
        };
        let files = items(&Kind::File(1));
        for (now, rest) in [
            (7_000, Some(1_020)),
            (7_900, Some(120)),
            (8_000, None),
            (6_999, None),
            (1_000_500, Some(520)),
        ] {
            let answer = unfinished(&files, Duration::from_millis(now));
            assert_eq!(answer, rest.map(Duration::from_millis), "{now}");
        }
        assert_eq!(
            unfinished(&items(&Kind::Folder), Duration::from_secs(7)),
            None
        );
    }

    #[test]
    fn no_name_leads_out() {
        for path in [
            &b".."[..],
            b"../x",
            b"a/../b",
            b"/etc",
            b"a//b",
            b"a/",
            b"a/.",
            b"x\0y",
            b"a/..",
        ] {
            assert!(Beneath::parse(path).is_err(), "{path:?}");
        }
        assert!(Beneath::parse(&[b'x'; 256]).is_err());
        assert!(Beneath::parse(&b"a/".repeat(3000)).is_err());
        for path in [
            &b"a"[..],
            b"a/b",
            b"..a",
            b"a\nb\x1b[m",
            b"\xff\xfe",
            b"...",
            b"-rf",
        ] {
            assert_eq!(Beneath::parse(path).unwrap().bytes(), path);
        }
        assert!(Beneath::parse(b"./").unwrap().is_root());
        assert_eq!(Beneath::parse(b"./a/b").unwrap().bytes(), b"a/b");
    }

    #[test]
    fn a_part_belongs_to_one_state_of_its_source() {
        let part = part_name(b"movie", 10, 20);
        assert!(part.starts_with(b".movie.") && part.ends_with(b".os-part"));
        assert_ne!(part, part_name(b"movie", 11, 20));
        assert_ne!(part, part_name(b"movie", 10, 21));
        assert!(part_name(&[b'x'; 255], 1, 1).len() <= 255);
    }

    #[test]
    fn what_is_in_a_folder_begins_with_its_whole_name() {
        let at = |path: &[u8]| Beneath::parse(path).unwrap();
        assert!(at(b"a/b").is_in(&at(b"a")));
        assert!(!at(b"ab").is_in(&at(b"a")));
        assert!(at(b"a").is_in(&at(b".")));
        assert_eq!(at(b"a/b/c").divided(), (at(b"a/b"), &b"c"[..]));
    }
}
