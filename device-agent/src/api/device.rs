//! Our own routes about the device as a whole: what a target would change, the disk, local mode.

use std::collections::BTreeSet;
use std::sync::Arc;

use agent_api::os::{LocalMode, Loss, SetLocalMode};
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value;

use super::body::{self, Unreadable, json};
use super::{Agent, Shared, actions, local, os};
use crate::model::{Inventory, Refused, names};
use crate::reconcile::Proposal;
use crate::store::StoreError;

/// `POST /os/v1/plan`: the body of a target; `rebuilt` lists services whose images will be others.
pub(super) async fn plan(State(agent): Shared, headers: HeaderMap, body: Body) -> Response {
    let body = match body::read_json(&headers, body, body::MAX_BYTES).await {
        Ok(body) => body,
        Err(unreadable) => return os::unreadable(unreadable),
    };
    let target = match local::understand(&body.value, &agent.name()) {
        Ok(target) => target,
        Err(message) => return os::problem(StatusCode::BAD_REQUEST, "invalid-target", message),
    };
    let target = agent.store.look(|store| store.proposed(target));
    let proposal = Proposal {
        target: Arc::new(target),
        rebuilt: local::names_in(&body.value, "rebuilt").unwrap_or_default(),
    };
    match agent.caller.preview(proposal).await {
        Ok(preview) => json(StatusCode::OK, &preview),
        Err(refused) => actions::problem(&refused),
    }
}

/// `GET /os/v1/disk`
pub(super) async fn disk(State(agent): Shared) -> Response {
    match agent.disk().await {
        Ok(disk) => json(StatusCode::OK, &disk),
        Err(refused) => actions::problem(&refused),
    }
}

/// `GET /os/v1/local-mode`
pub(super) async fn local_mode(State(agent): Shared) -> Response {
    match present(&agent).await {
        Ok(mode) => json(StatusCode::OK, &mode),
        Err(refused) => actions::problem(&refused),
    }
}

async fn present(agent: &Agent) -> Result<LocalMode, Refused> {
    let session = agent.store.look(crate::store::Store::session);
    let is_local = agent.store.accepted().is_local();
    let losses = match session {
        Some(session) if is_local && agent.settings.managed => {
            losses(agent, &agent.inventory().await?.without(&session))
        }
        _ => Vec::new(),
    };
    Ok(LocalMode {
        enabled: is_local,
        managed: agent.settings.managed,
        losses,
    })
}

/// What the end of a session removes. Volumes that the fleet's target names stay, whenever they came.
fn losses(agent: &Agent, came: &Inventory) -> Vec<Loss> {
    let fleet = agent.store.look(crate::store::Store::fleet);
    let confinement = agent.settings.facts.confinement.as_ref();
    let kept: BTreeSet<String> = fleet
        .iter()
        .flat_map(|target| target.apps.values())
        .flat_map(|app| {
            let volumes = app.volumes.keys();
            volumes.map(|name| names::volume(app.id, name, confinement))
        })
        .collect();
    let loss = |kind: &str, name: &String| Loss {
        kind: kind.to_owned(),
        name: name.clone(),
        because: "it came since local mode was switched on".to_owned(),
    };
    let volumes = came
        .volumes
        .difference(&kept)
        .map(|name| loss("volume", name));
    let images = came.images.iter().map(|id| loss("image", id));
    let containers = came.containers.iter().map(|id| loss("container", id));
    let networks = came.networks.iter().map(|id| loss("network", id));
    volumes
        .chain(containers)
        .chain(images)
        .chain(networks)
        .collect()
}

/// `PUT /os/v1/local-mode`
pub(super) async fn set_local_mode(
    State(agent): Shared,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = body::read_json(&headers, body, body::SMALL).await;
    let asked = body.and_then(|body| understand(body.value).map_err(Unreadable));
    let asked: SetLocalMode = match asked {
        Ok(asked) => asked,
        Err(unreadable) => return os::unreadable(unreadable),
    };
    let now = match present(&agent).await {
        Ok(now) => now,
        Err(refused) => return actions::problem(&refused),
    };
    if now.enabled == asked.enabled {
        return json(StatusCode::OK, &now);
    }
    if !now.managed {
        return os::problem(
            StatusCode::CONFLICT,
            "not-managed",
            "this device belongs to no fleet: it is always in local mode",
        );
    }
    let volumes: Vec<&str> = now
        .losses
        .iter()
        .filter(|loss| loss.kind == "volume")
        .map(|loss| loss.name.as_str())
        .collect();
    if !asked.enabled && !asked.discard && !volumes.is_empty() {
        return os::problem(
            StatusCode::CONFLICT,
            "would-lose",
            format!(
                "the data of these volumes would be lost: {}; allow it with `discard`",
                volumes.join(", ")
            ),
        );
    }
    match switch(&agent, asked.enabled).await {
        Ok(()) => {
            let mode = LocalMode {
                enabled: asked.enabled,
                managed: true,
                losses: Vec::new(),
            };
            json(StatusCode::OK, &mode)
        }
        Err(answer) => answer,
    }
}

/// Understands a body. Pure.
///
/// # Errors
/// Words about what is wrong in it.
pub(super) fn understand(body: Value) -> Result<SetLocalMode, String> {
    serde_json::from_value(body).map_err(|error| error.to_string())
}

async fn switch(agent: &Agent, enable: bool) -> Result<(), Response> {
    let changed = if enable {
        let inventory = agent.inventory().await;
        let present = inventory.map_err(|refused| actions::problem(&refused))?;
        let begin = move |store: &mut crate::store::Store| store.begin_session(present);
        agent.store.change(begin).await
    } else {
        agent.store.change(crate::store::Store::end_session).await
    };
    changed.map(drop).map_err(|error: StoreError| {
        let message = crate::daemon::chain(&error);
        os::problem(StatusCode::INSUFFICIENT_STORAGE, "not-stored", message)
    })
}
