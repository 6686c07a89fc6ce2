//! Many small files in one archive, with the script that moves each to its place once all of them have arrived.
//!
//! The archive goes to a folder beside the target, so that moving is renaming.

use std::{
    collections::{BTreeMap, HashSet},
    fs::File,
    io::{self, Read, Seek as _, SeekFrom, Write},
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    event::{Event, Events, left, tell},
    item::{Beneath, Item, Kind, MODE},
    script::{PUT, Script},
};

/// The script's name in the archive; folders have numbers, and those that only make a way longer one letter.
pub(super) const SCRIPT: &str = "move";

/// A file that takes the place of another one gets its owner, where we may give it away.
const OWN: &str = "own() { for p do f=$d${p##*/}; [ ! -f \"$f\" ] || [ -h \"$f\" ] || { [ -O \"$f\" ] && [ -G \"$f\" ]; } ||
chown \"$(stat -c %u:%g \"$f\")\" \"$p\" 2>/dev/null; done; }\n";

/// All to one folder, which most go to at once.
const GIVE: &str = "give() { mv -f \"$@\" \"$d\" 2>/dev/null && return
r=0; for p do if [ -e \"$p\" ] || [ -h \"$p\" ]; then put \"$p\" \"$d\" \"$d${p##*/}\" || r=1; fi; done; return $r; }\n";

/// How often a link climbs at most: an engine takes none that seems to lead out of the folder which it unpacks to.
pub(super) fn climbs(item: &Item) -> usize {
    match &item.kind {
        Kind::Link(target) if !target.starts_with(b"/") => {
            let names = target.split(|byte| *byte == b'/');
            names.filter(|name| *name == b"..").count()
        }
        _ => 0,
    }
}

/// A link waits as deep as it climbs.
fn depth(item: &Item) -> String {
    "u/".repeat(climbs(item))
}

/// What is sent together.
#[derive(Debug, Clone)]
pub(super) struct Batch {
    /// Where it is on this machine.
    pub(super) source: PathBuf,
    /// The folder of the other side that it goes to, and what is before each name there.
    pub(super) base: Vec<u8>,
    pub(super) root: Beneath,
    /// Folders that are made first.
    pub(super) folders: Vec<Item>,
    pub(super) items: Vec<Item>,
    /// Those in whose place there is a file.
    pub(super) replaced: HashSet<Beneath>,
    /// Whether what is replaced is not gone before the new one is on the disk.
    pub(super) is_synced: bool,
    /// What is before each name in the archive.
    pub(super) prefix: Vec<u8>,
}

/// What has become of one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appended {
    Whole,
    /// It is in the archive, and not what it is called.
    Torn,
    Not,
}

/// What of a batch has been packed.
pub(super) type Packed = Vec<Item>;

impl Batch {
    fn at(&self, path: &Beneath) -> Vec<u8> {
        let at = self.root.join(path);
        match (self.base.as_slice(), at.is_root()) {
            (base, true) => base.to_vec(),
            (b"/", false) => [b"/", at.bytes()].concat(),
            (base, false) => [base, b"/", at.bytes()].concat(),
        }
    }

    /// Writes the archive. What cannot be read is told, and left out.
    pub(super) fn pack(&self, into: impl Write, events: &Events) -> io::Result<Packed> {
        let mut archive = tar::Builder::new(into);
        let mut moved = BTreeMap::<Beneath, Vec<Vec<u8>>>::new();
        let mut packed = Vec::new();
        let mut replaced = BTreeMap::<Beneath, Vec<Vec<u8>>>::new();
        let mut synced = Vec::new();
        let mut order = BTreeMap::<Beneath, usize>::new();
        for item in &self.items {
            let at = self.root.join(&item.path);
            let (folder, name) = at.divided();
            let next = order.len();
            let number = *order.entry(folder.clone()).or_insert(next);
            let waits = [
                depth(item).as_bytes(),
                format!("{number}/").as_bytes(),
                name,
            ]
            .concat();
            let at = [self.prefix.as_slice(), &waits].concat();
            if self.append(&mut archive, &at, item, events)? == Appended::Whole {
                if self.replaced.contains(&item.path) {
                    if self.is_synced && item.size() > 0 {
                        synced.push([b"./".as_slice(), &waits].concat());
                    }
                    let replaced = replaced.entry(folder.clone()).or_default();
                    replaced.push(waits.clone());
                }
                moved.entry(folder).or_default().push(waits);
                packed.push(item.clone());
            }
        }
        let script = self.script(moved, &replaced, synced);
        let mut header = header(tar::EntryType::Regular, 0o700, 0);
        header.set_size(u64::try_from(script.len()).unwrap_or(0));
        let at = [self.prefix.as_slice(), SCRIPT.as_bytes()].concat();
        archive.append_data(&mut header, path_of(&at), script.as_slice())?;
        archive.into_inner()?.flush()?;
        Ok(packed)
    }

