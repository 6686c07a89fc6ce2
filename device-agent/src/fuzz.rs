//! Doors into private parsers of foreign bytes, for the targets under `tests/fuzz/` and for nobody else.
//!
//! Each stands beside its parser and adds nothing to it.

use std::path::Path;

use crate::memory::Memory;
pub use crate::{
    announce::fuzz::{Heard, Responder},
    api::fuzz::{LogWish, OtherBody, log_query, other_body, target_body},
    configure::fuzz::{Configured, configured, connection, dispatcher_script},
    grow::fuzz::growing,
    health::fuzz::other_kept,
    host::proxy::fuzz::redsocks_conf,
    logs::fuzz::{LogText, journal_lines, log_lines, own_lines, system_lines},
    os_config::fuzz::{Joined, joined},
    preload::fuzz::preloaded,
    store::fuzz::{read_state, write_state},
};

/// Reads the agent's memory in a state directory: how many keys of services it understood, and what was wrong with it.
#[must_use]
pub fn read_memory(dir: &Path) -> (usize, Option<String>) {
    let (memory, fault) = Memory::open(dir);
    (memory.api_keys().len(), fault)
}
