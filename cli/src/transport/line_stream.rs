//! The lines of an answer that is read while it is being written.

use std::collections::VecDeque;

use super::{Line, Lines, Stream, TransportError};

/// The lines of a streamed body.
#[derive(Debug)]
pub struct LineStream {
    stream: Stream,
    lines: Lines,
    ready: VecDeque<Line>,
    ended: bool,
}

impl LineStream {
    /// Lines of at most `limit` bytes.
    #[must_use]
    pub fn new(stream: Stream, limit: usize) -> Self {
        Self {
            stream,
            lines: Lines::new(limit),
            ready: VecDeque::new(),
            ended: false,
        }
    }

    /// The next line; `None` at the end of the body. May be dropped while it waits: nothing that was read is lost.
    pub async fn next(&mut self) -> Result<Option<Line>, TransportError> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Ok(Some(line));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(piece) = self.stream.piece().await? {
                self.ready.extend(self.lines.push(&piece));
            } else {
                self.ended = true;
                self.ready.extend(self.lines.finish());
            }
        }
    }
}
