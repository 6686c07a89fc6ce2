//! Doors for the fuzz targets of the engine's log stream, of the journal, and of the file with the agent's own lines.

use std::path::Path;

use agent_api::log::LogLine;

use super::journal::Rows;
use super::kept::Kept;
use super::lines::{Decoder, Text};
use super::places::Places;
use super::splitter::Splitter;
use super::system_row;

/// A line that was put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogText {
    /// Without its line feed.
    pub message: String,
    /// From standard error.
    pub is_std_err: bool,
    /// Nanoseconds since the Unix epoch.
    pub nanos: i64,
}

/// The lines of a stream that arrives in these pieces, of a container with or without a terminal.
pub fn log_lines<'a>(tty: bool, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<LogText> {
    let mut lines = Vec::new();
    let mut decoder = Decoder::new(tty);
    let mut give = |text| lines.push(LogText::from(text));
    for piece in pieces {
        decoder.feed(piece, &mut give);
    }
    decoder.finish(&mut give);
    lines
}

/// The lines in rows of the journal with the containers' ids and names, or what is wrong with a row.
#[must_use]
pub fn journal_lines(rows: &[u8]) -> Vec<Result<(String, String, LogText), String>> {
    let mut journal = Rows::default();
    rows.split(|byte| *byte == b'\n')
        .filter_map(|row| match journal.take(row) {
            Ok(line) => line.map(|line| Ok((line.container, line.name, LogText::from(line.text)))),
            Err(error) => Some(Err(error.to_string())),
        })
        .collect()
}

/// Rows of the system's journal, each with its line if it has one, or with what is wrong with it.
#[must_use]
pub fn system_lines(rows: &[u8]) -> Vec<Result<Option<LogLine>, String>> {
    let mut lines = Vec::new();
    let mut splitter = Splitter::default();
    splitter.feed(rows, |row| {
        lines.push(match row {
            Some(row) => system_row::read(row)
                .map(|row| row.line)
                .map_err(|error| error.to_string()),
            None => Err("a row of the journal is too long".to_owned()),
        });
    });
    lines
}

/// The agent's own lines that a former run has left in a file. The file is written anew.
#[must_use]
pub fn own_lines(file: &Path) -> Vec<LogText> {
    let (lines, _) = Kept::open(Some(file), 1).after(&Places::new(0, []));
    lines
        .iter()
        .map(|line| LogText {
            message: line.text.message.clone(),
            is_std_err: line.text.is_std_err == Some(true),
            nanos: line.place.nanos,
        })
        .collect()
}

impl From<Text> for LogText {
    fn from(text: Text) -> Self {
        Self {
            message: text.message,
            is_std_err: text.is_std_err,
            nanos: text.nanos,
        }
    }
}
