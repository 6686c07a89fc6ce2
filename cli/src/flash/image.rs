//! The image, held open: what was looked at before the question is what is read, however often that is.

use std::{
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

use super::{FlashError, extents::PIECE, run::Unknown};
use crate::image::{
    block_map,
    container::{Format, Length, Packed, Unpacked, fill},
    content::{Content, Start},
    table::{self, Reach},
};

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
    /// Bytes of it, by what its file says. It may lie.
    pub length: Length,
    /// What it begins with.
    pub content: Content,
    /// How far its table reaches.
    pub reach: Option<Reach>,
}

impl Looks {
    /// By the first bytes of an image.
    pub(super) fn of(first: &[u8], length: Length) -> Self {
        Self {
            length,
            content: Content::of(first, length.exact()),
            // What it says counts here, whatever there is.
            reach: table::reach(&Start::new(first, None)),
        }
    }

    /// Whether it is a disk image, or may be taken for one.
    ///
    /// # Errors
    /// [`FlashError::Foreign`], [`FlashError::Unknown`].
    pub fn is_disk(&self, image: &Path, unknown: Unknown) -> Result<(), FlashError> {
        let image = || image.to_owned();
        match (self.content, unknown) {
            (Content::Foreign(what), _) => Err(FlashError::Foreign {
                image: image(),
                what,
            }),
            (Content::Unknown, Unknown::Refused) => Err(FlashError::Unknown { image: image() }),
            (Content::Unknown, Unknown::Told) | (Content::Disk, _) => Ok(()),
        }
    }

    /// Whether all of its partitions are in it, as far as its length is known.
    ///
    /// # Errors
    /// [`FlashError::Cut`]: it ends before one of its partitions does.
    pub fn is_whole(&self, image: &Path) -> Result<(), FlashError> {
        let last = self.reach.and_then(|reach| reach.last);
        match (self.length.exact(), last) {
            (Some(has), Some((partition, end))) if end > has => Err(FlashError::Cut {
                image: image.to_owned(),
                has,
                partition,
                end,
            }),
            _ => Ok(()),
        }
    }

    /// Whether the copy of its table would stand behind its end.
    #[must_use]
    pub fn lacks_copy(&self) -> bool {
        let copy = self.reach.and_then(|reach| reach.copy);
        self.length
            .exact()
            .zip(copy)
            .is_some_and(|(has, end)| end > has)
    }
}

impl Image {
    /// Whether it is a file that is packed, and says by itself whether it was cut on its way.
    ///
    /// # Errors
    /// [`FlashError::File`]: it cannot be read.
    pub fn is_packed(&self) -> Result<bool, FlashError> {
        match self {
            Self::Stream => Ok(false),
            Self::File(packed) => {
                let format = packed.format();
                let format =
                    format.map_err(|source| FlashError::unopened(packed.path(), source))?;
                Ok(format != Format::Raw)
            }
        }
    }

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

    /// The block map that may be its, and that is passed over for the file beside it.
    #[must_use]
    pub fn map_passed_over(&self) -> Option<PathBuf> {
        match self {
            Self::Stream => None,
            Self::File(packed) => block_map::passed_over(packed.path()),
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

    /// Looks at its first MiB, and at what its file says of its length. Of standard input nothing is known.
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
        Ok(Some(Looks::of(&bytes, packed.length()?)))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A sector with a partition that begins and ends at these sectors.
    fn sector(start: u8, end: u8) -> Vec<u8> {
        let mut sector = vec![0; 4096];
        sector[510..512].copy_from_slice(&[0x55, 0xAA]);
        sector[446 + 4] = 0x0C;
        sector[446 + 8] = start;
        sector[446 + 12] = end - start;
        sector
    }

    #[test]
    fn what_no_board_boots_from_is_told() {
        let is_disk = |first: &[u8], unknown| {
            let looks = Looks::of(first, Length::UNKNOWN);
            looks.is_disk(Path::new("image"), unknown)
        };
        for (first, is_taken) in [(&[0; 4096][..], true), (&[], true), (b"a text", false)] {
            assert!(is_disk(first, Unknown::Refused).is_err());
            assert_eq!(is_disk(first, Unknown::Told).is_ok(), is_taken);
        }
        let looks = Looks::of(&sector(8, 100), Length::Exactly(1 << 30));
        looks.is_disk(Path::new("image"), Unknown::Refused).unwrap();
    }

    #[test]
    fn an_image_that_ends_before_its_partitions_do_is_cut_off() {
        for (length, is_whole) in [
            (Length::Exactly(100 * 512), true),
            (Length::Exactly(101 * 512), true),
            (Length::Exactly(100 * 512 - 1), false),
            (Length::Exactly(512), false),
            (Length::AtLeast(512), true),
        ] {
            let looks = Looks::of(&sector(8, 100), length);
            let result = looks.is_whole(Path::new("image"));
            assert_eq!(result.is_ok(), is_whole, "{length:?}");
            if let Err(error) = result {
                let words = error.to_string();
                assert!(words.contains("partition 1 ends at byte 51200"), "{words}");
            }
        }
        let looks = |copy, length| Looks {
            length,
            content: Content::Disk,
            reach: Some(Reach { last: None, copy }),
        };
        assert!(looks(Some(513), Length::Exactly(512)).lacks_copy());
        assert!(!looks(Some(512), Length::Exactly(512)).lacks_copy());
        assert!(!looks(Some(513), Length::AtLeast(1)).lacks_copy());
        assert!(!looks(None, Length::Exactly(1)).lacks_copy());
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
        // Children of other tests have the lock until they are programs of their own.
        let mut tries = std::iter::repeat_with(|| Image::open(&path).ok());
        let first = tries.by_ref().take(100_000).flatten().next().unwrap();
        let _read = [first, Image::open(&path).unwrap()];
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
