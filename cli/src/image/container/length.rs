//! How long an image is, as far as its file says so: nothing is unpacked.
//!
//! In: a packed file. Out: [`Length`], or what is wrong with a file that nobody could unpack to its end. What says it may lie: it is good
//! for a refusal and for a look ahead, and for nothing else. Sources: the .xz file format 1.1.0, RFC 8878 (zstd), RFC 1952 (gzip).

use std::{
    fmt,
    io::{self, Read, Seek as _, SeekFrom},
};

use super::{ContainerError, Format, MAGIC, Packed, Reader, Unpacked, fill};
use crate::image::field::u32_at;

/// What a byte of deflate unpacks to at most.
const MOST_DEFLATED: u64 = 1032;
/// Streams, frames, blocks and words of padding that are gone over: as many as 2 GiB of zstd has. A disk takes a moment for each.
const MOST_STEPS: usize = 16 * 1024;
/// Bytes of an xz stream's index. One block of it takes some ten.
const MOST_INDEX: u64 = 16 * 1024 * 1024;
/// Bytes of an xz stream's header, and of its footer.
const EDGE: u64 = 12;
const XZ_MAGIC: &[u8] = b"\xFD7zXZ\0";
const ZSTD_MAGIC: u32 = 0xFD2F_B528;
/// The first of sixteen by which what is to be skipped begins.
const SKIPPED: u32 = 0x184D_2A50;
/// Bytes of the smallest file of gzip.
const SMALLEST_GZIP: u64 = 18;

/// Bytes of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// So many.
    Exactly(u64),
    /// So many, and perhaps more.
    AtLeast(u64),
    /// So many by a number that says no more than there is, if its file is whole: of one that was cut off or damaged, which does not unpack to
    /// its end, it says anything.
    Said(u64),
}

impl Length {
    /// Where nothing says it.
    pub const UNKNOWN: Self = Self::AtLeast(0);

    /// So many there are, whatever else, or are said to be.
    #[must_use]
    pub fn least(self) -> u64 {
        match self {
            Self::Exactly(bytes) | Self::AtLeast(bytes) | Self::Said(bytes) => bytes,
        }
    }

    /// So many there are, where that is known.
    #[must_use]
    pub fn exact(self) -> Option<u64> {
        match self {
            Self::Exactly(bytes) => Some(bytes),
            Self::AtLeast(_) | Self::Said(_) => None,
        }
    }

    /// Whether an image may have so many.
    #[must_use]
    pub fn may_be(self, bytes: u64) -> bool {
        match self {
            Self::Exactly(own) => own == bytes,
            Self::AtLeast(least) => least <= bytes,
            Self::Said(_) => true,
        }
    }
}

impl fmt::Display for Length {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(bytes) => write!(f, "{bytes}"),
            Self::AtLeast(bytes) => write!(f, "at least {bytes}"),
            Self::Said(bytes) => write!(f, "{bytes} by the number at the end of its file"),
        }
    }
}

impl Packed {
    /// How it is packed, by its first bytes.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn format(&self) -> io::Result<Format> {
        let mut first = [0; MAGIC];
        let count = fill(&mut self.reader(), &mut first)?;
        Ok(Format::of(first.get(..count).unwrap_or_default()))
    }

    /// How long the image is, by what its file says.
    ///
    /// # Errors
    /// [`ContainerError`]: it was cut off or damaged, so that it does not unpack to its end either.
    pub fn length(&self) -> Result<Length, ContainerError> {
        let failed = |source: io::Error| ContainerError::Read {
            path: self.path.clone(),
            source,
        };
        let format = self.format().map_err(failed)?;
        let mut walk = Walk {
            file: self.reader(),
            size: self.size,
        };
        match format {
            Format::Raw => Ok(Length::Exactly(self.size)),
            Format::Gzip => walk.gzip().map_err(failed),
            Format::Xz => walk.xz().map_err(failed),
            Format::Zstd => walk.zstd().map_err(failed),
            Format::Bzip2 => Ok(Length::UNKNOWN),
            Format::Zip => {
                let size = Unpacked::new(self)?.size;
                Ok(size.map_or(Length::UNKNOWN, Length::Exactly))
            }
        }
    }
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

