//! The newer kind, of which there is a copy at the end of the disk.

use super::{
    super::field::{u32_at, u64_at},
    Kind, Partition, Reach, ReadAt, Table, TableError, is_within,
};

/// How a header begins.
const SIGNATURE: &[u8] = b"EFI PART";
/// Bytes of a header that are understood.
const HEADER: usize = 92;
/// Sizes of sectors that there are.
const SECTORS: [u64; 2] = [512, 4096];
/// Bytes that all entries may have: 128 of them have 16 KiB.
const MOST_BYTES: u64 = 1024 * 1024;
/// UTF-16 units of a name.
const NAME: usize = 36;

/// Reads the table, or its copy.
pub(super) fn read(medium: &dyn ReadAt) -> Result<Table, TableError> {
    let mut first = None;
    for copy in [false, true] {
        // The end of what is packed is known when all of it is unpacked, which the first table spares.
        let end = if copy { medium.end()? } else { 0 };
        for sector in SECTORS {
            let (kind, place) = if copy {
                (Kind::GptCopy, end.saturating_sub(sector))
            } else {
                (Kind::Gpt, sector)
            };
            match at(medium, sector, place) {
                Ok(partitions) => {
                    return Ok(Table {
                        kind,
                        partitions,
                        has_more: false,
                    });
                }
                // "There is none" says less than what is wrong with the one that there is.
                Err(error) => {
                    first = match first {
                        Some(first @ TableError::Damaged(_)) => Some(first),
                        _ => Some(error),
                    }
                }
            }
        }
    }
    match first {
        Some(TableError::Unknown) | None => Err(TableError::Damaged(
            "there is no GPT where the first sector says that there is one".to_owned(),
        )),
        Some(error) => Err(error),
    }
}

/// How far a disk has to reach, by the table at its start.
pub(super) fn reach(medium: &dyn ReadAt) -> Option<Reach> {
    let read = |sector: u64| Some((sector, named(medium, sector, sector).ok()?));
    let (sector, (header, partitions)) = SECTORS.into_iter().find_map(read)?;
    let ends = partitions
        .iter()
        .map(|found| (found.number, found.start.saturating_add(found.size)));
    Some(Reach {
        last: ends.max_by_key(|(_, end)| *end),
        copy: Some(header.other.saturating_add(1).saturating_mul(sector)),
    })
}

fn at(medium: &dyn ReadAt, sector: u64, place: u64) -> Result<Vec<Partition>, TableError> {
    let (_, partitions) = named(medium, sector, place)?;
    let is_outside =
        |found: &&Partition| found.size == 0 || !is_within(found.start, found.size, medium.size());
    if let Some(found) = partitions.iter().find(is_outside) {
        return Err(damaged(&format!(
            "partition {} does not lie within the disk: the image may have been cut off",
            found.number
        )));
    }
    Ok(partitions)
}

/// What a header and its entries say, wherever that is.
fn named(
    medium: &dyn ReadAt,
    sector: u64,
    place: u64,
) -> Result<(Header, Vec<Partition>), TableError> {
    let header = medium.bytes(place, 512)?;
    if !header.starts_with(SIGNATURE) {
        return Err(TableError::Unknown);
    }
    let header = Header::of(&header).ok_or_else(|| damaged("its header cannot be"))?;
    let length = u64::from(header.count) * u64::from(header.entry);
    if header.entry < 128 || !header.entry.is_multiple_of(8) || length > MOST_BYTES {
        return Err(damaged("its header says that it has more than it can have"));
    }
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    let place = header.entries.saturating_mul(sector);
    let entries = medium.bytes(place, length)?;
    if crc32fast::hash(&entries) != header.sum {
        return Err(damaged(
            "its entries do not have the checksum of its header",
        ));
    }
    let width = usize::try_from(header.entry).unwrap_or(usize::MAX);
    let mut partitions = Vec::new();
    for (entry, number) in entries.chunks_exact(width).zip(1..) {
        if let Some(found) = partition(entry, number, sector) {
            partitions.push(found);
        }
    }
    Ok((header, partitions))
}

/// What a header says.
struct Header {
    /// Sector of the other header: of the copy, where this is the first.
    other: u64,
    /// Sector of the first entry.
    entries: u64,
    count: u32,
    /// Bytes of one.
    entry: u32,
    /// Of all entries.
    sum: u32,
}

impl Header {
    /// `None` where its checksum is another one.
    fn of(bytes: &[u8]) -> Option<Self> {
        let size = usize::try_from(u32_at(bytes, 12)?).ok()?;
        let mut summed = bytes.get(..size)?.to_vec();
        summed.get_mut(16..20)?.fill(0);
        let is_good = size >= HEADER && u32_at(bytes, 16)? == crc32fast::hash(&summed);
        let header = Self {
            other: u64_at(bytes, 32)?,
            entries: u64_at(bytes, 72)?,
            count: u32_at(bytes, 80)?,
            entry: u32_at(bytes, 84)?,
            sum: u32_at(bytes, 88)?,
        };
        is_good.then_some(header)
    }
}

/// `None` for an entry that is free.
fn partition(entry: &[u8], number: u32, sector: u64) -> Option<Partition> {
    if entry.get(..16)?.iter().all(|byte| *byte == 0) {
        return None;
    }
    let (first, last) = (u64_at(entry, 32)?, u64_at(entry, 40)?);
    let count = last.checked_add(1)?.saturating_sub(first);
    let units = entry.get(56..56 + 2 * NAME)?.as_chunks::<2>().0;
    let units = units.iter().map(|unit| u16::from_le_bytes(*unit));
    let units: Vec<u16> = units.take_while(|unit| *unit != 0).collect();
    Some(Partition {
        number,
        start: first.saturating_mul(sector),
        size: count.saturating_mul(sector),
        name: Some(String::from_utf16_lossy(&units)),
    })
}

fn damaged(what: &str) -> TableError {
    TableError::Damaged(what.to_owned())
}
