//! What unpacks a stream: all that was packed one behind the other, and why it cannot be unpacked, in words that a person can use.

use std::io::{self, BufRead, BufReader, Read};

use super::{Format, PIECE};

/// Bytes that xz may take: its highest preset wants 65 MiB.
const XZ_MEMORY: u64 = 256 * 1024 * 1024;

/// What unpacks a stream.
///
/// # Errors
/// Where there is no memory for it.
pub fn unpacker(
    format: Format,
    packed: impl Read + Send + 'static,
) -> io::Result<Box<dyn Read + Send>> {
    if matches!(format, Format::Raw | Format::Zip) {
        return Ok(Box::new(BufReader::with_capacity(PIECE, packed)));
    }
    let packed = BufReader::with_capacity(PIECE, Marked(packed));
    Ok(match format {
        Format::Raw | Format::Zip => Box::new(packed),
        Format::Gzip => Box::new(Told {
            reader: Parts::new(packed, |packed| {
                Part::Gzip(Box::new(flate2::bufread::GzDecoder::new(packed)))
            }),
            told: of_parts,
        }),
        Format::Bzip2 => Box::new(Told {
            reader: Parts::new(packed, |packed| {
                Part::Bzip2(bzip2::bufread::BzDecoder::new(packed))
            }),
            told: of_parts,
        }),
        Format::Xz => {
            let concatenated = liblzma::stream::CONCATENATED;
            let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY, concatenated)?;
            Box::new(Told {
                reader: liblzma::bufread::XzDecoder::new_stream(packed, stream),
                told: of_xz,
            })
        }
        Format::Zstd => {
            let mut decoder = zstd::Decoder::with_buffer(packed)?;
            // What the program of that name unpacks by itself, and no more: 128 MiB.
            decoder.window_log_max(27)?;
            Box::new(Told {
                reader: decoder,
                told: of_zstd,
            })
        }
    })
}

/// What unpacks an entry of a ZIP archive.
pub(super) fn deflated(packed: impl Read + Send + 'static) -> Box<dyn Read + Send> {
    let packed = BufReader::with_capacity(PIECE, Marked(packed));
    Box::new(Told {
        reader: flate2::bufread::DeflateDecoder::new(packed),
        told: of_parts,
    })
}

/// What unpacks one part.
enum Part<R: BufRead> {
    Gzip(Box<flate2::bufread::GzDecoder<R>>),
    Bzip2(bzip2::bufread::BzDecoder<R>),
}

/// One part behind the other. Zeros behind the last are padding, as of a tape or of a medium with large blocks; nothing else may stand there.
struct Parts<R: BufRead> {
    /// Nothing, once all were unpacked.
    part: Option<Part<R>>,
    open: fn(R) -> Part<R>,
}

impl<R: BufRead> Parts<R> {
    fn new(packed: R, open: fn(R) -> Part<R>) -> Self {
        let part = Some(open(packed));
        Self { part, open }
    }
}

impl<R: BufRead> Read for Parts<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while let Some(part) = &mut self.part {
            let count = match part {
                Part::Gzip(part) => part.read(into)?,
                Part::Bzip2(part) => part.read(into)?,
            };
            if count > 0 || into.is_empty() {
                return Ok(count);
            }
            let (mut packed, first) = match self.part.take() {
                Some(Part::Gzip(part)) => (part.into_inner(), 0x1F),
                Some(Part::Bzip2(part)) => (part.into_inner(), b'B'),
                None => break,
            };
            if is_followed(&mut packed, first)? {
                self.part = Some((self.open)(packed));
            }
        }
        Ok(0)
    }
}

/// Whether another part follows, which begins with this byte.
fn is_followed(packed: &mut impl BufRead, first: u8) -> io::Result<bool> {
    let mut is_padded = false;
    loop {
        let bytes = match packed.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        let Some(next) = bytes.first() else {
            return Ok(false);
        };
        if *next == first && !is_padded {
            return Ok(true);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros < bytes.len() {
            let words = "it is whole, and something else stands behind what is packed";
            return Err(io::Error::new(io::ErrorKind::InvalidData, words));
        }
        is_padded = true;
        packed.consume(zeros);
    }
}

/// What is packed, as it is read. What goes wrong with that may look like what an unpacker says of damage.
struct Marked<R>(R);

/// It went wrong where it was read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
struct Unread(io::Error);

impl<R: Read> Read for Marked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            kind => io::Error::new(kind, Unread(error)),
        })
    }
}

/// Errors of who unpacks, by what they mean. Those of what is unpacked stay as they are.
struct Told<R> {
    reader: R,
    told: fn(io::Error) -> io::Error,
}

impl<R: Read> Read for Told<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into);
        read.map_err(|error| match error.downcast::<Unread>() {
            Ok(Unread(error)) => error,
            Err(error) => (self.told)(error),
        })
    }
}

/// What unpacks gzip, and what unpacks bzip2, call what is damaged invalid input, and nothing else.
fn of_parts(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::InvalidInput {
        return io::Error::new(io::ErrorKind::InvalidData, error);
    }
    error
}

fn of_xz(error: io::Error) -> io::Error {
    use liblzma::stream::Error;
    let inner = error.get_ref();
    let Some(known) = inner.and_then(|inner| inner.downcast_ref::<Error>()) else {
        return error;
    };
    let kind = match known {
        Error::MemLimit => {
            let words = format!(
                "its dictionary takes more memory than the {} MiB that it is given: unpack it by `xz -dk`, and take what comes out",
                XZ_MEMORY >> 20
            );
            return io::Error::new(io::ErrorKind::OutOfMemory, words);
        }
        Error::Mem => io::ErrorKind::OutOfMemory,
        Error::Data | Error::Format => io::ErrorKind::InvalidData,
        // These stand behind checksums: it is not damaged, but another kind of xz.
        Error::Options | Error::NoCheck | Error::UnsupportedCheck => io::ErrorKind::Unsupported,
        Error::Program => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

fn of_zstd(error: io::Error) -> io::Error {
    use zstd::zstd_safe::zstd_sys::ZSTD_ErrorCode;
    let inner = error.get_ref();
    let Some(known) = inner.and_then(|inner| inner.downcast_ref::<zstd::Error>()) else {
        return error;
    };
    if known.is(ZSTD_ErrorCode::ZSTD_error_frameParameter_windowTooLarge) {
        let words = format!("{error}: unpack it by `zstd -d --long=31`, and take what comes out");
        return io::Error::new(io::ErrorKind::OutOfMemory, words);
    }
    // Whoever has its dictionary, or another version, can unpack it.
    let is_other = [
        ZSTD_ErrorCode::ZSTD_error_version_unsupported,
        ZSTD_ErrorCode::ZSTD_error_frameParameter_unsupported,
        ZSTD_ErrorCode::ZSTD_error_dictionary_wrong,
    ]
    .into_iter()
    .any(|code| known.is(code));
    let kind = if known.is(ZSTD_ErrorCode::ZSTD_error_memory_allocation) {
        io::ErrorKind::OutOfMemory
    } else if is_other {
        io::ErrorKind::Unsupported
    } else {
        io::ErrorKind::InvalidData
    };
    io::Error::new(kind, error)
}
