//! Small JSON files of this machine: read with a bound, replaced as a whole. No other module of discovery writes files.

use std::{
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use serde::{Serialize, de::DeserializeOwned};

/// More than any file of ours holds.
const LARGEST: u64 = 4 << 20;

/// A file of this machine could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// It cannot be opened, read, written or replaced; the source names the path.
    #[error("cannot access {}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It is not what this program writes.
    #[error("{} is not readable as a file of this program", .path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// Where it stops being understood.
        #[source]
        source: serde_json::Error,
    },
    /// It is larger than any file of this program.
    #[error("{} is larger than {LARGEST} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
}

/// Reads a file; `None` when there is none.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, FileError> {
    let access = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let file = match fs_err::OpenOptions::new().read(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(access(error)),
    };
    let mut bytes = Vec::new();
    let limit = LARGEST.saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(access)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length == limit) {
        return Err(FileError::TooLarge {
            path: path.to_owned(),
        });
    }
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| FileError::Content {
            path: path.to_owned(),
            source,
        })
}

/// Replaces a file as a whole: after a power cut there is the old one or the new one. Creates the folder.
pub fn replace<T: Serialize>(path: &Path, value: &T) -> Result<(), FileError> {
    let access = |source| FileError::Io {
        path: path.to_owned(),
        source,
    };
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| FileError::Content {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    if let Some(folder) = path.parent() {
        fs_err::create_dir_all(folder).map_err(access)?;
    }
    let beside = suffixed(path, &format!(".{}.new", std::process::id()));
    let written = write_synced(&beside, &bytes).and_then(|()| fs_err::rename(&beside, path));
    if written.is_err() {
        // The half-written file is of no use; the error that matters is the first one.
        drop(fs_err::remove_file(&beside));
    }
    written.map_err(access)
}

/// The path with something appended to its file name.
pub(super) fn suffixed(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = fs_err::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
