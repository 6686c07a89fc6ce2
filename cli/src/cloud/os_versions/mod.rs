//! The versions of an operating system that a cloud offers for a device type, and which of them is meant. Pure.
//!
//! They are releases of applications that are hosts (`is_host`); an application with the tag `release-policy: esr` has those that are
//! supported for longer, whose lines its tags `esr-next`, `esr-current` and `esr-sunset` name by ranges.

mod answers;
mod choose;
mod types;
mod version;

#[cfg(test)]
mod tests;

pub use answers::{path, versions};
pub use choose::{NoVersion, Wanted, choose};
pub use types::{DeviceType, find, near, types};
pub use version::{Line, OsVersion};
