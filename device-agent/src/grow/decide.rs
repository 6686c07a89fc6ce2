//! Which entries of a partition table are to reach to the end of the disk.
//!
//! In: a [`Table`], the disk's size, the number of the partition. Out: numbers, in the order in which they are written. Pure. That
//! order is safe at a cut of power: an extended partition that is larger than what it holds is whole, and the next call goes on.

use thiserror::Error;

use super::table::{Kind, Partition, Table};

/// Bytes for which nothing is written: alignment, and what the second table of GPT takes.
const LEAST: u64 = 10 * 1024 * 1024;

/// Why it cannot grow.
#[derive(Debug, PartialEq, Eq, Error)]
pub(crate) enum CannotGrow {
    /// The kernel knows it, the table does not.
    #[error("partition {0} is not in the partition table")]
    Unknown(u32),
    /// There is something in the way.
    #[error("partition {partition} cannot grow: partition {behind} lies behind it")]
    NotLast {
        /// The one that is to grow.
        partition: u32,
        /// The one in the way.
        behind: u32,
    },
}

/// Numbers of the entries that are to grow, first to last; none where the disk is full.
pub(super) fn decide(table: &Table, disk_bytes: u64, number: u32) -> Result<Vec<u32>, CannotGrow> {
    let of_number = |part: &&Partition| part.number == number;
    let partition = table.partitions.iter().find(of_number);
    let partition = partition.ok_or(CannotGrow::Unknown(number))?;
    let is_behind = |part: &&Partition| part.start >= partition.end() && !part.is_extended;
    if let Some(behind) = table.partitions.iter().find(is_behind) {
        return Err(CannotGrow::NotLast {
            partition: number,
            behind: behind.number,
        });
    }
    let is_roomy = |part: &Partition| {
        let used = part.end().saturating_mul(table.sector);
        disk_bytes.saturating_sub(used) > LEAST
    };
    let mut growing = Vec::new();
    if table.kind == Kind::Mbr {
        let holds = |part: &&Partition| {
            part.is_extended && part.start < partition.start && partition.end() <= part.end()
        };
        let holder = table.partitions.iter().find(holds);
        growing.extend(
            holder
                .filter(|holder| is_roomy(holder))
                .map(|part| part.number),
        );
    }
    if is_roomy(partition) {
        growing.push(number);
    }
    Ok(growing)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    /// Of partitions: number, first and size in MiB; 4 holds others on a table of four entries.
    fn table(kind: Kind, partitions: &[(u32, u64, u64)]) -> Table {
        let sectors = |mib: u64| mib * 2048;
        Table {
            kind,
            sector: 512,
            partitions: partitions
                .iter()
                .map(|(number, start, size)| Partition {
                    number: *number,
                    start: sectors(*start),
                    size: sectors(*size),
                    is_extended: kind == Kind::Mbr && *number == 4,
                })
                .collect(),
        }
    }

    #[test]
    fn the_last_partition_grows_and_what_holds_it_before() {
        let mbr = |extended, data| {
            table(
                Kind::Mbr,
                &[
                    (1, 4, 100),
                    (4, 104, extended),
                    (5, 108, 80),
                    (6, 192, data),
                ],
            )
        };
        let decided = |table: &Table, disk| decide(table, disk * MIB, 6);
        assert_eq!(decided(&mbr(280, 192), 8000), Ok(vec![4, 6]));
        // Power was cut after the first of them.
        assert_eq!(decided(&mbr(7896, 192), 8000), Ok(vec![6]));
        assert_eq!(decided(&mbr(7896, 7808), 8000), Ok(vec![]));
        assert_eq!(decided(&mbr(280, 192), 394), Ok(vec![]), "not for a few");
        let gpt = table(Kind::Gpt, &[(1, 4, 100), (4, 104, 80), (5, 184, 192)]);
        assert_eq!(decide(&gpt, 8000 * MIB, 5), Ok(vec![5]));
        assert_eq!(
            decide(&gpt, 100 * MIB, 5),
            Ok(vec![]),
            "a disk smaller than its table"
        );
    }

    #[test]
    fn what_is_not_the_last_one_stays() {
        let gpt = table(Kind::Gpt, &[(1, 4, 100), (5, 184, 192), (7, 400, 10)]);
        let not_last = CannotGrow::NotLast {
            partition: 5,
            behind: 7,
        };
        assert_eq!(decide(&gpt, 8000 * MIB, 5), Err(not_last));
        assert_eq!(decide(&gpt, 8000 * MIB, 6), Err(CannotGrow::Unknown(6)));
    }
}
