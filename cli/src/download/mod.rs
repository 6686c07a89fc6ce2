//! Images of operating systems: fetched, checked and kept.
//!
//! In: where an image is ([`Source`]), and what is to become of it. Out: a file that is whole and right, or an error and nothing. What is had from the
//! web goes by way of the cache (`cache.rs`): it is fetched (`fetch/`), checked by all that its server offers (`offered.rs`), and by its own recorded
//! checksum ever after. It is unpacked while it comes (`unpack.rs`), and has its place only then (`output.rs`).

pub mod answer;
pub mod cache;
pub mod checksums;
pub mod fetch;
pub mod joint;
pub mod link;
pub mod offered;
pub mod output;
mod patience;
pub mod pieces;
mod signature;
pub mod unpack;
pub mod web;
mod work;

pub use signature::SignatureError;
pub use work::{Doubt, DownloadError, Event, Had, Lists, Source, Want, download};
