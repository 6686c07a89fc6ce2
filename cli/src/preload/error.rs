//! Why an image is not preloaded.

use std::{io, path::PathBuf};

use super::tools::ToolError;
use crate::image::{DiskError, container::Format, table::TableError};

/// Why an image is not preloaded. It is as it was.
#[derive(Debug, thiserror::Error)]
pub enum PreloadError {
    /// The image.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is packed.
    #[error("{} is packed", .0.display())]
    Packed(PathBuf, Format),
    /// It is a drive.
    #[error("{} is a drive", .0.display())]
    Drive(PathBuf),
    /// It only installs another one.
    #[error("{} installs another image, which has the data partition", .0.display())]
    Installer(PathBuf),
    /// It has no partition for data.
    #[error("{} has no data partition: none is called resin-data or has an ext4 file system", .0.display())]
    NoData(PathBuf),
    /// Its file system is damaged.
    #[error("the file system of partition {number} of {} is damaged: {words}", image.display())]
    Damaged {
        /// The image.
        image: PathBuf,
        /// The partition.
        number: u32,
        /// Where that begins.
        start: u64,
        /// What `e2fsck` says of it.
        words: String,
    },
    /// The partition cannot grow.
    #[error("the data partition needs {missing} bytes more, and another partition lies behind it")]
    Followed {
        /// Bytes.
        missing: u64,
    },
    /// A device has run from it.
    #[error(
        "a device has run from the image and was told what to run: it would not look at what is preloaded"
    )]
    Used,
    /// Something else is called as what is to be written.
    #[error("/{0} of the data partition is not what a preloaded image has there")]
    Occupied(String),
    /// A program.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// What was written is not what is read.
    #[error("{0} cannot be read back as it was written")]
    Differs(String),
    /// The table of the new image.
    #[error("the partition table of the new image cannot be used")]
    Table(#[from] TableError),
    /// The file system cannot be looked into.
    #[error("the file system of the data partition is damaged, or larger than 64 GiB")]
    Unread,
    /// There is no room beside it.
    #[error("the folder of the new image has {free} bytes free, and it takes {needed}")]
    NoRoom {
        /// Bytes.
        free: u64,
        /// Bytes.
        needed: u64,
    },
    /// The file system takes more for itself than it grows by.
    #[error("the data partition cannot be enlarged far enough")]
    TooSmall,
    /// A file of this machine, or its disk.
    #[error("the new image cannot be made")]
    Io(#[from] io::Error),
}
