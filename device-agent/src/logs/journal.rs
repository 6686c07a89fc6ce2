//! Rows of the journal, as `journalctl --output=json --all` prints them → lines. Pure; memory is bounded whatever comes in.
//!
//! A row is one JSON object a line. Of its fields these count: `CONTAINER_ID_FULL`, `CONTAINER_NAME`, `MESSAGE`, `PRIORITY` (3 and
//! below: standard error), `CONTAINER_PARTIAL_MESSAGE` (the line goes on in a later row), and the time that the engine gives the
//! line: `SYSLOG_TIMESTAMP` where newer engines write it, else `__REALTIME_TIMESTAMP`, else `_SOURCE_REALTIME_TIMESTAMP`.
//! A field is a text, an array of bytes where it is no UTF-8, null where it was too long, or an array of these where it was
//! given several times; then the first counts.

use std::collections::HashMap;

use serde::Deserialize;
use thiserror::Error;

use super::growing::Growing;
use super::journal_field::Field;
use super::lines::Text;

/// Bytes of a row that is looked at: 16 KiB of message as an array of numbers, and a hundred other fields.
pub(super) const MAX_ROW: usize = 256 * 1024;
/// Lines that may be under way at a time; what is more is told as it is.
const MAX_PARTIAL: usize = 32;

/// A row that is no container's line.
#[derive(Debug, Error)]
pub(super) enum RowError {
    /// It is longer than [`MAX_ROW`].
    #[error("a row of the journal has {0} bytes")]
    TooLong(usize),
    /// It is not a row as JSON; where it goes wrong. What stands there may be anybody's, and long.
    #[error("a row of the journal cannot be read from byte {0} on")]
    Unreadable(usize),
    /// It has no time.
    #[error("a row of the journal has no time")]
    NoTime,
    /// It has no place.
    #[error("a row of the journal has no place")]
    NoPlace,
}

/// A line, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct JournalLine {
    /// Engine id.
    pub(super) container: String,
    /// The container's name when it was started.
    pub(super) name: String,
    pub(super) text: Text,
}

/// Puts rows together to lines.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// By container and stream: since when, and what there is of it.
    partial: HashMap<(String, bool), (i64, Growing)>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "CONTAINER_ID_FULL", default)]
    container: Field,
    #[serde(rename = "CONTAINER_NAME", default)]
    name: Field,
    #[serde(rename = "MESSAGE", default)]
    message: Field,
    #[serde(rename = "PRIORITY", default)]
    priority: Field,
    #[serde(rename = "CONTAINER_PARTIAL_MESSAGE", default)]
    partial: Field,
    #[serde(rename = "SYSLOG_TIMESTAMP", default)]
    written: Field,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    received: Field,
    #[serde(rename = "_SOURCE_REALTIME_TIMESTAMP", default)]
    sent: Field,
}

impl Rows {
    /// Takes a row, and gives the line that it completes.
    pub(super) fn take(&mut self, row: &[u8]) -> Result<Option<JournalLine>, RowError> {
        if row.len() > MAX_ROW {
            return Err(RowError::TooLong(row.len()));
        }
        let row: Row =
            serde_json::from_slice(row).map_err(|error| RowError::Unreadable(error.column()))?;
        let (Some(container), Some(name)) = (row.container.text(), row.name.text()) else {
            return Ok(None);
        };
        let nanos = row.nanos().ok_or(RowError::NoTime)?;
        let is_std_err = row
            .priority
            .text()
            .and_then(|priority| priority.parse::<u8>().ok())
            .is_some_and(|priority| priority <= 3);
        let goes_on = row.partial.text().as_deref() == Some("true");
        let key = (container, is_std_err);
        let (begun, mut line) = self
            .partial
            .remove(&key)
            .unwrap_or_else(|| (nanos, Growing::default()));
        line.keep(&row.message.0.unwrap_or_default());
        if goes_on && self.partial.len() < MAX_PARTIAL {
            self.partial.insert(key, (begun, line));
            return Ok(None);
        }
        Ok(Some(JournalLine {
            container: key.0,
            name,
            text: Text {
                message: line.take(),
                is_std_err,
                nanos: begun,
            },
        }))
    }
}

