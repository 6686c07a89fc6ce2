//! The image, held open: what was looked at before the question is what is read, however often that is.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::Path,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{FlashError, extents::PIECE};
use crate::image::{
    ReadAt,
    container::{Packed, Unpacked, fill},
    table::{self, Depth, TableError},
};

/// Bytes of an image whose size is not known, as far as its table is concerned.
const ENDLESS: u64 = u64::MAX / 2;

/// Where an image comes from.
#[derive(Debug, Clone)]
pub enum Image {
    /// Standard input.
    Stream,
    /// A file or a drive.
    File(Packed),
}

/// What is known of an image before it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Looks {
    /// Bytes of it, where its file says so. It may lie.
    pub size: Option<u64>,
    /// Whether it begins with a partition table or a file system that boards boot from.
    pub has_table: bool,
}

impl Image {
    /// Opens a file or a drive.
    ///
    /// # Errors
    /// [`FlashError::Missing`]; [`FlashError::File`], also where somebody changes it just now; [`FlashError::Container`].
    pub fn open(path: &Path) -> Result<Self, FlashError> {
        let failed = |source| FlashError::unopened(path, source);
        let kind = fs_err::metadata(path).map_err(failed)?.file_type();
        // A pipe without a writer would be waited for.
        if !kind.is_file() && !kind.is_block_device() {
            let words = "it is neither a file nor a drive; - is standard input";
            return Err(failed(io::Error::new(io::ErrorKind::Unsupported, words)));
        }
        let packed = Packed::open(path)?;
        // Not every file system has locks: that it is the same at its end is looked at, too.
        match flock(packed.file(), FlockOperation::NonBlockingLockShared) {
            Err(Errno::WOULDBLOCK) => {
                let words = "another program changes it just now";
                Err(failed(io::Error::new(io::ErrorKind::ResourceBusy, words)))
            }
            _ => Ok(Self::File(packed)),
        }
    }

    /// As it was named.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Stream => Path::new("-"),
            Self::File(packed) => packed.path(),
        }
    }

    /// Unpacks it from its beginning.
    pub(super) fn unpacked(&self) -> Result<Unpacked, FlashError> {
        Ok(match self {
            Self::Stream => Unpacked::stream(io::stdin())?,
            Self::File(packed) => Unpacked::new(packed)?,
        })
    }

    fn failed(&self, source: io::Error) -> FlashError {
        let image = self.path().to_owned();
        FlashError::Image { image, source }
    }

    /// Looks at its first MiB. Of standard input nothing is known.
    ///
    /// # Errors
    /// [`FlashError::Image`], [`FlashError::Empty`], [`FlashError::Container`].
    pub fn looks(&self) -> Result<Option<Looks>, FlashError> {
        let Self::File(packed) = self else {
            return Ok(None);
        };
        let mut unpacked = Unpacked::new(packed)?;
        let mut bytes = vec![0; usize::try_from(PIECE).unwrap_or_default()];
        let count = fill(&mut unpacked, &mut bytes).map_err(|source| self.failed(source))?;
        if count == 0 {
            let image = self.path().to_owned();
            return Err(FlashError::Empty { image });
        }
        bytes.truncate(count);
        let size = unpacked.size;
        Ok(Some(Looks {
            size,
            has_table: has_table(bytes, size),
        }))
    }

    /// What tells it from others: size, time and the first bytes of its file. Standard input is never the same.
    pub(super) fn identity(&self) -> Result<Option<String>, FlashError> {
        let Self::File(packed) = self else {
            return Ok(None);
        };
        identity(packed)
            .map(Some)
            .map_err(|source| self.failed(source))
    }

    /// Whether it is what it was, as [`Self::identity`] told it.
    ///
    /// # Errors
    /// [`FlashError::Image`] where it is not.
    pub(super) fn is_still(&self, before: Option<&String>) -> Result<(), FlashError> {
        if self.identity()?.as_ref() == before {
            return Ok(());
        }
        let words = "it was changed while it was read";
        Err(self.failed(io::Error::other(words)))
    }
}

fn identity(packed: &Packed) -> io::Result<String> {
    use std::os::unix::fs::FileExt as _;
    let found = packed.file().metadata()?;
    let mut first = vec![0; usize::try_from(PIECE).unwrap_or_default()];
    let mut count = 0;
    while let Some(rest) = first.get_mut(count..).filter(|rest| !rest.is_empty()) {
        let at = u64::try_from(count).unwrap_or_default();
        match packed.file().read_at(rest, at)? {
            0 => break,
            more => count += more,
        }
    }
    first.truncate(count);
    Ok(format!(
        "{} {}.{} {}",
        found.len(),
        found.mtime(),
        found.mtime_nsec(),
        blake3::hash(&first)
    ))
}

/// Whether what begins so has a table. A table that is damaged is one.
pub(super) fn has_table(first: Vec<u8>, size: Option<u64>) -> bool {
    let start = Start {
        first,
        size: size.unwrap_or(ENDLESS),
    };
    !matches!(table::read(&start, Depth::First), Err(TableError::Unknown))
}

/// The first bytes of something longer.
struct Start {
    first: Vec<u8>,
    size: u64,
}

impl ReadAt for Start {
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<()> {
        self.first.read_at(offset, into)
    }

    fn size(&self) -> u64 {
        self.size
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_no_board_boots_from_is_told() {
        let mut sector = vec![0; 4096];
        assert!(!has_table(sector.clone(), None));
        assert!(!has_table(b"a text".to_vec(), Some(6)));
        assert!(!has_table(Vec::new(), Some(0)));
        sector[510..512].copy_from_slice(&[0x55, 0xAA]);
        sector[446 + 4] = 0x0C;
        sector[446 + 9] = 8;
        sector[446 + 13] = 8;
        assert!(has_table(sector, Some(1024 * 1024 * 1024)));
    }

    #[test]
    fn another_image_of_the_same_name_is_another_one() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let of = || Image::open(&path).unwrap().identity().unwrap().unwrap();
        fs_err::write(&path, "one").unwrap();
        let one = of();
        assert_eq!(of(), one);
        let open = Image::open(&path).unwrap();
        open.is_still(Some(&one)).unwrap();
        fs_err::write(&path, "two").unwrap();
        assert_ne!(of(), one);
        let error = open.is_still(Some(&one)).unwrap_err();
        assert!(matches!(error, FlashError::Image { .. }), "{error}");
        assert!(Image::Stream.identity().unwrap().is_none());
        Image::Stream.is_still(None).unwrap();
    }

    #[test]
    fn an_image_is_not_read_while_it_is_changed_and_nothing_is_no_image() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image");
        let file = fs_err::File::create(&path).unwrap();
        let error = Image::open(&path).unwrap().looks().unwrap_err();
        assert!(matches!(error, FlashError::Empty { .. }), "{error}");
        flock(&file, FlockOperation::LockExclusive).unwrap();
        let error = Image::open(&path).unwrap_err();
        assert!(matches!(error, FlashError::File { .. }), "{error}");
        drop(file);
        let _read = [(); 2].map(|()| Image::open(&path).unwrap());
    }

    #[test]
    fn what_is_no_file_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let error = Image::open(folder.path()).unwrap_err();
        assert!(matches!(error, FlashError::File { .. }), "{error}");
        let error = Image::open(Path::new("/dev/null")).unwrap_err();
        assert!(matches!(error, FlashError::File { .. }), "{error}");
    }
}
