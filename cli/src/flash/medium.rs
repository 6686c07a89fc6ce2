//! What is written: a drive, or a file in the place of one.

use std::{io, ops::Range};

use crate::image::{ReadAt, WriteAt};

/// A drive. Reads and writes begin and end at its blocks, and the memory for them is aligned.
pub(super) trait Medium: ReadAt + WriteAt + Send {
    /// Bytes of a block.
    fn block(&self) -> u64;

    /// Bytes that it can hold; its size, but for a file, which grows.
    fn room(&self) -> u64;

    /// Whether it may have less than it says: a drive, and no file.
    fn may_wrap(&self) -> bool;

    /// Has zeros there, by whatever means is quick.
    fn zero(&self, range: &Range<u64>) -> io::Result<()>;

    /// Whether nothing is stored there, which reads as zeros by itself: a hole in a file. Where that cannot be said, it is not.
    fn is_hole(&self, range: &Range<u64>) -> bool;

    /// Has at least so many bytes.
    fn grow(&self, size: u64) -> io::Result<()>;

    /// What is read from now on comes from the medium itself. All is flushed.
    fn forget(&self) -> io::Result<()>;
}
