//! What a change leaves behind that was cut in its middle: tables that differ, clusters that are nobody's, pieces of names without one,
//! a summary that counts wrong. None of it harms a file, but what is lost is no longer room.
//!
//! In: a file system of which all folders and files were followed. Out: whether there is such a thing; changes that put it right. The
//! first table is the one that counts, and whatever is cut here is found here again.

use super::{
    FatError, Part, ReadAt as _,
    check::Reached,
    directory::FREE,
    geometry::{Geometry, Kind},
    pages::Pages,
    table,
};

/// Sectors of the tables that are compared at once.
const AT_ONCE: u64 = 128;

/// Puts right what a cut has left. Whether there was anything.
pub(super) fn mend(
    pages: &mut Pages<'_>,
    part: &Part<'_>,
    geometry: &Geometry,
    reached: &Reached,
) -> Result<bool, FatError> {
    let mut is_found = align(pages, part, geometry)?;
    for place in &reached.pieces {
        pages.write(*place, &[FREE])?;
        is_found = true;
    }
    let mut free = 0;
    for cluster in 2..geometry.end {
        if table::is_free(pages, geometry, cluster)? {
            free += 1;
        } else if !reached.has(cluster) && table::is_of_a_file(pages, geometry, cluster)? {
            table::lose(pages, geometry, cluster)?;
            free += 1;
            is_found = true;
        }
    }
    is_found |= table::recount(pages, geometry, free)?;
    pages.barrier();
    Ok(is_found)
}

/// Makes the other tables those that the first one is.
fn align(pages: &mut Pages<'_>, part: &Part<'_>, geometry: &Geometry) -> Result<bool, FatError> {
    let Some((first, others)) = geometry.tables.split_first() else {
        return Ok(false);
    };
    let unit = u64::try_from(geometry.sector).unwrap_or(u64::MAX);
    let half_bytes = match geometry.kind {
        Kind::Fat12 => 3,
        Kind::Fat16 => 4,
        Kind::Fat32 => 8,
    };
    // What is behind the last entry is nothing of it.
    let sectors = (u64::from(geometry.end) * half_bytes).div_ceil(2 * unit);
    let mut is_found = false;
    for at in (0..sectors).step_by(usize::try_from(AT_ONCE).unwrap_or(1)) {
        let count = AT_ONCE.min(sectors - at) * unit;
        let size = usize::try_from(count).unwrap_or(usize::MAX);
        let right = part.bytes(first + at * unit, size)?;
        for other in others {
            let start = other + at * unit;
            let now = part.bytes(start, size)?;
            if now == right {
                continue;
            }
            is_found = true;
            pages.write(start, &right)?;
        }
    }
    pages.barrier();
    Ok(is_found)
}
