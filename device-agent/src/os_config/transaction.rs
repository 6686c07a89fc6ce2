//! Several files that change together, whatever happens in between.
//!
//! In: files with what they hold and are to hold. Out: all of them as they were, or all as they are to be. What is to be is first
//! written down whole in one file of the state partition: from that moment on it counts, and after a cut of power
//! [`finish`] does the rest. Before, nothing was touched. Where a file cannot be written, those before it are put back.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::configure::files::{self, CLOSED};
use crate::store::disk::{Disk, OwnDisk};

/// Its name in the state folder.
const FILE: &str = "pending.json";
/// Larger ones are not ours: config.json and some files of services, as they were and are to be.
const MAX_BYTES: u64 = 16 * 1024 * 1024;
/// Why files did not change, or not all.
#[derive(Debug, Error)]
pub(crate) enum TransactionError {
    /// Nothing was touched.
    #[error("could not write down what is to change")]
    Begin(#[source] io::Error),
    /// What was touched is as it was.
    #[error("Writing {} failed, and everything is as it was", path.display())]
    PutBack {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// The next start of the device, or the next call, puts back or ends what is left.
    #[error("Writing {} failed, and not everything could be put back", path.display())]
    Halfway {
        /// The file.
        path: PathBuf,
        /// The reason.
        #[source]
        source: io::Error,
    },
    /// Whoever changed it since then wants that.
    #[error("{} was changed since a change was interrupted, which is given up", path.display())]
    Overtaken {
        /// The file.
        path: PathBuf,
    },
    /// Whatever it was cannot be ended.
    #[error("an unfinished change cannot be read, and is left alone: {0}")]
    Unreadable(String),
}

/// A file that changes. `None`: it is not there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Write {
    pub(super) path: PathBuf,
    pub(super) mode: u32,
    #[serde(with = "as_base64")]
    pub(super) before: Option<Vec<u8>>,
    #[serde(with = "as_base64")]
    pub(super) after: Option<Vec<u8>>,
}

impl Write {
    /// A file that is to hold this, as it is now.
    pub(super) fn of(
        path: &Path,
        mode: u32,
        after: Option<Vec<u8>>,
        most: u64,
    ) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            mode,
            before: OwnDisk.read(path, most)?,
            after,
        })
    }

    /// Whether anything changes.
    pub(super) fn is_change(&self) -> bool {
        self.before != self.after
    }

    /// Whether the file is still as it was when it was looked at.
    pub(super) fn is_as_before(&self) -> bool {
        let most = self.before.as_ref().map_or(0, Vec::len);
        let now = OwnDisk.read(&self.path, u64::try_from(most).unwrap_or(u64::MAX));
        now.is_ok_and(|now| now == self.before)
    }

    /// How far the file has come; `None` where it holds what is neither: somebody's newer wish. A file that is gone or cannot be
    /// read is nobody's.
    fn found(&self, disk: &dyn Disk) -> Option<Found> {
        match disk.read(&self.path, MAX_BYTES) {
            Ok(now) if now == self.after => Some(Found::After),
            Ok(Some(now)) if Some(&now) != self.before.as_ref() => None,
            Ok(_) | Err(_) => Some(Found::Before),
        }
    }

    fn put(&self, disk: &dyn Disk, content: Option<&[u8]>) -> io::Result<()> {
        match content {
            Some(content) => files::replace(disk, &self.path, self.mode, content),
            None => files::remove_place(disk, &self.path),
        }
    }

    fn reversed(&self) -> Self {
        Self {
            before: self.after.clone(),
            after: self.before.clone(),
            ..self.clone()
        }
    }
}

/// How far a file has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Found {
    Before,
    After,
}

/// What is to change.
#[derive(Debug)]
pub(super) struct Transaction<'d> {
    disk: &'d dyn Disk,
    file: PathBuf,
    writes: Vec<Write>,
}

impl<'d> Transaction<'d> {
    /// Writes down what is to change: from here on it counts.
    pub(super) fn begin(
        disk: &'d dyn Disk,
        state_dir: &Path,
        writes: Vec<Write>,
    ) -> Result<Self, TransactionError> {
        let file = state_dir.join(FILE);
        write_down(disk, &file, &writes).map_err(TransactionError::Begin)?;
        Ok(Self { disk, file, writes })
    }

