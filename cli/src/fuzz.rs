//! Doors into private parsers of foreign bytes, for the targets under `tests/fuzz/` and for nobody else.
//!
//! Each stands beside its parser and adds nothing to it.

pub use crate::{
    agent::fuzz::{error_words, log_item},
    discovery::fuzz::Network,
    transport::cloud_tunnel::fuzz::connect_reply,
    transport::ssh::kept::fuzz::{KeptFrames, kept_frames},
};

/// A message of a log line as it is written to a terminal, with or without colours.
#[must_use]
pub fn shown_message(text: &str, colour: bool) -> String {
    crate::ui::render::foreign::line(text, colour).into_owned()
}
