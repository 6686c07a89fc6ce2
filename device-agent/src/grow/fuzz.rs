//! A door for the fuzz target over partition tables.

use super::{decide, table};

/// Numbers of the partitions that would grow on a disk of this many bytes, or why none.
///
/// # Errors
/// Words for people.
pub fn growing(written: &[u8], disk_bytes: u64, number: u32) -> Result<Vec<u32>, String> {
    let table = table::read(written).map_err(|error| error.to_string())?;
    decide::decide(&table, disk_bytes, number).map_err(|error| error.to_string())
}