fn cut() -> io::Error {
    let words = "it ends before its end: it was cut off, or something was put behind it";
    io::Error::new(io::ErrorKind::UnexpectedEof, words)
}

/// A file that is gone over.
struct Walk {
    file: Reader,
    size: u64,
}

impl Walk {
    /// Some bytes, all of which have to be there.
    fn at<const COUNT: usize>(&mut self, offset: u64) -> io::Result<[u8; COUNT]> {
        let mut bytes = [0; COUNT];
        self.file.seek(SeekFrom::Start(offset))?;
        if fill(&mut self.file, &mut bytes)? < COUNT {
            return Err(cut());
        }
        Ok(bytes)
    }

    /// The last four bytes say how much the last member has, modulo 4 GiB. Others may stand before it, of which only unpacking tells; zeros may
    /// stand behind it, which move the number to its smaller end. So it is never too much, unless it was cut off or something else stands behind
    /// it: then it is believed no more than what so few bytes can be unpacked to.
    fn gzip(&mut self) -> io::Result<Length> {
        if self.size < SMALLEST_GZIP {
            return Err(cut());
        }
        let last = u64::from(u32::from_le_bytes(self.at(self.size - 4)?));
        let is_likely = last > 0 && last <= self.size.saturating_mul(MOST_DEFLATED);
        Ok(if is_likely {
            Length::Said(last)
        } else {
            Length::UNKNOWN
        })
    }

    /// From the end, stream by stream: each has a list of its blocks behind them.
    fn xz(&mut self) -> io::Result<Length> {
        let (mut end, mut total) = (self.size, 0_u64);
        for _ in 0..MOST_STEPS {
            if end == 0 {
                return Ok(Length::Exactly(total));
            }
            let footer = self.at::<12>(end.checked_sub(EDGE).ok_or_else(cut)?)?;
            if footer.get(8..) == Some(&[0; 4]) {
                // Padding, which no stream begins with.
                end -= 4;
                continue;
            }
            let Some((start, size)) = self.stream(end, &footer)? else {
                return Ok(Length::AtLeast(total));
            };
            end = start;
            total = total.checked_add(size).ok_or_else(too_much)?;
        }
        Ok(Length::AtLeast(total))
    }

    /// Where the stream begins that ends there, and what it unpacks to. `None`: its list is too long to be read for this.
    fn stream(&mut self, end: u64, footer: &[u8; 12]) -> io::Result<Option<(u64, u64)>> {
        let flags = footer.get(8..10);
        let is_footer =
            footer.ends_with(b"YZ") && u32_at(footer, 0) == footer.get(4..10).map(crc32fast::hash);
        let length = u32_at(footer, 4).filter(|_| is_footer).ok_or_else(cut)?;
        let length = (u64::from(length) + 1) * 4;
        let place = (end - EDGE).checked_sub(length).ok_or_else(wrong_list)?;
        if length > MOST_INDEX {
            return Ok(None);
        }
        let mut index = Vec::new();
        self.file.seek(SeekFrom::Start(place))?;
        let read = (&mut self.file).take(length).read_to_end(&mut index)?;
        if u64::try_from(read) != Ok(length) {
            return Err(cut());
        }
        let (packed, size) = blocks(&index)?;
        let start = place
            .checked_sub(packed)
            .and_then(|at| at.checked_sub(EDGE));
        let start = start.ok_or_else(wrong_list)?;
        let header = self.at::<12>(start)?;
        let is_header = header.starts_with(XZ_MAGIC)
            && header.get(6..8) == flags
            && u32_at(&header, 8) == header.get(6..8).map(crc32fast::hash);
        if is_header {
            Ok(Some((start, size)))
        } else {
            Err(wrong_list())
        }
    }

    /// From the beginning, frame by frame. One that does not say its length has at least what stands in it as it is.
    fn zstd(&mut self) -> io::Result<Length> {
        let (mut at, mut total, mut steps) = (0_u64, 0_u64, 0);
        let mut is_exact = true;
        while at < self.size {
            let magic = u32::from_le_bytes(self.at(at)?);
            at += 4;
            if magic & !0xF == SKIPPED {
                let length = u32::from_le_bytes(self.at(at)?);
                at += 4 + u64::from(length);
                steps += 1;
            } else if magic == ZSTD_MAGIC {
                let frame = self.frame(at, &mut steps)?;
                at = frame.end;
                is_exact &= frame.says.is_some();
                let size = frame.says.unwrap_or(frame.plain);
                total = total.checked_add(size).ok_or_else(too_much)?;
            } else {
                return Err(damaged("something else stands behind what is packed"));
            }
            if steps > MOST_STEPS {
                return Ok(Length::AtLeast(total));
            }
        }
        if at > self.size {
            return Err(cut());
        }
        Ok(if is_exact {
            Length::Exactly(total)
        } else {
            Length::AtLeast(total)
        })
    }

