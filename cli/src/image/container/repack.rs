//! A packed image with some of its bytes changed, packed in the same way again.
//!
//! In: the file, bytes for offsets. Out: another file of the same format. The image goes through memory in pieces, and nothing of it
//! is kept; all of it is unpacked, so that what has another checksum than it should is not packed again.

use std::io::{self, Read, Seek, Write};

use zip::{CompressionMethod, ZipArchive, ZipWriter, write::SimpleFileOptions};

use super::{ContainerError, Format, Length, PIECE, Packed, Unpacked, archive};

/// Bytes for an offset of the image. Of two that overlap, the later one counts.
pub type Change = (u64, Vec<u8>);

/// Called after each piece with the bytes of the packed file that were read. Its error ends the work.
pub type Progress<'p> = dyn FnMut(u64) -> io::Result<()> + 'p;

/// How hard each format tries: an image that was configured is written to a card next, so that time counts more than size.
const GZIP_LEVEL: u32 = 6;
const XZ_LEVEL: u32 = 2;
const ZSTD_LEVEL: i32 = 3;
/// Each of these takes some 30 MiB.
const XZ_THREADS: usize = 4;

/// Writes what is in `from` to `to`, with the changes.
///
/// # Errors
/// [`ContainerError`]; what `to` holds is of no use then.
pub fn repack<W: Write + Seek>(
    from: &Packed,
    to: W,
    changes: &[Change],
    progress: &mut Progress<'_>,
) -> Result<(), ContainerError> {
    let failed = |source: io::Error| ContainerError::Pack {
        path: from.path.clone(),
        source,
    };
    let source = Unpacked::new(from)?;
    let mut copy = Copy {
        source,
        changes,
        progress,
    };
    match copy.source.format {
        Format::Zip => return zipped(from, to, &mut copy),
        Format::Raw => copy.all(to).map(drop),
        Format::Gzip => copy
            .all(flate2::write::GzEncoder::new(
                to,
                flate2::Compression::new(GZIP_LEVEL),
            ))
            .and_then(|packer| packer.finish().map(drop)),
        Format::Bzip2 => copy
            .all(bzip2::write::BzEncoder::new(to, bzip2::Compression::best()))
            .and_then(|packer| packer.finish().map(drop)),
        Format::Zstd => zstd::Encoder::new(to, ZSTD_LEVEL).and_then(|mut packer| {
            packer.include_checksum(true)?;
            // Who writes it to a drive knows then beforehand whether it has room.
            if let Ok(Length::Exactly(size)) = from.length() {
                packer.set_pledged_src_size(Some(size))?;
            }
            copy.all(packer)?.finish().map(drop)
        }),
        Format::Xz => xz(to).and_then(|packer| copy.all(packer)?.finish().map(drop)),
    }
    .map_err(failed)
}

fn xz<W: Write>(to: W) -> io::Result<liblzma::write::XzEncoder<W>> {
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = u32::try_from(threads.min(XZ_THREADS)).unwrap_or(1);
    let stream = liblzma::stream::MtStreamBuilder::new()
        .threads(threads)
        .preset(XZ_LEVEL)
        .check(liblzma::stream::Check::Crc64)
        .encoder()?;
    Ok(liblzma::write::XzEncoder::new_stream(to, stream))
}

/// The image's entry is written anew; all others are taken as they are.
fn zipped<W: Write + Seek>(
    from: &Packed,
    to: W,
    copy: &mut Copy<'_, '_>,
) -> Result<(), ContainerError> {
    let failed = |source: io::Error| ContainerError::Pack {
        path: from.path.clone(),
        source,
    };
    let archived = |error: zip::result::ZipError| failed(error.into());
    let mut before = ZipArchive::new(from.reader()).map_err(archived)?;
    let (image, name) = archive::image(&mut before, &from.path)?;
    let has_failed = false;
    let mut after = ZipWriter::new(Sink { to, has_failed });
    for index in 0..before.len() {
        let entry = before.by_index_raw(index).map_err(archived)?;
        if index != image {
            after.raw_copy_file(entry).map_err(archived)?;
            continue;
        }
        let options = SimpleFileOptions::default()
            .compression_method(CompressionMethod::Deflated)
            .unix_permissions(entry.unix_mode().unwrap_or(0o644))
            .large_file(entry.size() > u64::from(u32::MAX));
        drop(entry);
        after.start_file(&name, options).map_err(archived)?;
        copy.all(&mut after).map_err(failed)?;
    }
    let sink = after.finish().map_err(archived)?;
    if sink.has_failed {
        return Err(failed(io::ErrorKind::WriteZero.into()));
    }
    Ok(())
}

/// Fails once, and takes all that comes behind for nothing: the archive's writer tries to write its end all the same, and would complain
/// aloud.
struct Sink<W> {
    to: W,
    has_failed: bool,
}

impl<W: Write> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.has_failed {
            return Ok(bytes.len());
        }
        let done = self.to.write(bytes);
        self.has_failed = done.is_err();
        done
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

impl<W: Seek> Seek for Sink<W> {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        self.to.seek(to)
    }
}

/// An image on its way.
struct Copy<'c, 'p> {
    source: Unpacked,
    changes: &'c [Change],
    progress: &'c mut Progress<'p>,
}

impl Copy<'_, '_> {
    fn all<W: Write>(&mut self, mut to: W) -> io::Result<W> {
        let mut piece = vec![0; PIECE];
        let mut at = 0;
        loop {
            let count = match self.source.read(&mut piece) {
                Ok(0) => break,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            let now = piece.get_mut(..count).unwrap_or_default();
            for (offset, bytes) in self.changes {
                lay(now, at, *offset, bytes);
            }
            to.write_all(now)?;
            at += u64::try_from(count).unwrap_or(u64::MAX);
            (self.progress)(self.source.taken())?;
        }
        let end = |(offset, bytes): &Change| {
            offset.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX))
        };
        if self.changes.iter().any(|change| end(change) > at) {
            let words = "the image ends before what is to be changed in it";
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, words));
        }
        Ok(to)
    }
}

/// Lays what is for `offset` over bytes that begin at `at`, as far as they overlap.
fn lay(over: &mut [u8], at: u64, offset: u64, bytes: &[u8]) {
    let skip = usize::try_from(offset.saturating_sub(at)).unwrap_or(usize::MAX);
    let late = usize::try_from(at.saturating_sub(offset)).unwrap_or(usize::MAX);
    let from = bytes.get(late..).unwrap_or_default();
    let into = over.get_mut(skip..).unwrap_or_default();
    for (byte, new) in into.iter_mut().zip(from) {
        *byte = *new;
    }
}
