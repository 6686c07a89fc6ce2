//! The accepted target on disk: survives restart, crash and loss of power.
//!
//! In: validated targets. Out: the stored one with its generation. A file is never changed in place: the new one is
//! written beside it, flushed, and renamed over it; the one before stays as the last good one. What cannot be read is
//! a fault, never an empty target: an empty target would remove every container.

mod format;
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use fs_err as fs;
use rustix::fs::FlockOperation;
use thiserror::Error;

use crate::model::Target;
use format::Content;

/// The present state.
const FILE: &str = "state.json";
/// The state before it.
const LAST_GOOD: &str = "state.last-good.json";
/// A state that could not be read, kept for people.
const SET_ASIDE: &str = "state.unreadable.json";
/// Held while an agent uses the directory.
const LOCK: &str = "lock";
/// Larger files are not ours: a target's body is at most 10 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another agent has it.
    #[error("another agent uses the state directory {}", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("could not {what} the state")]
    Io {
        /// What was tried: `open`, `save` …
        what: &'static str,
        /// The file system's answer.
        #[source]
        source: io::Error,
    },
}

/// A target with the number under which it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    /// Grows by one with every accepted target; 0 before the first.
    pub(crate) generation: u64,
    /// `None` before the first target was accepted, or when none could be read.
    pub(crate) target: Option<Arc<Target>>,
    /// What was wrong with the files, until a new target was stored.
    pub(crate) fault: Option<String>,
}

/// The state directory, held open by one agent at a time.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    accepted: Accepted,
    /// What was found unreadable and must not be overwritten.
    unreadable: bool,
    _lock: fs::File,
}

impl Store {
    /// Opens the directory, makes it if need be, and reads what is there.
    pub(crate) fn open(dir: &Path) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            what: "open",
            source,
        };
        fs::create_dir_all(dir).map_err(io)?;
        let lock = fs::File::create(dir.join(LOCK)).map_err(io)?;
        match rustix::fs::flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StoreError::InUse(dir.to_owned())),
            Err(error) => return Err(io(error.into())),
        }
        let mut store = Self {
            dir: dir.to_owned(),
            accepted: Accepted {
                generation: 0,
                target: None,
                fault: None,
            },
            unreadable: false,
            _lock: lock,
        };
        store.load();
        Ok(store)
    }

    fn load(&mut self) {
        let present = read(&self.dir.join(FILE));
        let (content, fault) = match present {
            // What could not be read was set aside, and then its replacement was not written.
            Ok(None) => match read(&self.dir.join(LAST_GOOD)) {
                Ok(Some(content)) => (
                    Some(content),
                    Some(format!(
                        "{} is gone: the target before it is used",
                        self.dir.join(FILE).display()
                    )),
                ),
                Ok(None) | Err(_) => (None, None),
            },
            Ok(content) => (content, None),
            Err(reason) => {
                self.unreadable = true;
                let file = self.dir.join(FILE);
                match read(&self.dir.join(LAST_GOOD)) {
                    Ok(Some(content)) => (
                        Some(content),
                        Some(format!(
                            "{} cannot be read ({reason}): the target before it is used",
                            file.display()
                        )),
                    ),
                    Ok(None) | Err(_) => (
                        None,
                        Some(format!(
                            "{} cannot be read ({reason}): nothing is changed until a new target arrives",
                            file.display()
                        )),
                    ),
                }
            }
        };
        if let Some(Content { generation, target }) = content {
            self.accepted = Accepted {
                generation,
                target: Some(Arc::new(target)),
                fault: None,
            };
        }
        self.accepted.fault = fault;
    }

    /// The present target.
    pub(crate) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// Stores a target under the next generation. When this returns, the target survives a loss of power; when it
    /// fails, the old one still stands.
    pub(crate) fn put(&mut self, target: Target) -> Result<Accepted, StoreError> {
        let io = |source| StoreError::Io {
            what: "save",
            source,
        };
        let file = self.dir.join(FILE);
        let generation = self.accepted.generation.saturating_add(1);
        let text = format::encode(generation, &target).map_err(io)?;
        if self.unreadable {
            match fs::rename(&file, self.dir.join(SET_ASIDE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                _ => self.unreadable = false,
            }
        } else {
            keep_last_good(&file, &self.dir.join(LAST_GOOD)).map_err(io)?;
        }
        replace_file(&file, &text).map_err(io)?;
        self.accepted = Accepted {
            generation,
            target: Some(Arc::new(target)),
            fault: None,
        };
        Ok(self.accepted.clone())
    }
}

/// Lets `good` name the present file too, so that it outlives its replacement.
fn keep_last_good(file: &Path, good: &Path) -> io::Result<()> {
    let link = good.with_extension("new");
    match fs::remove_file(&link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    match fs::hard_link(file, &link) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        // Not every file system lets a file have two names.
        Err(_) => return replace_file(good, &fs::read(file)?),
        Ok(()) => {}
    }
    fs::rename(&link, good)
}

/// `Ok(None)`: there is no such file. The error is a reason for people.
fn read(path: &Path) -> Result<Option<Content>, String> {
    let text = match fs::metadata(path) {
        Ok(meta) if meta.len() > MAX_BYTES => return Err("it is too large".to_owned()),
        Ok(_) => fs::read(path).map_err(|error| error.to_string())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
    };
    format::decode(&text)
        .map(Some)
        .map_err(|error| error.to_string())
}

/// Replaces a file so that after a loss of power either the old or the new content is there, whole.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    let new = path.with_extension("new");
    let mut file = fs::File::create(&new)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&new, path)?;
    if let Some(dir) = path.parent() {
        fs::File::open(dir)?.sync_all()?;
    }
    Ok(())
}