    /// A frame whose header begins there.
    fn frame(&mut self, start: u64, steps: &mut usize) -> io::Result<Frame> {
        let [descriptor] = self.at::<1>(start)?;
        let is_single = descriptor & 0x20 != 0;
        let window = u64::from(!is_single);
        let dictionary = match descriptor & 3 {
            3 => 4,
            count => u64::from(count),
        };
        let mut at = start + 1 + window + dictionary;
        let (width, says) = match descriptor >> 6 {
            0 if !is_single => (0, None),
            0 => (1, Some(u64::from(u8::from_le_bytes(self.at(at)?)))),
            1 => (2, Some(u64::from(u16::from_le_bytes(self.at(at)?)) + 256)),
            2 => (4, Some(u64::from(u32::from_le_bytes(self.at(at)?)))),
            _ => (8, Some(u64::from_le_bytes(self.at(at)?))),
        };
        at += width;
        let mut plain = 0_u64;
        loop {
            let [low, middle, high] = self.at(at)?;
            let header = u32::from_le_bytes([low, middle, high, 0]);
            let length = u64::from(header >> 3);
            at += 3;
            at += match header >> 1 & 3 {
                0 | 2 => length,
                1 => 1,
                _ => return Err(damaged("a block of it is of a kind that there is not")),
            };
            if header >> 1 & 3 < 2 {
                plain = plain.saturating_add(length);
            }
            *steps += 1;
            // Whoever counts looks no further than this frame, which has an end at the file's at last.
            if header & 1 == 1 || *steps > MOST_STEPS {
                break;
            }
        }
        let sum = if descriptor & 4 == 0 { 0 } else { 4 };
        Ok(Frame {
            end: at + sum,
            says,
            plain,
        })
    }
}

/// A frame of zstd.
struct Frame {
    end: u64,
    /// What it unpacks to, where it says so.
    says: Option<u64>,
    /// Bytes that stand in it as they are.
    plain: u64,
}

fn wrong_list() -> io::Error {
    damaged("its list of blocks is not of what stands before it")
}

fn too_much() -> io::Error {
    damaged("it says that it unpacks to more than there can be")
}

/// Bytes of the blocks that an xz stream's index lists: in the file, and unpacked.
fn blocks(index: &[u8]) -> io::Result<(u64, u64)> {
    let (body, sum) = index.split_last_chunk::<4>().ok_or_else(wrong_list)?;
    if u32::from_le_bytes(*sum) != crc32fast::hash(body) {
        return Err(damaged("its list of blocks does not have its checksum"));
    }
    let mut rest = body.strip_prefix(&[0]).ok_or_else(wrong_list)?;
    let count = number(&mut rest)?;
    let (mut packed, mut size) = (0_u64, 0_u64);
    for _ in 0..count {
        // Each takes two bytes at least: what is not there ends it.
        let (length, bytes) = (number(&mut rest)?, number(&mut rest)?);
        let length = length.checked_next_multiple_of(4).ok_or_else(too_much)?;
        packed = packed.checked_add(length).ok_or_else(too_much)?;
        size = size.checked_add(bytes).ok_or_else(too_much)?;
    }
    if rest.len() > 3 || rest.iter().any(|byte| *byte != 0) {
        return Err(wrong_list());
    }
    Ok((packed, size))
}

/// A number of seven bits in each byte, nine bytes at most.
fn number(rest: &mut &[u8]) -> io::Result<u64> {
    let mut value = 0;
    for shift in (0..63).step_by(7) {
        let (first, behind) = rest.split_first().ok_or_else(wrong_list)?;
        *rest = behind;
        value |= u64::from(first & 0x7F) << shift;
        if first & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(wrong_list())
}
