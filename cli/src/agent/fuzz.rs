//! A door for the fuzz target of what devices answer.

use super::{LogItem, client, logs};

/// A line of the log stream, of which `dropped` bytes are missing at the end.
#[must_use]
pub fn log_item(bytes: &[u8], dropped: usize) -> LogItem {
    logs::parse(bytes, dropped)
}

/// What the body of an error says.
#[must_use]
pub fn error_words(body: &[u8]) -> String {
    client::words(body)
}