    /// Without the script: what is in it is at its place already. Folders get their modes with it.
    pub(super) fn pack_in_place(&self, into: impl Write, events: &Events) -> io::Result<Packed> {
        let mut archive = tar::Builder::new(into);
        let mut packed = Vec::new();
        for item in &self.items {
            let at = self.root.join(&item.path);
            if at.is_root() {
                continue;
            }
            match self.append(&mut archive, at.bytes(), item, events)? {
                Appended::Whole => packed.push(item.clone()),
                Appended::Torn => {
                    // What has been sent of it has its name. A later copy takes an empty one for no whole file.
                    let mut header = header(tar::EntryType::Regular, 0o600, 0);
                    archive.append_data(&mut header, path_of(at.bytes()), io::empty())?;
                }
                Appended::Not => {}
            }
        }
        archive.into_inner()?.flush()?;
        Ok(packed)
    }

    fn append<W: Write>(
        &self,
        archive: &mut tar::Builder<W>,
        at: &[u8],
        item: &Item,
        events: &Events,
    ) -> io::Result<Appended> {
        let at = path_of(at);
        match &item.kind {
            Kind::Folder => {
                let mut header = header(tar::EntryType::Directory, item.mode, item.mtime);
                archive.append_data(&mut header, at, io::empty())?;
                Ok(Appended::Whole)
            }
            Kind::Link(target) => {
                let mut header = header(tar::EntryType::Symlink, 0o777, item.mtime);
                archive.append_link(&mut header, at, path_of(target))?;
                Ok(Appended::Whole)
            }
            Kind::Special => Ok(Appended::Not),
            Kind::File(_) => self.append_file(archive, at, item, events),
        }
    }

    fn append_file<W: Write>(
        &self,
        archive: &mut tar::Builder<W>,
        at: &Path,
        item: &Item,
        events: &Events,
    ) -> io::Result<Appended> {
        let here = item.path.below(&self.source);
        let shown = here.as_os_str().as_bytes();
        let opened = open(&here).and_then(|file| {
            let about = file.metadata()?;
            Ok((file, about))
        });
        let (file, about) = match opened {
            Ok(opened) => opened,
            Err(error) => {
                left(events, shown, error.to_string());
                return Ok(Appended::Not);
            }
        };
        // With the time that it was found with: one that has been changed since is found to be another by the next copy.
        let mut header = header(tar::EntryType::Regular, about.mode() & MODE, item.mtime);
        header.set_size(about.len());
        let mut exact = Exact {
            file: &file,
            left: about.len(),
            is_short: false,
            failed: None,
            hash: blake3::Hasher::new(),
            events,
        };
        archive.append_data(&mut header, at, &mut exact)?;
        if let Some(error) = exact.failed {
            left(events, shown, error.to_string());
            return Ok(Appended::Torn);
        }
        let after = file.metadata()?;
        let is_changed = exact.is_short
            || after.len() < about.len()
            // A file that only grows, as a log does, has its beginning still.
            || (after.len() > about.len() && !still_has(&file, 0, about.len(), &exact.hash))
            || (after.len() == about.len()
                && (after.mtime(), after.mtime_nsec()) != (about.mtime(), about.mtime_nsec()));
        if is_changed {
            left(events, shown, "it was changed while it was copied");
            return Ok(Appended::Torn);
        }
        Ok(Appended::Whole)
    }

    fn script(
        &self,
        moved: BTreeMap<Beneath, Vec<Vec<u8>>>,
        replaced: &BTreeMap<Beneath, Vec<Vec<u8>>>,
        synced: Vec<Vec<u8>>,
    ) -> Vec<u8> {
        let mut script = Script::new();
        script.text(PUT).text(OWN).text(GIVE).text("e=0\n");
        let folders = self.folders.iter().map(|folder| self.at(&folder.path));
        script.each("mkdir -p", folders, " || e=1");
        // Now, too: an interrupted copy is gone on with by another run, to which they are not its own.
        let mut by_mode = BTreeMap::<u32, Vec<Vec<u8>>>::new();
        for folder in &self.folders {
            let at = self.at(&folder.path);
            by_mode.entry(folder.mode | 0o700).or_default().push(at);
        }
        for (mode, folders) in by_mode {
            script.each(&format!("chmod {mode:o}"), folders, " || e=1");
        }
        script.each("sync", synced, " 2>/dev/null || sync");
        for (folder, names) in moved {
            let above = [self.base.as_slice(), b"/", folder.bytes(), b"/"].concat();
            script
                .set("d", &above)
                .each(
                    "own",
                    replaced.get(&folder).into_iter().flatten().cloned(),
                    "",
                )
                .each("give", names, " || e=1");
        }
        script.text("exit $e\n");
        script.done()
    }
}

