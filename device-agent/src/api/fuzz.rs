//! Doors for the fuzz targets of requests.

use std::path::Path;

use agent_api::cursor::{Cursor, JournalPlace};
use axum::extract::Query;
use axum::http::Uri;
use axum::http::uri::InvalidUri;
use serde_json::Value;

use super::log_query::LogQuery;
use super::{actions, body, cloud, device, form, host_config, journal, local, value};
use crate::logs::{Asked, Wanted};
use crate::model::Target;

/// What the agent of the device with this uuid makes of the text of `POST /v2/local/target-state`, or of its fleet's target,
/// or its words about it.
pub fn target_body(text: &str, uuid: &str) -> Result<Target, String> {
    let body = body::parse(text).map_err(|body::Unreadable(words)| words)?;
    local::understand_fleet(&body, uuid, "local")
}

/// A query of `GET /os/v1/logs` as it is understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogWish {
    /// Empty: every service.
    pub services: Vec<String>,
    /// Lines of the agent itself too.
    pub system: bool,
    /// Of services only standard error, or only standard output.
    pub is_std_err: Option<bool>,
    /// Nanoseconds since the Unix epoch.
    pub since: Option<i64>,
    /// Nanoseconds since the Unix epoch.
    pub until: Option<i64>,
    /// Only the last lines.
    pub tail: Option<usize>,
    /// Lines that the client has.
    pub after: Vec<Cursor>,
    /// End after the past lines.
    pub once: bool,
    /// The system's journal in the place of the agent's own lines.
    pub journal: bool,
    /// The last row of the journal that the client has.
    pub after_row: Option<JournalPlace>,
}

/// What the agent makes of what follows the question mark, or its words about it.
pub fn log_query(query: &str) -> Result<LogWish, String> {
    let uri: Uri = format!("/os/v1/logs?{query}")
        .parse()
        .map_err(|error: InvalidUri| error.to_string())?;
    let Query(pairs) = Query::try_from_uri(&uri).map_err(|refused| refused.body_text())?;
    let LogQuery {
        asked,
        journal,
        after_row,
        ..
    } = LogQuery::from_pairs(pairs)?;
    let Asked {
        wanted,
        since,
        tail,
        after,
        once,
    } = asked;
    let Wanted {
        services,
        system,
        is_std_err,
        until,
    } = wanted;
    Ok(LogWish {
        services,
        system,
        is_std_err,
        since,
        until,
        tail,
        after,
        once,
        journal,
        after_row,
    })
}

/// What the agent makes of the text of any other body.
#[derive(Debug, Default)]
pub struct OtherBody {
    /// Words about what is wrong in it, by each route that refuses it.
    pub complaints: Vec<String>,
    /// Arguments of the program that reads the journal, if the body asks for it.
    pub journal: Vec<String>,
}

/// Reads a text as every body that is no target, as JSON and as a form.
#[must_use]
pub fn other_body(text: &str) -> OtherBody {
    let mut made = OtherBody::default();
    for read in [body::parse(text), form::parse(text)] {
        match read {
            Ok(body) => made.read(&body),
            Err(body::Unreadable(words)) => made.complaints.push(words),
        }
    }
    made
}

impl OtherBody {
    fn read(&mut self, body: &Value) {
        let complaints = [
            actions::understand(body.clone()).err(),
            device::understand(body.clone()).err(),
            host_config::understand(body, "5eee5ee").err(),
            cloud::understand_tags(body).err(),
        ];
        self.complaints.extend(complaints.into_iter().flatten());
        // Any value answers, whatever it is.
        for key in ["force", "appId", "imageId"] {
            let _is_true: bool = value::is_true(body.get(key));
            let _number: Option<u32> = value::integer(body.get(key));
            let _name: Option<&str> = value::name(body.get(key));
        }
        match journal::understand(body) {
            Ok(query) => self.journal.extend(query.arguments(Path::new("/"))),
            Err(words) => self.complaints.push(words),
        }
    }
}
