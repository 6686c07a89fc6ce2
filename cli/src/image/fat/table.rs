//! The table of clusters: which one follows which, and which are free.

use std::ops::Range;

use super::{
    FatError,
    geometry::{Geometry, Kind},
    pages::Pages,
};

/// What stands for "nothing known" in the summary of a FAT32.
const UNKNOWN: u32 = u32::MAX;
/// Where the summary holds how many clusters are free, and its signatures.
const FREE_COUNT: u64 = 488;
const SIGNATURES: [(u64, u32); 2] = [(0, 0x4161_5252), (484, 0x6141_7272)];

/// What an entry says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    Free,
    Next(u32),
    Last,
    /// It cannot hold anything.
    Bad,
    /// Out of bounds.
    Other,
}

fn width(kind: Kind) -> usize {
    match kind {
        Kind::Fat12 | Kind::Fat16 => 2,
        Kind::Fat32 => 4,
    }
}

fn place(kind: Kind, table: u64, cluster: u32) -> u64 {
    let cluster = u64::from(cluster);
    table
        + match kind {
            Kind::Fat12 => cluster + cluster / 2,
            Kind::Fat16 => cluster * 2,
            Kind::Fat32 => cluster * 4,
        }
}

/// How long an entry is, in halves of bytes.
pub(super) fn half_bytes(kind: Kind) -> u64 {
    match kind {
        Kind::Fat12 => 3,
        Kind::Fat16 => 4,
        Kind::Fat32 => 8,
    }
}

/// Clusters whose entries stand, as a whole or in part, in so many bytes of a table.
pub(super) fn within(geometry: &Geometry, offset: u64, bytes: usize) -> Range<u32> {
    let each = half_bytes(geometry.kind);
    let end = offset.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
    let number = |at: u64| u32::try_from(at).unwrap_or(u32::MAX).clamp(2, geometry.end);
    let first = number(offset.saturating_mul(2) / each);
    first..number(end.saturating_mul(2).div_ceil(each)).max(first)
}

fn raw(pages: &mut Pages<'_>, kind: Kind, table: u64, cluster: u32) -> Result<u32, FatError> {
    let mut bytes = [0; 4];
    let wanted = bytes.get_mut(..width(kind)).unwrap_or_default();
    pages.read(place(kind, table, cluster), wanted)?;
    Ok(u32::from_le_bytes(bytes))
}

/// An entry of the table that counts.
fn entry(pages: &mut Pages<'_>, geometry: &Geometry, cluster: u32) -> Result<Entry, FatError> {
    let table = geometry.tables.first().copied().unwrap_or_default();
    entry_of(pages, geometry, table, cluster)
}

fn entry_of(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    table: u64,
    cluster: u32,
) -> Result<Entry, FatError> {
    let raw = raw(pages, geometry.kind, table, cluster)?;
    let (value, least_last) = match geometry.kind {
        Kind::Fat12 if cluster.is_multiple_of(2) => (raw & 0xFFF, 0xFF8),
        Kind::Fat12 => (raw >> 4, 0xFF8),
        Kind::Fat16 => (raw, 0xFFF8),
        Kind::Fat32 => (raw & 0x0FFF_FFFF, 0x0FFF_FFF8),
    };
    Ok(match value {
        0 => Entry::Free,
        value if value >= least_last => Entry::Last,
        value if value + 1 == least_last => Entry::Bad,
        value if geometry.has(value) => Entry::Next(value),
        _ => Entry::Other,
    })
}

/// Sets an entry in all tables. `None`: the last of its file; 0: free.
fn set(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    cluster: u32,
    next: Option<u32>,
) -> Result<(), FatError> {
    let kind = geometry.kind;
    for &table in &geometry.tables {
        let before = raw(pages, kind, table, cluster)?;
        let after = match kind {
            Kind::Fat12 if cluster.is_multiple_of(2) => {
                (before & 0xF000) | next.unwrap_or(0xFFF) & 0xFFF
            }
            Kind::Fat12 => (before & 0xF) | (next.unwrap_or(0xFFF) & 0xFFF) << 4,
            Kind::Fat16 => next.unwrap_or(0xFFFF),
            // The upper four bits are somebody else's.
            Kind::Fat32 => (before & 0xF000_0000) | next.unwrap_or(0x0FFF_FFFF) & 0x0FFF_FFFF,
        };
        let bytes = after.to_le_bytes();
        let bytes = bytes.get(..width(kind)).unwrap_or_default();
        pages.write(place(kind, table, cluster), bytes)?;
    }
    Ok(())
}

