//! `/v2/local` of the reference: what pushing needs.

use std::collections::BTreeSet;

use agent_api::reference::{DeviceInfo, DeviceInfoAnswer, LocalTarget};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::{Value, json as value};

use super::body::{self, Unreadable, failed, json};
use super::value::is_true;
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
        .store
        .accepted()
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

/// The reference's words for a device that takes its target from its fleet.
pub(super) const NOT_LOCAL: &str = "Target state can only set when device is in local mode";

/// Why a target was not taken.
pub(super) enum Refused {
    /// The body is not JSON, or too large.
    Body(Unreadable),
    /// It is not a target; what is wrong, with its place.
    Invalid(String),
    /// Targets come from the fleet now.
    NotLocal,
    /// It could not be stored.
    Store(String),
}

/// Validates and stores the target in a request.
pub(super) async fn take(
    agent: &Agent,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Refused> {
    let body = body::read_json(headers, body, body::MAX_BYTES)
        .await
        .map_err(Refused::Body)?;
    if !agent.store.accepted().is_local() {
        return Err(Refused::NotLocal);
    }
    let mut target = understand(&body.value, &agent.name()).map_err(Refused::Invalid)?;
    target.force = is_true(body.value.get("force"));
    agent.accept(target).await.map_err(|error| {
        let error = chain(&error);
        tracing::error!(%error, "a target could not be stored");
        Refused::Store(error)
    })
}

/// Validates and stores the fleet's target in a request.
pub(super) async fn take_fleet(
    agent: &Agent,
    headers: &HeaderMap,
    body: Body,
) -> Result<Accepted, Refused> {
    let body = body::read_json(headers, body, body::MAX_BYTES)
        .await
        .map_err(Refused::Body)?;
    let uuid = &agent.settings.facts.uuid;
    let target = understand_fleet(&body.value, uuid, &agent.name()).map_err(Refused::Invalid)?;
    let stored = agent
        .store
        .change(move |store| store.put_fleet(target))
        .await;
    stored.map_err(|error| Refused::Store(chain(&error)))
}

/// The fleet's target in a parsed body, or what is wrong with it: in the fleet's own form, or in that of a local target, which
/// knows only apps of the fleet, named after their ids.
pub(super) fn understand_fleet(
    body: &Value,
    uuid: &str,
    present_name: &str,
) -> Result<crate::model::Target, String> {
    let map = body.as_object();
    let is_local = map.is_none_or(|map| map.contains_key("local") && !map.contains_key(uuid));
    let Some(map) = map.filter(|_| !is_local) else {
        return understand(body, present_name);
    };
    let mut target =
        target::parse_fleet(map, uuid, present_name).map_err(|invalid| invalid.to_string())?;
    target.let_go(&discarded(body)?);
    Ok(target)
}

/// The target in a parsed body, or what is wrong with it.
pub(super) fn understand(body: &Value, present_name: &str) -> Result<crate::model::Target, String> {
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
    let mut target = target::parse(&local, present_name).map_err(|invalid| invalid.to_string())?;
    target.let_go(&discarded(body)?);
    Ok(target)
}

fn invalid(place: &str, problem: &dyn std::fmt::Display) -> String {
    format!("invalid target state: {place}: {problem}")
}

/// The volumes that may lose their data.
fn discarded(body: &Value) -> Result<BTreeSet<String>, String> {
    const KEY: &str = "discardVolumes";
    names_in(body, KEY).map_err(|error| invalid(KEY, &error))
}

/// A list of names beside the target.
pub(super) fn names_in(body: &Value, key: &str) -> Result<BTreeSet<String>, String> {
    match body.get(key) {
        None | Some(Value::Null) => Ok(BTreeSet::new()),
        Some(Value::Array(names)) if names.len() <= target::MAX_ITEMS => names
            .iter()
            .map(|name| match name.as_str() {
                Some(name) if name.len() <= 255 => Ok(name.to_owned()),
                _ => Err("is no list of names".to_owned()),
            })
            .collect(),
        Some(_) => Err("is no list of names".to_owned()),
    }
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
        Err(Refused::NotLocal) => failed(StatusCode::BAD_REQUEST, NOT_LOCAL),
        Err(Refused::Body(Unreadable(message)) | Refused::Store(message)) => {
            failed(StatusCode::SERVICE_UNAVAILABLE, message)
        }
    }
}