impl Row {
    /// Nanoseconds since the Unix epoch, as the engine tells them of this line.
    fn nanos(&self) -> Option<i64> {
        let written = self
            .written
            .text()
            .and_then(|time| time.parse::<jiff::Timestamp>().ok())
            .and_then(|time| i64::try_from(time.as_nanosecond()).ok());
        let micros = |field: &Field| {
            let micros: i64 = field.text()?.parse().ok()?;
            micros.checked_mul(1000)
        };
        written
            .or_else(|| micros(&self.received))
            .or_else(|| micros(&self.sent))
            .filter(|nanos| *nanos >= 0)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::growing::MAX_LINE;
    use super::*;

    const ID: &str = "3567abcdef0123456789";

    fn row(message: &serde_json::Value, more: &[(&str, &str)]) -> Vec<u8> {
        let mut row = json!({
            "CONTAINER_ID_FULL": ID, "CONTAINER_NAME": "web_1_1_10ca12e1ea5e", "PRIORITY": "6",
            "__REALTIME_TIMESTAMP": "1795402963927001", "_SOURCE_REALTIME_TIMESTAMP": "1795402963927000",
            "MESSAGE": message,
        });
        for (name, value) in more {
            row[*name] = json!(value);
        }
        serde_json::to_vec(&row).unwrap()
    }

    fn text(rows: &mut Rows, row: &[u8]) -> Text {
        rows.take(row).unwrap().unwrap().text
    }

    #[test]
    fn a_row_is_a_line_of_a_container() {
        let line = Rows::default()
            .take(&row(&json!("hello"), &[]))
            .unwrap()
            .unwrap();
        assert_eq!(line.container, ID);
        assert_eq!(line.name, "web_1_1_10ca12e1ea5e");
        assert_eq!(
            line.text,
            Text {
                message: "hello".to_owned(),
                is_std_err: false,
                nanos: 1_795_402_963_927_001_000,
            }
        );
        let error = text(
            &mut Rows::default(),
            &row(&json!("oh"), &[("PRIORITY", "3")]),
        );
        assert!(error.is_std_err);
    }

    #[test]
    fn the_time_is_the_one_that_the_engine_tells() {
        let written = [("SYSLOG_TIMESTAMP", "2026-11-23T03:02:43.927000007Z")];
        let line = text(&mut Rows::default(), &row(&json!("x"), &written));
        assert_eq!(line.nanos, 1_795_402_963_927_000_007);
        let bare = br#"{"CONTAINER_ID_FULL":"a","CONTAINER_NAME":"b","MESSAGE":"c"}"#;
        assert!(matches!(Rows::default().take(bare), Err(RowError::NoTime)));
    }

    #[test]
    fn messages_come_in_every_shape() {
        let mut rows = Rows::default();
        for (message, expected) in [
            (json!([99, 97, 102, 195, 169, 255]), "café\u{fffd}"),
            (json!(null), ""),
            (json!([]), ""),
            (json!(["first", "second"]), "first"),
            (json!([[104, 105], "second"]), "hi"),
            (json!([null, "second"]), "second"),
            (json!(7), ""),
        ] {
            assert_eq!(text(&mut rows, &row(&message, &[])).message, expected);
        }
    }

    #[test]
    fn parts_of_a_line_are_put_together_by_container_and_stream() {
        let mut rows = Rows::default();
        let part = [("CONTAINER_PARTIAL_MESSAGE", "true")];
        assert!(rows.take(&row(&json!("one "), &part)).unwrap().is_none());
        let between = row(&json!("between"), &[("PRIORITY", "3")]);
        assert_eq!(text(&mut rows, &between).message, "between");
        let other = row(&json!("other"), &[("CONTAINER_ID_FULL", "ffff")]);
        assert_eq!(text(&mut rows, &other).message, "other");
        let end = row(
            &json!("line"),
            &[("__REALTIME_TIMESTAMP", "1795402999999999")],
        );
        let line = text(&mut rows, &end);
        assert_eq!(line.message, "one line");
        assert_eq!(line.nanos, 1_795_402_963_927_001_000, "of its first part");
    }

    #[test]
    fn lines_without_an_end_cost_no_memory() {
        let mut rows = Rows::default();
        let part = [("CONTAINER_PARTIAL_MESSAGE", "true")];
        for _ in 0..100 {
            let long = row(&json!("x".repeat(16 * 1024)), &part);
            assert!(rows.take(&long).unwrap().is_none());
        }
        let line = text(&mut rows, &row(&json!(""), &[]));
        assert!(line.message.len() < MAX_LINE + 64);
        assert!(line.message.ends_with("bytes cut]"));
        for number in 0..1000 {
            let id = number.to_string();
            let more = [part[0], ("CONTAINER_ID_FULL", id.as_str())];
            rows.take(&row(&json!("x"), &more)).unwrap();
        }
        assert!(rows.partial.len() <= MAX_PARTIAL);
    }

    #[test]
    fn other_rows_are_passed_over_and_rubbish_is_named() {
        let mut rows = Rows::default();
        let kernel = br#"{"MESSAGE":"usb 1-1","__REALTIME_TIMESTAMP":"1"}"#;
        assert!(rows.take(kernel).unwrap().is_none());
        for rubbish in [
            &b""[..],
            b"{",
            b"7",
            br#"{"CONTAINER_ID_FULL":[999]}"#,
            br#"{"MESSAGE":{"a":1}}"#,
        ] {
            let error = rows.take(rubbish).unwrap_err().to_string();
            assert!(error.starts_with("a row of the journal"), "{error}");
        }
        let long = vec![b' '; MAX_ROW + 1];
        assert!(matches!(rows.take(&long), Err(RowError::TooLong(_))));
    }
}
