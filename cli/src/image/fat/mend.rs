//! What a change leaves behind that was cut in its middle: tables that differ, clusters that are nobody's, pieces of names without one.
//! None of it harms a file, but what is lost is no longer room. A summary that counts wrong is a hint, and nobody was cut for it.
//!
//! In: a file system of which all folders and files were followed. Out: whether there is such a thing; changes that put it right. The
//! first table is the one that counts, but for clusters that another one calls bad and nobody has. Whatever is cut here is found here
//! again.

use std::collections::BTreeSet;

use super::{
    FatError, Part, ReadAt as _, check::Reached, directory::FREE, geometry::Geometry, pages::Pages,
    table,
};

/// Sectors of the tables that are compared at once.
const AT_ONCE: u64 = 8;

/// Whether there is nothing that a cut has left. Nothing is planned for it.
pub(super) fn is_closed(
    pages: &mut Pages<'_>,
    part: &Part<'_>,
    geometry: &Geometry,
    reached: &Reached,
) -> Result<bool, FatError> {
    let differs = differing(part, geometry).next().transpose()?.is_some();
    if differs || !reached.pieces.is_empty() {
        return Ok(false);
    }
    for cluster in 2..geometry.end {
        if is_lost(pages, geometry, reached, cluster)? {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Puts right what a cut has left, and lets the summary say how much is free. Whether a cut has left anything.
pub(super) fn mend(
    pages: &mut Pages<'_>,
    part: &Part<'_>,
    geometry: &Geometry,
    reached: &Reached,
) -> Result<bool, FatError> {
    let differing: Vec<Differing> = differing(part, geometry).collect::<Result<_, _>>()?;
    let bad = bad(pages, geometry, reached, &differing)?;
    let (mut lost, mut free) = (Vec::new(), 0);
    for cluster in (2..geometry.end).filter(|cluster| !bad.contains(cluster)) {
        if is_lost(pages, geometry, reached, cluster)? {
            lost.push(cluster);
            free += 1;
        }
        free += u32::from(table::is_free(pages, geometry, cluster)?);
    }
    // Before all else: as long as anything is to be put right, it is found and counted again.
    table::recount(pages, geometry, free)?;
    pages.barrier();
    align(pages, geometry, &bad, &differing)?;
    pages.barrier();
    for place in &reached.pieces {
        pages.write(*place, &[FREE])?;
    }
    for cluster in &lost {
        table::lose(pages, geometry, *cluster)?;
    }
    pages.barrier();
    Ok(!(differing.is_empty() && lost.is_empty() && reached.pieces.is_empty()))
}

/// Whether a cluster is of a file that nobody can reach.
fn is_lost(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    reached: &Reached,
    cluster: u32,
) -> Result<bool, FatError> {
    Ok(!reached.has(cluster) && table::is_of_a_file(pages, geometry, cluster)?)
}

/// A piece of a table that is not as the same piece of the first one.
struct Differing {
    /// Of the other table.
    table: u64,
    /// From the starts of both on.
    offset: u64,
    bytes: usize,
}

/// Where the other tables are not as the first one.
fn differing<'d>(
    part: &'d Part<'_>,
    geometry: &'d Geometry,
) -> impl Iterator<Item = Result<Differing, FatError>> + 'd {
    let first = geometry.tables.first().copied().unwrap_or_default();
    let unit = u64::try_from(geometry.sector).unwrap_or(u64::MAX);
    // What is behind the last entry is nothing of it.
    let end = table::half_bytes(geometry.kind) * u64::from(geometry.end);
    let sectors = end.div_ceil(2 * unit);
    let pieces = (0..sectors).step_by(usize::try_from(AT_ONCE).unwrap_or(1));
    pieces.flat_map(move |at| {
        let offset = at * unit;
        let count = AT_ONCE.min(sectors - at) * unit;
        let bytes = usize::try_from(count).unwrap_or(usize::MAX);
        let compared = move |table: &u64| {
            let right = part.bytes(first + offset, bytes);
            let same = right.and_then(|right| Ok(right == part.bytes(table + offset, bytes)?));
            let piece = Differing {
                table: *table,
                offset,
                bytes,
            };
            match same {
                Ok(true) => None,
                Ok(false) => Some(Ok(piece)),
                Err(error) => Some(Err(error.into())),
            }
        };
        geometry.tables.iter().skip(1).filter_map(compared)
    })
}

/// Clusters that nobody has and another table calls bad: whoever wrote there has found them to be.
fn bad(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    reached: &Reached,
    differing: &[Differing],
) -> Result<BTreeSet<u32>, FatError> {
    let mut bad = BTreeSet::new();
    for piece in differing {
        for cluster in table::within(geometry, piece.offset, piece.bytes) {
            if !reached.has(cluster) && table::is_bad(pages, geometry, piece.table, cluster)? {
                bad.insert(cluster);
            }
        }
    }
    Ok(bad)
}

/// Makes the other tables those that the first one is with these clusters bad.
fn align(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    bad: &BTreeSet<u32>,
    differing: &[Differing],
) -> Result<(), FatError> {
    let first = geometry.tables.first().copied().unwrap_or_default();
    for cluster in bad {
        table::spoil(pages, geometry, *cluster)?;
    }
    for piece in differing {
        let mut right = vec![0; piece.bytes];
        pages.read(first + piece.offset, &mut right)?;
        pages.write(piece.table + piece.offset, &right)?;
    }
    Ok(())
}
