//! `/v2/local` of the reference: what pushing needs.

use agent_api::reference::{DeviceInfo, DeviceInfoAnswer, LocalTarget};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json as value};

use super::body::{self, Unreadable, failed, json};
use super::{Agent, Shared, defaults};
use crate::daemon::chain;
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
    let target = understand(&body, &agent.name()).map_err(Refused::Invalid)?;
    agent.accept(target).await.map_err(|error| {
        let error = chain(&error);
        tracing::error!(%error, "a target could not be stored");
        Refused::Store(error)
    })
}

/// The target in a parsed body, or what is wrong with it.
pub(super) fn understand(body: &Value, present_name: &str) -> Result<crate::model::Target, String> {
    let invalid = |place: &str, problem: &dyn std::fmt::Display| {
        format!("invalid target state: {place}: {problem}")
    };
    let local = match body.get("local") {
        None | Some(Value::Null) => return Err(invalid("local", &"is missing")),
        Some(Value::Object(local)) => local,
        Some(_) => return Err(invalid("local", &"is no object")),
    };
    // Member by member, so that the complaint can name the place.
    let member = |name: &str| local.get(name).cloned().unwrap_or_default();
    let local = LocalTarget {
        name: serde_json::from_value(member("name")).map_err(|error| invalid("name", &error))?,
        config: serde_json::from_value(member("config"))
            .map_err(|error| invalid("config", &error))?,
        apps: serde_json::from_value(member("apps")).map_err(|error| invalid("apps", &error))?,
    };
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
