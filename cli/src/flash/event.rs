//! What is told while drives are written.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedSender;

use super::DriveError;
use crate::image::block_map::Aside;

/// Where events go.
pub type Events = UnboundedSender<Event>;

/// What is done to a drive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The image is written.
    Writing,
    /// What was written is read back.
    Verifying,
    /// The drive is compared with the image.
    Comparing,
}

/// Something that happened. Drives are told by their places in the order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The image is open.
    Opened {
        /// Bytes of it, where that is known.
        size: Option<u64>,
        /// Bytes of its file; 0 for standard input.
        packed: u64,
    },
    /// What came from standard input begins with no table, as [`super::Looks::content`] says it of files beforehand.
    NoTable,
    /// It ends before one of its partitions does, as these words say.
    Short(String),
    /// So many bytes of its file were read.
    Unpacked(u64),
    /// A drive has as much of the image already.
    Resumed {
        /// Which drive.
        drive: usize,
        /// Bytes.
        from: u64,
    },
    /// What a drive had already was not the image's: it is written from the beginning.
    Anew {
        /// Which drive.
        drive: usize,
    },
    /// A file is about to be written, of which these were the block maps.
    Maps {
        /// Which.
        drive: usize,
        /// What became of them.
        maps: Vec<Aside>,
    },
    /// A drive is not what it was from now on.
    Begun {
        /// Which drive.
        drive: usize,
    },
    /// How far it is.
    At {
        /// Which drive.
        drive: usize,
        /// What is done.
        phase: Phase,
        /// Bytes of the image that this was done to.
        done: u64,
        /// How many there are, where that is known.
        total: Option<u64>,
    },
    /// A drive is left.
    Failed {
        /// Which drive.
        drive: usize,
    },
    /// A drive is whole.
    Done {
        /// Which drive.
        drive: usize,
    },
}

/// What became of a drive.
#[derive(Debug)]
pub struct Outcome {
    /// It is a drive, and no file.
    pub is_drive: bool,
    /// It is a file that was made for this, and stays.
    pub is_new: bool,
    /// Bytes that were written.
    pub written: u64,
    /// Bytes that were zeroed by other means than writing them.
    pub zeros: u64,
    /// Bytes that were read from the medium and were as they have to be.
    pub verified: u64,
    /// Bytes of a file that are stored nowhere, which are zeros as they have to be. Nothing was read.
    pub holes: u64,
    /// How long it took.
    pub took: Duration,
    /// Why it is not whole.
    pub error: Option<DriveError>,
}
