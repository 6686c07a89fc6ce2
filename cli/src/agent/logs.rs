//! The log stream of a device: newline-delimited JSON without an end.

use agent_api::log::LogLine;

use super::{AgentError, Position};
use crate::transport::{LineStream, Stream};

/// Bytes of one line of the stream. What is longer is cut, so that a service cannot fill this machine's memory.
const LINE_LIMIT: usize = 1 << 20;

/// A line of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogItem {
    /// A whole line.
    Line(LogLine),
    /// The beginning of a line that is too long.
    Cut {
        /// Its beginning.
        line: LogLine,
        /// Bytes of the stream that were left out.
        dropped: usize,
    },
    /// Something that is not a log line; the stream goes on behind it.
    Unreadable(String),
}

/// Log lines as they come. Dropping it ends the stream on the device, too.
#[derive(Debug)]
pub struct LogStream {
    lines: LineStream,
    position: Position,
}

impl LogStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            lines: LineStream::new(stream, LINE_LIMIT),
            position: Position::default(),
        }
    }

    /// The same stream as the continuation of one that was read up to a position.
    #[must_use]
    pub fn from(self, position: Position) -> Self {
        Self { position, ..self }
    }

    /// How far the log was read.
    #[must_use]
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// The next line; `None` when the device ended the stream. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<LogItem>, AgentError> {
        let Some(line) = self.lines.next().await? else {
            return Ok(None);
        };
        let item = parse(&line.bytes, line.dropped);
        if let LogItem::Line(line) | LogItem::Cut { line, .. } = &item {
            self.position.note(line);
        }
        Ok(Some(item))
    }
}

pub(super) fn parse(bytes: &[u8], dropped: usize) -> LogItem {
    if dropped == 0 {
        return match serde_json::from_slice(bytes) {
            Ok(line) => LogItem::Line(line),
            Err(error) => LogItem::Unreadable(error.to_string()),
        };
    }
    salvage(bytes).map_or_else(
        || LogItem::Unreadable("a line that is too long".to_owned()),
        |line| LogItem::Cut { line, dropped },
    )
}

/// Reads what there is of a line whose end was cut off inside its message: an escape sequence or a character may be cut, too,
/// so the end is moved back until the text closes.
fn salvage(bytes: &[u8]) -> Option<LogLine> {
    /// `\ud83d\ude00` is the longest sequence that may be cut.
    const LONGEST_SEQUENCE: usize = 12;
    (0..=LONGEST_SEQUENCE).find_map(|back| {
        let mut text = bytes.get(..bytes.len().checked_sub(back)?)?.to_vec();
        text.extend_from_slice(b"\"}");
        serde_json::from_slice(&text).ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn whole(message: &str) -> Vec<u8> {
        let line = LogLine {
            service_name: Some("web".to_owned()),
            message: message.to_owned(),
            is_system: None,
            is_std_err: Some(false),
            timestamp: Some(5),
            service_id: Some(1),
            ..LogLine::greeting()
        };
        serde_json::to_vec(&line).unwrap()
    }

    #[test]
    fn lines_of_the_recording_are_read() {
        let greeting = br#"{"message":"Streaming logs","isSystem":true}"#;
        assert_eq!(parse(greeting, 0), LogItem::Line(LogLine::greeting()));
        let line = br#"{"serviceName":"web","message":"x\r","isStdErr":false,"timestamp":1795402169059,"serviceId":1}"#;
        let LogItem::Line(line) = parse(line, 0) else {
            panic!("not a line");
        };
        assert_eq!(line.message, "x\r");
        assert_eq!(line.timestamp, Some(1_795_402_169_059));
    }

    #[test]
    fn rubbish_is_told_and_survived() {
        for rubbish in [
            &b"not json"[..],
            b"{}",
            b"[1,2]",
            b"{\"message\":5}",
            b"\xff\xfe",
        ] {
            assert!(matches!(parse(rubbish, 0), LogItem::Unreadable(_)));
            assert!(matches!(parse(rubbish, 9), LogItem::Unreadable(_)));
        }
    }

    #[test]
    fn a_cut_line_keeps_its_service_wherever_it_was_cut() {
        let whole = whole("ab\n\u{1f600}\u{7}ü\"end of the message");
        let start = whole.windows(9).position(|w| w == b"\"message\"").unwrap() + 11;
        let end = whole
            .windows(12)
            .position(|w| w == b"\",\"isStdErr\"")
            .unwrap();
        for cut in start..end {
            let LogItem::Cut { line, dropped: 7 } = parse(&whole[..cut], 7) else {
                panic!("nothing was saved at {cut}");
            };
            assert_eq!(line.service_name.as_deref(), Some("web"));
            assert!("ab\n\u{1f600}\u{7}ü\"end of the message".starts_with(&line.message));
        }
    }
}
