//! Routes of the reference that ask the device's cloud: this agent has no connection to one, and says so in its words.

use axum::http::StatusCode;
use axum::response::Response;
use serde_json::Value;

use super::body::{Fields, failed};

/// The reference's words for a device that belongs to no cloud.
const NO_CLOUD: &str = "Attempt to communicate with API, without initialized client";

/// The reference's words for a body that holds something else than tags.
const NO_TAGS: &str = "Invalid tags body, must be an object like `{[tagKey: string]: string}`";

/// `GET /v2/device/tags`
pub(super) async fn tags() -> Response {
    failed(StatusCode::INTERNAL_SERVER_ERROR, NO_CLOUD)
}

/// `PATCH /v2/device/tags`: what is no tag is refused first.
pub(super) async fn set_tags(Fields(body): Fields) -> Response {
    match understand_tags(&body) {
        Ok(()) => failed(StatusCode::INTERNAL_SERVER_ERROR, NO_CLOUD),
        Err(words) => failed(StatusCode::BAD_REQUEST, words),
    }
}

/// Whether these are tags. Pure.
///
/// # Errors
/// Words about the first that is none.
pub(super) fn understand_tags(body: &Value) -> Result<(), String> {
    let Value::Object(tags) = body else {
        return Err(NO_TAGS.to_owned());
    };
    for (key, value) in tags {
        if !value.is_string() {
            return Err(NO_TAGS.to_owned());
        }
        if key.contains(char::is_whitespace) {
            return Err("Tag keys cannot contain whitespace".to_owned());
        }
        if key.is_empty() {
            return Err("Tag keys cannot be empty".to_owned());
        }
    }
    Ok(())
}
