//! Files that were fetched before, and parts of such: in a folder with a limit.
//!
//! A file has a folder of its own, which is named after what it is, and a lock beside it, which whoever fetches or uses it holds. A file counts
//! only together with its checksum, which was made while it came, and which is made again before each use.

use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use fs_err::File;
use ring::digest::{SHA256, digest};
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::{
    answer::Validator,
    checksums::{Finished, Sums, hex},
    fetch::{Coding, replace},
};

/// Bytes that the cache may take where nothing else is said.
pub const USUAL_LIMIT: u64 = 10 << 30;
const VERSION: u32 = 1;
/// Bytes that are read of what is written down of a file.
const LONGEST: u64 = 64 << 10;
/// Bytes of which checksums are made at once.
const BLOCK: usize = 1 << 20;

/// The folder of all of them.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
}

/// The place of one file. Nobody else has it.
#[derive(Debug)]
pub struct Room {
    /// What it is called.
    pub name: String,
    folder: PathBuf,
    _lock: File,
}

/// What is known of a file that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    version: u32,
    /// What tells it from other files.
    pub source: String,
    /// Its own name.
    pub name: String,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256 in lower hex digits.
    pub sha256: String,
    /// What its server tells this state of it by.
    pub validator: Option<Validator>,
    /// How it is packed for the way.
    pub coding: Option<Coding>,
    /// By what it was checked when it came.
    pub checked: Vec<String>,
}

/// A file that is kept, or a part of one.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What it is called in the cache.
    pub name: String,
    /// Bytes on the disk.
    pub bytes: u64,
    /// When it was used last.
    pub used: SystemTime,
    /// What is known of it; `None` of a part.
    pub about: Option<About>,
    /// Whether somebody uses it now.
    pub is_used: bool,
}

impl About {
    /// Reads it; `None` when it says nothing that could be used.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let about: Self = serde_json::from_slice(bytes).ok()?;
        let is_sum =
            about.sha256.len() == 64 && about.sha256.bytes().all(|byte| byte.is_ascii_hexdigit());
        let is_name = !about.name.is_empty() && !about.name.contains(['/', '\0']);
        (about.version == VERSION && is_sum && is_name).then_some(about)
    }

    /// Of a file that has come.
    #[must_use]
    pub fn new(source: &str, name: &str, sums: &Finished) -> Self {
        Self {
            version: VERSION,
            source: source.to_owned(),
            name: name.to_owned(),
            bytes: 0,
            sha256: sums.sha256(),
            validator: None,
            coding: None,
            checked: Vec::new(),
        }
    }
}

impl Cache {
    /// The cache in a folder, which need not exist.
    #[must_use]
    pub fn new(folder: PathBuf, limit: u64) -> Self {
        Self { folder, limit }
    }

    /// Takes the place of a file; `None` while somebody else has it.
    ///
    /// # Errors
    /// Those of files.
    pub fn take(&self, source: &str, name: &str) -> io::Result<Option<Room>> {
        self.open(&key(source, name), FlockOperation::NonBlockingLockExclusive)
    }

    /// Takes it, however long somebody else has it; `None` when it was removed meanwhile, and can be taken anew.
    ///
    /// # Errors
    /// Those of files.
    pub fn wait(&self, source: &str, name: &str) -> io::Result<Option<Room>> {
        self.open(&key(source, name), FlockOperation::LockExclusive)
    }

    fn open(&self, name: &str, how: FlockOperation) -> io::Result<Option<Room>> {
        fs_err::create_dir_all(&self.folder)?;
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let path = self.folder.join(format!("{name}.lock"));
        let lock = file.open(&path)?;
        match flock(lock.file(), how) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        // Who had it before may have removed it: a lock that is no file locks nobody out.
        let is_there = fs_err::metadata(&path)
            .is_ok_and(|there| lock.metadata().is_ok_and(|own| own.ino() == there.ino()));
        if !is_there {
            return Ok(None);
        }
        Ok(Some(Room {
            name: name.to_owned(),
            folder: self.folder.join(name),
            _lock: lock,
        }))
    }

