//! Which partition holds the data, and how large it has to be. Pure but for names of file systems, which are read.

use crate::image::{
    ReadAt, ext4,
    table::{Kind, Partition, Table},
};

/// What the partition is called: in a GPT, or by its file system.
const NAMES: [&str; 2] = ["resin-data", "balena-data"];
/// Partitions end at multiples of it.
const ALIGN: u64 = 1 << 20;
/// Bytes behind the last partition, where a GPT has its copy.
const BEHIND: u64 = ALIGN;
/// What a file system takes for itself of what it grows by: a part of it, and always this.
const PART: u64 = 8;
const ALWAYS: u64 = 16 << 20;

/// A partition of an image, and what is around it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Data {
    /// The partition.
    pub partition: Partition,
    /// Whether another one lies behind it.
    pub is_followed: bool,
    /// Which kind of table has it.
    pub kind: Kind,
}

/// The partition for data: the one of that name, else the last one with such a file system. `None`: there is none.
#[must_use]
pub fn find(medium: &dyn ReadAt, table: &Table) -> Option<Data> {
    let label = |partition: &Partition| ext4::label(medium, partition);
    let is_named = |partition: &&Partition| {
        let own = partition.name.clone();
        let is_one = |name: &String| NAMES.contains(&name.as_str());
        own.as_ref().is_some_and(is_one) || label(partition).as_ref().is_some_and(is_one)
    };
    let with_system = |partition: &&Partition| ext4::room(medium, partition).is_some();
    let named = table.partitions.iter().find(is_named);
    let last = || {
        table
            .partitions
            .iter()
            .filter(with_system)
            .max_by_key(|partition| partition.start)
    };
    let partition = named.or_else(last)?.clone();
    Some(Data {
        is_followed: table
            .partitions
            .iter()
            .any(|other| other.start > partition.start),
        kind: table.kind,
        partition,
    })
}

impl Data {
    /// Bytes of the partition, if its file system is to have so many more for files.
    #[must_use]
    pub fn grown(&self, size: u64, missing: u64) -> u64 {
        let more = missing
            .saturating_add(missing / PART)
            .saturating_add(ALWAYS);
        let end = self
            .partition
            .start
            .saturating_add(size)
            .saturating_add(more);
        let end = end.div_ceil(ALIGN).saturating_mul(ALIGN);
        end.saturating_sub(self.partition.start)
    }

    /// Bytes of the image whose last partition has so many.
    #[must_use]
    pub fn image(&self, size: u64) -> u64 {
        let end = self.partition.start.saturating_add(size);
        match self.kind {
            Kind::Gpt | Kind::GptCopy => end.saturating_add(BEHIND),
            Kind::Mbr | Kind::None => end,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(kind: Kind) -> Data {
        Data {
            partition: Partition {
                number: 6,
                start: 60 << 20,
                size: 36 << 20,
                name: None,
            },
            is_followed: false,
            kind,
        }
    }

    #[test]
    fn it_grows_by_what_is_missing_and_what_the_file_system_takes() {
        let in_gpt = data(Kind::Gpt);
        let data = data(Kind::Mbr);
        let grown = data.grown(36 << 20, (80 << 20) + 1);
        assert_eq!(grown % ALIGN, 0);
        assert_eq!(grown >> 20, 36 + 80 + 10 + 16 + 1);
        assert_eq!(data.image(grown), data.partition.start + grown);
        assert_eq!(in_gpt.image(ALIGN), 62 << 20);
        // What a table may say is not more than what it means.
        assert!(data.grown(u64::MAX, u64::MAX) > u64::MAX - data.partition.start - ALIGN);
    }
}
