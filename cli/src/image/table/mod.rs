//! Partition tables: where the parts of a disk begin and end. Nothing is written here.
//!
//! In: a medium. Out: partitions in the order of their numbers, as `sfdisk` numbers them. Sources: the UEFI specification 2.10,
//! chapter 5, for GPT; for the older kind what Linux reads, with the chain of extended partitions.

mod gpt;
mod mbr;
#[cfg(test)]
mod tests;

use std::io;

use super::{Part, ReadAt, fat};

/// Bytes of a sector of nearly every disk.
pub const SECTOR: u64 = 512;

/// Which kind of table it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// None: the medium is one file system.
    None,
    /// Up to four, one of which may hold others.
    Mbr,
    /// The newer kind.
    Gpt,
    /// The newer kind of which only the copy at the end of the disk is good.
    GptCopy,
}

/// A part of a disk, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partition {
    /// From 1; logical ones from 5.
    pub number: u32,
    /// Where it begins.
    pub start: u64,
    /// How long it is.
    pub size: u64,
    /// Its name in a GPT.
    pub name: Option<String>,
}

impl Partition {
    /// Its bytes.
    #[must_use]
    pub fn part<'m>(&self, medium: &'m dyn ReadAt) -> Part<'m> {
        Part {
            medium,
            start: self.start,
            size: self.size,
        }
    }
}

/// What is on a disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// Which kind.
    pub kind: Kind,
    /// By their numbers.
    pub partitions: Vec<Partition>,
    /// Whether there are logical partitions that were not looked for.
    pub has_more: bool,
}

/// How far a disk has to reach for what the table at its start names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// The partition that ends last, one that only holds others too, and where.
    pub last: Option<(u32, u64)>,
    /// Where the copy of a GPT ends.
    pub copy: Option<u64>,
}

/// How far a table is followed. Each logical partition has an entry of its own in front of it, somewhere on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Depth {
    /// As far as it is written at the start of the disk.
    First,
    /// To its end.
    All,
}

/// Why a table is not read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The medium.
    #[error("the partition table cannot be read")]
    Read(#[from] io::Error),
    /// Nothing that is known.
    #[error("there is neither a partition table nor a file system: it is no disk image")]
    Unknown,
    /// What it says cannot be.
    #[error("the partition table is damaged: {0}")]
    Damaged(String),
}

/// Reads the table of a medium.
///
/// # Errors
/// [`TableError`].
pub fn read(medium: &dyn ReadAt, depth: Depth) -> Result<Table, TableError> {
    let first = match medium.bytes(0, 512) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            return Err(TableError::Unknown);
        }
        read => read?,
    };
    let mbr = mbr::entries(&first);
    if let Some(entries) = &mbr
        && entries.iter().any(mbr::Entry::is_protective)
    {
        return gpt::read(medium);
    }
    // A file system has the same two bytes at the end of its first sector, and its own code where a table would be.
    let is_fat = match fat::Volume::open(Part::whole(medium)) {
        Err(fat::FatError::Read(error)) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(error.into());
        }
        opened => opened.is_ok(),
    };
    match mbr {
        Some(entries) if !is_fat || mbr::is_sound(&entries, medium.size()) => {
            let (partitions, has_more) = mbr::partitions(medium, &entries, depth)?;
            Ok(Table {
                kind: Kind::Mbr,
                partitions,
                has_more,
            })
        }
        _ if is_fat => Ok(Table {
            kind: Kind::None,
            partitions: Vec::new(),
            has_more: false,
        }),
        _ => Err(TableError::Unknown),
    }
}

/// Says how far a disk has to reach, whatever it has. `None`: no table says it.
#[must_use]
pub fn reach(medium: &dyn ReadAt) -> Option<Reach> {
    let entries = mbr::entries(&medium.bytes(0, 512).ok()?)?;
    if entries.iter().any(mbr::Entry::is_protective) {
        return gpt::reach(medium);
    }
    // Where a file system has its code, nothing is said of partitions.
    if fat::Volume::open(Part::whole(medium)).is_ok() || !mbr::is_likely(&entries) {
        return None;
    }
    let last = mbr::last(&entries);
    Some(Reach { last, copy: None })
}

/// The number of the partition that holds this logical one. `None`: it is none.
///
/// # Errors
/// What the medium says.
pub fn around(medium: &dyn ReadAt, partition: &Partition) -> io::Result<Option<u32>> {
    if partition.number <= 4 {
        return Ok(None);
    }
    let entries = mbr::entries(&medium.bytes(0, 512)?);
    Ok(entries.and_then(|entries| mbr::around(&entries, partition.start)))
}

/// Whether a part lies within a medium.
fn is_within(start: u64, size: u64, medium: u64) -> bool {
    start.checked_add(size).is_some_and(|end| end <= medium)
}
