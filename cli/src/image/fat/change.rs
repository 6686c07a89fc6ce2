//! What is asked of a file system, and what becomes of it.

use super::Step;

/// What is to become of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'c> {
    /// It is to hold this. Folders on its way are made.
    Put(&'c str, &'c [u8]),
    /// It is to be gone. One that is not there is gone already.
    Remove(&'c str),
}

impl Change<'_> {
    /// The file's.
    #[must_use]
    pub fn path(&self) -> &str {
        match self {
            Self::Put(path, _) | Self::Remove(path) => path.trim_start_matches('/'),
        }
    }
}

/// What becomes of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Done {
    /// It was not there before.
    Added,
    /// It was there, and was another one.
    Changed,
    /// It is gone.
    Removed,
    /// It was as it is to be.
    Same,
}

/// What became of files.
#[derive(Debug)]
pub struct Outcome {
    /// Of each.
    pub done: Vec<Done>,
    /// Whether something was put right that an earlier change left which was cut.
    pub is_mended: bool,
}

/// What has to be written for changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What becomes of each file.
    pub done: Vec<Done>,
    /// Whether something is put right that an earlier change left which was cut.
    pub is_mended: bool,
    /// In their order; none where nothing changes.
    pub steps: Vec<Step>,
}

/// A moment as FAT keeps it: in steps of two seconds, without a time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    pub(super) date: u16,
    pub(super) time: u16,
}

impl Stamp {
    /// A moment of the years 1980 to 2107; the nearest of them for others.
    #[must_use]
    pub fn new(now: jiff::civil::DateTime) -> Self {
        let number = |number: i8| u16::try_from(number).unwrap_or_default();
        let year = u16::try_from(now.year().clamp(1980, 2107) - 1980).unwrap_or_default();
        Self {
            date: year << 9 | number(now.month()) << 5 | number(now.day()),
            time: number(now.hour()) << 11 | number(now.minute()) << 5 | (number(now.second()) / 2),
        }
    }
}
