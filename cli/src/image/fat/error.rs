//! What can be wrong with a FAT file system, or with what is asked of it.

use std::io;

/// Why it is not read, or not changed. Nothing was written.
#[derive(Debug, thiserror::Error)]
pub enum FatError {
    /// The medium.
    #[error("the file system cannot be read")]
    Read(#[from] io::Error),
    /// It is none, or a broken one.
    #[error("it is no FAT file system: {0}")]
    NotFat(&'static str),
    /// What it says of itself cannot be.
    #[error("the FAT file system is damaged: {0}: check it with fsck.vfat")]
    Damaged(String),
    /// A name that FAT cannot have.
    #[error("{path} cannot be a name on a FAT file system: {because}")]
    Name {
        /// What was asked for.
        path: String,
        /// Why not.
        because: &'static str,
    },
    /// Nothing of this name.
    #[error("there is no {path}")]
    NotFound {
        /// What was asked for.
        path: String,
    },
    /// A folder where a file should be, or the other way round.
    #[error("{path} is a {found}, and not a {wanted}")]
    Kind {
        /// What was asked for.
        path: String,
        /// What is there.
        found: &'static str,
        /// What should be.
        wanted: &'static str,
    },
    /// No room for the content.
    #[error("no room for {path}: {needed} bytes are needed, and {free} are free")]
    Full {
        /// What was to be written.
        path: String,
        /// Bytes that it takes.
        needed: u64,
        /// Bytes that are there.
        free: u64,
    },
    /// No room for the name.
    #[error("no room for the name of {path}: its folder has as many entries as it can have")]
    FolderFull {
        /// What was to be written.
        path: String,
    },
    /// More than is read at once.
    #[error("{path} has {size} bytes, and {most} are read at most")]
    Large {
        /// What was asked for.
        path: String,
        /// How much it has.
        size: u64,
        /// The bound.
        most: u64,
    },
}
