//! Log streams: `GET /v2/local/logs` as the reference answers it, and `GET /os/v1/logs` with a past and with places.
//!
//! In: the query. Out: a greeting, then lines. Which lines, and in which order, is the business of [`crate::logs`]. When the
//! agent ends first, our own answer breaks off, so that what was told does not look like everything that was asked for.

use std::sync::Arc;

use agent_api::log::LogLine;
use axum::body::Bytes;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use futures_util::{Stream, stream};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, watch};

use super::journal::MAX_READERS;
use super::log_query::LogQuery;
use super::serve::asked_to_end;
use super::stream::{append, ndjson, streamed};
use super::{Agent, Shared, os};
use crate::host::now_nanos;
use crate::logs::{Asked, Beside, Delivery, Replay, SystemLog, SystemWish, Wanted};

/// Lines that wait are sent together, up to about this many bytes.
const CHUNK: usize = 32 * 1024;

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Dialect {
    /// To the letter.
    Reference,
    Ours,
}

impl Dialect {
    fn append(self, delivery: &Delivery, text: &mut Vec<u8>) {
        match (self, delivery) {
            (Self::Ours, Delivery::Line(line)) => text.extend_from_slice(line.ours()),
            (Self::Ours, Delivery::Notice(notice)) => append(notice, text),
            (Self::Reference, Delivery::Line(line)) => append(&line.text, text),
            (Self::Reference, Delivery::Notice(notice)) => {
                let notice = LogLine {
                    is_notice: None,
                    cursor: None,
                    ..notice.clone()
                };
                append(&notice, text);
            }
        }
    }
}

/// The answer has ended before everything was told.
#[derive(Debug, Error)]
enum CutOff {
    /// With the agent.
    #[error("the agent ends")]
    AgentEnds,
    /// With what reads the journal; its words.
    #[error("{0}")]
    Journal(String),
}

/// Where an answer's lines come from.
#[derive(Debug)]
enum Feed {
    /// The services, and the agent itself.
    Services(Box<Replay>),
    /// The system's journal, with or without services. The place is one among those who read it.
    Journal {
        beside: Box<Beside>,
        _place: OwnedSemaphorePermit,
    },
}

impl Feed {
    async fn next(&mut self) -> Option<Delivery> {
        match self {
            Self::Services(replay) => replay.next().await,
            Self::Journal { beside, .. } => beside.next().await,
        }
    }

    fn ready(&mut self) -> Option<Delivery> {
        match self {
            Self::Services(replay) => replay.ready(),
            Self::Journal { beside, .. } => beside.ready(),
        }
    }

    /// Why it ended before its end.
    fn failed(&self) -> Option<CutOff> {
        match self {
            Self::Services(_) => None,
            Self::Journal { beside, .. } => beside
                .failed()
                .map(|error| CutOff::Journal(error.to_string())),
        }
    }
}

struct Answer {
    first: Vec<u8>,
    feed: Feed,
    dialect: Dialect,
    shutdown: watch::Receiver<bool>,
    is_over: bool,
}

/// The first text at once, then lines as they come.
fn lines(answer: Answer) -> impl Stream<Item = Result<Bytes, CutOff>> + Send {
    stream::unfold(answer, async |mut answer| {
        if answer.is_over {
            return None;
        }
        if !answer.first.is_empty() {
            let first = std::mem::take(&mut answer.first);
            return Some((Ok(Bytes::from(first)), answer));
        }
        let mut next = tokio::select! {
            delivery = answer.feed.next() => delivery,
            () = asked_to_end(&mut answer.shutdown) => {
                answer.is_over = true;
                let cut_off = answer.dialect == Dialect::Ours;
                return cut_off.then_some((Err(CutOff::AgentEnds), answer));
            }
        };
        if next.is_none() {
            answer.is_over = true;
            let failed = answer.feed.failed()?;
            tracing::warn!("the system's journal is told no further: {failed}");
            return Some((Err(failed), answer));
        }
        let mut text = Vec::new();
        while let Some(delivery) = next {
            answer.dialect.append(&delivery, &mut text);
            next = if text.len() < CHUNK {
                answer.feed.ready()
            } else {
                None
            };
        }
        Some((Ok(Bytes::from(text)), answer))
    })
}

fn replay(agent: &Agent, asked: Asked) -> Replay {
    Replay::new(
        &agent.logs,
        agent.link.clone(),
        agent.settings.facts.confinement.clone(),
        asked,
    )
}

