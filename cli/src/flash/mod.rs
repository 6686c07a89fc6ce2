//! Writes an image to drives, so that a drive with half of it never boots.
//!
//! In: an image, drives that are open, a sender of [`Event`]s. Out: what became of each drive. Knows no terminal.
//!
//! ```text
//!  image ─► source (unpacked, checked, summed) ─► pieces ─┬─► a thread for each drive: clear, write, read back, end, head
//!                                                         └─► …
//! ```
//!
//! The first 4 MiB of a drive, with every kind of table and boot loader, are cleared until all else is on the medium and was read back from
//! it, but for marks while that is done (`write/marks.rs`); the very first block is zeros, and comes last.

pub mod bmap;
mod buffer;
pub mod choose;
pub mod drives;
mod error;
mod event;
mod extents;
mod image;
mod medium;
pub mod named;
mod record;
mod run;
mod source;
mod target;
#[cfg(test)]
mod tests;
mod write;

pub use error::{DriveError, FlashError};
pub use event::{Event, Events, Outcome, Phase};
pub use image::{Image, Looks};
pub use run::{Destination, Order, Short, Unknown, flash};
pub use target::{Access, Kind, Target, kind, read_tables_anew};
