//! The partition that a board boots from, where its configuration lies.

use std::io;

use super::{
    ReadAt,
    fat::{FatError, Volume},
    table::{self, Depth, Kind, Partition, TableError},
};

/// What the partition is called: in a GPT, or by its file system. `flash-`: on an image that installs another one.
pub const NAMES: [&str; 3] = ["resin-boot", "flash-boot", "balena-boot"];
/// A file that every image of the ecosystem has there.
const MARK: &str = "device-type.json";

/// How the partition was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum By {
    /// By its name.
    Name(String),
    /// It has no name, and `device-type.json`.
    Mark,
    /// It is the first one; nothing says that it is the right one.
    Order,
    /// The image is nothing else.
    Whole,
}

/// Where a board's configuration lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Boot {
    /// The partition.
    pub partition: Partition,
    /// How it was found.
    pub by: By,
}

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub enum PartitionError {
    /// The table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// Its file system.
    #[error("the boot partition (partition {number}) cannot be used")]
    FileSystem {
        /// Its number.
        number: u32,
        /// What is wrong with it.
        #[source]
        source: FatError,
    },
    /// No partition that could be it.
    #[error("none of its partitions has a FAT file system")]
    None,
}

impl Boot {
    /// Looks for it, no further back than it has to.
    ///
    /// # Errors
    /// [`PartitionError`].
    pub fn find(medium: &dyn ReadAt) -> Result<Self, PartitionError> {
        let look = |partition: &Partition| {
            Look::at(medium, partition).map_err(|source| PartitionError::FileSystem {
                number: partition.number,
                source,
            })
        };
        let first = table::read(medium, Depth::First)?;
        if first.kind == Kind::None {
            let partition = Partition {
                number: 0,
                start: 0,
                size: medium.size(),
                name: None,
            };
            let by = By::Whole;
            return Ok(Self { partition, by });
        }
        let found = decide(&first.partitions, look)?;
        if !first.has_more
            || matches!(
                found,
                Some(Self {
                    by: By::Name(_),
                    ..
                })
            )
        {
            return found.ok_or(PartitionError::None);
        }
        let all = table::read(medium, Depth::All)?;
        decide(&all.partitions, look)?.ok_or(PartitionError::None)
    }

    /// Its file system.
    ///
    /// # Errors
    /// [`PartitionError::FileSystem`].
    pub fn volume<'m>(&self, medium: &'m dyn ReadAt) -> Result<Volume<'m>, PartitionError> {
        let part = self.partition.part(medium);
        Volume::open(part).map_err(|source| PartitionError::FileSystem {
            number: self.partition.number,
            source,
        })
    }
}

/// What is found in a partition.
#[derive(Default)]
struct Look {
    is_fat: bool,
    label: Option<String>,
    has_mark: bool,
}

impl Look {
    /// What is no FAT, or broken, is just not it, unless nothing else is. A medium that cannot be read is another matter.
    fn at(medium: &dyn ReadAt, partition: &Partition) -> Result<Self, FatError> {
        let volume = match Volume::open(partition.part(medium)) {
            Err(FatError::Read(error)) if !is_behind(&error) => return Err(error.into()),
            Err(_) => return Ok(Self::default()),
            Ok(volume) => volume,
        };
        let (root, label) = match (volume.list(""), volume.label()) {
            (Err(FatError::Read(error)), _) | (_, Err(FatError::Read(error)))
                if !is_behind(&error) =>
            {
                return Err(error.into());
            }
            (root, label) => (root.unwrap_or_default(), label.unwrap_or_default()),
        };
        Ok(Self {
            is_fat: true,
            label,
            has_mark: root.iter().any(|entry| entry.name == MARK),
        })
    }
}

/// Whether it lies behind the end of the medium, or further back than is looked.
fn is_behind(error: &io::Error) -> bool {
    [io::ErrorKind::UnexpectedEof, io::ErrorKind::FileTooLarge].contains(&error.kind())
}

/// Looks into no more partitions than it has to: of a packed image, each one further back has to be unpacked.
fn decide<E>(
    partitions: &[Partition],
    mut look: impl FnMut(&Partition) -> Result<Look, E>,
) -> Result<Option<Boot>, E> {
    let boot = |partition: &Partition, by: By| Boot {
        partition: partition.clone(),
        by,
    };
    let is_known = |name: &str| NAMES.contains(&name);
    let named = partitions.iter().find_map(|partition| {
        let name = partition.name.as_deref().filter(|name| is_known(name))?;
        Some(boot(partition, By::Name(name.to_owned())))
    });
    if named.is_some() {
        return Ok(named);
    }
    let mut in_order: Vec<&Partition> = partitions.iter().collect();
    in_order.sort_by_key(|partition| partition.start);
    let mut marked = None;
    let mut others = Vec::new();
    for partition in in_order {
        let found = look(partition)?;
        match found.label {
            Some(label) if is_known(&label) => return Ok(Some(boot(partition, By::Name(label)))),
            _ if found.has_mark => marked = marked.or(Some(boot(partition, By::Mark))),
            _ if found.is_fat => others.push(partition),
            _ => {}
        }
    }
    let first = others
        .into_iter()
        .min_by_key(|partition| partition.number)
        .map(|partition| boot(partition, By::Order));
    Ok(marked.or(first))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, name: Option<&str>) -> Partition {
        Partition {
            number,
            start: number.into(),
            size: 1,
            name: name.map(str::to_owned),
        }
    }

    /// What is found among partitions of these numbers, names, labels, and with or without the file; and how many are looked into.
    fn found(partitions: &[(u32, Option<&str>, Option<&str>, bool)]) -> (Option<(u32, By)>, usize) {
        let all: Vec<Partition> = partitions
            .iter()
            .map(|(number, name, ..)| partition(*number, *name))
            .collect();
        let mut looks = 0;
        let look = |partition: &Partition| {
            looks += 1;
            let (_, _, label, has_mark) = partitions
                .iter()
                .find(|(number, ..)| *number == partition.number)
                .unwrap();
            Ok::<_, ()>(Look {
                is_fat: *label != Some("ext4"),
                label: label.map(str::to_owned),
                has_mark: *has_mark,
            })
        };
        let boot = decide(&all, look).unwrap();
        (boot.map(|boot| (boot.partition.number, boot.by)), looks)
    }

    #[test]
    fn a_name_counts_more_than_a_file_and_that_more_than_the_order() {
        let name = |name: &str| By::Name(name.to_owned());
        let label = Some("resin-boot");
        assert_eq!(found(&[]), (None, 0));
        assert_eq!(
            found(&[(5, None, label, false), (1, None, None, true)]),
            (Some((5, name("resin-boot"))), 2)
        );
        assert_eq!(
            found(&[(1, None, label, true), (2, None, None, false)]),
            (Some((1, name("resin-boot"))), 1)
        );
        let gpt = [
            (1, Some("EFI"), None, true),
            (2, Some("flash-boot"), None, false),
        ];
        assert_eq!(found(&gpt), (Some((2, name("flash-boot"))), 0));
        assert_eq!(
            found(&[(1, None, Some("OTHER"), false), (3, None, None, true)]),
            (Some((3, By::Mark)), 2)
        );
        assert_eq!(
            found(&[(2, None, None, false), (1, None, None, false)]),
            (Some((1, By::Order)), 2)
        );
        // What is no FAT is not the one, whatever its number.
        assert_eq!(
            found(&[(1, None, Some("ext4"), false), (15, None, None, false)]),
            (Some((15, By::Order)), 2)
        );
        assert_eq!(found(&[(1, None, Some("ext4"), false)]), (None, 1));
    }
}