    /// Everything that is kept, what was used last first.
    ///
    /// # Errors
    /// Those of files.
    pub fn entries(&self) -> io::Result<Vec<Entry>> {
        let mut all = Vec::new();
        let listed = match fs_err::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(all),
            listed => listed?,
        };
        for entry in listed {
            let path = entry?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                continue;
            };
            if path.is_dir() {
                let is_used = self.open(name, FlockOperation::NonBlockingLockExclusive)?;
                let about = about(&path).filter(|_| path.join("image").exists());
                let (bytes, used) = taken(&path);
                all.push(Entry {
                    name: name.to_owned(),
                    bytes,
                    used,
                    about,
                    is_used: is_used.is_none(),
                });
            }
        }
        all.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        Ok(all)
    }

    /// Removes one; `false` when somebody uses it.
    ///
    /// # Errors
    /// Those of files.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match self.open(name, FlockOperation::NonBlockingLockExclusive)? {
            None => Ok(false),
            Some(room) => {
                room.clear()?;
                fs_err::remove_file(self.folder.join(format!("{name}.lock")))?;
                Ok(true)
            }
        }
    }

    /// Removes what was used longest ago, until the rest fits: what somebody uses stays. Returns what was removed.
    ///
    /// # Errors
    /// Those of files.
    pub fn shrink(&self) -> io::Result<Vec<Entry>> {
        let entries = self.entries()?;
        let mut total: u64 = entries.iter().map(|entry| entry.bytes).sum();
        let mut removed = Vec::new();
        for entry in entries.into_iter().rev() {
            if total <= self.limit {
                break;
            }
            if self.remove(&entry.name)? {
                total = total.saturating_sub(entry.bytes);
                removed.push(entry);
            }
        }
        Ok(removed)
    }
}

impl Room {
    /// The file.
    #[must_use]
    pub fn image(&self) -> PathBuf {
        self.folder.join("image")
    }

    /// What has come of it.
    #[must_use]
    pub fn part(&self) -> PathBuf {
        self.folder.join("part")
    }

    /// What is known of that.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.folder.join("part.json")
    }

    /// Makes its folder.
    ///
    /// # Errors
    /// Those of files.
    pub fn make(&self) -> io::Result<()> {
        fs_err::create_dir_all(&self.folder)
    }

    /// What is known of the file, if it is there.
    #[must_use]
    pub fn about(&self, source: &str) -> Option<About> {
        let about = about(&self.folder).filter(|about| about.source == source)?;
        let size = fs_err::metadata(self.image()).ok()?.len();
        (size == about.bytes).then_some(about)
    }

    /// Makes what has come the file. What is known of it is written before, so that it never counts without that.
    ///
    /// # Errors
    /// Those of files.
    pub fn keep(&self, about: &About) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(about).map_err(io::Error::other)?;
        replace(&self.folder.join("about.json"), &bytes)?;
        fs_err::rename(self.part(), self.image())?;
        match fs_err::remove_file(self.state()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// It was used just now.
    pub fn touch(&self) {
        // The order in which files go is no reason to fail.
        drop(
            File::options()
                .append(true)
                .open(self.folder.join("about.json"))
                .and_then(|file| file.set_modified(SystemTime::now())),
        );
    }

    /// Removes everything that is there.
    ///
    /// # Errors
    /// Those of files.
    pub fn clear(&self) -> io::Result<()> {
        match fs_err::remove_dir_all(&self.folder) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }
}

/// The checksums of a file.
///
/// # Errors
/// Those of reading it.
pub fn sums_of(mut from: impl Read, mut sums: Sums) -> io::Result<Finished> {
    let mut block = vec![0; BLOCK];
    loop {
        let count = from.read(&mut block)?;
        if count == 0 {
            return Ok(sums.finish());
        }
        sums.take(block.get(..count).unwrap_or_default());
    }
}

fn about(folder: &Path) -> Option<About> {
    let mut bytes = Vec::new();
    let file = File::open(folder.join("about.json")).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    About::parse(&bytes)
}

