//! Our own API under `/os/v1`; its types and their promises are in `agent_api::os`.

use agent_api::os::{Accepted, Confinement, Info, Problem};
use agent_api::reference::COMPATIBLE_VERSION;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::Shared;
use super::body::{Unreadable, json};
use super::local::{self, Refused};

/// What clients may rely on.
const CAPABILITIES: [&str; 3] = ["report-stream", "log-tail", "log-service-filter"];

/// An error of `/os/v1`.
pub(super) fn problem(status: StatusCode, code: &str, message: impl Into<String>) -> Response {
    json(
        status,
        &Problem {
            code: code.to_owned(),
            message: message.into(),
        },
    )
}

/// `GET /os/v1/info`
pub(super) async fn info(State(agent): Shared) -> Response {
    let facts = &agent.settings.facts;
    let info = Info {
        uuid: facts.uuid.clone(),
        name: agent.name(),
        hostname: facts.hostname.clone(),
        device_type: facts.device_type.clone(),
        arch: facts.arch.clone(),
        os_version: facts.os_version.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        compatible_version: COMPATIBLE_VERSION.to_owned(),
        variant: agent.settings.variant,
        managed: agent.settings.managed,
        engine: agent.engine(),
        confinement: facts.confinement.as_ref().map(|confinement| Confinement {
            namespace: confinement.namespace.clone(),
            address: confinement.address.to_string(),
            allow_privileged: confinement.allow_privileged,
        }),
        capabilities: CAPABILITIES.iter().map(|&word| word.to_owned()).collect(),
    };
    json(StatusCode::OK, &info)
}

/// `POST /os/v1/target-state`
pub(super) async fn set_target_state(
    State(agent): Shared,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match local::take(&agent, &headers, body).await {
        Ok(accepted) => json(
            StatusCode::OK,
            &Accepted {
                generation: accepted.generation,
            },
        ),
        Err(Refused::Invalid(message)) => {
            problem(StatusCode::BAD_REQUEST, "invalid-target", message)
        }
        Err(Refused::Body(Unreadable(message))) => {
            let too_large = message == "request entity too large";
            let (status, code) = if too_large {
                (StatusCode::PAYLOAD_TOO_LARGE, "too-large")
            } else {
                (StatusCode::BAD_REQUEST, "invalid-body")
            };
            problem(status, code, message)
        }
        Err(Refused::Store(message)) => {
            problem(StatusCode::INSUFFICIENT_STORAGE, "not-stored", message)
        }
    }
}
