//! `/v2/local` of the reference: what pushing needs.

use agent_api::reference::{DeviceInfo, DeviceInfoAnswer, LocalTarget, LocalTargetState};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json as value};

use super::body::{self, Unreadable, failed, json};
use super::{Agent, Shared, defaults};
use crate::store::Accepted;
use crate::target;

/// `GET /v2/local/device-info`
pub(super) async fn device_info(State(agent): Shared) -> Response {
    let answer = DeviceInfoAnswer {
        status: "success".to_owned(),
        info: DeviceInfo {
            arch: agent.settings.facts.arch.clone(),
            device_type: agent.settings.facts.device_type.clone(),
        },
    };
    json(StatusCode::OK, &answer)
}

/// `GET /v2/local/target-state`: what may be sent back after `apps` was replaced. The applications themselves are left
/// out: their environment holds secrets, and clients throw them away.
pub(super) async fn target_state(State(agent): Shared) -> Response {
    let stored = agent
        .accepted
        .borrow()
        .target
        .as_ref()
        .map(|target| target.config.clone())
        .unwrap_or_default();
    let answer = value!({
        "status": "success",
        "state": {"local": {
            "name": agent.name(),
            "config": defaults::overlaid(&stored),
            "apps": {},
        }},
    });
    json(StatusCode::OK, &answer)
}

/// Why a target was not taken.
pub(super) enum Refused {
    /// The body is not JSON, or too large.
    Body(Unreadable),
    /// It is not a target; what is wrong, with its place.
    Invalid(String),
    /// It could not be stored.
    Store(String),
}

/// Validates and stores the target in a request.
pub(super) async fn take(
    agent: &Agent,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Refused> {
    let body = body::read(headers, body).await.map_err(Refused::Body)?;
    let target = understand(body, &agent.name()).map_err(Refused::Invalid)?;
    agent.accept(target).await.map_err(|error| {
        tracing::error!(error = %failure_chain(&error), "a target could not be stored");
        Refused::Store(failure_chain(&error))
    })
}

fn failure_chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        words = format!("{words}: {cause}");
        below = cause.source();
    }
    words
}

/// The target in a parsed body, or what is wrong with it.
pub(super) fn understand(body: Value, present_name: &str) -> Result<crate::model::Target, String> {
    if body.get("local").is_none_or(Value::is_null) {
        return Err("Invalid target state: local: is missing".to_owned());
    }
    let state: LocalTargetState =
        serde_json::from_value(body).map_err(|error| format!("Invalid target state: {error}"))?;
    let local: LocalTarget = state.local;
    target::parse(&local, present_name).map_err(|invalid| invalid.to_string())
}

/// `POST /v2/local/target-state`
pub(super) async fn set_target_state(
    State(agent): Shared,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&agent, &headers, body).await {
        Ok(_) => json(
            StatusCode::OK,
            &value!({"status": "success", "message": "OK"}),
        ),
        Err(Refused::Invalid(message)) => failed(StatusCode::BAD_REQUEST, message),
        Err(Refused::Body(Unreadable(message)) | Refused::Store(message)) => {
            failed(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}