    /// Changes one of the files, and, where that fails, puts back all before it.
    pub(super) fn write(&self, index: usize) -> Result<(), TransactionError> {
        let Some(write) = self.writes.get(index) else {
            return Ok(());
        };
        let Err(source) = write.put(self.disk, write.after.as_deref()) else {
            return Ok(());
        };
        let path = write.path.clone();
        if self.put_back() {
            Err(TransactionError::PutBack { path, source })
        } else {
            Err(TransactionError::Halfway { path, source })
        }
    }

    /// Everything as it was, also after a cut of power in the middle of this.
    fn put_back(&self) -> bool {
        let back: Vec<Write> = self.writes.iter().map(Write::reversed).collect();
        if write_down(self.disk, &self.file, &back).is_err() {
            return false;
        }
        // Each is tried, whatever became of those before it.
        let failed = back
            .iter()
            .filter(|write| write.put(self.disk, write.after.as_deref()).is_err())
            .count();
        failed == 0 && files::remove_place(self.disk, &self.file).is_ok()
    }

    /// All files are as they are to be.
    pub(super) fn end(self) -> Result<(), TransactionError> {
        files::remove_place(self.disk, &self.file).map_err(TransactionError::Begin)
    }
}

fn write_down(disk: &dyn Disk, file: &Path, writes: &[Write]) -> io::Result<()> {
    let text = serde_json::to_vec(writes)?;
    files::replace(disk, file, CLOSED, &text)
}

/// Ends what a cut of power interrupted. Returns whether there was something.
pub(crate) fn finish(disk: &dyn Disk, state_dir: &Path) -> Result<bool, TransactionError> {
    let file = state_dir.join(FILE);
    let unreadable = |error: io::Error| TransactionError::Unreadable(error.to_string());
    let Some(text) = disk.read(&file, MAX_BYTES).map_err(unreadable)? else {
        return Ok(false);
    };
    let writes = read(&text)?;
    let found: Vec<_> = writes.iter().map(|write| write.found(disk)).collect();
    let mut both = writes.iter().zip(&found);
    if let Some((write, _)) = both.find(|(_, found)| found.is_none()) {
        files::remove_place(disk, &file).map_err(TransactionError::Begin)?;
        let path = write.path.clone();
        return Err(TransactionError::Overtaken { path });
    }
    let both = writes.iter().zip(found);
    for (write, _) in both.filter(|(_, found)| *found == Some(Found::Before)) {
        write
            .put(disk, write.after.as_deref())
            .map_err(|source| TransactionError::Halfway {
                path: write.path.clone(),
                source,
            })?;
    }
    files::remove_place(disk, &file).map_err(TransactionError::Begin)?;
    Ok(true)
}

/// Reads what was written down.
pub(super) fn read(text: &[u8]) -> Result<Vec<Write>, TransactionError> {
    serde_json::from_slice(text).map_err(|error| TransactionError::Unreadable(error.to_string()))
}

/// Bytes of files that need not be text.
mod as_base64 {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[expect(clippy::ref_option, reason = "the shape that serde asks for")]
    pub(super) fn serialize<S>(bytes: &Option<Vec<u8>>, serializer: S) -> Result<S::Ok, S::Error>
    where
        S: Serializer,
    {
        let text = bytes.as_ref().map(|bytes| STANDARD.encode(bytes));
        text.serialize(serializer)
    }

