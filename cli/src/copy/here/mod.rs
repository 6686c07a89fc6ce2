//! Files of this machine: what is copied from it, and the folder that is copied to.
//!
//! Nothing is written through a link below that folder: every folder on the way is opened from the one above it, and must be one.

mod part;
mod root;
mod walk;

pub(super) use part::{Part, hash_of, hex};
pub(super) use root::Root;
pub(super) use walk::walk;
