//! The virtual machines of this machine: a record for each, written by `os boot`, which holds a lock on it as long as the machine runs.
//!
//! The kernel drops the lock with the process: a record that nobody holds is that of a machine which is gone.

use std::{
    io::{self, Read as _, Seek as _, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};
use rustix::fs::{FlockOperation, flock};
use serde::{Serialize, de::DeserializeOwned};
use tokio::time::sleep;

use super::{Device, record_file, record_file::FileError};

/// More of them are not looked for.
const MOST: usize = 256;
/// Bytes of what is noted of a machine.
const LONGEST: u64 = 64 << 10;
/// How long whoever only looks may have a lock, and how often one is tried meanwhile.
const LOOK: Duration = Duration::from_millis(200);
const TRIES: u32 = 10;

/// A name that is ours as long as this is there.
#[derive(Debug)]
pub struct Held {
    folder: PathBuf,
    name: String,
    lock: File,
}

fn lock_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.lock"))
}

fn record_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}

impl Held {
    /// Takes a name, which is to fit a file's; `None` where another machine has it.
    ///
    /// # Errors
    /// [`FileError::Io`].
    pub async fn take(folder: &Path, name: &str) -> Result<Option<Self>, FileError> {
        for _ in 1..TRIES {
            if let Some(held) = Self::take_free(folder, name)? {
                return Ok(Some(held));
            }
            sleep(LOOK / TRIES).await;
        }
        Self::take_free(folder, name)
    }

    /// The same of a name that nobody looks at just now, either.
    ///
    /// # Errors
    /// As there.
    pub fn take_free(folder: &Path, name: &str) -> Result<Option<Self>, FileError> {
        let path = lock_of(folder, name);
        let taken = fs_err::create_dir_all(folder).and_then(|()| {
            let mut options = OpenOptions::new();
            let file = options
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .mode(0o600)
                .open(&path)?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => Ok(Some(file)),
                Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
                Err(error) => Err(error.into()),
            }
        });
        let lock = taken.map_err(|source| FileError::Io { path, source })?;
        let Some(lock) = lock else { return Ok(None) };
        let held = Self {
            folder: folder.to_owned(),
            name: name.to_owned(),
            lock,
        };
        // What a machine has left that did not end in peace.
        held.forget();
        Ok(Some(held))
    }

    /// Lets others find the machine.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn save(&self, device: &Device) -> Result<(), FileError> {
        record_file::replace(&record_of(&self.folder, &self.name), device)
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is noted in the lock's file, which outlasts its holder; `None` where that is nothing.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn noted<T: DeserializeOwned>(&mut self) -> Result<Option<T>, FileError> {
        let path = lock_of(&self.folder, &self.name);
        let mut bytes = Vec::new();
        let read = self.lock.rewind();
        let read = read.and_then(|()| (&mut self.lock).take(LONGEST).read_to_end(&mut bytes));
        match read {
            Ok(0) => Ok(None),
            Ok(count) if u64::try_from(count).is_ok_and(|count| count < LONGEST) => {
                let noted = serde_json::from_slice(&bytes);
                noted.map_err(|source| FileError::Content { path, source })
            }
            Ok(_) => Err(FileError::TooLarge { path }),
            Err(source) => Err(FileError::Io { path, source }),
        }
    }

    /// Notes there what whoever holds the name next is to know.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn note<T: Serialize>(&mut self, noted: &Option<T>) -> Result<(), FileError> {
        let path = lock_of(&self.folder, &self.name);
        // In its own place: the lock is on this file.
        let mut write = || {
            let bytes = serde_json::to_vec(noted)?;
            self.lock.set_len(0)?;
            self.lock.rewind()?;
            self.lock.write_all(&bytes)
        };
        write().map_err(|source| FileError::Io { path, source })
    }

    fn forget(&self) {
        // Nobody believes one that nobody holds.
        drop(fs_err::remove_file(record_of(&self.folder, &self.name)));
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // The lock's file stays: another one may be waiting for its name.
        self.forget();
    }
}

/// Names that some machine has had.
#[must_use]
pub fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let locks = paths.filter(|path| path.extension().is_some_and(|end| end == "lock"));
    locks
        .take(MOST)
        .filter_map(|path| Some(path.file_stem()?.to_str()?.to_owned()))
        .collect()
}

/// Those that run, by their names.
#[must_use]
pub fn living(folder: &Path) -> Vec<Device> {
    // One that cannot be read hides machines, which are there all the same.
    let Ok(entries) = fs_err::read_dir(folder) else {
        return Vec::new();
    };
    let paths = entries.flatten().map(|entry| entry.path());
    let records = paths.filter(|path| path.extension().is_some_and(|end| end == "json"));
    let mut devices: Vec<Device> = records
        .take(MOST)
        .filter(|path| is_held(&path.with_extension("lock")))
        .filter_map(|path| record_file::read(&path).ok().flatten())
        .collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

fn is_held(lock: &Path) -> bool {
    let locked = File::open(lock).map(|file| {
        // Given back with the file.
        flock(&file, FlockOperation::NonBlockingLockShared)
    });
    matches!(locked, Ok(Err(rustix::io::Errno::WOULDBLOCK)))
        || locked.is_err_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::discovery::Origin;

    #[tokio::test]
    async fn a_machine_is_there_as_long_as_its_name_is_held() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path().join("machines");
        assert_eq!(living(&folder), []);
        let device = Device::bare("kit".to_owned(), None, Origin::Machine);
        let mut held = Held::take(&folder, "kit").await.unwrap().unwrap();
        assert_eq!(living(&folder), []);
        assert_eq!(held.noted::<u8>().unwrap(), None);
        held.note(&Some(7)).unwrap();
        held.save(&device).unwrap();
        assert_eq!(living(&folder), [device]);
        assert!(Held::take(&folder, "kit").await.unwrap().is_none());
        assert_eq!(names(&folder), ["kit"]);
        let record = fs_err::read(folder.join("kit.json")).unwrap();
        drop(held);
        // Left by one that was killed.
        fs_err::write(folder.join("kit.json"), record).unwrap();
        // A program that another test has just started may have its lock until it is that program.
        while !living(&folder).is_empty() {
            sleep(LOOK / TRIES).await;
        }
        let mut held = Held::take(&folder, "kit").await.unwrap().unwrap();
        assert_eq!(living(&folder), []);
        assert_eq!(held.noted::<u8>().unwrap(), Some(7));
        held.note(&None::<u8>).unwrap();
        assert_eq!(held.noted::<u8>().unwrap(), None);
        fs_err::write(folder.join("kit.lock"), "[").unwrap();
        assert!(matches!(held.noted::<u8>(), Err(FileError::Content { .. })));
        drop(held);
        // Who looks has the lock for a moment.
        let look = File::open(folder.join("kit.lock")).unwrap();
        flock(&look, FlockOperation::NonBlockingLockShared).unwrap();
        let looking = async {
            sleep(LOOK / 2).await;
            drop(look);
        };
        let (taken, ()) = tokio::join!(Held::take(&folder, "kit"), looking);
        assert!(taken.unwrap().is_some());
    }
}
