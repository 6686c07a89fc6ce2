//! The new image, out of the old one and the file system that has grown.

use std::fs::File;

use super::{
    Doing, PreloadError, Told,
    attend::Way,
    copy::{self, Span},
    medium,
    partition::Data,
    tools,
};
use crate::image::table::{self, Depth, Partition, TableError};

/// Writes it: everything around the partition as it was, and the partition.
pub(super) fn assemble(
    (before, after): (&File, &File),
    system: &File,
    data: &Data,
    (way, told): (Way<'_>, &mut Told<'_>),
) -> Result<(), PreloadError> {
    let partition = &data.partition;
    let size = system.metadata()?.len();
    let old = before.metadata()?.len();
    let end = partition.start.saturating_add(size);
    let has_grown = size != partition.size;
    let length = if has_grown {
        old.max(data.image(size))
    } else {
        old
    };
    after.set_len(length)?;
    let head = Span {
        from: 0,
        to: 0,
        size: partition.start,
    };
    copy::copy(before, after, head, &mut |bytes| {
        told(Doing::Writing(bytes, end))
    })?;
    if length == old {
        // What a longer image has behind the partition is the copy of a GPT, which is written anew.
        let tail = Span {
            from: end,
            to: end,
            size: old.saturating_sub(end),
        };
        copy::copy(before, after, tail, &mut |_| Ok(()))?;
    }
    if has_grown {
        lengthen(after, partition, size, (way, told))?;
    }
    let body = Span {
        from: 0,
        to: partition.start,
        size,
    };
    copy::copy(system, after, body, &mut |bytes| {
        told(Doing::Writing(partition.start.saturating_add(bytes), end))
    })?;
    // It is found where it was, and as long as it is now.
    let (medium, _) = medium(after)?;
    let table = table::read(medium.as_ref(), Depth::All)?;
    let is_there = table.partitions.iter().any(|found| {
        (found.number, found.start, found.size) == (partition.number, partition.start, size)
    });
    if is_there {
        Ok(())
    } else {
        let words = "the data partition is not where it was".to_owned();
        Err(TableError::Damaged(words).into())
    }
}

/// Lets the table of the new image know how long the partition is: the one around it first.
fn lengthen(
    disk: &File,
    partition: &Partition,
    size: u64,
    (way, told): (Way<'_>, &mut Told<'_>),
) -> Result<(), PreloadError> {
    let (medium, _) = medium(disk)?;
    if let Some(around) = table::around(medium.as_ref(), partition)? {
        tools::lengthen(way, disk, (around, None), told)?;
    }
    let sectors = size / table::SECTOR;
    let part = (partition.number, Some(sectors));
    Ok(tools::lengthen(way, disk, part, told)?)
}
