//! Our own API under `/os/v1`; its types and their promises are in `agent_api::os`.

use agent_api::os::{Accepted, Confinement, Info, Problem};
use agent_api::reference::COMPATIBLE_VERSION;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use super::Shared;
use super::body::{CROWDED, TOO_LARGE, Unreadable, json};
use super::local::{self, Refused};
use crate::host::ssh_keys::host_keys;

/// What clients may rely on.
const CAPABILITIES: [&str; 11] = [
    "report-stream",
    "log-tail",
    "log-service-filter",
    "log-cursor",
    "log-since",
    "actions",
    "plan",
    "local-mode",
    "disk",
    "discard-volumes",
    "purge-service",
];

/// That of a device whose system has a journal.
const SYSTEM_JOURNAL: &str = "system-journal";

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
    let machine = agent.settings.machine.as_ref();
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
        local_mode: agent.store.accepted().is_local(),
        room: agent.room(),
        ssh_host_keys: machine.map_or_else(Vec::new, |machine| host_keys(&machine.root)),
        capabilities: CAPABILITIES
            .into_iter()
            .chain(agent.journal_root().map(|_| SYSTEM_JOURNAL))
            .map(str::to_owned)
            .collect(),
    };
    json(StatusCode::OK, &info)
}

/// `POST /os/v1/target-state`
pub(super) async fn set_target_state(
    State(agent): Shared,
    headers: HeaderMap,
    body: Body,
) -> Response {
    accepted(local::take(&agent, &headers, body).await)
}

/// `POST /os/v1/fleet/target-state`: what the fleet asks for, from who provisions the device, as a fleet writes it
/// ([`crate::target::parse_fleet`]).
pub(super) async fn set_fleet_target(
    State(agent): Shared,
    headers: HeaderMap,
    body: Body,
) -> Response {
    if !agent.settings.managed {
        return problem(
            StatusCode::CONFLICT,
            "not-managed",
            "this device belongs to no fleet",
        );
    }
    accepted(local::take_fleet(&agent, &headers, body).await)
}

/// The answer to a body that was not understood.
pub(super) fn unreadable(Unreadable(message): Unreadable) -> Response {
    let (status, code) = match message.as_str() {
        TOO_LARGE => (StatusCode::PAYLOAD_TOO_LARGE, "too-large"),
        CROWDED => (StatusCode::SERVICE_UNAVAILABLE, "crowded"),
        _ => (StatusCode::BAD_REQUEST, "invalid-body"),
    };
    problem(status, code, message)
}

fn accepted(taken: Result<crate::store::Accepted, Refused>) -> Response {
    match taken {
        Ok(accepted) => json(
            StatusCode::OK,
            &Accepted {
                generation: accepted.generation,
            },
        ),
        Err(Refused::Invalid(message)) => {
            problem(StatusCode::BAD_REQUEST, "invalid-target", message)
        }
        Err(Refused::NotLocal) => problem(
            StatusCode::CONFLICT,
            "not-local",
            "this device takes its target from its fleet: switch local mode on first",
        ),
        Err(Refused::Body(body)) => unreadable(body),
        Err(Refused::Store(message)) => {
            problem(StatusCode::INSUFFICIENT_STORAGE, "not-stored", message)
        }
    }
}
