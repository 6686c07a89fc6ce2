//! The disk of a machine: a copy of the image, with room for what will be pushed to it, in a file without zeros and without a name: however
//! we end, nothing of it is left.

use std::{
    fs,
    io::{self, Read, Seek as _, Write as _},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
};

use super::{BootError, Event};
use crate::image::container::{Format, Packed, Unpacked};

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

/// Makes the disk. `told` is called for each piece, and ends it with an error.
///
/// # Errors
/// [`BootError`].
pub fn prepare(
    source: &Source,
    told: &mut dyn FnMut(Event) -> io::Result<()>,
) -> Result<fs::File, BootError> {
    let failed = |error: io::Error| BootError::Disk {
        image: source.image.clone(),
        source: error,
    };
    let packed = Packed::open(&source.image)?;
    let mut image = Unpacked::new(&packed)?;
    let mut disk = tempfile::tempfile_in(&source.folder).map_err(failed)?;
    let whole = (image.format == Format::Raw).then_some(image.packed_size);
    let size = if is_cloned(&source.image, &disk, image.format) {
        image.packed_size
    } else {
        copy(&mut image, &mut disk, &mut |done| {
            told(Event::Copied(done, whole))
        })
        .map_err(failed)?
    };
    disk.set_len(size.max(source.size)).map_err(failed)?;
    Ok(disk)
}

/// Whether the file system gave us a copy of its own, which costs nothing.
fn is_cloned(image: &Path, disk: &fs::File, format: Format) -> bool {
    format == Format::Raw
        && fs_err::File::open(image)
            .is_ok_and(|image| rustix::fs::ioctl_ficlone(disk, image).is_ok())
}

fn copy(
    from: &mut impl Read,
    disk: &mut fs::File,
    told: &mut dyn FnMut(u64) -> io::Result<()>,
) -> io::Result<u64> {
    let mut buffer = vec![0; PIECE];
    let mut done = 0;
    loop {
        let count = fill(from, &mut buffer)?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(done);
        }
        if piece.iter().all(|byte| *byte == 0) {
            disk.seek(io::SeekFrom::Current(i64::try_from(count).unwrap_or(0)))?;
        } else {
            disk.write_all(piece)?;
        }
        done += u64::try_from(count).unwrap_or(0);
        told(done)?;
    }
}

fn fill(from: &mut impl Read, into: &mut [u8]) -> io::Result<usize> {
    let mut count = 0;
    while let Some(rest) = into.get_mut(count..).filter(|rest| !rest.is_empty()) {
        match from.read(rest) {
            Ok(0) => break,
            Ok(read) => count += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_disk_is_the_image_with_room_and_without_zeros() {
        let folder = tempfile::tempdir().unwrap();
        let image = folder.path().join("image");
        let mut bytes = vec![0; 5 * PIECE + 7];
        for at in [3, 4 * PIECE + 1, 5 * PIECE + 6] {
            *bytes.get_mut(at).unwrap() = 9;
        }
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&bytes).unwrap();
        fs_err::write(&image, gzip.finish().unwrap()).unwrap();
        let source = Source {
            image: image.clone(),
            size: 9 * 1024 * 1024,
            folder: folder.path().to_owned(),
        };
        let made = prepare(&source, &mut |_| Ok(())).unwrap();
        let disk = fs_err::read(shared(&made)).unwrap();
        assert_eq!(disk.len(), 9 * 1024 * 1024);
        assert!(disk.starts_with(&bytes) && disk.iter().skip(bytes.len()).all(|byte| *byte == 0));
        assert!(made.metadata().unwrap().blocks() * 512 < 4 * 1024 * 1024);

        // A packed image that ends early makes no disk.
        let packed = fs_err::read(&image).unwrap();
        fs_err::write(&image, packed.get(..packed.len() - 9).unwrap()).unwrap();
        assert!(prepare(&source, &mut |_| Ok(())).is_err());
        // Whoever looks on may end it.
        fs_err::write(&image, &bytes).unwrap();
        let ended = prepare(&source, &mut |_| Err(io::ErrorKind::Interrupted.into()));
        // A file system that copies by itself asks nobody.
        if let Ok(made) = ended {
            assert!(fs_err::read(shared(&made)).unwrap().starts_with(&bytes));
        }
        let mut names = fs_err::read_dir(folder.path()).unwrap();
        let others = names.find(|name| name.as_ref().unwrap().path() != image);
        assert!(others.is_none(), "{others:?}");
    }
}
