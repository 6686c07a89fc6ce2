//! Why an image is not used.

use std::{
    io,
    path::{Path, PathBuf},
};

use rustix::io::Errno;

use super::super::{boot::PartitionError, container::ContainerError, fat::FatError};

/// Why an image is not used.
#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    /// It is not there.
    #[error("{} is not there", path.display())]
    Missing {
        /// The image.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It may not be opened.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// The image.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Somebody else changes it, or it is mounted.
    #[error("{} is in use", path.display())]
    Busy {
        /// The image.
        path: PathBuf,
        /// Whether it is a drive.
        is_drive: bool,
    },
    /// What it is packed in.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// Its partitions.
    #[error("{} is not understood", path.display())]
    Boot {
        /// The image.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: PartitionError,
    },
    /// A file of its boot partition.
    #[error("{} cannot be used as it is", path.display())]
    Fat {
        /// The image.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: FatError,
    },
    /// While it was changed.
    #[error("{} cannot be changed", path.display())]
    Write {
        /// The image.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
}

impl DiskError {
    /// Why what is at a path was not opened.
    #[must_use]
    pub fn unopened(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            // Which call has seen it says nothing more.
            let source = Errno::NOENT.into();
            return Self::Missing { path, source };
        }
        Self::Open { path, source }
    }
}
