//! A line of the log, and how it is written for clients.

use std::sync::OnceLock;

use agent_api::cursor::Cursor;
use agent_api::log::LogLine;

/// A line and its place.
#[derive(Debug)]
pub(crate) struct Line {
    /// What clients get on the reference's route.
    pub(crate) text: LogLine,
    /// Where it is in the log.
    pub(crate) place: Cursor,
    /// Its service wants nobody to be told it who does not ask for the service by name.
    pub(super) is_withheld: bool,
    /// What clients get on our route, once for all of them.
    ours: OnceLock<Vec<u8>>,
}

impl Line {
    pub(crate) fn new(text: LogLine, place: Cursor) -> Self {
        Self {
            text,
            place,
            is_withheld: false,
            ours: OnceLock::new(),
        }
    }

    /// The same, withheld or not.
    pub(super) fn withheld(self, is_withheld: bool) -> Self {
        Self {
            is_withheld,
            ..self
        }
    }

    /// The line as JSON of our own route, with its line end: the place in it, and without the carriage return of terminals.
    pub(crate) fn ours(&self) -> &[u8] {
        self.ours.get_or_init(|| {
            let message = &self.text.message;
            let text = LogLine {
                message: message.strip_suffix('\r').unwrap_or(message).to_owned(),
                cursor: Some(self.place.to_string()),
                ..self.text.clone()
            };
            let mut json = serde_json::to_vec(&text).unwrap_or_else(|error| {
                tracing::error!(%error, "a line could not be written as JSON");
                b"{}".to_vec()
            });
            json.push(b'\n');
            json
        })
    }
}
