//! Answers that never end: log lines and reports, one JSON object a line.
//!
//! Every stream ends when the agent does. A client that reads slowly gets the newest report, and loses its own lines.

use std::convert::Infallible;
use std::sync::Arc;

use agent_api::log::LogLine;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use futures_util::{Stream, stream};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::body::json;
use super::serve::asked_to_end;
use super::{Agent, Shared, os};
use crate::engine::Link;
use crate::logs::{Delivery, MAX_TAIL, Subscription, history};

const NDJSON: &str = "application/x-ndjson";
/// Lines that wait are sent together, up to about this many bytes.
const CHUNK: usize = 32 * 1024;

/// One object and its line end, appended.
fn append<T: Serialize>(value: &T, text: &mut Vec<u8>) {
    let before = text.len();
    match serde_json::to_writer(&mut *text, value) {
        Ok(()) => text.push(b'\n'),
        Err(error) => {
            text.truncate(before);
            tracing::error!(%error, "a line could not be written as JSON");
        }
    }
}

fn streamed(lines: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    Body::from_stream(lines).into_response()
}

fn ndjson(lines: impl Stream<Item = Result<Bytes, Infallible>> + Send + 'static) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))];
    (kind, Body::from_stream(lines)).into_response()
}

/// Which lines a client wants, and how.
#[derive(Debug)]
struct Taste {
    /// Empty: every service.
    services: Vec<String>,
    /// Lines of the agent itself too.
    system: bool,
    /// Keep the carriage return that terminals put before the line end.
    carriage_return: bool,
}

impl Taste {
    /// Whether lines of a service are wanted; `None` is the agent itself.
    fn wants(&self, service: Option<&str>) -> bool {
        match service {
            Some(name) => self.services.is_empty() || self.services.iter().any(|own| own == name),
            None => self.system,
        }
    }

    fn append(&self, line: &LogLine, text: &mut Vec<u8>) {
        if !self.wants(line.service_name.as_deref()) {
            return;
        }
        match line.message.strip_suffix('\r') {
            Some(message) if !self.carriage_return => append(
                &LogLine {
                    message: message.to_owned(),
                    ..line.clone()
                },
                text,
            ),
            _ => append(line, text),
        }
    }
}

struct Tail {
    first: Vec<u8>,
    taste: Taste,
    lines: Subscription,
    /// What the history has already shown.
    shown: history::Shown,
    shutdown: watch::Receiver<bool>,
}

/// The first text at once, then lines as they come.
fn tail(state: Tail) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold(state, async |mut state| {
        if !state.first.is_empty() {
            let first = std::mem::take(&mut state.first);
            return Some((Ok(Bytes::from(first)), state));
        }
        let mut text = Vec::new();
        while text.is_empty() {
            let mut next = tokio::select! {
                delivery = state.lines.next() => Some(delivery),
                () = asked_to_end(&mut state.shutdown) => return None,
            };
            while let Some(delivery) = next {
                match delivery {
                    Delivery::Line(line) if state.shown.contains(&line) => {}
                    Delivery::Line(line) => state.taste.append(&line.text, &mut text),
                    Delivery::Dropped { lines, at } => append(
                        &LogLine::system(format!("{lines} lines dropped"), at),
                        &mut text,
                    ),
                }
                next = if text.len() < CHUNK {
                    state.lines.try_next()
                } else {
                    None
                };
            }
        }
        Some((Ok(Bytes::from(text)), state))
    })
}

/// `GET /v2/local/logs`: the greeting, then what happens from now on.
pub(super) async fn local_logs(State(agent): Shared) -> Response {
    let mut first = Vec::new();
    append(&LogLine::greeting(), &mut first);
    streamed(tail(Tail {
        first,
        taste: Taste {
            services: Vec::new(),
            system: true,
            carriage_return: true,
        },
        lines: agent.logs.subscribe(),
        shown: history::Shown::default(),
        shutdown: agent.shutdown.clone(),
    }))
}

/// Query of `GET /os/v1/logs`.
#[derive(Debug, Default, PartialEq, Eq)]
struct LogQuery {
    tail: usize,
    services: Vec<String>,
    system: Option<bool>,
    /// End after the past lines.
    once: bool,
}

