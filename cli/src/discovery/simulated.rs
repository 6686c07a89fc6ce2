//! The simulated devices of this machine: one record for each, written by `os simulate` and read without a network.

use std::{
    io,
    net::IpAddr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use super::record_file::FileError;
use super::{Device, Selector, record_file};

/// More records than this are not read.
const MOST: usize = 1024;

/// A simulated device and the process behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The device as other commands reach it; its origin names the sockets.
    pub device: Device,
    /// Process id of the agent.
    pub agent_pid: u32,
    /// RFC 3339, UTC.
    pub started_at: String,
    /// Socket of the engine behind the agent.
    pub engine_socket: PathBuf,
    /// Its loopback address.
    pub address: IpAddr,
    /// What keeps its containers apart from those of others.
    pub namespace: String,
}

/// The records of the folder, by file name. Files that are not records are left out and told in the second value.
///
/// # Errors
/// [`FileError`] when the folder is there but cannot be listed.
pub fn load(folder: &Path) -> Result<(Vec<Record>, Vec<FileError>), FileError> {
    let access = |source| FileError::Io {
        path: folder.to_owned(),
        source,
    };
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok((Vec::new(), Vec::new()));
        }
        Err(error) => return Err(access(error)),
    };
    let mut paths = Vec::new();
    for entry in entries.take(MOST) {
        let path = entry.map_err(access)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            paths.push(path);
        }
    }
    paths.sort();
    let (mut records, mut faults) = (Vec::new(), Vec::new());
    for path in paths {
        match record_file::read(&path) {
            Ok(Some(record)) => records.push(record),
            // Gone since the folder was listed: the device has just been stopped.
            Ok(None) => {}
            Err(fault) => faults.push(fault),
        }
    }
    Ok((records, faults))
}

/// The records that a selector means.
///
/// # Errors
/// As [`load`].
pub fn find(folder: &Path, selector: &Selector) -> Result<Vec<Record>, FileError> {
    let (mut records, _) = load(folder)?;
    records.retain(|record| selector.matches(&record.device));
    Ok(records)
}

/// Writes the record of a device, replacing an older one of the same name.
///
/// # Errors
/// [`FileError`] when it cannot be written.
pub fn save(folder: &Path, record: &Record) -> Result<(), FileError> {
    record_file::replace(&path_of(folder, &record.device.name), record)
}

/// Removes the record of a device; one that is not there is no error.
///
/// # Errors
/// [`FileError`] when it cannot be removed.
pub fn remove(folder: &Path, name: &str) -> Result<(), FileError> {
    let path = path_of(folder, name);
    match fs_err::remove_file(&path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(FileError::Io { path, source }),
    }
}

/// `<folder>/<name>.json`.
#[must_use]
pub fn path_of(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.json"))
}
