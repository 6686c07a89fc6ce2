//! Why an image is not on a drive.

use std::{
    io,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{bmap::BmapError, choose::Refusal};
use crate::image::{
    container::{ContainerError, Length},
    content::Foreign,
};

/// What is wrong with the image, or with what is asked for.
#[derive(Debug, thiserror::Error)]
pub enum FlashError {
    /// It cannot be opened.
    #[error(transparent)]
    Container(#[from] ContainerError),
    /// It cannot be read to its end.
    #[error("{} cannot be read to its end", image_name(image))]
    Image {
        /// The image.
        image: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// There is nothing in it.
    #[error("{} is empty", image_name(image))]
    Empty {
        /// The image.
        image: PathBuf,
    },
    /// It is something else than a disk image.
    #[error("{} is no disk image: {what}", image_name(image))]
    Foreign {
        /// The image.
        image: PathBuf,
        /// What it is, unpacked.
        what: Foreign,
    },
    /// Nothing says that it is a disk image.
    #[error(
        "{} begins with neither a partition table nor a file system that is known: it may be no disk image",
        image_name(image)
    )]
    Unknown {
        /// The image.
        image: PathBuf,
    },
    /// Its block map cannot be used.
    #[error("the block map {} cannot be used", path.display())]
    Bmap {
        /// The block map.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: BmapError,
    },
    /// It, or a file that belongs to it, is not there.
    #[error("{} is not there", path.display())]
    Missing {
        /// Which.
        path: PathBuf,
    },
    /// A file that belongs to it cannot be read.
    #[error("{} cannot be read", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The image has other bytes than its block map says.
    #[error("bytes {} to {} of {} are other ones than its block map says", range.start, range.end, image_name(image))]
    Sum {
        /// The image.
        image: PathBuf,
        /// Which bytes.
        range: Range<u64>,
    },
    /// The block map leaves out what is not empty.
    #[error(
        "the block map leaves out byte {offset} of {}, which is not empty",
        image_name(image)
    )]
    Unmapped {
        /// The image.
        image: PathBuf,
        /// Where.
        offset: u64,
    },
    /// The image has another size than its block map says.
    #[error("{} has {has} bytes, and {says} by its block map", image_name(image))]
    Size {
        /// The image.
        image: PathBuf,
        /// Bytes that it has.
        has: Length,
        /// Bytes that it should have.
        says: u64,
    },
    /// The image ends before one of its partitions does.
    #[error(
        "{} has {has} bytes, and its partition {partition} ends at byte {end}",
        image_name(image)
    )]
    Cut {
        /// The image.
        image: PathBuf,
        /// Bytes that it has.
        has: u64,
        /// Number of the partition.
        partition: u32,
        /// Where that ends.
        end: u64,
    },
    /// The system does not tell of its drives.
    #[error("the drives of this machine cannot be listed")]
    Drives(#[source] io::Error),
    /// A drive is not written.
    #[error("{} is not written: {refusal}", path.display())]
    Refused {
        /// The drive.
        path: PathBuf,
        /// Why.
        refusal: Refusal,
    },
    /// A partition is named.
    #[error("{} is a partition of {}", path.display(), drive.display())]
    Partition {
        /// What is named.
        path: PathBuf,
        /// The drive that it is on.
        drive: PathBuf,
    },
    /// Neither a drive nor a file.
    #[error("{} is no drive", path.display())]
    NoDrive {
        /// What is named.
        path: PathBuf,
    },
    /// A drive is named without its folder.
    #[error("{} is the name of a drive, and not its path", name.display())]
    Bare {
        /// What is named.
        name: PathBuf,
        /// The drive of that name.
        drive: PathBuf,
    },
    /// A file that is an image itself stands in the place of a drive.
    #[error("{} is a packed image, and no drive", path.display())]
    Packed {
        /// What is named.
        path: PathBuf,
    },
    /// It is named twice, or is the image itself.
    #[error("{} is {what}", path.display())]
    Twice {
        /// What is named.
        path: PathBuf,
        /// What else it is.
        what: String,
    },
    /// It cannot be opened.
    #[error("{} cannot be opened", path.display())]
    Open {
        /// What is named.
        path: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// What is mounted of it cannot be unmounted.
    #[error("{} cannot be unmounted", point.display())]
    Unmount {
        /// Where it is mounted.
        point: PathBuf,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// Another drive has taken its place.
    #[error("{} is another drive than before", path.display())]
    Changed {
        /// The drive.
        path: PathBuf,
    },
    /// Ended by whoever waited for it.
    #[error("interrupted")]
    Interrupted,
}

impl FlashError {
    /// Why a file was not opened.
    pub(super) fn unopened(path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::NotFound {
            return Self::Missing { path };
        }
        Self::File { path, source }
    }
}

fn image_name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// What went wrong with one drive. The others go on.
#[derive(Debug, thiserror::Error)]
pub enum DriveError {
    /// It cannot be written.
    #[error("it cannot be written at byte {offset}")]
    Write {
        /// Where.
        offset: u64,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It cannot be read.
    #[error("it cannot be read at byte {offset}")]
    Read {
        /// Where.
        offset: u64,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// It does not keep what is written to it.
    #[error("byte {offset} is another one than was written")]
    Differs {
        /// Where, as near as that is known.
        offset: u64,
    },
    /// It is not the image's drive.
    #[error("byte {offset} is another one than the image's")]
    Other {
        /// The first such byte.
        offset: u64,
    },
    /// It is smaller than the image.
    #[error("it has {has} bytes, and the image at least {needs}")]
    Small {
        /// Bytes of the drive.
        has: u64,
        /// Bytes of the image, as far as that was unpacked.
        needs: u64,
    },
    /// What was there before was not the image's.
    #[error("what was written before is not there")]
    Stale,
    /// The image has no end, or the command.
    #[error("it was left unfinished")]
    Left,
}