/// A name for people, and what tells it from others.
fn key(source: &str, name: &str) -> String {
    let fits = |c: char| c.is_ascii_alphanumeric() || "._-+".contains(c);
    let text: String = name
        .trim_start_matches('.')
        .chars()
        .map(|c| if fits(c) { c } else { '_' })
        .take(80)
        .collect();
    let digest = digest(&SHA256, source.as_bytes());
    let short = hex(digest.as_ref().get(..4).unwrap_or_default());
    format!("{text}-{short}")
}

/// Bytes on the disk, and the last time that a file of it was changed.
fn taken(folder: &Path) -> (u64, SystemTime) {
    let files = fs_err::read_dir(folder).into_iter().flatten();
    let known = files.filter_map(|file| file.ok()?.metadata().ok());
    known.fold((0, SystemTime::UNIX_EPOCH), |(bytes, used), file| {
        let changed = file.modified().unwrap_or(SystemTime::UNIX_EPOCH);
        (bytes + file.blocks() * 512, used.max(changed))
    })
}

impl Entry {
    /// For how long nobody has used it.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.used.elapsed().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(cache: &Cache, source: &str, size: usize, used: u64) -> String {
        let room = cache.take(source, "os.img").unwrap().unwrap();
        room.make().unwrap();
        fs_err::write(room.part(), vec![1; size]).unwrap();
        let sums = sums_of(File::open(room.part()).unwrap(), Sums::new(&[])).unwrap();
        let mut about = About::new(source, "os.img", &sums);
        about.bytes = u64::try_from(size).unwrap();
        room.keep(&about).unwrap();
        for file in ["about.json", "image"] {
            let file = File::options().append(true).open(room.folder.join(file));
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(used);
            file.unwrap().set_modified(time).unwrap();
        }
        assert_eq!(room.about(source).unwrap(), about);
        assert_eq!(room.about("another"), None);
        room.name.clone()
    }

    #[test]
    fn what_was_used_longest_ago_goes_first_and_what_is_used_stays() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().join("images"), 130_000);
        assert!(cache.entries().unwrap().is_empty());
        let old = kept(&cache, "old", 50_000, 1000);
        let used = kept(&cache, "used", 50_000, 900);
        let new = kept(&cache, "new", 50_000, 2000);
        let using = cache.take("used", "os.img").unwrap().unwrap();
        assert!(cache.take("used", "os.img").unwrap().is_none());
        assert!(!cache.remove(&used).unwrap());
        let names = || -> Vec<String> {
            let entries = cache.entries().unwrap().into_iter();
            entries.map(|entry| entry.name).collect()
        };
        assert_eq!(names(), [new.clone(), old.clone(), used.clone()]);
        let removed = cache.shrink().unwrap();
        assert_eq!(removed.len(), 1);
        assert_eq!(removed[0].name, old);
        assert_eq!(names(), [new.clone(), used.clone()]);
        drop(using);
        let waiting = std::thread::scope(|scope| {
            let room = cache.take("used", "os.img").unwrap().unwrap();
            let waiting = scope.spawn(|| cache.wait("used", "os.img").unwrap().is_some());
            fs_err::remove_file(cache.folder.join(format!("{used}.lock"))).unwrap();
            drop(room);
            waiting.join().unwrap()
        });
        // It was told to take it anew, or came after it was removed.
        assert!(!waiting || cache.take("used", "os.img").unwrap().is_some());
        assert!(cache.remove(&used).unwrap());
        assert_eq!(names(), [new]);
    }

    #[test]
    fn a_file_of_another_length_than_was_written_down_does_not_count() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::new(folder.path().to_owned(), 0);
        kept(&cache, "x", 100, 0);
        let room = cache.take("x", "os.img").unwrap().unwrap();
        fs_err::write(room.image(), [1; 99]).unwrap();
        assert_eq!(room.about("x"), None);
        for text in ["", "{}", r#"{"version":1,"sha256":"zz"}"#] {
            assert_eq!(About::parse(text.as_bytes()), None);
        }
    }

    #[test]
    fn a_name_is_that_of_one_file() {
        assert_ne!(key("a", "x"), key("b", "x"));
        for name in ["../../etc/passwd", "..", "a/b", "\u{e4}\n", ""] {
            let key = key("a", name);
            assert!(!key.contains('/') && !key.starts_with('.'), "{key}");
        }
    }
}
