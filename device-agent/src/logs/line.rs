//! A line of the log, and how it is written for clients.

use std::sync::OnceLock;

use agent_api::cursor::Cursor;
use agent_api::log::LogLine;
use serde::{Serialize, Serializer};

/// Bytes of a line's JSON beside its message, with a name of ordinary length.
const AROUND: usize = 192;

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
            let mut json = Vec::with_capacity(self.text.message.len() + AROUND);
            let message = &self.text.message;
            let written = if let Some(message) = message.strip_suffix('\r') {
                let text = LogLine {
                    message: message.to_owned(),
                    ..self.text.clone()
                };
                self.write(&text, &mut json)
            } else {
                self.write(&self.text, &mut json)
            };
            if let Err(error) = written {
                tracing::error!(%error, "a line could not be written as JSON");
                json.clear();
                json.extend_from_slice(b"{}");
            }
            json.push(b'\n');
            json
        })
    }

    fn write(&self, text: &LogLine, json: &mut Vec<u8>) -> serde_json::Result<()> {
        let cursor = AsText(&self.place);
        serde_json::to_writer(json, &Ours { text, cursor })
    }
}

/// A line with its place, without a copy of it.
#[derive(Serialize)]
struct Ours<'a> {
    #[serde(flatten)]
    text: &'a LogLine,
    cursor: AsText<'a>,
}

struct AsText<'a>(&'a Cursor);

impl Serialize for AsText<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self.0)
    }
}
