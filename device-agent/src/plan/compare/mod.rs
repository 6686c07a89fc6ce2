//! What makes a container or a network differ from what it should be, in words.
//!
//! Pure. Environment and labels are told by key, never by value: values may be secrets.

mod network;
mod service;
#[cfg(test)]
mod tests;
mod volume;

pub(super) use network::network;
pub(super) use service::{Scope, service};
pub(super) use volume::volume;

/// Differences that are told; more are counted.
const MAX_TOLD: usize = 8;

/// `image, env.FOO changed`.
pub(super) fn because(differences: &[String]) -> String {
    let told = differences
        .iter()
        .take(MAX_TOLD)
        .map(String::as_str)
        .collect::<Vec<_>>()
        .join(", ");
    match differences.len().saturating_sub(MAX_TOLD) {
        0 => format!("{told} changed"),
        more => format!("{told} and {more} more changed"),
    }
}