fn header(kind: tar::EntryType, mode: u32, mtime: i64) -> tar::Header {
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_mtime(u64::try_from(mtime).unwrap_or(0));
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(0);
    header
}

fn path_of(bytes: &[u8]) -> &Path {
    Path::new(std::ffi::OsStr::from_bytes(bytes))
}

/// Opens a file, and nothing that is none any more: a pipe would be waited for.
pub(super) fn open(path: &Path) -> io::Result<File> {
    use rustix::fs::{CWD, Mode, OFlags, openat};
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file: File = openat(CWD, path, flags, Mode::empty())?.into();
    if file.metadata()?.is_file() {
        Ok(file)
    } else {
        Err(io::Error::other("it is no file any more"))
    }
}

/// Whether a file has these bytes still.
pub(super) fn still_has(mut file: &File, from: u64, count: u64, hash: &blake3::Hasher) -> bool {
    let mut now = blake3::Hasher::new();
    let read = file
        .seek(SeekFrom::Start(from))
        .and_then(|_| io::copy(&mut file.take(count), &mut now));
    read.is_ok_and(|read| read == count) && now.finalize() == hash.finalize()
}

/// As many bytes of a file as its header says, whatever becomes of it.
struct Exact<'a> {
    file: &'a File,
    left: u64,
    is_short: bool,
    /// What of this machine ended it.
    failed: Option<io::Error>,
    hash: blake3::Hasher,
    events: &'a Events,
}

impl Read for Exact<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(into.len());
        let into = into.get_mut(..most).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        let count = if self.is_short {
            0
        } else {
            self.file.read(into).unwrap_or_else(|error| {
                self.failed = Some(error);
                0
            })
        };
        let count = if count == 0 {
            self.is_short = true;
            into.fill(0);
            into.len()
        } else {
            count
        };
        self.hash.update(into.get(..count).unwrap_or_default());
        let moved = u64::try_from(count).unwrap_or(0);
        self.left = self.left.saturating_sub(moved);
        tell(self.events, Event::Moved(moved));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::archive::ArchiveReader;

    #[test]
    fn what_is_torn_in_its_place_is_empty_at_last() {
        // A kernel says that it is longer than it is.
        let source = PathBuf::from("/sys/devices/system/cpu/possible");
        let size = fs_err::metadata(&source).unwrap().len();
        let item = |name: &[u8]| Item {
            path: Beneath::parse(name).unwrap(),
            kind: Kind::File(size),
            mode: 0o644,
            mtime: 7,
        };
        let batch = Batch {
            source,
            base: b"/".to_vec(),
            root: Beneath::parse(b"x").unwrap(),
            folders: Vec::new(),
            items: vec![item(b"")],
            replaced: HashSet::new(),
            is_synced: false,
            prefix: Vec::new(),
        };
        let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut archive = Vec::new();
        let packed = batch.pack_in_place(&mut archive, &events).unwrap();
        assert_eq!(packed, []);
        let is_left = |event: Event| matches!(event, Event::Left { .. });
        assert!(std::iter::from_fn(|| told.try_recv().ok()).any(is_left));
        let mut reader = ArchiveReader::new(archive.as_slice());
        let mut entries = Vec::new();
        while let Some(entry) = reader.entry().unwrap() {
            entries.push((entry.path, entry.size, entry.mtime));
        }
        assert_eq!(entries, [(b"x".to_vec(), size, 7), (b"x".to_vec(), 0, 0)]);
    }

    #[test]
    fn a_link_waits_as_deep_as_it_climbs() {
        let link = |target: &[u8]| Item {
            path: Beneath::parse(b"l").unwrap(),
            kind: Kind::Link(target.to_vec()),
            mode: 0o777,
            mtime: 7,
        };
        for (target, climbed) in [
            (&b"a"[..], 0),
            (b"../a", 1),
            (b"../../a/..", 3),
            (b"/../a", 0),
            (b"..a/b", 0),
        ] {
            assert_eq!(climbs(&link(target)), climbed, "{target:?}");
        }
    }
}
