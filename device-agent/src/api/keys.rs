//! Routes about the keys of the API themselves.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde_json::json as value;

use super::Shared;
use super::access::Access;
use super::actions::problem;
use super::body::{failed, json, text};

/// `POST /v1/regenerate-api-key`: another key for who asks. A service's container is made anew with it.
pub(super) async fn regenerate(
    State(agent): Shared,
    Extension(access): Extension<Access>,
) -> Response {
    let Some(key) = access.key else {
        return failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no API key to replace: none was given",
        );
    };
    match agent.caller.rotate_key(key).await {
        Ok(Some(key)) => text(StatusCode::OK, key.reveal()),
        Ok(None) => failed(
            StatusCode::SERVICE_UNAVAILABLE,
            "there is no API key to replace: the one that was given is nobody's",
        ),
        Err(refused) => failed(StatusCode::SERVICE_UNAVAILABLE, refused.to_string()),
    }
}

/// `GET /os/v1/key`: the device's own key, for who reports it to the cloud.
pub(super) async fn device(State(agent): Shared) -> Response {
    match agent.caller.device_key().await {
        Ok(key) => json(StatusCode::OK, &value!({"key": key.reveal()})),
        Err(refused) => problem(&refused),
    }
}
