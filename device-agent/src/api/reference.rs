//! `/ping`, `/v1` and `/v2` of the reference, to the letter.

use std::collections::BTreeMap;
use std::time::Duration;

use agent_api::os::ApplyState;
use agent_api::reference::{
    COMPATIBLE_VERSION, ContainerId, ContainerIds, ImageStatus, StateStatus, Version,
};
use axum::Extension;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Map, Value, json as value};

use super::access::Access;
use super::body::{failed, json};
use super::value::id;
use super::{HTML, Shared};
use crate::model::{App, Target};
use crate::report::{ReleaseService, ReleaseState};

/// `GET /ping`
pub(super) async fn ping() -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(HTML))];
    (kind, "OK").into_response()
}

/// `GET /v1/healthy`
pub(super) async fn healthy(State(agent): Shared) -> Response {
    let target = agent.store.accepted().target;
    let snapshot = agent.snapshot.borrow();
    let vitals = Vitals {
        managed: agent.settings.managed,
        fetching: snapshot.progress.is_some(),
        applying: snapshot.applying_since.map(|since| since.elapsed()),
        poll_interval: poll_interval(target.as_deref()),
    };
    if vitals.are_good() {
        "OK".into_response()
    } else {
        (StatusCode::INTERNAL_SERVER_ERROR, "Unhealthy").into_response()
    }
}

/// What a device's health is judged by.
#[derive(Debug, Clone, Copy)]
struct Vitals {
    managed: bool,
    /// Whether an image is being fetched.
    fetching: bool,
    /// For how long it has been on its way to its target, fetches aside.
    applying: Option<Duration>,
    poll_interval: Duration,
}

impl Vitals {
    /// An unmanaged device is healthy when it answers. One of a fleet that is never done with its target is not; what else the
    /// reference looks at is a connection to its cloud.
    fn are_good(self) -> bool {
        let applying = self.applying.unwrap_or_default();
        !self.managed || self.fetching || applying < self.poll_interval * 2
    }
}

/// How often the target would be asked for.
fn poll_interval(target: Option<&Target>) -> Duration {
    let written = target.and_then(|target| target.config.get("SUPERVISOR_POLL_INTERVAL"));
    let millis = written.and_then(|text| text.parse().ok());
    Duration::from_millis(millis.unwrap_or(900_000)).max(Duration::from_mins(1))
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
    snapshot.seen >= agent.store.accepted().generation
        && snapshot.report.state != ApplyState::Applying
}

/// `GET /v2/state/status`
pub(super) async fn state_status(
    State(agent): Shared,
    Extension(access): Extension<Access>,
) -> Response {
    let applied = is_applied(&agent);
    let snapshot = agent.snapshot.borrow().clone();
    // The reference tells of one application.
    let of_containers = snapshot.containers.iter().map(|c| c.app_id);
    let of_images = snapshot.images.iter().map(|image| image.app_id);
    let mut apps = of_containers.chain(of_images);
    let first = apps.find(|app_id| access.may(*app_id));
    let release = first.and_then(|app_id| snapshot.releases.get(&app_id));
    let images = of(&snapshot.images, |image| Some(image.app_id) == first);
    let status = StateStatus {
        status: "success".to_owned(),
        app_state: if applied { "applied" } else { "applying" }.to_owned(),
        overall_download_progress: overall(&images),
        containers: of(&snapshot.containers, |c| Some(c.app_id) == first),
        images,
        release: release.cloned(),
    };
    json(StatusCode::OK, &status)
}

/// How much of all images that are fetched is here, 0..=100: their mean, as the reference tells it.
fn overall(images: &[ImageStatus]) -> Option<u8> {
    let parts: Vec<u32> = images
        .iter()
        .filter_map(|image| image.download_progress.map(u32::from))
        .collect();
    let count = u32::try_from(parts.len()).ok()?;
    let mean = parts.iter().sum::<u32>().checked_div(count)?;
    u8::try_from(mean).ok()
}

