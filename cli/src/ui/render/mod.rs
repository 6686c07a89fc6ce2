//! One file for each operation: its events become lines, bars and JSON. Every sentence of an operation stands in its file.
pub(crate) mod foreign;
pub mod logs;
pub mod new;
mod progress;
pub mod push;
pub mod scan;
pub mod simulate;
