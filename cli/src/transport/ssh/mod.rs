//! What SSH needs to know before a connection is made: the person's OpenSSH configuration, and whose host key is whose.

pub mod config;
pub mod host_keys;
mod pattern;
