//! What an image is to be configured with, and what it holds.
//!
//! ```text
//!  wishes ─┐
//!  files ──┴─► plan (pure) ─► files as they are to be ─► image/ writes them
//! ```
//!
//! In: an image that is open, what a person wants. Out: files of its boot partition, a description of it. Nothing is asked of a
//! network, and no secret leaves the files that it is for.

mod certificates;
pub mod config;
pub mod inspect;
pub mod network;
mod ssh_key;
mod wishes;

pub use crate::project::registry::Secret;
pub use certificates::{CertificateError, Certificates};
pub use wishes::{CONFIG, File, WishError, Wishes, country, public_key};

/// Whether bytes are a text with such a part, as certificates and keys are: `-----BEGIN … what-----`.
fn is_pem(bytes: &[u8], what: &str) -> bool {
    let text = std::str::from_utf8(bytes).unwrap_or_default();
    let mut lines = text.lines().map(str::trim_end);
    let ends = format!("{what}-----");
    let is_edge = |line: &str, edge: &str| line.starts_with(edge) && line.ends_with(&ends);
    lines.any(|line| is_edge(line, "-----BEGIN ")) && lines.any(|line| is_edge(line, "-----END "))
}

/// Whether bytes hold a private key, in whichever part of a file and of whatever kind: `-----BEGIN … PRIVATE KEY…-----`.
fn has_private_key(bytes: &[u8]) -> bool {
    let begins = b"-----BEGIN ";
    let has = |line: &[u8], what: &[u8]| line.windows(what.len()).any(|part| part == what);
    bytes
        .split(|byte| [b'\n', b'\r'].contains(byte))
        .any(|line| has(line, begins) && has(line, b"PRIVATE KEY"))
}