    pub(super) fn deserialize<'d, D>(deserializer: D) -> Result<Option<Vec<u8>>, D::Error>
    where
        D: Deserializer<'d>,
    {
        let text = Option::<String>::deserialize(deserializer)?;
        let bytes = text.map(|text| STANDARD.decode(text));
        bytes.transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use fs_err as fs;

    use super::*;
    use crate::store::fused::Fused;

    /// Three files of which one changes, one comes and one goes.
    fn files(dir: &Path) -> Vec<Write> {
        fs::write(dir.join("a"), [0xFF, 1]).unwrap();
        fs::write(dir.join("c"), "old").unwrap();
        let write = |name: &str, after: Option<&[u8]>| {
            Write::of(&dir.join(name), 0o600, after.map(<[u8]>::to_vec), 1024).unwrap()
        };
        vec![
            write("a", Some(b"new")),
            write("b", Some(b"new")),
            write("c", None),
        ]
    }

    fn held(dir: &Path) -> [Option<Vec<u8>>; 3] {
        ["a", "b", "c"].map(|name| fs::read(dir.join(name)).ok())
    }

    fn old() -> [Option<Vec<u8>>; 3] {
        [Some(vec![0xFF, 1]), None, Some(b"old".to_vec())]
    }

    fn new() -> [Option<Vec<u8>>; 3] {
        [Some(b"new".to_vec()), Some(b"new".to_vec()), None]
    }

    #[test]
    fn power_may_be_cut_at_any_moment() {
        for cut in 0..=3 {
            let dir = tempfile::tempdir().unwrap();
            let state = dir.path().join("state");
            let transaction = Transaction::begin(&OwnDisk, &state, files(dir.path())).unwrap();
            for index in 0..cut {
                transaction.write(index).unwrap();
            }
            // Here the device is off. What it does first when it is on:
            drop(transaction);
            assert!(finish(&OwnDisk, &state).unwrap(), "after {cut}");
            assert_eq!(held(dir.path()), new(), "after {cut}");
            assert!(!finish(&OwnDisk, &state).unwrap(), "once");
        }
        let dir = tempfile::tempdir().unwrap();
        let writes = files(dir.path());
        // Cut before it was written down whole: the rename did not happen.
        fs::write(
            dir.path().join(".pending.json.new"),
            serde_json::to_vec(&writes).unwrap(),
        )
        .unwrap();
        assert!(!finish(&OwnDisk, dir.path()).unwrap());
        assert_eq!(held(dir.path()), old());
    }

    #[test]
    fn what_somebody_changed_since_a_cut_of_power_stays() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let writes = files(dir.path());
        let (first, second) = (writes[0].path.clone(), writes[1].path.clone());
        let transaction = Transaction::begin(&OwnDisk, &state, writes).unwrap();
        transaction.write(0).unwrap();
        drop(transaction);
        fs::write(&first, "theirs").unwrap();
        let before = OwnDisk.read(&second, 1024).unwrap();
        let error = finish(&OwnDisk, &state).unwrap_err();
        assert!(
            matches!(error, TransactionError::Overtaken { .. }),
            "{error}"
        );
        assert_eq!(fs::read_to_string(&first).unwrap(), "theirs");
        assert_eq!(OwnDisk.read(&second, 1024).unwrap(), before);
        assert!(!finish(&OwnDisk, &state).unwrap(), "once");
    }

    #[test]
    fn where_one_file_cannot_be_written_all_are_as_they_were() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let mut writes = files(dir.path());
        let folder = dir.path().join("in-the-way");
        fs::create_dir_all(folder.join("below")).unwrap();
        writes.push(Write {
            path: folder.join("below"),
            mode: 0o600,
            before: None,
            after: Some(b"x".to_vec()),
        });
        let transaction = Transaction::begin(&OwnDisk, &state, writes).unwrap();
        for index in 0..3 {
            transaction.write(index).unwrap();
        }
        assert_eq!(held(dir.path()), new());
        let error = transaction.write(3).unwrap_err();
        // A folder is where the file was to be: it cannot be taken away either.
        assert!(matches!(error, TransactionError::Halfway { .. }), "{error}");
        assert_eq!(held(dir.path()), old());
    }

    #[test]
    fn what_cannot_be_written_down_does_not_begin() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state"), "").unwrap();
        let begun = Transaction::begin(&OwnDisk, &dir.path().join("state"), files(dir.path()));
        assert!(matches!(begun, Err(TransactionError::Begin(_))));
        assert_eq!(held(dir.path()), old());
        fs::write(dir.path().join("pending.json"), "[{").unwrap();
        assert!(finish(&OwnDisk, dir.path()).is_err());
        assert_eq!(held(dir.path()), old());
    }

    #[test]
    fn power_may_be_cut_in_every_write() {
        let mut moments = 0;
        for is_last_done in [false, true] {
            for operation in 1.. {
                let dir = tempfile::tempdir().unwrap();
                let state = dir.path().join("state");
                let writes = files(dir.path());
                let disk = Fused::new(operation, is_last_done);
                let outcome = all(&disk, &state, writes);
                if !disk.is_blown() {
                    outcome.unwrap();
                    assert_eq!(held(dir.path()), new());
                    break;
                }
                moments += 1;
                outcome.unwrap_err();
                finish(&OwnDisk, &state).unwrap();
                let held = held(dir.path());
                assert!(held == old() || held == new(), "{operation}: {held:?}");
                assert!(!finish(&OwnDisk, &state).unwrap(), "{operation}");
            }
        }
        assert!(moments > 20, "{moments}");
    }

    fn all(disk: &dyn Disk, state: &Path, writes: Vec<Write>) -> Result<(), TransactionError> {
        let transaction = Transaction::begin(disk, state, writes)?;
        for index in 0..3 {
            transaction.write(index)?;
        }
        transaction.end()
    }
}
