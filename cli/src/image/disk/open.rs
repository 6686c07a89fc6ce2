//! How an image is opened, and held against others.

use std::{io, path::Path};

use fs_err::{File, OpenOptions, os::unix::fs::OpenOptionsExt as _};
use rustix::{
    fs::{FlockOperation, OFlags, flock},
    io::Errno,
};

use super::{DiskError, Purpose};
use crate::image::beside;

/// Opens a file or a drive.
pub(super) fn open(path: &Path, purpose: Purpose, is_drive: bool) -> Result<File, DiskError> {
    let failed = |source: io::Error| DiskError::Open {
        path: path.to_owned(),
        source,
    };
    let mut options = OpenOptions::new();
    options.read(true).write(purpose == Purpose::Change);
    if is_drive && purpose == Purpose::Change {
        // The system refuses a drive of which something is mounted.
        options.custom_flags(i32::try_from(OFlags::EXCL.bits()).unwrap_or_default());
    }
    match options.open(path) {
        Err(error) if is_drive && error.kind() == io::ErrorKind::ResourceBusy => {
            let path = path.to_owned();
            Err(DiskError::Busy { path, is_drive })
        }
        opened => opened.map_err(failed),
    }
}

/// Nobody else changes what is at this path until the file is closed.
pub(super) fn lock(file: &File, path: &Path, is_drive: bool) -> Result<(), DiskError> {
    let busy = || DiskError::Busy {
        path: path.to_owned(),
        is_drive,
    };
    let failed = |source: io::Error| DiskError::Open {
        path: path.to_owned(),
        source,
    };
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => return Err(busy()),
        locked => locked.map_err(|error| failed(error.into()))?,
    }
    // Whoever had the lock before may have put another one in its place.
    match beside::is_at(file.file(), path) {
        Ok(true) => Ok(()),
        Ok(false) => Err(busy()),
        Err(error) => Err(failed(error)),
    }
}
