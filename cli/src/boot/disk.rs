//! The disk of a machine: a copy of the image, with room for what will be pushed to it, in a file without zeros and without a name: however
//! we end, nothing of it is left.

use std::{
    fs,
    io::{self, Read, Seek as _, Write as _},
    os::{fd::AsRawFd as _, unix::fs::FileTypeExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{FlockOperation, flock};

use super::{BootError, Event, Starts, kind};
use crate::image::{
    Disk, DiskError, Holder, Purpose, block_map,
    container::{Format, GoOn, MOST_HELD, MOST_UNPACKED, Packed, Unpacked, fill},
    table,
};

/// Zeros that are left out are found in pieces of this size.
const PIECE: usize = 1 << 20;

/// An image, and what becomes of it.
#[derive(Debug, Clone)]
pub struct Source {
    /// The image.
    pub image: PathBuf,
    /// Bytes that its disk has at least.
    pub size: u64,
    /// Where the disk is made.
    pub folder: PathBuf,
}

/// By which name another program opens a file of ours, as long as we have it open.
#[must_use]
pub fn shared(disk: &fs::File) -> PathBuf {
    let (process, file) = (std::process::id(), disk.as_raw_fd());
    PathBuf::from(format!("/proc/{process}/fd/{file}"))
}

/// Makes the disk, and looks how it is started. `told` is called for each piece, and ends it with an error.
///
/// # Errors
/// [`BootError`].
pub fn prepare(
    source: &Source,
    told: &mut dyn FnMut(Event) -> io::Result<()>,
) -> Result<(fs::File, Starts), BootError> {
    let failed = |error: io::Error| BootError::Disk {
        image: source.image.clone(),
        source: error,
    };
    let image = open(&source.image)?;
    let twin = image.try_clone().map_err(failed)?;
    let packed = Packed::of(twin, &source.image).map_err(failed)?;
    let mut unpacked = Unpacked::new(&packed).map_err(DiskError::from)?;
    told(Event::Opened(source.image.clone())).map_err(failed)?;
    let mut disk = tempfile::tempfile_in(&source.folder).map_err(failed)?;
    let is_raw = unpacked.format == Format::Raw;
    // The file system's own copy costs nothing.
    let size = if is_raw && rustix::fs::ioctl_ficlone(&disk, &image).is_ok() {
        unpacked.packed_size
    } else {
        let whole = is_raw.then_some(unpacked.packed_size);
        let bounds = if is_raw { Bounds::NONE } else { Bounds::PACKED };
        let mut told = |done| told(Event::Copied(done, whole));
        copy(&mut unpacked, &mut disk, bounds, &mut told).map_err(failed)?
    };
    // What is wrong with a table can be seen as long as the disk ends where the image does.
    disk.set_len(size).map_err(failed)?;
    let found = kind::look(&disk, &source.image)?;
    // A copy of the table that is needed is looked for at the end.
    if found.table != table::Kind::GptCopy {
        disk.set_len(size.max(source.size)).map_err(failed)?;
    }
    Ok((disk, found.starts))
}

/// Takes the image itself, which nobody else of ours changes as long as it is open. `told` hears of block maps that were of it.
///
/// # Errors
/// [`BootError`].
pub fn itself(
    source: &Source,
    go_on: Box<GoOn>,
    told: &mut dyn FnMut(Event),
) -> Result<(fs::File, Starts), BootError> {
    let refused = |what| BootError::Unwritable {
        image: source.image.clone(),
        what,
    };
    let disk = Disk::open(&source.image, Purpose::Change, &source.folder, go_on)?;
    match disk.holder() {
        // It may be in use, by this workstation itself.
        Holder::Drive => return Err(refused("a drive")),
        Holder::File(Format::Raw) => {}
        Holder::File(_) => return Err(refused("packed")),
    }
    let disk = disk.into_file();
    let found = kind::look(&disk, &source.image)?;
    let maps = block_map::set_aside(&source.image, None);
    if !maps.is_empty() {
        told(Event::Maps(maps));
    }
    Ok((disk, found.starts))
}

/// Opens an image that nobody changes until it is closed.
fn open(image: &Path) -> Result<fs::File, BootError> {
    let failed = |source: io::Error| DiskError::unopened(image, source);
    let kind = fs_err::metadata(image).map_err(failed)?.file_type();
    // A pipe without a writer would be waited for.
    if !kind.is_file() && !kind.is_block_device() {
        let words = "it is neither a file nor a drive";
        return Err(failed(io::Error::new(io::ErrorKind::InvalidInput, words)).into());
    }
    let file = fs_err::File::open(image).map_err(failed)?.into_parts().0;
    // Where there are no locks, nobody else has one.
    if flock(&file, FlockOperation::NonBlockingLockShared) == Err(rustix::io::Errno::WOULDBLOCK) {
        let (path, is_drive) = (image.to_owned(), kind.is_block_device());
        return Err(DiskError::Busy { path, is_drive }.into());
    }
    Ok(file)
}

/// How much is unpacked: what a packed file becomes is not in its size.
#[derive(Clone, Copy)]
struct Bounds {
    /// Bytes in all.
    all: u64,
    /// Bytes that are not zeros.
    held: u64,
}

impl Bounds {
    const NONE: Self = Self {
        all: u64::MAX,
        held: u64::MAX,
    };
    const PACKED: Self = Self {
        all: MOST_UNPACKED,
        held: MOST_HELD,
    };
}

fn copy(
    from: &mut impl Read,
    disk: &mut fs::File,
    bounds: Bounds,
    told: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    let (mut done, mut held) = (0_u64, 0_u64);
    loop {
        let count = fill(from, &mut buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(done);
        }
        let size = u64::try_from(count).map_err(io::Error::other)?;
        if piece.iter().all(|byte| *byte == 0) {
            let size = i64::try_from(count).map_err(io::Error::other)?;
            disk.seek(io::SeekFrom::Current(size))?;
        } else {
            held = held.saturating_add(size);
            disk.write_all(piece)?;
        }
        done = done.saturating_add(size);
        if done > bounds.all || held > bounds.held {
            let mib = if done > bounds.all {
                bounds.all
            } else {
                bounds.held
            } >> 20;
            let words =
                format!("it has more than {mib} MiB: unpacked by another program, it is taken");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, words));
        }
        told(done)?;
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    /// With code of a PC, and one partition from the second sector on.
    fn image(size: usize) -> Vec<u8> {
        let mut bytes = vec![0; size];
        let partition = [0x80, 0, 0, 0, 0x83, 0, 0, 0, 1, 0, 0, 0, 8, 0, 0, 0];
        bytes[0] = 0xEB;
        bytes[446..462].copy_from_slice(&partition);
        bytes[510..512].copy_from_slice(&[0x55, 0xAA]);
        bytes
    }

    fn packed(bytes: &[u8]) -> Vec<u8> {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(bytes).unwrap();
        gzip.finish().unwrap()
    }

    fn source(folder: &Path) -> Source {
        Source {
            image: folder.join("image"),
            size: 9 * 1024 * 1024,
            folder: folder.to_owned(),
        }
    }

    #[test]
    fn a_disk_is_the_image_with_room_and_without_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        let image = source.image.clone();
        let mut bytes = image_with_ends();
        fs_err::write(&image, packed(&bytes)).unwrap();
        let (made, starts) = prepare(&source, &mut |_| Ok(())).unwrap();
        assert_eq!(starts, Starts::Bios);
        let disk = fs_err::read(shared(&made)).unwrap();
        assert_eq!(disk.len(), 9 * 1024 * 1024);
        assert!(disk.starts_with(&bytes) && disk.iter().skip(bytes.len()).all(|byte| *byte == 0));
        assert!(made.metadata().unwrap().blocks() * 512 < 4 * 1024 * 1024);

        // Whoever looks on may end it.
        let ended = prepare(&source, &mut |_| Err(io::ErrorKind::Interrupted.into()));
        let Err(BootError::Disk { source: error, .. }) = ended else {
            panic!("{ended:?}");
        };
        assert_eq!(error.kind(), io::ErrorKind::Interrupted);
        // A packed image that ends early makes no disk.
        let whole = packed(&bytes);
        fs_err::write(&image, &whole[..whole.len() - 9]).unwrap();
        assert!(prepare(&source, &mut |_| Ok(())).is_err());
        // Nor does one that ends before its partition, though there would be room for it.
        bytes.truncate(1024);
        fs_err::write(&image, &bytes).unwrap();
        let Err(BootError::Table { source: error, .. }) = prepare(&source, &mut |_| Ok(())) else {
            panic!("it is a disk");
        };
        assert!(error.to_string().contains("cut off"), "{error}");
        let mut names = fs_err::read_dir(folder.path()).unwrap();
        let others = names.find(|name| name.as_ref().unwrap().path() != image);
        assert!(others.is_none(), "{others:?}");
    }

    fn image_with_ends() -> Vec<u8> {
        let mut bytes = image(5 * PIECE + 7);
        for at in [4 * PIECE + 1, 5 * PIECE + 6] {
            bytes[at] = 9;
        }
        bytes
    }

    #[test]
    fn what_is_unpacked_is_bounded() {
        let folder = tempfile::tempdir().unwrap();
        let bounds = |all: usize, held: usize| Bounds {
            all: u64::try_from(all).unwrap(),
            held: u64::try_from(held).unwrap(),
        };
        let copied = |bounds| {
            let mut disk = tempfile::tempfile_in(folder.path()).unwrap();
            copy(
                &mut image_with_ends().as_slice(),
                &mut disk,
                bounds,
                &mut |_| Ok(()),
            )
        };
        let size = 5 * PIECE + 7;
        assert!(copied(bounds(size, 2 * PIECE + 7)).is_ok());
        for narrow in [bounds(size - 1, size), bounds(size, 2 * PIECE + 6)] {
            let error = copied(narrow).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
        }
    }

    #[test]
    fn an_image_that_is_changed_is_not_copied() {
        let folder = tempfile::tempdir().unwrap();
        let source = source(folder.path());
        fs_err::write(&source.image, image(PIECE)).unwrap();
        let itself = || itself(&source, Box::new(|| Ok(())), &mut |_| {});
        let (written, _) = itself().unwrap();
        for refused in [prepare(&source, &mut |_| Ok(())), itself()] {
            let Err(BootError::Image(DiskError::Busy { .. })) = refused else {
                panic!("{refused:?}");
            };
        }
        drop(written);
        prepare(&source, &mut |_| Ok(())).unwrap();
    }
}