/// Listening has come first: what is written after the greeting's time is in the answer.
fn answer(agent: &Agent, feed: Feed, dialect: Dialect) -> Answer {
    let greeting = match dialect {
        Dialect::Reference => LogLine::greeting(),
        Dialect::Ours => agent.logs.greeting(),
    };
    let mut first = Vec::new();
    append(&greeting, &mut first);
    Answer {
        first,
        feed,
        dialect,
        shutdown: agent.shutdown.clone(),
        is_over: false,
    }
}

/// `GET /v2/local/logs`: the greeting, then what happens from now on.
pub(super) async fn local_logs(State(agent): Shared) -> Response {
    let asked = Asked {
        wanted: Wanted::everything(),
        ..Asked::default()
    };
    let feed = Feed::Services(Box::new(replay(&agent, asked)));
    streamed(lines(answer(&agent, feed, Dialect::Reference)))
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
    let mut notices: Vec<String> = query.capped.iter().cloned().collect();
    let journal = match open_journal(&agent, &query).await {
        Ok(journal) => journal,
        Err(words) => {
            notices.push(format!(
                "the system's journal is not told, only what its agent says: {words}"
            ));
            None
        }
    };
    let names_a_service = query.names_a_service();
    let mut asked = query.asked;
    asked.wanted.system &= journal.is_none();
    let feed = if let Some((journal, place)) = journal {
        let services = names_a_service.then(|| replay(&agent, asked));
        Feed::Journal {
            beside: Box::new(Beside::new(services, journal)),
            _place: place,
        }
    } else {
        Feed::Services(Box::new(replay(&agent, asked)))
    };
    let mut answer = answer(&agent, feed, Dialect::Ours);
    for notice in notices {
        let notice = LogLine::notice(notice, now_nanos() / 1_000_000);
        append(&notice, &mut answer.first);
    }
    ndjson(lines(answer))
}

/// The system's journal, where it is asked for; words about one that cannot be read.
async fn open_journal(
    agent: &Agent,
    query: &LogQuery,
) -> Result<Option<(SystemLog, OwnedSemaphorePermit)>, String> {
    let asked = &query.asked;
    if !query.journal || !asked.wanted.system {
        return Ok(None);
    }
    let root = agent.journal_root().ok_or("this device keeps none")?;
    let place = Arc::clone(&agent.journals).try_acquire_owned();
    let place = place.map_err(|_| format!("{MAX_READERS} others read it already"))?;
    let wish = SystemWish {
        root: root.to_owned(),
        after: query.after_row.clone(),
        since: asked.since,
        tail: asked.tail,
        until: asked.wanted.until,
        once: asked.once,
    };
    let journal = SystemLog::open(wish).await;
    let journal = journal.map_err(|error| error.to_string())?;
    Ok(Some((journal, place)))
}

#[cfg(test)]
mod tests {
    use agent_api::cursor::{Cursor, Origin};

    use super::*;

    #[test]
    fn only_our_own_route_tells_places_and_drops_carriage_returns() {
        let text = LogLine {
            service_name: Some("web".to_owned()),
            message: "hi\r".to_owned(),
            is_system: None,
            is_std_err: Some(false),
            timestamp: Some(1),
            service_id: Some(1),
            ..LogLine::greeting()
        };
        let place = Cursor {
            origin: Origin::Stream {
                container: 0x3567_abcd_ef01,
                is_std_err: false,
            },
            nanos: 1_000_001,
            count: 1,
        };
        let line = Delivery::Line(crate::logs::Line::new(text, place).into());
        let notice = Delivery::Notice(LogLine {
            cursor: Some("3567abcdef01.gone".to_owned()),
            ..LogLine::notice("2 lines of web dropped", 1)
        });
        let text = |dialect: Dialect, delivery| {
            let mut text = Vec::new();
            dialect.append(delivery, &mut text);
            String::from_utf8(text).unwrap()
        };
        assert_eq!(
            text(Dialect::Reference, &line),
            "{\"serviceName\":\"web\",\"message\":\"hi\\r\",\"isStdErr\":false,\"timestamp\":1,\"serviceId\":1}\n"
        );
        assert_eq!(
            text(Dialect::Ours, &line),
            "{\"serviceName\":\"web\",\"message\":\"hi\",\"isStdErr\":false,\"timestamp\":1,\"serviceId\":1,\
             \"cursor\":\"3567abcdef01o.1000001.1\"}\n"
        );
        assert_eq!(
            text(Dialect::Reference, &notice),
            "{\"message\":\"2 lines of web dropped\",\"isSystem\":true,\"timestamp\":1}\n"
        );
        assert_eq!(
            text(Dialect::Ours, &notice),
            "{\"message\":\"2 lines of web dropped\",\"isSystem\":true,\"timestamp\":1,\
             \"cursor\":\"3567abcdef01.gone\",\"isNotice\":true}\n"
        );
    }
}
