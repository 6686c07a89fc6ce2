//! Update locks and hand-over markers in the directories of services.
//!
//! In: `<services>/<application id>/<service>/`, which containers write to as they like: a name there may be a link, a
//! directory or a pipe, and nothing in it is believed. Out: [`AppLocks`] and markers as facts, and locks that are held.
//! Decides nothing about services.

mod held;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use rustix::fs::FlockOperation;

use crate::model::{AppLocks, HANDOVER_FILES, LOCK_FILES, LOCK_OWNER};
pub(crate) use held::{Held, LockError};
pub(crate) use watch::watch;

/// What a lock file of ours begins with, for agents that may not give files to [`LOCK_OWNER`].
const MARK: &[u8] = b"os-agent";
/// Directories that are looked at, of applications and of services each.
const MOST: usize = 1024;

/// What the directories say.
#[derive(Debug, Default)]
pub(crate) struct Signs {
    pub(crate) locks: BTreeMap<u32, AppLocks>,
    pub(crate) handed_over: BTreeSet<(u32, String)>,
}

/// Reads all directories. What cannot be read holds no lock: a lock that nobody can see protects nothing.
pub(crate) fn read(services_dir: &Path, held: &Held) -> Signs {
    let mut signs = Signs::default();
    for (app_id, dir) in apps(services_dir) {
        let mut locks = AppLocks {
            by_agent: held.holds(app_id),
            ..AppLocks::default()
        };
        for (service, dir) in services(&dir) {
            for name in LOCK_FILES {
                match state(&dir.join(name), locks.by_agent) {
                    LockFile::Absent | LockFile::Held => {}
                    LockFile::Stale => locks.stale = true,
                    LockFile::Foreign => {
                        locks.by_services.insert(service.clone());
                    }
                }
            }
            if HANDOVER_FILES.iter().any(|name| exists(&dir.join(name))) {
                signs.handed_over.insert((app_id, service));
            }
        }
        signs.locks.insert(app_id, locks);
    }
    for app_id in held.apps() {
        signs.locks.entry(app_id).or_default().by_agent = true;
    }
    signs
}

/// Takes away what says that a successor may take over, before there is one.
pub(crate) fn clear_markers(services_dir: &Path, app_id: u32, service: &str) -> io::Result<()> {
    let dir = services_dir.join(app_id.to_string()).join(service);
    for name in HANDOVER_FILES {
        remove(&dir.join(name))?;
    }
    Ok(())
}

/// What a lock file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LockFile {
    Absent,
    /// Ours, and held by this agent.
    Held,
    /// Made by an agent, held by nobody.
    Stale,
    /// A service's.
    Foreign,
}

fn state(path: &Path, held: bool) -> LockFile {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return LockFile::Absent;
    };
    if !meta.is_file() {
        return LockFile::Foreign;
    }
    let Ok(mut file) = open(path) else {
        return if meta.uid() == LOCK_OWNER {
            LockFile::Stale
        } else {
            LockFile::Foreign
        };
    };
    if meta.uid() != LOCK_OWNER && !is_marked(&mut file) {
        return LockFile::Foreign;
    }
    if held {
        return LockFile::Held;
    }
    match rustix::fs::flock(&file, FlockOperation::NonBlockingLockShared) {
        // Closing the file lets go of it.
        Ok(()) => LockFile::Stale,
        Err(_) => LockFile::Foreign,
    }
}

/// Opens a file without following a link and without waiting for the other end of a pipe.
fn open(path: &Path) -> io::Result<fs::File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
}

fn is_marked(file: &mut fs::File) -> bool {
    let mut head = [0; MARK.len()];
    file.read_exact(&mut head).is_ok() && head == MARK
}

fn exists(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok()
}

/// Removes whatever has this name; links are not followed.
fn remove(path: &Path) -> io::Result<()> {
    let Ok(meta) = fs::symlink_metadata(path) else {
        return Ok(());
    };
    if meta.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    }
}

/// The directories of applications.
fn apps(services_dir: &Path) -> Vec<(u32, PathBuf)> {
    directories(services_dir)
        .filter_map(|(name, path)| Some((name.parse().ok()?, path)))
        .collect()
}

/// The directories of an application's services.
fn services(app_dir: &Path) -> Vec<(String, PathBuf)> {
    directories(app_dir).collect()
}

fn directories(dir: &Path) -> impl Iterator<Item = (String, PathBuf)> {
    fs::read_dir(dir)
        .into_iter()
        .flatten()
        .flatten()
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()))
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .take(MOST)
}
