//! The log stream of a device: newline-delimited JSON without an end.

use agent_api::log::LogLine;

use super::AgentError;
use crate::transport::{LineStream, Stream, encode_query};

/// Bytes of one line of the stream. What is longer is cut, so that a service cannot fill this machine's memory.
const LINE_LIMIT: usize = 1 << 20;

/// Which lines of our agent's log are wanted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LogQuery {
    /// How many past lines come first.
    pub tail: Option<u32>,
    /// Only these services; all when empty, unless only the device's own lines are wanted.
    pub services: Vec<String>,
    /// Lines of the device itself: on their own, or beside those of the services that were named.
    pub system: bool,
    /// End after the past lines.
    pub once: bool,
}

impl LogQuery {
    /// Path and query of the request.
    pub(super) fn path(&self) -> String {
        let mut query = Vec::new();
        query.extend(self.tail.map(|count| format!("tail={count}")));
        let services = self.services.iter();
        query.extend(services.map(|name| format!("service={}", encode_query(name))));
        if self.system {
            if self.services.is_empty() {
                // No service has an empty name.
                query.push("service=".to_owned());
            }
            query.push("system=true".to_owned());
        }
        if self.once {
            query.push("follow=false".to_owned());
        }
        if query.is_empty() {
            return "/os/v1/logs".to_owned();
        }
        format!("/os/v1/logs?{}", query.join("&"))
    }
}

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
}

impl LogStream {
    pub(super) fn new(stream: Stream) -> Self {
        Self {
            lines: LineStream::new(stream, LINE_LIMIT),
        }
    }

    /// The next line; `None` when the device ended the stream. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<LogItem>, AgentError> {
        let line = self.lines.next().await?;
        Ok(line.map(|line| parse(&line.bytes, line.dropped)))
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
        };
        serde_json::to_vec(&line).unwrap()
    }

    #[test]
    fn the_device_is_told_which_lines_are_wanted() {
        let query = |services: &[&str], system| LogQuery {
            services: services.iter().map(|&name| name.to_owned()).collect(),
            system,
            ..LogQuery::default()
        };
        for (query, path) in [
            (query(&[], false), "/os/v1/logs"),
            (
                query(&["a", "b&c"], false),
                "/os/v1/logs?service=a&service=b%26c",
            ),
            (query(&["a"], true), "/os/v1/logs?service=a&system=true"),
            (query(&[], true), "/os/v1/logs?service=&system=true"),
            (
                LogQuery {
                    tail: Some(5),
                    once: true,
                    ..LogQuery::default()
                },
                "/os/v1/logs?tail=5&follow=false",
            ),
        ] {
            assert_eq!(query.path(), path);
        }
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
