//! One line of a log stream: newline-delimited JSON, one object a line (`GET /v2/local/logs`, `GET /os/v1/logs`).
//!
//! `cursor`, `isNotice`, `program` and `unit` stand on our own route only, behind the reference's fields.

use serde::{Deserialize, Serialize};

/// A log line. Absent optional fields are left out, as the reference does.
///
/// The field order is that of the reference: service lines begin with `serviceName`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogLine {
    /// The service that wrote the line; absent for system lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_name: Option<String>,
    /// The text, without its line end. Invalid UTF-8 arrives as U+FFFD.
    pub message: String,
    /// `true` for lines of the agent itself and of the system's journal; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_system: Option<bool>,
    /// Whether the line came from standard error, or tells of a failure (of the journal: priority 3 and below). Always present on
    /// service lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_std_err: Option<bool>,
    /// Milliseconds since the Unix epoch; absent on the greeting only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<i64>,
    /// Id of the service in the target state; absent for system lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_id: Option<u32>,
    /// The line's place, as text of [`crate::cursor::Mark`], of a row of the journal as [`crate::cursor::JournalPlace`]; on the
    /// greeting, where and when the answer begins. Absent on most notices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// `true` for a line about the log itself: what was dropped, what is missing; absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub is_notice: Option<bool>,
    /// Of a row of the system's journal: what its writer calls itself (`sshd`, `kernel`, …); absent otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// Of a row of the system's journal: the unit that its writer belongs to, where it belongs to one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
}

impl LogLine {
    /// The first line of every stream, flushed at once so that clients see the response's headers.
    #[must_use]
    pub fn greeting() -> Self {
        Self {
            service_name: None,
            message: "Streaming logs".to_owned(),
            is_system: Some(true),
            is_std_err: None,
            timestamp: None,
            service_id: None,
            cursor: None,
            is_notice: None,
            program: None,
            unit: None,
        }
    }

    /// A line of the agent itself at `timestamp` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn system(message: impl Into<String>, timestamp: i64) -> Self {
        Self {
            message: message.into(),
            timestamp: Some(timestamp),
            ..Self::greeting()
        }
    }

    /// A line about the log itself at `timestamp` (milliseconds since the Unix epoch).
    #[must_use]
    pub fn notice(message: impl Into<String>, timestamp: i64) -> Self {
        Self {
            is_notice: Some(true),
            ..Self::system(message, timestamp)
        }
    }
}
