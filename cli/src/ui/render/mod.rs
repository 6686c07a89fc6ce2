//! One file for each operation: its events become lines, bars and JSON. Every sentence of an operation stands in its file.
pub mod act;
pub mod dry_run;
pub(crate) mod foreign;
pub mod info;
pub mod local;
pub mod log_filter;
pub mod logs;
pub mod new;
mod progress;
pub mod ps;
pub mod push;
mod remarks;
pub mod scan;
pub mod simulate;
pub mod simulate_system;
pub mod ssh;
pub mod ssh_config;
pub mod ssh_forget;
