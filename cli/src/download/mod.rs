//! Images of operating systems: fetched, checked and kept.

pub mod checksums;