impl LogQuery {
    /// Unknown keys are ignored, so that newer clients are understood.
    fn from_pairs(pairs: Vec<(String, String)>) -> Result<Self, String> {
        let mut query = Self::default();
        for (key, value) in pairs {
            match key.as_str() {
                "tail" => {
                    query.tail = value
                        .parse::<usize>()
                        .map_err(|_| format!("tail: `{value}` is not a number of lines"))?
                        .min(MAX_TAIL);
                }
                "service" => query.services.push(value),
                "follow" => {
                    let follow: bool = value
                        .parse()
                        .map_err(|_| format!("follow: `{value}` is neither true nor false"))?;
                    query.once = !follow;
                }
                "system" => {
                    query.system = Some(
                        value
                            .parse()
                            .map_err(|_| format!("system: `{value}` is neither true nor false"))?,
                    );
                }
                _ => {}
            }
        }
        Ok(query)
    }
}

/// `GET /os/v1/logs`
pub(super) async fn logs(
    State(agent): Shared,
    Query(pairs): Query<Vec<(String, String)>>,
) -> Response {
    let query = match LogQuery::from_pairs(pairs) {
        Ok(query) => query,
        Err(message) => return os::problem(StatusCode::BAD_REQUEST, "invalid-query", message),
    };
    let taste = Taste {
        system: query.system.unwrap_or(query.services.is_empty()),
        services: query.services,
        carriage_return: false,
    };
    // Subscribed before the history is read: what comes in between is in both, and shown once.
    let lines = agent.logs.subscribe();
    let (past, shown) = past(&agent, query.tail, &taste).await;
    let mut first = Vec::new();
    append(&LogLine::greeting(), &mut first);
    for line in &past {
        taste.append(&line.text, &mut first);
    }
    if query.once {
        return ndjson(stream::once(std::future::ready(Ok(Bytes::from(first)))));
    }
    ndjson(tail(Tail {
        first,
        taste,
        lines,
        shown,
        shutdown: agent.shutdown.clone(),
    }))
}

async fn past(
    agent: &Agent,
    tail: usize,
    taste: &Taste,
) -> (Vec<Arc<crate::logs::Line>>, history::Shown) {
    let link = agent.link.borrow().clone();
    match link {
        Link::Up(connected) if tail > 0 => {
            let confinement = agent.settings.facts.confinement.as_ref();
            history::read(&connected, confinement, &agent.logs, tail, |service| {
                taste.wants(service)
            })
            .await
        }
        _ => (Vec::new(), history::Shown::default()),
    }
}

/// Query of `GET /os/v1/report`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ReportQuery {
    follow: bool,
}

/// `GET /os/v1/report`
pub(super) async fn report(State(agent): Shared, Query(query): Query<ReportQuery>) -> Response {
    if !query.follow {
        return json(StatusCode::OK, &agent.snapshot.borrow().report);
    }
    let mut snapshots = agent.snapshot.clone();
    snapshots.mark_changed();
    let state = (snapshots, agent.shutdown.clone());
    ndjson(stream::unfold(
        state,
        async |(mut snapshots, mut shutdown)| {
            tokio::select! {
                changed = snapshots.changed() => changed.ok()?,
                () = asked_to_end(&mut shutdown) => return None,
            }
            let mut text = Vec::new();
            append(&snapshots.borrow_and_update().report, &mut text);
            Some((Ok(Bytes::from(text)), (snapshots, shutdown)))
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(pairs: &[(&str, &str)]) -> Result<LogQuery, String> {
        LogQuery::from_pairs(
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect(),
        )
    }

    #[test]
    fn log_queries_name_services_and_bound_the_tail() {
        let asked = query(&[
            ("tail", "99999999"),
            ("service", "a"),
            ("service", "b"),
            ("later", "x"),
        ])
        .unwrap();
        assert_eq!(asked.tail, MAX_TAIL);
        assert_eq!(asked.services, ["a", "b"]);
        assert!(query(&[("tail", "-1")]).is_err());
        assert!(query(&[("system", "maybe")]).is_err());
        assert!(!asked.once);
        assert!(query(&[("follow", "false")]).unwrap().once);
        assert!(query(&[("follow", "never")]).is_err());
    }

    #[test]
    fn terminals_lose_their_carriage_return_only_on_our_own_api() {
        let line = LogLine {
            service_name: Some("web".to_owned()),
            message: "hi\r".to_owned(),
            is_system: None,
            is_std_err: Some(false),
            timestamp: Some(1),
            service_id: Some(1),
        };
        let text = |carriage_return| {
            let mut text = Vec::new();
            let taste = Taste {
                services: Vec::new(),
                system: true,
                carriage_return,
            };
            taste.append(&line, &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            text(true),
            "{\"serviceName\":\"web\",\"message\":\"hi\\r\",\"isStdErr\":false,\"timestamp\":1,\"serviceId\":1}\n"
        );
        assert!(text(false).contains("\"hi\""));
    }
}
