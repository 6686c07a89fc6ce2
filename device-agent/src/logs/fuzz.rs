//! A door for the fuzz target of the engine's log stream.

use super::lines::Decoder;

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
    let mut give = |text: super::lines::Text| {
        lines.push(LogText {
            message: text.message,
            is_std_err: text.is_std_err,
            nanos: text.nanos,
        });
    };
    for piece in pieces {
        decoder.feed(piece, &mut give);
    }
    decoder.finish(&mut give);
    lines
}
