//! The locks that this agent holds: files of its own in every directory of an application, with a kernel lock on each,
//! so that both conventions see them.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::FlockOperation;
use thiserror::Error;

use super::{LockFile, MARK, apps, remove, services, state};
use crate::model::{LOCK_FILES, LOCK_OWNER};

/// A lock file before it has its name.
const DRAFT: &str = ".os-agent.lock";

/// Why the locks of an application were not taken. None of them is held then.
#[derive(Debug, Error)]
pub(crate) enum LockError {
    /// A service holds its own. The words are the reference's: clients know them.
    #[error("Lockfile exists for {{ appId: {app_id}, service: {service} }}")]
    Taken {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
    },
    /// The file system refused.
    #[error("could not lock {service}")]
    Io {
        /// Service name.
        service: String,
        /// Its words.
        #[source]
        source: io::Error,
    },
}

/// See the module. All clones are one.
#[derive(Debug, Clone, Default)]
pub(crate) struct Held(Arc<Mutex<BTreeMap<u32, Vec<fs::File>>>>);

impl Held {
    pub(super) fn holds(&self, app_id: u32) -> bool {
        self.lock().contains_key(&app_id)
    }

    /// The applications whose locks are held.
    pub(super) fn apps(&self) -> Vec<u32> {
        self.lock().keys().copied().collect()
    }

    /// Takes the locks of all services of an application, or none; with `force` also those that services hold.
    pub(crate) fn take(
        &self,
        services_dir: &Path,
        app_id: u32,
        force: bool,
    ) -> Result<(), LockError> {
        let app_dir = services_dir.join(app_id.to_string());
        let mut files = Vec::new();
        for (service, dir) in services(&app_dir) {
            for name in LOCK_FILES {
                match take(&dir.join(name), force) {
                    Ok(Some(file)) => files.push(file),
                    Ok(None) => {
                        drop(files);
                        release(&app_dir);
                        return Err(LockError::Taken { app_id, service });
                    }
                    Err(source) => {
                        drop(files);
                        release(&app_dir);
                        return Err(LockError::Io { service, source });
                    }
                }
            }
        }
        self.lock().insert(app_id, files);
        Ok(())
    }

    /// A service has got its directory. Where the locks of its application are held, so is that: else the service could take
    /// it while others are disturbed.
    pub(crate) fn join(
        &self,
        services_dir: &Path,
        app_id: u32,
        service: &str,
    ) -> Result<(), LockError> {
        let mut held = self.lock();
        let Some(files) = held.get_mut(&app_id) else {
            return Ok(());
        };
        let dir = services_dir.join(app_id.to_string()).join(service);
        for name in LOCK_FILES {
            let path = dir.join(name);
            if state(&path, true) == LockFile::Held {
                continue;
            }
            let taken = take(&path, false).map_err(|source| LockError::Io {
                service: service.to_owned(),
                source,
            })?;
            // One that a service has was seen when the others were taken, and overridden.
            files.extend(taken);
        }
        Ok(())
    }

    /// Takes the locks of every application, or none; with `force` also those that services hold. Returns the applications
    /// whose locks were not held before.
    pub(crate) fn take_all(&self, services_dir: &Path, force: bool) -> Result<Vec<u32>, LockError> {
        let mut taken = Vec::new();
        for (app_id, _) in apps(services_dir) {
            if self.holds(app_id) {
                continue;
            }
            if let Err(error) = self.take(services_dir, app_id, force) {
                for app_id in taken {
                    self.release(services_dir, app_id);
                }
                return Err(error);
            }
            taken.push(app_id);
        }
        Ok(taken)
    }

    /// Lets go of the locks of an application, and takes away what an agent before this one left.
    pub(crate) fn release(&self, services_dir: &Path, app_id: u32) {
        self.lock().remove(&app_id);
        release(&services_dir.join(app_id.to_string()));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u32, Vec<fs::File>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `None`: a service holds it.
fn take(path: &Path, force: bool) -> io::Result<Option<fs::File>> {
    match state(path, false) {
        LockFile::Absent | LockFile::Held => {}
        LockFile::Foreign if !force => return Ok(None),
        LockFile::Stale | LockFile::Foreign => remove(path)?,
    }
    // Whole before it has its name: half a lock file would be nobody's.
    let draft = path.with_file_name(DRAFT);
    remove(&draft)?;
    let placed = draw_up(&draft).and_then(|file| match fs::hard_link(&draft, path) {
        Ok(()) => Ok(Some(file)),
        // A service was faster.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(None),
        Err(error) => Err(error),
    });
    remove(&draft)?;
    placed
}

/// A lock file under another name, with the kernel's lock on it.
fn draw_up(draft: &Path) -> io::Result<fs::File> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(draft)?;
    file.write_all(MARK)?;
    // An agent without root may not; the mark says whose file it is, too.
    drop(std::os::unix::fs::fchown(
        file.file(),
        Some(LOCK_OWNER),
        Some(LOCK_OWNER),
    ));
    rustix::fs::flock(file.file(), FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

/// Removes the files of ours that nobody holds.
fn release(app_dir: &Path) {
    for (_, dir) in services(app_dir) {
        for name in LOCK_FILES {
            let path = dir.join(name);
            if state(&path, false) == LockFile::Stale
                && let Err(error) = remove(&path)
            {
                tracing::warn!(%error, "a lock file could not be removed");
            }
        }
    }
}
