//! An engine that is played: what the log asks of it is answered as Docker's engine answers, faults included.

use std::collections::HashMap;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use futures_util::{StreamExt, stream};
use serde_json::json;
use tempfile::TempDir;
use tokio::net::UnixListener;
use tokio::task::JoinHandle;

use super::super::*;
use crate::engine::{Connected, Link};

/// What a container has written; a long line has several messages, of which the last one ends it.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) nanos: i64,
    pub(super) is_std_err: bool,
    pub(super) text: String,
}

/// How a container's log is answered.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) enum Answer {
    #[default]
    Whole,
    /// The connection breaks behind the last message.
    Cut,
    /// The connection breaks behind this many messages, once.
    CutOnce(usize),
    /// The engine says behind the last message that it cannot read on.
    Words(&'static str),
    /// The container runs no more: a stream that follows ends.
    Ended,
    Status(u16),
}

#[derive(Debug, Clone, Default)]
pub(super) struct Container {
    pub(super) id: String,
    pub(super) service: String,
    pub(super) messages: Vec<Message>,
    /// Is there from the second request on.
    pub(super) later: Vec<Message>,
    /// Only these, then.
    pub(super) forgets: bool,
    /// Where its lines are kept; empty: in a file.
    pub(super) driver: &'static str,
    /// Of its environment.
    pub(super) environment: Vec<&'static str>,
    pub(super) answer: Answer,
}

#[derive(Debug, Default)]
struct Played {
    containers: Vec<Container>,
    /// Lists of containers that are refused.
    unlisted: usize,
    /// How often a container's lines were asked for.
    asked: watch::Sender<usize>,
}

#[derive(Debug)]
pub(super) struct Engine {
    played: Arc<Mutex<Played>>,
    pub(super) connected: Connected,
    link: watch::Sender<Link>,
    serving: JoinHandle<()>,
    _dir: TempDir,
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

pub(super) fn message(nanos: i64, text: &str) -> Message {
    Message {
        nanos,
        is_std_err: false,
        text: format!("{text}\n"),
    }
}

/// A container of this service, whose id begins with this number.
pub(super) fn container(number: u64, service: &str, messages: &[Message]) -> Container {
    Container {
        id: format!("{number:012x}{:052}", 0),
        service: service.to_owned(),
        messages: messages.to_vec(),
        ..Container::default()
    }
}

impl Engine {
    pub(super) fn start(containers: Vec<Container>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let played = Arc::new(Mutex::new(Played {
            containers,
            ..Played::default()
        }));
        let listener = UnixListener::bind(&socket).unwrap();
        let router = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&played));
        let serving = tokio::spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        let connected = Connected::to(&socket);
        Self {
            played,
            link: watch::Sender::new(Link::Up(connected.clone())),
            connected,
            serving,
            _dir: dir,
        }
    }

    pub(super) fn link(&self) -> watch::Receiver<Link> {
        self.link.subscribe()
    }

    /// How often a container's lines were asked for.
    pub(super) fn asked_for_lines(&self) -> watch::Receiver<usize> {
        self.played.lock().unwrap().asked.subscribe()
    }

    /// The next lists of containers are refused.
    pub(super) fn refuse_lists(&self, count: usize) {
        self.played.lock().unwrap().unlisted = count;
    }
}

async fn answer(
    State(played): State<Arc<Mutex<Played>>>,
    Query(query): Query<HashMap<String, String>>,
    request: Request,
) -> Response {
    let mut played = played.lock().unwrap();
    let played = &mut *played;
    let path = request.uri().path().to_owned();
    // With the API's version before it and without.
    let is_version = |part: &&str| part.starts_with("v1.");
    let parts = path.split('/').skip(1).skip_while(is_version);
    let parts: Vec<&str> = parts.collect();
    match parts[..] {
        ["containers", "json"] if played.unlisted > 0 => {
            played.unlisted -= 1;
            refused(500)
        }
        ["containers", "json"] => {
            let list: Vec<_> = played.containers.iter().map(listed).collect();
            axum::Json(list).into_response()
        }
        ["containers", id, what] => {
            let known = played.containers.iter_mut().find(|known| known.id == id);
            match (known, what) {
                (
                    Some(Container {
                        answer: Answer::Status(status),
                        ..
                    }),
                    _,
                ) => refused(*status),
                (Some(known), "json") => axum::Json(json!({
                    "Config": {"Tty": false, "Env": known.environment},
                    "HostConfig": {"LogConfig": {"Type": known.driver}},
                }))
                .into_response(),
                (Some(known), "logs") => {
                    played.asked.send_modify(|times| *times += 1);
                    logs(known, &query)
                }
                _ => refused(404),
            }
        }
        _ => panic!("nobody plays {path}"),
    }
}

fn refused(status: u16) -> Response {
    let message = axum::Json(json!({"message": "it is refused"}));
    (StatusCode::from_u16(status).unwrap(), message).into_response()
}

fn listed(container: &Container) -> serde_json::Value {
    json!({
        "Id": container.id,
        "Labels": {"io.balena.supervised": "true", "io.balena.service-name": container.service},
        "State": "running",
    })
}

/// The last ones first, then those in time up to the first one that is too late, as Docker's engine does it.
fn logs(container: &mut Container, query: &HashMap<String, String>) -> Response {
    let time = |key: &str| -> Option<i64> {
        let (seconds, nanos) = query.get(key)?.split_once('.')?;
        Some(seconds.parse::<i64>().unwrap() * 1_000_000_000 + nanos.parse::<i64>().unwrap())
    };
    let (since, until) = (time("since"), time("until"));
    let tail: usize = query
        .get("tail")
        .map_or(usize::MAX, |tail| tail.parse().unwrap());
    let first = container.messages.len().saturating_sub(tail);
    let until = container.messages[first..]
        .iter()
        .take_while(|message| until.is_none_or(|until| message.nanos <= until));
    let given = until.filter(|message| {
        since.is_none_or(|since| message.nanos >= since)
            && query[if message.is_std_err {
                "stderr"
            } else {
                "stdout"
            }] == "true"
    });
    let mut pieces: Vec<Bytes> = given
        .map(|message| {
            let time = jiff::Timestamp::from_nanosecond(i128::from(message.nanos)).unwrap();
            let text = format!("{time:.9} {}", message.text);
            frame(if message.is_std_err { 2 } else { 1 }, &text)
        })
        .collect();
    if container.forgets {
        container.messages.clear();
    }
    container.messages.append(&mut container.later);
    let mut is_cut = false;
    match container.answer.clone() {
        Answer::Cut => is_cut = true,
        Answer::CutOnce(count) => {
            is_cut = true;
            pieces.truncate(count);
            container.answer = Answer::Whole;
        }
        Answer::Words(words) => pieces.push(frame(3, words)),
        Answer::Whole | Answer::Ended | Answer::Status(_) => {}
    }
    let follows = query.get("follow").is_some_and(|follow| follow == "true");
    let pieces = stream::iter(pieces.into_iter().map(Ok::<_, io::Error>));
    if is_cut {
        // What was written before is on its way first.
        let cut = stream::once(async {
            tokio::task::yield_now().await;
            Err(io::Error::other("cut"))
        });
        return Body::from_stream(pieces.chain(cut)).into_response();
    }
    if follows && container.answer == Answer::Whole {
        return Body::from_stream(pieces.chain(stream::pending())).into_response();
    }
    Body::from_stream(pieces).into_response()
}

fn frame(stream: u8, text: &str) -> Bytes {
    let mut frame = vec![stream, 0, 0, 0];
    frame.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
    frame.extend(text.as_bytes());
    frame.into()
}
