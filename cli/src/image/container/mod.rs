//! What an image comes in: as it is, or packed. Which it is goes by its first bytes, never by its name.
//!
//! In: a file. Out: a stream of the image's bytes ([`Unpacked`]), or an image that is read at offsets and unpacked as far as that is
//! wanted ([`Spool`]). A packed image that ends early, or that has another checksum than it should, ends in an error, and never in
//! fewer bytes. How large it gets is not believed beforehand: whoever reads stops.

mod archive;
mod holes;
mod length;
mod parts;
mod repack;
mod spool;
#[cfg(test)]
mod tests;

use std::{
    fmt, fs,
    io::{self, Read, Seek as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use fs_err::File;

pub use archive::ArchiveFault;
use holes::Known;
pub use length::Length;
pub use parts::unpacker;
pub use repack::{Change, Progress, repack};
pub use spool::{GoOn, Spool};
pub(crate) use spool::{MOST_HELD, MOST_UNPACKED};

/// Bytes by which a format is told.
const MAGIC: usize = 6;
/// Bytes that are read of a packed file at once.
const PIECE: usize = 256 * 1024;

/// What the names of files end in that are packed.
pub const PACKED: [&str; 6] = [".gz", ".xz", ".zst", ".zstd", ".bz2", ".zip"];

/// How an image is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Not at all.
    Raw,
    /// By gzip.
    Gzip,
    /// By xz.
    Xz,
    /// By zstd.
    Zstd,
    /// By bzip2.
    Bzip2,
    /// The only file of a ZIP archive.
    Zip,
}

impl Format {
    /// Tells a format by the first bytes of a file.
    #[must_use]
    pub fn of(first: &[u8]) -> Self {
        const KNOWN: [(&[u8], Format); 8] = [
            (&[0x1F, 0x8B, 0x08], Format::Gzip),
            (b"\xFD7zXZ\0", Format::Xz),
            (&[0x28, 0xB5, 0x2F, 0xFD], Format::Zstd),
            (b"BZh", Format::Bzip2),
            (b"PK\x03\x04", Format::Zip),
            // Without a file; the first part of several; the only part.
            (b"PK\x05\x06", Format::Zip),
            (b"PK\x07\x08PK", Format::Zip),
            (b"PK00PK", Format::Zip),
        ];
        // Some begin with a part that says nothing of the image.
        if let [low, 0x2A, 0x4D, 0x18, ..] = first
            && low & 0xF0 == 0x50
        {
            return Self::Zstd;
        }
        let mut known = KNOWN.iter();
        let found = known.find(|(magic, _)| first.starts_with(magic));
        found.map_or(Self::Raw, |(_, format)| *format)
    }
}

/// Why an image is not read.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The file, or what unpacks it.
    #[error("{} cannot be read", path.display())]
    Read {
        /// Of the image.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: io::Error,
    },
    /// While it was packed again.
    #[error("{} cannot be packed again", path.display())]
    Pack {
        /// Of the image.
        path: PathBuf,
        /// What went wrong: with it, or with what was written.
        #[source]
        source: io::Error,
    },
    /// An archive that is not taken for an image.
    #[error("{} is a ZIP archive {fault}", path.display())]
    Archive {
        /// Of the archive.
        path: PathBuf,
        /// Why not.
        fault: ArchiveFault,
    },
}

/// A file that is open, for several who read it: what its name leads to later is of no account.
#[derive(Debug, Clone)]
pub struct Packed {
    file: Arc<fs::File>,
    path: PathBuf,
    size: u64,
}

impl Packed {
    /// Opens a file.
    ///
    /// # Errors
    /// [`ContainerError::Read`].
    pub fn open(path: &Path) -> Result<Self, ContainerError> {
        let file = File::open(path).map(|file| file.into_parts().0);
        let packed = file.and_then(|file| Self::of(file, path));
        packed.map_err(|source| ContainerError::Read {
            path: path.to_owned(),
            source,
        })
    }

    /// Takes a file that is open, by its path.
    ///
    /// # Errors
    /// What the system says of its size.
    pub fn of(mut file: fs::File, path: &Path) -> io::Result<Self> {
        // A drive says nothing in its metadata.
        let size = file.seek(io::SeekFrom::End(0))?;
        Ok(Self {
            file: Arc::new(file),
            path: path.to_owned(),
            size,
        })
    }

