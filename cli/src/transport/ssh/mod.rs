//! What SSH needs to know before a connection is made: the person's OpenSSH configuration, and whose host key is whose.

pub mod config;
pub mod host_keys;
mod names;
mod pattern;
mod private_file;

pub use names::{InvalidNames, Named, Names};
pub use private_file::{PrivateFile, PrivateFileError};
