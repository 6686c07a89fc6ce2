//! Images of operating systems: fetched, checked and kept.

pub mod answer;
pub mod checksums;
pub mod pieces;
