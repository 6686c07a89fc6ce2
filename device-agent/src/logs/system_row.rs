//! Rows of the system's journal, as `journalctl --output=json --all` prints them → lines. Pure; memory is bounded whatever comes in.
//!
//! In: rows with the fields of [`FIELDS`]. Out: lines with the journal's own places. Rows of containers have a place and no line:
//! those are lines of services.

use agent_api::cursor::JournalPlace;
use agent_api::log::LogLine;
use serde::Deserialize;

use super::growing::Growing;
use super::journal::{MAX_ROW, RowError};
use super::journal_field::Field;

/// The fields that count, beside the place and the time, which every row has.
pub(super) const FIELDS: &str =
    "MESSAGE,PRIORITY,SYSLOG_IDENTIFIER,_COMM,_SYSTEMD_UNIT,CONTAINER_ID_FULL";
/// Characters of a name.
const MAX_NAME: usize = 128;

/// A row of the system's journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct SystemRow {
    /// Where it stands.
    pub(super) place: JournalPlace,
    /// When the journal took it, in nanoseconds since the Unix epoch.
    pub(super) nanos: i64,
    /// What it says, unless a container says it or it says nothing.
    pub(super) line: Option<LogLine>,
}

#[derive(Debug, Deserialize)]
struct Row {
    #[serde(rename = "__CURSOR", default)]
    place: Field,
    #[serde(rename = "__REALTIME_TIMESTAMP", default)]
    received: Field,
    #[serde(rename = "MESSAGE", default)]
    message: Field,
    #[serde(rename = "PRIORITY", default)]
    priority: Field,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    identifier: Field,
    #[serde(rename = "_COMM", default)]
    command: Field,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: Field,
    #[serde(rename = "CONTAINER_ID_FULL", default)]
    container: Field,
}

/// Reads a row.
pub(super) fn read(row: &[u8]) -> Result<SystemRow, RowError> {
    if row.len() > MAX_ROW {
        return Err(RowError::TooLong(row.len()));
    }
    let row: Row =
        serde_json::from_slice(row).map_err(|error| RowError::Unreadable(error.column()))?;
    let place = row.place.text().and_then(|place| place.parse().ok());
    let place = place.ok_or(RowError::NoPlace)?;
    let micros = row
        .received
        .text()
        .and_then(|text| text.parse::<i64>().ok());
    let nanos = micros.and_then(|micros| micros.checked_mul(1000));
    let nanos = nanos.filter(|nanos| *nanos >= 0).ok_or(RowError::NoTime)?;
    let is_of_container = row.container.0.is_some();
    let line = row.message.0.as_ref().filter(|_| !is_of_container);
    let line = line.map(|message| row.line(message, nanos, &place));
    Ok(SystemRow { place, nanos, line })
}

impl Row {
    fn line(&self, message: &[u8], nanos: i64, place: &JournalPlace) -> LogLine {
        let mut text = Growing::default();
        text.keep(message);
        let priority = self
            .priority
            .text()
            .and_then(|text| text.parse::<u8>().ok());
        let program = self.identifier.text().or_else(|| self.command.text());
        LogLine {
            is_std_err: priority.filter(|priority| *priority <= 3).map(|_| true),
            cursor: Some(place.to_string()),
            program: Some(name(program.unwrap_or_else(|| "journal".to_owned()))),
            unit: self.unit.text().map(name),
            ..LogLine::system(text.take(), nanos / 1_000_000)
        }
    }
}

fn name(text: String) -> String {
    match text.char_indices().nth(MAX_NAME) {
        Some((end, _)) => text.get(..end).unwrap_or_default().to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::growing::MAX_LINE;
    use super::*;

    fn row(fields: &Value) -> Result<SystemRow, RowError> {
        let mut row = json!({"__CURSOR": "s=1;i=2;b=3;m=4;t=5;x=6", "__REALTIME_TIMESTAMP": "1795402963927001"});
        let fields = fields.as_object().cloned().unwrap_or_default();
        row.as_object_mut().unwrap().extend(fields);
        read(row.to_string().as_bytes())
    }

    #[test]
    fn a_row_tells_who_says_what_and_when() {
        let row = row(&json!({
            "MESSAGE": "Accepted key", "PRIORITY": "6", "SYSLOG_IDENTIFIER": "sshd", "_SYSTEMD_UNIT": "sshd@1.service", "_COMM": "x"
        }))
        .unwrap();
        assert_eq!(row.nanos, 1_795_402_963_927_001_000);
        assert_eq!(
            serde_json::to_string(&row.line).unwrap(),
            "{\"message\":\"Accepted key\",\"isSystem\":true,\"timestamp\":1795402963927,\
             \"cursor\":\"s=1;i=2;b=3;m=4;t=5;x=6\",\"program\":\"sshd\",\"unit\":\"sshd@1.service\"}"
        );
    }

    #[test]
    fn failures_bytes_and_nameless_writers_are_told_too() {
        let line = |fields: &Value| row(fields).unwrap().line.unwrap();
        assert_eq!(
            line(&json!({"MESSAGE": "x", "PRIORITY": "3"})).is_std_err,
            Some(true)
        );
        assert_eq!(
            line(&json!({"MESSAGE": "x", "PRIORITY": "4"})).is_std_err,
            None
        );
        let bytes = line(&json!({"MESSAGE": [99, 255], "_COMM": "cron"}));
        assert_eq!(bytes.message, "c\u{fffd}");
        assert_eq!(bytes.program.as_deref(), Some("cron"));
        assert_eq!(
            line(&json!({"MESSAGE": ""})).program.as_deref(),
            Some("journal")
        );
    }

    #[test]
    fn lines_of_containers_are_not_the_systems() {
        let of_container = row(&json!({"MESSAGE": "x", "CONTAINER_ID_FULL": "ab"})).unwrap();
        assert_eq!(of_container.line, None);
        assert_eq!(row(&json!({"MESSAGE": null})).unwrap().line, None);
    }

    #[test]
    fn whatever_is_long_is_cut_and_rubbish_is_named() {
        let long = "ä".repeat(MAX_LINE);
        let line = row(&json!({"MESSAGE": long, "SYSLOG_IDENTIFIER": "ä".repeat(999)}));
        let line = line.unwrap().line.unwrap();
        assert!(line.message.len() < MAX_LINE + 64 && line.message.ends_with("bytes cut]"));
        assert_eq!(line.program.unwrap().chars().count(), MAX_NAME);
        for (rubbish, words) in [
            ("", "from byte 0"),
            ("{\"__CURSOR\":\"s=1\"}", "no time"),
            ("{\"__REALTIME_TIMESTAMP\":\"1\"}", "no place"),
            (
                "{\"__CURSOR\":\"--follow\",\"__REALTIME_TIMESTAMP\":\"1\"}",
                "no place",
            ),
            (
                "{\"__CURSOR\":\"s=1\",\"__REALTIME_TIMESTAMP\":\"-1\"}",
                "no time",
            ),
        ] {
            let error = read(rubbish.as_bytes()).unwrap_err().to_string();
            assert!(
                error.starts_with("a row of the journal") && error.contains(words),
                "{error}"
            );
        }
        assert!(matches!(
            read(&vec![b' '; MAX_ROW + 1]),
            Err(RowError::TooLong(_))
        ));
    }
}
