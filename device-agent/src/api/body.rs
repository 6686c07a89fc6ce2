//! Request bodies by the reference's rules: looked at only when the content type says so, errors in the words of its parser.
//! Those of targets are at most 10 MB, as the reference's, all others much less; and there is a bound for all at a time.

use std::time::Duration;

use agent_api::reference::Failed;
use axum::body::Body;
use axum::extract::{FromRequest, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;
use serde::Serialize;
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{HTML, form};

/// 10 MB, as the reference's parsers count it.
pub(super) const MAX_BYTES: usize = 10 * 1024 * 1024;
/// Longest body that is no target. So much of every body is read without asking for room.
pub(super) const SMALL: usize = 64 * 1024;
/// For what all bodies at a time have beyond that. Understood, a body takes some times its length.
static TOGETHER: Semaphore = Semaphore::const_new(16 * 1024 * 1024);
/// For the whole body; a client that stalls does not keep its place.
const MAX_WAIT: Duration = Duration::from_mins(2);
/// How deep values may nest is serde's own limit of 128.
const JSON: &str = "application/json; charset=utf-8";

/// A JSON answer with the reference's content type.
pub(super) fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    match serde_json::to_vec(value) {
        Ok(text) => (
            status,
            [(header::CONTENT_TYPE, HeaderValue::from_static(JSON))],
            text,
        )
            .into_response(),
        Err(error) => {
            tracing::error!(%error, "an answer could not be written as JSON");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// A text, with the type that the reference's server gives to texts.
pub(super) fn text(status: StatusCode, words: impl Into<String>) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(HTML))];
    (status, kind, words.into()).into_response()
}

/// The reference's error envelope.
pub(super) fn failed(status: StatusCode, message: impl Into<String>) -> Response {
    json(
        status,
        &Failed {
            status: "failed".to_owned(),
            message: message.into(),
        },
    )
}

/// Said of a body that is too long.
pub(super) const TOO_LARGE: &str = "request entity too large";
/// Said when others have taken all the room.
pub(super) const CROWDED: &str = "too much is sent at a time; try again";

/// Why a body was not understood, in the reference's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

/// What a request's body says, for handlers of the reference's routes. To one that cannot be read the answer is the
/// reference's.
#[derive(Debug)]
pub(super) struct Fields(pub(super) Value);

impl<S: Send + Sync> FromRequest<S> for Fields {
    type Rejection = Response;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Self::Rejection> {
        let (head, body) = request.into_parts();
        match read(&head.headers, body).await {
            Ok(body) => Ok(Self(body)),
            Err(Unreadable(message)) => Err(failed(StatusCode::SERVICE_UNAVAILABLE, message)),
        }
    }
}

/// Reads a body; empty when its type is not one that is parsed.
async fn read(headers: &HeaderMap, body: Body) -> Result<Value, Unreadable> {
    match kind(headers) {
        Some(Kind::Json) => parse(&whole(body, SMALL).await?.0),
        Some(Kind::Form) => form::parse(&whole(body, SMALL).await?.0),
        None => Ok(Value::Object(Map::new())),
    }
}

/// What a body says, with the room that it takes.
#[derive(Debug)]
pub(super) struct Parsed {
    pub(super) value: Value,
    _room: Room,
}

/// Reads a body that may be JSON only: a form holds nothing but texts, and half of what it was meant to say would be a whole
/// target, an empty one.
pub(super) async fn read_json(
    headers: &HeaderMap,
    body: Body,
    limit: usize,
) -> Result<Parsed, Unreadable> {
    let (text, room) = match kind(headers) {
        Some(Kind::Json) => whole(body, limit).await?,
        Some(Kind::Form) | None => (String::new(), Room::default()),
    };
    Ok(Parsed {
        value: parse(&text)?,
        _room: room,
    })
}

enum Kind {
    Json,
    Form,
}

fn kind(headers: &HeaderMap) -> Option<Kind> {
    let parsed = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .map(|value| {
            value
                .split(';')
                .next()
                .unwrap_or_default()
                .trim()
                .to_ascii_lowercase()
        });
    match parsed.as_deref() {
        Some("application/json") => Some(Kind::Json),
        Some("application/x-www-form-urlencoded") => Some(Kind::Form),
        _ => None,
    }
}

/// What a body takes of the room for all, until it is dropped.
#[derive(Debug, Default)]
struct Room(Option<SemaphorePermit<'static>>);

impl Room {
    /// Takes more of the room, until it is so much; `None` when others have it.
    fn grow(&mut self, bytes: usize, all: &'static Semaphore) -> Option<()> {
        let held = self.0.as_ref().map_or(0, SemaphorePermit::num_permits);
        let more = u32::try_from(bytes.saturating_sub(held)).ok()?;
        let more = all.try_acquire_many(more).ok()?;
        match &mut self.0 {
            Some(held) => held.merge(more),
            None => self.0 = Some(more),
        }
        Some(())
    }
}

/// The whole body as text, with the room that it takes.
async fn whole(body: Body, limit: usize) -> Result<(String, Room), Unreadable> {
    let collecting = collect(body, limit, &TOGETHER);
    let collected = tokio::time::timeout(MAX_WAIT, collecting).await;
    let (bytes, room) = collected.unwrap_or_else(|_| Err(aborted()))?;
    let text = String::from_utf8(bytes)
        .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    Ok((text, room))
}

fn aborted() -> Unreadable {
    Unreadable("request aborted".to_owned())
}

/// Room is taken for what has come, never for what was announced; who sends much and stalls keeps it for [`MAX_WAIT`] at most.
async fn collect(
    mut body: Body,
    limit: usize,
    all: &'static Semaphore,
) -> Result<(Vec<u8>, Room), Unreadable> {
    let mut bytes = Vec::new();
    let mut room = Room::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| aborted())?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let length = bytes.len().saturating_add(data.len());
        if length > limit {
            return Err(Unreadable(TOO_LARGE.to_owned()));
        }
        let grown = room.grow(length.saturating_sub(SMALL), all);
        grown.ok_or_else(|| Unreadable(CROWDED.to_owned()))?;
        bytes.extend_from_slice(&data);
    }
    Ok((bytes, room))
}

