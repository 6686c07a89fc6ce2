//! Request bodies by the reference's rules: looked at only when the content type says so, at most 10 MB, errors in the
//! words of its parser.

use std::time::Duration;

use agent_api::reference::Failed;
use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Serialize;
use serde_json::{Map, Value};

/// 10 MB, as the reference's parsers count it.
const MAX_BYTES: usize = 10 * 1024 * 1024;
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

/// Why a body was not understood, in the reference's words.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unreadable(pub(super) String);

/// Reads a body; empty when its type is not one that is parsed.
pub(super) async fn read(headers: &HeaderMap, body: Body) -> Result<Value, Unreadable> {
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
    let is_json = match parsed.as_deref() {
        Some("application/json") => true,
        Some("application/x-www-form-urlencoded") => false,
        _ => return Ok(Value::Object(Map::new())),
    };
    let limited = Limited::new(body, MAX_BYTES);
    let bytes = match tokio::time::timeout(MAX_WAIT, limited.collect()).await {
        Ok(Ok(collected)) => collected.to_bytes(),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            return Err(Unreadable("request entity too large".to_owned()));
        }
        Ok(Err(_)) | Err(_) => return Err(Unreadable("request aborted".to_owned())),
    };
    if is_json {
        parse(&String::from_utf8_lossy(&bytes))
    } else {
        // A form cannot hold a target: its values are strings.
        Ok(Value::Object(Map::new()))
    }
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
