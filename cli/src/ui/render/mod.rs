//! One file for each operation: its events become lines, bars and JSON. Every sentence of an operation stands in its file.
pub mod new;
pub mod scan;
pub mod simulate;
