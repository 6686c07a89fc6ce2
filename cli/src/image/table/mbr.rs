//! The older kind, with its chain of extended partitions.

use std::collections::BTreeSet;

use super::{
    super::field::{u8_at, u16_at, u32_at},
    Depth, Partition, ReadAt, SECTOR, TableError, is_within,
};

/// Where the four entries begin.
const FIRST: usize = 446;
/// Bytes of one.
const ENTRY: usize = 16;
/// What marks a partition that holds others.
const EXTENDED: [u8; 3] = [0x05, 0x0F, 0x85];
/// Marks what a GPT hides behind.
const PROTECTIVE: u8 = 0xEE;
/// Sectors with entries that a chain is followed for: each has a partition, or none.
const MOST_SECTORS: usize = 256;

/// An entry as written, in sectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    flag: u8,
    kind: u8,
    start: u32,
    count: u32,
}

impl Entry {
    pub(super) fn is_protective(&self) -> bool {
        self.kind == PROTECTIVE
    }

    fn is_extended(&self) -> bool {
        EXTENDED.contains(&self.kind)
    }

    fn is_used(&self) -> bool {
        self.kind != 0 && self.count != 0
    }
}

/// The entry whose room ends last, and where.
pub(super) fn last(entries: &[Entry; 4]) -> Option<(u32, u64)> {
    let used = (1..).zip(entries).filter(|(_, entry)| entry.is_used());
    let ends = used.map(|(number, entry)| {
        let end = u64::from(entry.start) + u64::from(entry.count);
        (number, end * SECTOR)
    });
    ends.max_by_key(|(_, end)| *end)
}

/// The number of the entry that holds others, one of which begins there.
pub(super) fn around(entries: &[Entry; 4], start: u64) -> Option<u32> {
    let mut numbered = (1..).zip(entries);
    let holds = |entry: &Entry| {
        let begin = u64::from(entry.start) * SECTOR;
        let end = begin + u64::from(entry.count) * SECTOR;
        entry.is_used() && entry.is_extended() && (begin..end).contains(&start)
    };
    let (number, _) = numbered.find(|(_, entry)| holds(entry))?;
    Some(number)
}

/// The four entries of a sector, if it is one that has them.
pub(super) fn entries(sector: &[u8]) -> Option<[Entry; 4]> {
    if u16_at(sector, 510) != Some(0xAA55) {
        return None;
    }
    let entry = |index: usize| {
        let at = FIRST + index * ENTRY;
        Some(Entry {
            flag: u8_at(sector, at)?,
            kind: u8_at(sector, at + 4)?,
            start: u32_at(sector, at + 8)?,
            count: u32_at(sector, at + 12)?,
        })
    };
    Some([entry(0)?, entry(1)?, entry(2)?, entry(3)?])
}

/// Whether what stands there can be a table: a file system's own code hardly looks like one.
pub(super) fn is_sound(entries: &[Entry; 4], medium: u64) -> bool {
    let is_flag = |entry: &Entry| [0x00, 0x80].contains(&entry.flag);
    let is_inside = |entry: &Entry| {
        let [start, size] = [entry.start, entry.count].map(|sectors| u64::from(sectors) * SECTOR);
        start > 0 && is_within(start, size, medium)
    };
    let mut used = entries.iter().filter(|entry| entry.is_used()).peekable();
    used.peek().is_some() && entries.iter().all(is_flag) && used.all(is_inside)
}

/// The same of a table whose medium nobody knows the size of.
pub(super) fn is_likely(entries: &[Entry; 4]) -> bool {
    is_sound(entries, u64::MAX)
}

/// All partitions, but not those that only hold others; and whether there are others that were not looked for.
pub(super) fn partitions(
    medium: &dyn ReadAt,
    entries: &[Entry; 4],
    depth: Depth,
) -> Result<(Vec<Partition>, bool), TableError> {
    let mut found = Vec::new();
    for (entry, number) in entries.iter().zip(1..) {
        if entry.is_used() && !entry.is_extended() {
            found.push(partition(medium, number, 0, entry)?);
        }
    }
    let extended = entries
        .iter()
        .find(|entry| entry.is_used() && entry.is_extended());
    match (extended, depth) {
        (Some(extended), Depth::All) => logical(medium, extended, &mut found)?,
        (Some(_), Depth::First) => return Ok((found, true)),
        (None, _) => {}
    }
    Ok((found, false))
}

fn logical(
    medium: &dyn ReadAt,
    extended: &Entry,
    found: &mut Vec<Partition>,
) -> Result<(), TableError> {
    let base = u64::from(extended.start);
    let end = base + u64::from(extended.count);
    let mut place = base;
    let mut room = u64::from(extended.count);
    let mut seen = BTreeSet::new();
    let mut number = 5;
    loop {
        if !seen.insert(place) || seen.len() > MOST_SECTORS {
            return Err(TableError::Damaged(
                "its chain of logical partitions has no end".to_owned(),
            ));
        }
        let sector = medium.bytes(place.saturating_mul(SECTOR), 512)?;
        let entries = entries(&sector).ok_or_else(|| {
            TableError::Damaged(format!(
                "logical partition {number} has no entry at sector {place}"
            ))
        })?;
        for (own, slot) in entries.iter().zip(0..) {
            if !own.is_used() || own.is_extended() {
                continue;
            }
            // By custom the first two count; in the others some programs leave what never was one.
            let [start, count] = [own.start, own.count].map(u64::from);
            let is_within = start + count <= room && place + start + count <= end;
            if slot < 2 || is_within {
                found.push(partition(medium, number, place, own)?);
                number += 1;
            }
        }
        let next = entries
            .iter()
            .find(|entry| entry.is_used() && entry.is_extended());
        let Some(next) = next else {
            return Ok(());
        };
        place = base + u64::from(next.start);
        room = u64::from(next.count);
    }
}

fn partition(
    medium: &dyn ReadAt,
    number: u32,
    base: u64,
    entry: &Entry,
) -> Result<Partition, TableError> {
    let start = (base + u64::from(entry.start)) * SECTOR;
    let size = u64::from(entry.count) * SECTOR;
    // The last one may reach beyond the end of an image that was cut off: whoever reads there is told.
    if start >= medium.size() {
        return Err(TableError::Damaged(format!(
            "partition {number} begins behind the end of the disk"
        )));
    }
    Ok(Partition {
        number,
        start,
        size: size.min(medium.size() - start),
        name: None,
    })
}
