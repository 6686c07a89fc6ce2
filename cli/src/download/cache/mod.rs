//! Files that were fetched before, and parts of such: in a folder with a limit.
//!
//! A file has a folder of its own, which is named after what it is, and a lock beside it, which whoever fetches or uses it holds. A file counts
//! only together with its checksum, which was made while it came, and which is made again before each use.

mod room;

use std::{
    io::{self, Read},
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, SystemTime},
};

use fs_err::File;
use ring::digest::{SHA256, digest};
use rustix::fs::{FlockOperation, flock};

use super::checksums::{Finished, Sums, hex};

pub use room::{About, End, Room};

/// Bytes that the cache may take where nothing else is said.
pub const USUAL_LIMIT: u64 = 10 << 30;
/// Bytes of which checksums are made at once.
const BLOCK: usize = 1 << 20;

/// The folder of all of them.
#[derive(Debug, Clone)]
pub struct Cache {
    folder: PathBuf,
    limit: u64,
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
        room::folder(&self.folder)?;
        let mut options = File::options();
        let file = options.read(true).write(true).create(true).truncate(false);
        let path = self.lock(name);
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
            lock: (lock, path),
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
                let about = room::about(&path).filter(|_| path.join("image").exists());
                let (bytes, used) = taken(&path);
                all.push(Entry {
                    name: name.to_owned(),
                    bytes,
                    used,
                    about,
                    is_used: self.is_used(name)?,
                });
            }
        }
        all.sort_by_key(|entry| std::cmp::Reverse(entry.used));
        Ok(all)
    }

    /// Whether somebody has a place.
    fn is_used(&self, name: &str) -> io::Result<bool> {
        let lock = match File::open(self.lock(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            lock => lock?,
        };
        // Who only looks is in nobody's way who does, too.
        match flock(lock.file(), FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(false),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }

    fn lock(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}.lock"))
    }

    /// Removes one; `false` when somebody uses it.
    ///
    /// # Errors
    /// Those of files.
    pub fn remove(&self, name: &str) -> io::Result<bool> {
        match self.open(name, FlockOperation::NonBlockingLockExclusive)? {
            None => Ok(false),
            // Its lock goes with it.
            Some(room) => room.clear().map(|()| true),
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
mod tests;
