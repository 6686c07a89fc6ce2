//! What holds an image.

use std::{fmt, io, os::unix::fs::FileExt};

/// Bytes that are read at an offset.
pub trait ReadAt {
    /// Reads as many bytes as `into` has.
    ///
    /// # Errors
    /// [`io::ErrorKind::UnexpectedEof`] where the medium has fewer; what the medium says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()>;

    /// Bytes that the medium has; of one that is still unpacked, what is known: it may have fewer.
    fn size(&self) -> u64;

    /// Where the medium ends. What is packed is unpacked to know it.
    ///
    /// # Errors
    /// What the medium says.
    fn end(&self) -> io::Result<u64> {
        Ok(self.size())
    }

    /// Reads `count` bytes.
    ///
    /// # Errors
    /// As [`ReadAt::read_at`].
    fn bytes(&self, offset: u64, count: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; count];
        self.read_at(offset, &mut bytes)?;
        Ok(bytes)
    }
}

/// Bytes that are written at an offset.
pub trait WriteAt {
    /// Writes all of `bytes`.
    ///
    /// # Errors
    /// What the medium says.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// What was written is on the medium when this returns.
    ///
    /// # Errors
    /// What the medium says.
    fn flush(&self) -> io::Result<()>;
}

impl ReadAt for &[u8] {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).ok();
        let end = start.and_then(|start| start.checked_add(into.len()));
        let found = start.zip(end).and_then(|(start, end)| self.get(start..end));
        into.copy_from_slice(found.ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn size(&self) -> u64 {
        u64::try_from(self.len()).unwrap_or(u64::MAX)
    }
}

impl ReadAt for Vec<u8> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.as_slice().read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.as_slice().size()
    }
}

/// A file or a drive of which the size is known.
#[derive(Debug)]
pub struct Opened {
    /// Open for what is asked of it.
    pub file: std::fs::File,
    /// Bytes.
    pub size: u64,
}

impl ReadAt for Opened {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, offset)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl WriteAt for Opened {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn flush(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

/// A part of a medium: a partition.
#[derive(Clone, Copy)]
pub struct Part<'m> {
    /// The whole.
    pub medium: &'m dyn ReadAt,
    /// Where it begins there, in bytes.
    pub start: u64,
    /// How many bytes it has.
    pub size: u64,
}

impl<'m> Part<'m> {
    /// All of a medium.
    #[must_use]
    pub fn whole(medium: &'m dyn ReadAt) -> Self {
        let size = medium.size();
        Self {
            medium,
            start: 0,
            size,
        }
    }
}

impl ReadAt for Part<'_> {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        let count = u64::try_from(into.len()).unwrap_or(u64::MAX);
        let is_within = offset
            .checked_add(count)
            .is_some_and(|end| end <= self.size);
        let place = self.start.checked_add(offset).filter(|_| is_within);
        self.medium
            .read_at(place.ok_or(io::ErrorKind::UnexpectedEof)?, into)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

impl fmt::Debug for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part")
            .field("start", &self.start)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}
