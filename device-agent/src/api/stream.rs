//! Answers that never end: one JSON object a line.
//!
//! Every stream ends when the agent does.

use axum::BoxError;
use axum::body::{Body, Bytes};
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use serde::Serialize;

const NDJSON: &str = "application/x-ndjson";

/// One object and its line end, appended.
pub(super) fn append<T: Serialize>(value: &T, text: &mut Vec<u8>) {
    let before = text.len();
    match serde_json::to_writer(&mut *text, value) {
        Ok(()) => text.push(b'\n'),
        Err(error) => {
            text.truncate(before);
            tracing::error!(%error, "a line could not be written as JSON");
        }
    }
}

/// A stream as the reference answers it: without a content type.
pub(super) fn streamed<E: Into<BoxError> + 'static>(
    lines: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Response {
    Body::from_stream(lines).into_response()
}

/// A stream of our own routes.
pub(super) fn ndjson<E: Into<BoxError> + 'static>(
    lines: impl Stream<Item = Result<Bytes, E>> + Send + 'static,
) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(NDJSON))];
    (kind, Body::from_stream(lines)).into_response()
}
