//! Where everything is: the first sector, understood once.
//!
//! Source: Microsoft's "FAT: General Overview of On-Disk Format", version 1.03. Which of the three kinds it is goes by what Linux asks:
//! FAT32 where the field of the older size of the table is empty, else by the number of clusters.

use super::{
    super::field::{u8_at, u16_at, u32_at},
    FatError,
};

/// Bytes of the first sector that are read.
pub(super) const BOOT_BYTES: usize = 512;
/// Clusters below this make it FAT12.
const LEAST_OF_16: u32 = 4085;
/// A FAT16 has fewer.
const END_OF_16: u32 = 65_525;
/// A FAT32 has fewer: the numbers behind mean something else.
const END_OF_32: u32 = 0x0FFF_FFF5;
/// Clusters of a file system that is used: the table of more would take too much memory, and no board boots from so many.
const MOST: u32 = 8 * 1024 * 1024;
/// Bytes of an entry of a folder.
pub(super) const ENTRY: usize = 32;

/// How wide the entries of the table are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Twelve bits.
    Fat12,
    /// Sixteen.
    Fat16,
    /// Thirty-two, of which 28 count.
    Fat32,
}

/// Where the folder is that has no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Root {
    /// In front of the clusters, with this many bytes.
    Fixed { offset: u64, bytes: u64 },
    /// From this cluster on.
    Cluster(u32),
}

/// All offsets are of bytes, from the start of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Geometry {
    pub(super) kind: Kind,
    /// Bytes of a sector, the least that is written.
    pub(super) sector: usize,
    /// Bytes of a cluster.
    pub(super) cluster: usize,
    /// Where the tables begin. All of them say the same.
    pub(super) tables: Vec<u64>,
    pub(super) root: Root,
    /// Where cluster 2 is.
    data: u64,
    /// The number behind that of the last cluster.
    pub(super) end: u32,
    /// Sector with how much is free (FAT32).
    pub(super) summary: Option<u64>,
}

impl Geometry {
    /// Reads the first sector of a file system that has `size` bytes of room.
    pub(super) fn read(boot: &[u8], size: u64) -> Result<Self, FatError> {
        let is_signed = u16_at(boot, 510) == Some(0xAA55);
        let fields = Fields::of(boot).filter(|_| is_signed);
        let fields = fields.ok_or(FatError::NotFat("its first sector has no signature"))?;
        fields.understood(size)
    }

    /// Where a cluster is.
    pub(super) fn offset(&self, cluster: u32) -> u64 {
        let before = u64::from(cluster.saturating_sub(2));
        self.data + before * u64::try_from(self.cluster).unwrap_or(u64::MAX)
    }

    /// Whether there is a cluster of this number.
    pub(super) fn has(&self, cluster: u32) -> bool {
        (2..self.end).contains(&cluster)
    }

    /// How many clusters there are.
    pub(super) fn count(&self) -> u32 {
        self.end - 2
    }
}

/// As written.
struct Fields {
    sector: u16,
    sectors_per_cluster: u8,
    reserved: u16,
    tables: u8,
    root_entries: u16,
    sectors: u32,
    table_sectors: u32,
    is_fat32: bool,
    flags: u16,
    root_cluster: u32,
    summary: u16,
}

impl Fields {
    fn of(boot: &[u8]) -> Option<Self> {
        let few = u16_at(boot, 19)?;
        let small = u16_at(boot, 22)?;
        Some(Self {
            sector: u16_at(boot, 11)?,
            sectors_per_cluster: u8_at(boot, 13)?,
            reserved: u16_at(boot, 14)?,
            tables: u8_at(boot, 16)?,
            root_entries: u16_at(boot, 17)?,
            sectors: match few {
                0 => u32_at(boot, 32)?,
                few => few.into(),
            },
            table_sectors: match small {
                0 => u32_at(boot, 36)?,
                small => small.into(),
            },
            is_fat32: small == 0,
            flags: u16_at(boot, 40)?,
            root_cluster: u32_at(boot, 44)?,
            summary: u16_at(boot, 48)?,
        })
    }

    fn understood(&self, size: u64) -> Result<Geometry, FatError> {
        let bad = |what| Err(FatError::NotFat(what));
        if ![512, 1024, 2048, 4096].contains(&self.sector) {
            return bad("its sectors have no size that there is");
        }
        if !self.sectors_per_cluster.is_power_of_two() {
            return bad("its clusters have no size that there is");
        }
        if self.reserved == 0 || !(1..=4).contains(&self.tables) || self.table_sectors == 0 {
            return bad("it has no table");
        }
        let sector = u64::from(self.sector);
        if u64::from(self.sectors) * sector > size {
            return bad("it is larger than the partition that it is in");
        }
        let table_bytes = u64::from(self.table_sectors) * sector;
        let first = u64::from(self.reserved) * sector;
        let behind = first + table_bytes * u64::from(self.tables);
        let entry = u64::try_from(ENTRY).unwrap_or(u64::MAX);
        let root_bytes = (u64::from(self.root_entries) * entry).next_multiple_of(sector);
        let data = behind + root_bytes;
        let cluster = sector * u64::from(self.sectors_per_cluster);
        let rest = (u64::from(self.sectors) * sector).checked_sub(data);
        let count = rest.map_or(0, |rest| rest / cluster);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        if count == 0 {
            return bad("it has no room for files");
        }
        let (kind, most, half_bytes) = match count {
            _ if self.is_fat32 => (Kind::Fat32, END_OF_32, 8),
            0..LEAST_OF_16 => (Kind::Fat12, LEAST_OF_16, 3),
            _ => (Kind::Fat16, END_OF_16, 4),
        };
        if count >= most {
            return bad("it has more clusters than its table can count");
        }
        if count > MOST {
            return bad("it has more clusters than a partition that boards boot from");
        }
        let end = count + 2;
        if (u64::from(end) * half_bytes).div_ceil(2) > table_bytes {
            return bad("its table is too short for it");
        }
        let root = if self.is_fat32 {
            Root::Cluster(self.root_cluster)
        } else {
            let (offset, bytes) = (behind, root_bytes);
            Root::Fixed { offset, bytes }
        };
        let mut tables: Vec<u64> = (0..u64::from(self.tables))
            .map(|index| first + index * table_bytes)
            .collect();
        // Only one of them is kept up: the lower bits say which.
        if self.is_fat32 && self.flags & 0x80 != 0 {
            let active = tables.get(usize::from(self.flags & 0x0F)).copied();
            let Some(active) = active else {
                return bad("the table that it says to use is none of its own");
            };
            tables = vec![active];
        }
        let summary = self.is_fat32 && self.summary != 0 && self.summary < self.reserved;
        Ok(Geometry {
            kind,
            sector: self.sector.into(),
            cluster: usize::try_from(cluster).unwrap_or(usize::MAX),
            tables,
            root,
            data,
            end,
            summary: summary.then(|| u64::from(self.summary) * sector),
        })
    }
}