    /// As it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &fs::File {
        &self.file
    }

    fn reader(&self) -> Reader {
        Reader {
            file: Arc::clone(&self.file),
            size: self.size,
            at: 0,
            known: Known::default(),
        }
    }
}

/// Reads such a file at a place of its own.
struct Reader {
    file: Arc<fs::File>,
    size: u64,
    at: u64,
    known: Known,
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let left = self.known.at(&self.file, self.at, self.size);
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(into.len());
        let count = match into.get_mut(..most) {
            Some(into) if self.known.is_hole && most > 0 => {
                into.fill(0);
                most
            }
            // Behind what is known of it, it is as it is now.
            Some(part) if most > 0 => self.file.read_at(part, self.at)?,
            _ => self.file.read_at(into, self.at)?,
        };
        self.at += u64::try_from(count).unwrap_or_default();
        Ok(count)
    }
}

impl io::Seek for Reader {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        let place = match to {
            io::SeekFrom::Start(place) => Some(place),
            io::SeekFrom::End(by) => self.size.checked_add_signed(by),
            io::SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

/// An image that is read from its beginning.
pub struct Unpacked {
    reader: Box<dyn Read + Send>,
    taken: Arc<AtomicU64>,
    /// How the file is packed.
    pub format: Format,
    /// Bytes of the file; 0 for a pipe.
    pub packed_size: u64,
    /// Bytes of the image, where the file says so. It may lie.
    pub size: Option<u64>,
}

impl Unpacked {
    /// Begins to unpack a file.
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn new(packed: &Packed) -> Result<Self, ContainerError> {
        let failed = |source: io::Error| ContainerError::Read {
            path: packed.path.clone(),
            source,
        };
        let mut first = [0; MAGIC];
        let count = fill(&mut packed.reader(), &mut first).map_err(failed)?;
        let format = Format::of(first.get(..count).unwrap_or_default());
        let packed_size = packed.size;
        let taken = Arc::new(AtomicU64::new(0));
        let (reader, size) = if format == Format::Zip {
            archive::open(packed.reader(), &packed.path, Arc::clone(&taken))?
        } else {
            let counted = Counted {
                inner: packed.reader(),
                taken: Arc::clone(&taken),
            };
            let size = (format == Format::Raw).then_some(packed_size);
            (unpacker(format, counted).map_err(failed)?, size)
        };
        Ok(Self {
            reader,
            taken,
            format,
            packed_size,
            size,
        })
    }

    /// Takes what comes from a pipe. An archive is none of that: its list stands at its end.
    ///
    /// # Errors
    /// [`ContainerError`].
    pub fn stream(mut from: impl Read + Send + 'static) -> Result<Self, ContainerError> {
        let path = PathBuf::from("-");
        let failed = |source: io::Error| ContainerError::Read {
            path: path.clone(),
            source,
        };
        let mut first = [0; MAGIC];
        let count = fill(&mut from, &mut first).map_err(failed)?;
        let first = first.get(..count).unwrap_or_default().to_vec();
        let format = Format::of(&first);
        if format == Format::Zip {
            let fault = ArchiveFault::Piped;
            return Err(ContainerError::Archive { path, fault });
        }
        let taken = Arc::new(AtomicU64::new(0));
        let counted = Counted {
            inner: io::Cursor::new(first).chain(from),
            taken: Arc::clone(&taken),
        };
        Ok(Self {
            reader: unpacker(format, counted).map_err(failed)?,
            taken,
            format,
            packed_size: 0,
            size: None,
        })
    }

    /// How many bytes of the file were read: how far it has come, where it does not say how long the image is.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }
}

impl Read for Unpacked {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.reader.read(into)
    }
}

impl fmt::Debug for Unpacked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacked")
            .field("format", &self.format)
            .field("packed_size", &self.packed_size)
            .field("size", &self.size)
            .finish_non_exhaustive()
    }
}

/// Counts what is read.
struct Counted<R> {
    inner: R,
    taken: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(into)?;
        let more = u64::try_from(count).unwrap_or(u64::MAX);
        self.taken.fetch_add(more, Ordering::Relaxed);
        Ok(count)
    }
}

impl<R: io::Seek> io::Seek for Counted<R> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.inner.seek(to)
    }
}

/// Reads until all of `into` has come, or the end.
pub(crate) fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = into.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}
