//! The partition that a board boots from, where its configuration lies.

use super::{
    ReadAt,
    fat::{FatError, Volume},
    table::{self, Kind, Partition, Table, TableError},
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
pub enum BootError {
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
    /// No partition at all.
    #[error("the disk has no partitions")]
    None,
}

impl Boot {
    /// Looks for it.
    ///
    /// # Errors
    /// [`BootError`].
    pub fn find(medium: &dyn ReadAt) -> Result<(Self, Table), BootError> {
        let table = table::read(medium)?;
        if table.kind == Kind::None {
            let partition = Partition {
                number: 0,
                start: 0,
                size: medium.size(),
                name: None,
            };
            let by = By::Whole;
            return Ok((Self { partition, by }, table));
        }
        let candidates: Vec<Candidate<'_>> = table
            .partitions
            .iter()
            .map(|partition| Candidate::of(medium, partition))
            .collect();
        let found = decide(&candidates).ok_or(BootError::None)?;
        Ok((found, table))
    }

    /// Its file system.
    ///
    /// # Errors
    /// [`BootError::FileSystem`].
    pub fn volume<'m>(&self, medium: &'m dyn ReadAt) -> Result<Volume<'m>, BootError> {
        let part = self.partition.part(medium);
        Volume::open(part).map_err(|source| BootError::FileSystem {
            number: self.partition.number,
            source,
        })
    }
}

/// What is known of a partition.
struct Candidate<'t> {
    partition: &'t Partition,
    label: Option<String>,
    has_mark: bool,
}

impl<'t> Candidate<'t> {
    fn of(medium: &dyn ReadAt, partition: &'t Partition) -> Self {
        // What is no FAT, or broken, is just not it, unless nothing else is.
        let volume = Volume::open(partition.part(medium)).ok();
        let root = volume.as_ref().and_then(|volume| volume.list("").ok());
        Self {
            partition,
            label: volume.as_ref().and_then(|volume| volume.label().ok()?),
            has_mark: root.is_some_and(|root| root.iter().any(|entry| entry.name == MARK)),
        }
    }

    fn name(&self) -> Option<&str> {
        let names = [self.partition.name.as_deref(), self.label.as_deref()];
        let mut names = names.into_iter().flatten();
        names.find(|name| NAMES.contains(name))
    }
}

fn decide(candidates: &[Candidate<'_>]) -> Option<Boot> {
    let named = candidates
        .iter()
        .find_map(|found| Some((found, By::Name(found.name()?.to_owned()))));
    let marked = || candidates.iter().find(|found| found.has_mark);
    let first = || candidates.iter().min_by_key(|found| found.partition.number);
    let (found, by) = named
        .or_else(|| Some((marked()?, By::Mark)))
        .or_else(|| Some((first()?, By::Order)))?;
    Some(Boot {
        partition: found.partition.clone(),
        by,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(number: u32, name: Option<&str>) -> Partition {
        Partition {
            number,
            start: 0,
            size: 1,
            name: name.map(str::to_owned),
        }
    }

    /// What is found among partitions of these numbers, names, labels, and with or without the file.
    fn found(partitions: &[(u32, Option<&str>, Option<&str>, bool)]) -> Option<(u32, By)> {
        let all: Vec<Partition> = partitions
            .iter()
            .map(|(number, name, ..)| partition(*number, *name))
            .collect();
        let candidates: Vec<Candidate<'_>> = partitions
            .iter()
            .zip(&all)
            .map(|((_, _, label, has_mark), partition)| Candidate {
                partition,
                label: label.map(str::to_owned),
                has_mark: *has_mark,
            })
            .collect();
        decide(&candidates).map(|boot| (boot.partition.number, boot.by))
    }

    #[test]
    fn a_name_counts_more_than_a_file_and_that_more_than_the_order() {
        let name = |name: &str| By::Name(name.to_owned());
        let label = Some("resin-boot");
        assert_eq!(found(&[]), None);
        assert_eq!(
            found(&[(1, None, None, true), (5, None, label, false)]),
            Some((5, name("resin-boot")))
        );
        assert_eq!(
            found(&[
                (1, Some("EFI"), None, true),
                (2, Some("flash-boot"), None, false)
            ]),
            Some((2, name("flash-boot")))
        );
        assert_eq!(
            found(&[(1, None, Some("OTHER"), false), (3, None, None, true)]),
            Some((3, By::Mark))
        );
        assert_eq!(
            found(&[(2, None, None, false), (1, None, None, false)]),
            Some((1, By::Order))
        );
    }
}