/// The clusters of a file, in their order. `path` is for words.
pub(super) fn chain(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    first: u32,
    path: &str,
) -> Result<Vec<u32>, FatError> {
    let mut chain = Vec::new();
    let most = usize::try_from(geometry.count()).unwrap_or(usize::MAX);
    let mut next = first;
    loop {
        if !geometry.has(next) {
            return Err(FatError::Damaged(format!(
                "{path} goes on at cluster {next}, which there is not"
            )));
        }
        if chain.len() >= most {
            return Err(FatError::Damaged(format!("{path} goes round in circles")));
        }
        chain.push(next);
        match entry(pages, geometry, next)? {
            Entry::Next(cluster) => next = cluster,
            Entry::Last => return Ok(chain),
            Entry::Free => {
                return Err(FatError::Damaged(format!(
                    "{path} has cluster {next}, which is marked as free"
                )));
            }
            Entry::Bad | Entry::Other => {
                return Err(FatError::Damaged(format!(
                    "{path} goes on behind cluster {next} at one that cannot be"
                )));
            }
        }
    }
}

/// The first free clusters, `wanted` of them; fewer where there are fewer.
pub(super) fn free(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    wanted: usize,
) -> Result<Vec<u32>, FatError> {
    let mut free = Vec::new();
    for cluster in 2..geometry.end {
        if free.len() == wanted {
            break;
        }
        if entry(pages, geometry, cluster)? == Entry::Free {
            free.push(cluster);
        }
    }
    Ok(free)
}

/// Makes clusters a file, in this order. The summary counts them before anything can lead to them: whoever is cut until then finds them
/// lost, and counts again.
pub(super) fn link(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    chain: &[u32],
) -> Result<(), FatError> {
    let nexts = chain.iter().skip(1).map(|next| Some(*next)).chain([None]);
    for (cluster, next) in chain.iter().zip(nexts) {
        set(pages, geometry, *cluster, next)?;
    }
    pages.barrier();
    count(pages, geometry, chain.len(), u32::checked_sub)
}

/// Lets another cluster follow the last one of a file.
pub(super) fn append(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    last: u32,
    cluster: u32,
) -> Result<(), FatError> {
    set(pages, geometry, last, Some(cluster))
}

/// Gives clusters back that nothing leads to. The summary counts them first, while they are still found as lost.
pub(super) fn release(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    chain: &[u32],
) -> Result<(), FatError> {
    count(pages, geometry, chain.len(), u32::checked_add)?;
    pages.barrier();
    for cluster in chain {
        set(pages, geometry, *cluster, Some(0))?;
    }
    Ok(())
}

/// Whether a cluster is nobody's.
pub(super) fn is_free(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    cluster: u32,
) -> Result<bool, FatError> {
    Ok(entry(pages, geometry, cluster)? == Entry::Free)
}

/// Whether a cluster is, or was, of a file: neither free, nor bad, nor what its makers keep for themselves.
pub(super) fn is_of_a_file(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    cluster: u32,
) -> Result<bool, FatError> {
    let entry = entry(pages, geometry, cluster)?;
    Ok(matches!(entry, Entry::Next(_) | Entry::Last))
}

/// Gives a cluster back that nobody has, whatever the summary says.
pub(super) fn lose(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    cluster: u32,
) -> Result<(), FatError> {
    set(pages, geometry, cluster, Some(0))
}

/// Whether a table calls a cluster bad.
pub(super) fn is_bad(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    table: u64,
    cluster: u32,
) -> Result<bool, FatError> {
    Ok(entry_of(pages, geometry, table, cluster)? == Entry::Bad)
}

/// Calls a cluster bad that nobody has.
pub(super) fn spoil(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    cluster: u32,
) -> Result<(), FatError> {
    let bad = match geometry.kind {
        Kind::Fat12 => 0xFF7,
        Kind::Fat16 => 0xFFF7,
        Kind::Fat32 => 0x0FFF_FFF7,
    };
    set(pages, geometry, cluster, Some(bad))
}

/// Makes the summary of a FAT32 say how many clusters are free, if it says anything.
pub(super) fn recount(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    free: u32,
) -> Result<(), FatError> {
    match summary(pages, geometry)? {
        Some((place, _)) => pages.write(place, &free.to_le_bytes()),
        None => Ok(()),
    }
}

/// Keeps the summary of a FAT32 true, if it was.
fn count(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    clusters: usize,
    changed: fn(u32, u32) -> Option<u32>,
) -> Result<(), FatError> {
    let Some((place, before)) = summary(pages, geometry)? else {
        return Ok(());
    };
    let clusters = u32::try_from(clusters).unwrap_or(u32::MAX);
    let after = changed(before, clusters).filter(|after| *after <= geometry.count());
    let after = after.unwrap_or(UNKNOWN);
    pages.write(place, &after.to_le_bytes())
}

/// Where the summary of a FAT32 says how many clusters are free, and how many it says, if it says so.
fn summary(pages: &mut Pages<'_>, geometry: &Geometry) -> Result<Option<(u64, u32)>, FatError> {
    let Some(summary) = geometry.summary else {
        return Ok(None);
    };
    let mut four = [0; 4];
    for (at, signature) in SIGNATURES {
        pages.read(summary + at, &mut four)?;
        if u32::from_le_bytes(four) != signature {
            return Ok(None);
        }
    }
    let place = summary + FREE_COUNT;
    pages.read(place, &mut four)?;
    let count = u32::from_le_bytes(four);
    Ok((count != UNKNOWN).then_some((place, count)))
}