fn of<T: Clone>(all: &[T], is_meant: impl Fn(&T) -> bool) -> Vec<T> {
    all.iter().filter(|one| is_meant(one)).cloned().collect()
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
    Extension(access): Extension<Access>,
    Query(query): Query<ContainerIdQuery>,
) -> Response {
    let snapshot = agent.snapshot.borrow().clone();
    let mut services: BTreeMap<String, String> = BTreeMap::new();
    let containers = snapshot.containers.iter();
    for container in containers.filter(|c| access.may(c.app_id)) {
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
    // The reference looks at its first application only, and of that at the image with the lowest id.
    let first = snapshot.present.first_key_value();
    let commit = first.and_then(|(app_id, _)| snapshot.releases.get(app_id));
    if let Some(commit) = commit.filter(|_| applied) {
        answer.insert("commit".into(), commit.clone().into());
    }
    if let Some(service) = first.and_then(|(_, services)| services.values().next()) {
        let status = match service.status.as_str() {
            "Running" => "Idle",
            status => status,
        };
        answer.insert("status".into(), status.into());
        let progress = service.download_progress;
        answer.insert("download_progress".into(), progress.into());
    }
    json(StatusCode::OK, &Value::Object(answer))
}

/// `GET /v2/applications/state`: the release that the target wants of each application.
pub(super) async fn applications(
    State(agent): Shared,
    Extension(access): Extension<Access>,
) -> Response {
    let accepted = agent.store.accepted();
    let snapshot = agent.snapshot.borrow().clone();
    let is_read = snapshot.seen >= accepted.generation;
    let mut answer = Map::new();
    let apps = accepted
        .target
        .iter()
        .flat_map(|target| target.apps.values());
    for app in apps.filter(|app| access.may(app.id)) {
        let read = snapshot.applications.get(&app.id);
        let release = match read {
            Some(read) if is_read => read.clone(),
            before => unread(app, before),
        };
        let services: Map<String, Value> = release
            .services
            .into_iter()
            .map(|(name, service)| {
                let told = value!({
                    "status": service.status,
                    "image": service.image,
                    "downloadProgress": service.download_progress,
                    "releaseId": app.release_id,
                });
                (name, told)
            })
            .collect();
        answer.insert(
            app.name.clone(),
            value!({
                "appId": app.id,
                "appUuid": app.uuid,
                "commit": app.commit,
                "updateStatus": release.update_status,
                "services": services,
            }),
        );
    }
    json(StatusCode::OK, &Value::Object(answer))
}

/// A release that the device was not compared with yet: what is left to be done for it is not known. Its services are told as
/// they were before; of one that is new there is nothing. Pure.
fn unread(app: &App, before: Option<&ReleaseState>) -> ReleaseState {
    let services = app.services.values().map(|service| {
        let known = before.and_then(|before| before.services.get(&service.name));
        let told = ReleaseService {
            status: known.map_or_else(|| "Downloading".to_owned(), |known| known.status.clone()),
            image: service.image.clone(),
            download_progress: known.map_or(Some(0), |known| known.download_progress),
        };
        (service.name.clone(), told)
    });
    ReleaseState {
        update_status: "applying changes",
        services: services.collect(),
    }
}

/// `GET /v2/applications/:appId/state`: what is there of one application, of whatever release.
pub(super) async fn application(
    State(agent): Shared,
    Extension(access): Extension<Access>,
    Path(app): Path<String>,
) -> Response {
    let Some(id) = id(&app) else {
        let words = format!("Invalid application ID: {app}");
        return failed(StatusCode::BAD_REQUEST, words);
    };
    let snapshot = agent.snapshot.borrow().clone();
    let target = agent.store.accepted().target;
    let is_wanted = target.is_some_and(|target| target.apps.contains_key(&id));
    let present = snapshot.present.get(&id);
    // One that a key is not for is to it as one that is not there.
    if !access.may(id) || !(is_wanted || present.is_some()) {
        return failed(
            StatusCode::CONFLICT,
            format!("Application ID does not exist: {id}"),
        );
    }
    let services: Map<String, Value> = present
        .into_iter()
        .flatten()
        .map(|(image_id, service)| {
            let told = value!({
                "status": service.status,
                "releaseId": service.release_id,
                "download_progress": service.download_progress,
            });
            (image_id.to_string(), told)
        })
        .collect();
    let mut local = Map::new();
    local.insert(id.to_string(), value!({ "services": services }));
    let mut answer = Map::new();
    if let Some(commit) = snapshot.releases.get(&id) {
        answer.insert("commit".into(), commit.clone().into());
    }
    answer.insert("local".into(), local.into());
    json(StatusCode::OK, &Value::Object(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_of_a_fleet_that_is_never_done_is_not_well() {
        let minutes = Duration::from_mins;
        for (managed, fetching, applying, good) in [
            (false, false, Some(1000), true),
            (true, false, None, true),
            (true, false, Some(29), true),
            (true, false, Some(31), false),
            (true, true, Some(31), true),
        ] {
            let vitals = Vitals {
                managed,
                fetching,
                applying: applying.map(minutes),
                poll_interval: minutes(15),
            };
            assert_eq!(vitals.are_good(), good, "{vitals:?}");
        }
    }
}