/// Parses a text by the reference's strict rule: an object or an array, or nothing at all.
pub(super) fn parse(text: &str) -> Result<Value, Unreadable> {
    if text.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let start = text.trim_start_matches([' ', '\t', '\n', '\r']);
    if !start.starts_with(['{', '[']) {
        let at = text.len() - start.len();
        return Err(Unreadable(unexpected(text, at)));
    }
    serde_json::from_str(text).map_err(|error| Unreadable(complaint(text, &error)))
}

/// What the reference's runtime says about a JSON text that it cannot parse.
fn complaint(text: &str, error: &serde_json::Error) -> String {
    if error.is_eof() {
        return if error.to_string().contains("string") {
            format!(
                "Unterminated string in JSON at position {}",
                text.encode_utf16().count()
            )
        } else {
            unexpected(text, text.len())
        };
    }
    let line_start: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    // serde_json counts bytes from 1.
    let at = line_start + error.column().saturating_sub(1);
    unexpected(text, at)
}

/// Letters shown on each side of the place.
const CONTEXT: usize = 10;

fn unexpected(text: &str, at: usize) -> String {
    let at = (0..=at.min(text.len()))
        .rev()
        .find(|place| text.is_char_boundary(*place))
        .unwrap_or_default();
    let (before, after) = text.split_at(at);
    let Some(token) = after.chars().next() else {
        return "Unexpected end of JSON input".to_owned();
    };
    let before: Vec<char> = before.chars().collect();
    let place = before.len();
    let length = place + after.chars().count();
    let tail: String = before.iter().skip(place.saturating_sub(CONTEXT)).collect();
    let excerpt = if length <= 2 * CONTEXT {
        format!("\"{text}\"")
    } else {
        let head: String = after.chars().take(CONTEXT).collect();
        match (place < CONTEXT, place + CONTEXT >= length) {
            (true, _) => format!("\"{tail}{head}\"... "),
            (false, true) => format!("...\"{tail}{after}\" "),
            (false, false) => format!("...\"{tail}{head}\"... "),
        }
        .trim_end()
        .to_owned()
    };
    format!("Unexpected token '{token}', {excerpt} is not valid JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().0
    }

    #[test]
    fn errors_are_in_the_words_of_the_reference() {
        assert_eq!(
            message("not json"),
            "Unexpected token 'n', \"not json\" is not valid JSON"
        );
        assert_eq!(message("{"), "Unexpected end of JSON input");
        assert_eq!(
            message("{\"a\":}"),
            "Unexpected token '}', \"{\"a\":}\" is not valid JSON"
        );
        assert_eq!(
            message("{\"local\":{\"name\":\"x\",\"apps\":!}}"),
            "Unexpected token '!', ...\"x\",\"apps\":!}}\" is not valid JSON"
        );
        assert_eq!(
            message("\"a string is not a body, however long it may be\""),
            "Unexpected token '\"', \"\"a string \"... is not valid JSON"
        );
    }

    #[tokio::test]
    async fn what_is_sent_at_a_time_has_a_bound_that_small_bodies_do_not_meet() {
        static LITTLE: Semaphore = Semaphore::const_new(SMALL);
        let sent = |length: usize| collect(Body::from(vec![b' '; length]), MAX_BYTES, &LITTLE);
        let (bytes, first) = sent(2 * SMALL).await.unwrap();
        assert_eq!((bytes.len(), LITTLE.available_permits()), (2 * SMALL, 0));
        let crowded = sent(SMALL + 1).await.unwrap_err();
        assert_eq!(crowded, Unreadable(CROWDED.to_owned()));
        assert!(sent(SMALL).await.is_ok());
        drop(first);
        assert!(sent(2 * SMALL).await.is_ok());
        assert_eq!(LITTLE.available_permits(), SMALL);
    }

    #[tokio::test]
    async fn a_body_in_parts_takes_room_for_each() {
        static LITTLE: Semaphore = Semaphore::const_new(SMALL);
        let parts = |count: usize| {
            let part = || Ok::<_, std::io::Error>(vec![b' '; SMALL / 2]);
            let parts = std::iter::repeat_with(part).take(count);
            Body::from_stream(futures_util::stream::iter(parts))
        };
        let (bytes, _room) = collect(parts(4), MAX_BYTES, &LITTLE).await.unwrap();
        assert_eq!((bytes.len(), LITTLE.available_permits()), (2 * SMALL, 0));
        let long = collect(parts(4), SMALL, &LITTLE).await.unwrap_err();
        assert_eq!(long, Unreadable(TOO_LARGE.to_owned()));
    }

    #[test]
    fn whatever_is_sent_gets_an_answer() {
        for text in [
            "{\"ä\u{1F600}\":\u{1F600}",
            "\u{FEFF}{}",
            "[1,",
            "{\"a\":\"",
            "   ",
            "\n\n{\n}x",
        ] {
            assert!(parse(text).is_err(), "{text:?}");
        }
        assert_eq!(parse("").unwrap(), Value::Object(Map::new()));
        assert_eq!(parse(" {} \n").unwrap(), Value::Object(Map::new()));
        let deep = "[".repeat(100_000);
        assert!(parse(&deep).is_err());
    }
}
