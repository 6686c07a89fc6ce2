//! Disk images: what holds them, their partitions, the file system that a board boots from.
//!
//! In: bytes at offsets ([`ReadAt`], [`WriteAt`]): a file, a drive, an image that is unpacked as far as it is read. Out: values, and
//! writes as data. Nothing is mounted and nothing needs root. Every number that a medium holds is taken for a lie until it is within
//! its bounds. Nothing of the rest of this program is used here.

pub mod beside;
pub mod block_map;
pub mod boot;
pub mod container;
pub mod content;
mod disk;
pub mod ext4;
pub mod fat;
mod field;
mod medium;
pub mod table;

pub use disk::{Changed, Disk, DiskError, Holder, Purpose};
pub use fat::Done;
pub use medium::{Opened, Part, ReadAt, WriteAt};
