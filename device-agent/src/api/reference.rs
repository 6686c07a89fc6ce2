//! `/ping`, `/v1` and `/v2` of the reference, to the letter.

use std::collections::BTreeMap;

use agent_api::os::ApplyState;
use agent_api::reference::{COMPATIBLE_VERSION, ContainerId, ContainerIds, StateStatus, Version};
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json as value};

use super::body::{failed, json};
use super::{HTML, Shared};

/// `GET /ping`
pub(super) async fn ping() -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(HTML))];
    (kind, "OK").into_response()
}

/// `GET /v1/healthy`: an unmanaged device is healthy when it answers.
pub(super) async fn healthy() -> Response {
    "OK".into_response()
}

/// `GET /v2/version`
pub(super) async fn version() -> Response {
    let version = Version {
        status: "success".to_owned(),
        version: COMPATIBLE_VERSION.to_owned(),
    };
    json(StatusCode::OK, &version)
}

/// Whether there is nothing to do: `Failing` counts, else followers of a service that cannot start wait for ever. They
/// go by the lists of containers, so a target with which these were not read yet is not applied.
fn is_applied(agent: &super::Agent) -> bool {
    let snapshot = agent.snapshot.borrow();
    snapshot.seen >= agent.accepted.borrow().generation
        && snapshot.report.state != ApplyState::Applying
}

/// `GET /v2/state/status`
pub(super) async fn state_status(State(agent): Shared) -> Response {
    let applied = is_applied(&agent);
    let snapshot = agent.snapshot.borrow().clone();
    let status = StateStatus {
        status: "success".to_owned(),
        app_state: if applied { "applied" } else { "applying" }.to_owned(),
        overall_download_progress: snapshot.progress,
        containers: snapshot.containers.clone(),
        images: snapshot.images.clone(),
        release: snapshot.release.clone(),
    };
    json(StatusCode::OK, &status)
}

#[derive(Deserialize)]
pub(super) struct ContainerIdQuery {
    #[serde(rename = "serviceName")]
    service_name: Option<String>,
    service: Option<String>,
}

/// `GET /v2/containerId`
pub(super) async fn container_id(
    State(agent): Shared,
    Query(query): Query<ContainerIdQuery>,
) -> Response {
    let snapshot = agent.snapshot.borrow().clone();
    let mut services: BTreeMap<String, String> = BTreeMap::new();
    for container in &snapshot.containers {
        // The newest comes first and wins.
        services
            .entry(container.service_name.clone())
            .or_insert_with(|| container.container_id.clone());
    }
    let status = "success".to_owned();
    match query.service_name.or(query.service) {
        None => json(StatusCode::OK, &ContainerIds { status, services }),
        Some(name) => match services.remove(&name) {
            Some(container_id) => json(
                StatusCode::OK,
                &ContainerId {
                    status,
                    container_id,
                },
            ),
            None => failed(
                StatusCode::SERVICE_UNAVAILABLE,
                "Could not find service with that name",
            ),
        },
    }
}

/// `GET /v2/device/name`
pub(super) async fn device_name(State(agent): Shared) -> Response {
    let answer = value!({"status": "success", "deviceName": agent.name()});
    json(StatusCode::OK, &answer)
}

/// `GET /v2/device/vpn`: an unmanaged device has none.
pub(super) async fn vpn() -> Response {
    let answer = value!({"status": "success", "vpn": {"enabled": false, "connected": false}});
    json(StatusCode::OK, &answer)
}

/// `GET /v1/device/host-config`
pub(super) async fn host_config(State(agent): Shared) -> Response {
    let answer = value!({"network": {"hostname": agent.settings.facts.hostname}});
    json(StatusCode::OK, &answer)
}

/// `GET /v1/device`
pub(super) async fn device(State(agent): Shared) -> Response {
    let applied = is_applied(&agent);
    let snapshot = agent.snapshot.borrow().clone();
    let addresses = crate::host::addresses();
    let mut answer = Map::new();
    answer.insert("api_port".into(), agent.settings.facts.listen_port.into());
    answer.insert("ip_address".into(), addresses.ip.join(" ").into());
    answer.insert(
        "os_version".into(),
        agent.settings.facts.os_version.clone().into(),
    );
    answer.insert("mac_address".into(), addresses.mac.join(" ").into());
    answer.insert("supervisor_version".into(), COMPATIBLE_VERSION.into());
    answer.insert("update_pending".into(), (!applied).into());
    answer.insert(
        "update_failed".into(),
        (snapshot.report.state == ApplyState::Failing).into(),
    );
    answer.insert("update_downloaded".into(), false.into());
    if let (true, Some(commit)) = (applied, &snapshot.release) {
        answer.insert("commit".into(), commit.clone().into());
    }
    answer.insert("status".into(), "Idle".into());
    answer.insert("download_progress".into(), snapshot.progress.into());
    json(StatusCode::OK, &Value::Object(answer))
}

/// `GET /v2/applications/state`
pub(super) async fn applications(State(agent): Shared) -> Response {
    let applied = is_applied(&agent);
    let snapshot = agent.snapshot.borrow().clone();
    let target = agent.accepted.borrow().target.clone();
    let mut answer = Map::new();
    for app in target.iter().flat_map(|target| target.apps.values()) {
        let mut services = Map::new();
        for service in app.services.values() {
            let report = snapshot
                .report
                .services
                .iter()
                .find(|report| report.app_id == app.id && report.name == service.name);
            services.insert(
                service.name.clone(),
                value!({
                    "status": report.map_or("Downloading", |report| report.status.as_str()),
                    "image": service.image,
                    "downloadProgress": Value::Null,
                    "releaseId": app.release_id,
                }),
            );
        }
        answer.insert(
            app.name.clone(),
            value!({
                "appId": app.id,
                "appUuid": app.uuid,
                "commit": app.commit,
                "updateStatus": if applied { "downloaded" } else { "applying changes" },
                "services": services,
            }),
        );
    }
    json(StatusCode::OK, &Value::Object(answer))
}

/// `GET /v2/applications/:appId/state`
pub(super) async fn application(State(agent): Shared, Path(app): Path<String>) -> Response {
    let Ok(id) = app.parse::<u32>() else {
        return failed(StatusCode::BAD_REQUEST, "Invalid app id");
    };
    let target = agent.accepted.borrow().target.clone();
    let Some(app) = target.as_ref().and_then(|target| target.apps.get(&id)) else {
        return failed(
            StatusCode::CONFLICT,
            format!("Application ID does not exist: {id}"),
        );
    };
    let snapshot = agent.snapshot.borrow().clone();
    let mut services = Map::new();
    for report in snapshot.report.services.iter().filter(|r| r.app_id == id) {
        services.insert(
            report.image_id.to_string(),
            value!({
                "status": report.status,
                "releaseId": app.release_id,
                "download_progress": Value::Null,
            }),
        );
    }
    let mut local = Map::new();
    local.insert(id.to_string(), value!({ "services": services }));
    json(
        StatusCode::OK,
        &value!({"commit": app.commit, "local": local}),
    )
}
