//! What the agent tells others: the report of `/os/v1` and the lists of `/v2`, made from one reading of the world.
//!
//! In: the target, what was observed, what is being done. Out: one [`Snapshot`], published whole. Pure: no I/O.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use agent_api::os::{ApplyState, ImageReport, Report, ServiceReport};
use agent_api::reference::{ContainerStatus, ImageStatus};

use crate::model::{
    Batch, ContainerState, Failure, Millis, Observed, ObservedContainer, Service, Step, Target,
    Warning,
};

/// Everything that is told, made at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// For our own API.
    pub(crate) report: Report,
    /// The target with which the world was last read: of a later one nothing is known but what the report says.
    pub(crate) seen: u64,
    /// For the reference's API, the newest container first.
    pub(crate) containers: Vec<ContainerStatus>,
    /// For the reference's API.
    pub(crate) images: Vec<ImageStatus>,
    /// Commit of the first application that has one.
    pub(crate) release: Option<String>,
    /// 0..=100 while something is being pulled.
    pub(crate) progress: Option<u8>,
}

impl Default for Snapshot {
    /// Before the world was read for the first time.
    fn default() -> Self {
        Self {
            report: Report {
                generation: 0,
                state: ApplyState::Applying,
                waiting: None,
                services: Vec::new(),
                images: Vec::new(),
                faults: Vec::new(),
            },
            seen: 0,
            containers: Vec::new(),
            images: Vec::new(),
            release: None,
            progress: None,
        }
    }
}

/// What a service is identified by across containers.
pub(crate) type ServiceKey = (u32, String);

/// What a [`Snapshot`] is made from.
#[derive(Debug)]
pub(crate) struct Sources<'a> {
    pub(crate) generation: u64,
    pub(crate) target: Option<&'a Target>,
    pub(crate) observed: &'a Observed,
    /// What failed, by [`Step::key`].
    pub(crate) failures: &'a BTreeMap<String, Failure>,
    /// Ports that the engine has published, by container id.
    pub(crate) ports: &'a BTreeMap<String, Vec<String>>,
    /// What is being executed now.
    pub(crate) doing: &'a Batch,
    /// Why services were last created.
    pub(crate) reasons: &'a BTreeMap<ServiceKey, String>,
    /// Percent by image reference, while it is pulled.
    pub(crate) pulls: &'a BTreeMap<String, u8>,
    pub(crate) warnings: &'a [Warning],
    pub(crate) faults: &'a [String],
    /// Why nothing can be done now, when the target is not reached.
    pub(crate) waiting: Option<&'a str>,
}

/// Makes the snapshot.
pub(crate) fn snapshot(sources: &Sources<'_>) -> Snapshot {
    let doing = doing(sources.doing);
    let errors = errors(sources.failures);
    let mut services = wanted(sources, &doing, &errors);
    let named: BTreeSet<String> = services
        .iter()
        .filter_map(|service| service.container_id.clone())
        .collect();
    services.extend(
        sources
            .observed
            .containers
            .iter()
            .filter(|container| !named.contains(&container.id))
            .map(|container| service_report(sources, container, &doing, &errors)),
    );
    let state = state(sources);
    let mut faults = sources.faults.to_vec();
    faults.extend(
        sources
            .warnings
            .iter()
            .map(|warning| match &warning.service {
                Some(service) => format!("service '{service}': {}", warning.message),
                None => warning.message.clone(),
            }),
    );
    let mut containers: Vec<&ObservedContainer> = sources.observed.containers.iter().collect();
    containers.sort_by_key(|container| std::cmp::Reverse(container.created));
    let images = images(sources);
    Snapshot {
        report: Report {
            generation: sources.generation,
            state,
            waiting: sources.waiting.map(str::to_owned),
            services,
            images: images.clone(),
            faults,
        },
        seen: sources.generation,
        containers: containers
            .into_iter()
            .map(|container| container_status(container, &doing))
            .collect(),
        images: images.into_iter().filter_map(image_status).collect(),
        release: sources
            .target
            .and_then(|target| target.apps.values().find_map(|app| app.commit.clone())),
        progress: sources.pulls.values().copied().min(),
    }
}

/// What is waited for counts as a failure, for followers would wait with us; only the engine's own removal of a
/// container is sure to end.
fn state(sources: &Sources<'_>) -> ApplyState {
    let observed = sources.observed;
    let removing = || {
        observed
            .containers
            .iter()
            .any(|container| container.state == ContainerState::Removing)
    };
    match (sources.doing.0.is_empty(), sources.waiting) {
        (false, _) => ApplyState::Applying,
        (true, None) if sources.failures.is_empty() => ApplyState::Applied,
        (true, Some(_)) if sources.failures.is_empty() && removing() => ApplyState::Applying,
        (true, _) => ApplyState::Failing,
    }
}

/// The reference's word for what is being done to a service.
fn doing(batch: &Batch) -> BTreeMap<ServiceKey, &'static str> {
    batch
        .0
        .iter()
        .filter_map(|step| match step {
            Step::Pull {
                app_id, service, ..
            } => Some(((*app_id, service.clone()), "Downloading")),
            Step::Install {
                app_id, service, ..
            } => Some(((*app_id, service.clone()), "Installing")),
            Step::Start {
                app_id, service, ..
            } => Some(((*app_id, service.clone()), "Starting")),
            Step::Stop {
                app_id, service, ..
            }
            | Step::Kill {
                app_id, service, ..
            } => Some(((*app_id, service.clone()), "Stopping")),
            _ => None,
        })
        .collect()
}

/// The last error of each service that is still failing.
fn errors(failures: &BTreeMap<String, Failure>) -> BTreeMap<ServiceKey, String> {
    failures
        .iter()
        .filter_map(|(key, failure)| {
            let (_, what) = key.split_once(' ')?;
            let (app, service) = what.split_once('/')?;
            Some((
                (app.parse().ok()?, service.to_owned()),
                failure.error.clone(),
            ))
        })
        .collect()
}

fn wanted(
    sources: &Sources<'_>,
    doing: &BTreeMap<ServiceKey, &'static str>,
    errors: &BTreeMap<ServiceKey, String>,
) -> Vec<ServiceReport> {
    let mut reports = Vec::new();
    for app in sources.target.into_iter().flat_map(|t| t.apps.values()) {
        for service in app.services.values() {
            let newest = sources
                .observed
                .containers
                .iter()
                .filter(|c| c.app_id == app.id && c.service_name == service.name)
                .max_by_key(|container| container.created);
            reports.push(match newest {
                Some(container) => service_report(sources, container, doing, errors),
                None => absent(sources, app.id, service, doing, errors),
            });
        }
    }
    reports
}

/// A service without a container.
fn absent(
    sources: &Sources<'_>,
    app_id: u32,
    service: &Service,
    doing: &BTreeMap<ServiceKey, &'static str>,
    errors: &BTreeMap<ServiceKey, String>,
) -> ServiceReport {
    let key = (app_id, service.name.clone());
    let there = sources.observed.images.contains_key(&service.image);
    let pull = format!("pull {}", service.image);
    let error = errors.get(&key).cloned().or_else(|| {
        let failure = sources.failures.get(&pull)?;
        Some(failure.error.clone())
    });
    ServiceReport {
        app_id,
        name: service.name.clone(),
        service_id: service.id,
        image_id: service.image_id,
        status: (*doing
            .get(&key)
            .unwrap_or(if there { &"Downloaded" } else { &"Downloading" }))
        .to_owned(),
        container_id: None,
        created_at: None,
        exit_code: None,
        ports: Vec::new(),
        because: sources.reasons.get(&key).cloned(),
        error,
    }
}

fn service_report(
    sources: &Sources<'_>,
    container: &ObservedContainer,
    doing: &BTreeMap<ServiceKey, &'static str>,
    errors: &BTreeMap<ServiceKey, String>,
) -> ServiceReport {
    let key = (container.app_id, container.service_name.clone());
    let engine_error = (!container.error.is_empty() && container.state != ContainerState::Running)
        .then(|| container.error.clone());
    ServiceReport {
        app_id: container.app_id,
        name: container.service_name.clone(),
        service_id: container.service_id,
        image_id: container.image_id,
        status: status(container, doing).to_owned(),
        container_id: Some(container.id.clone()),
        created_at: Some(rfc3339(container.created)),
        exit_code: match container.state {
            ContainerState::Exited | ContainerState::Dead | ContainerState::Restarting => {
                container.exit_code
            }
            _ => None,
        },
        ports: sources
            .ports
            .get(&container.id)
            .cloned()
            .unwrap_or_default(),
        because: sources.reasons.get(&key).cloned(),
        error: errors.get(&key).cloned().or(engine_error),
    }
}

fn status(
    container: &ObservedContainer,
    doing: &BTreeMap<ServiceKey, &'static str>,
) -> &'static str {
    let key = (container.app_id, container.service_name.clone());
    if let Some(word) = doing.get(&key) {
        return word;
    }
    match container.state {
        ContainerState::Created => "Installed",
        ContainerState::Running => "Running",
        ContainerState::Restarting => "restarting",
        ContainerState::Paused => "paused",
        ContainerState::Exited => "exited",
        ContainerState::Removing => "Stopping",
        ContainerState::Dead => "Dead",
    }
}

fn container_status(
    container: &ObservedContainer,
    doing: &BTreeMap<ServiceKey, &'static str>,
) -> ContainerStatus {
    ContainerStatus {
        status: status(container, doing).to_owned(),
        service_name: container.service_name.clone(),
        app_id: container.app_id,
        image_id: container.image_id,
        service_id: container.service_id,
        container_id: container.id.clone(),
        created_at: rfc3339(container.created),
    }
}

fn images(sources: &Sources<'_>) -> Vec<ImageReport> {
    let mut images = Vec::new();
    for app in sources.target.into_iter().flat_map(|t| t.apps.values()) {
        for service in app.services.values() {
            images.push(ImageReport {
                name: service.image.clone(),
                app_id: app.id,
                service_name: service.name.clone(),
                image_id: service.image_id,
                engine_id: sources
                    .observed
                    .images
                    .get(&service.image)
                    .map(|image| image.id.clone()),
                download_progress: sources.pulls.get(&service.image).copied(),
            });
        }
    }
    images
}

/// The reference lists only images that it has or is fetching, and among them those of earlier pushes, which it keeps a
/// record of. Those are left out here: the engine is asked for what the target needs and nothing else, and clients read
/// of this answer `appState` and `containers`.
fn image_status(image: ImageReport) -> Option<ImageStatus> {
    let status = match (&image.engine_id, image.download_progress) {
        (Some(_), _) => "Downloaded",
        (None, Some(_)) => "Downloading",
        (None, None) => return None,
    };
    Some(ImageStatus {
        name: image.name,
        app_id: image.app_id,
        service_name: image.service_name,
        image_id: image.image_id,
        docker_image_id: image.engine_id.unwrap_or_default(),
        status: status.to_owned(),
        download_progress: image.download_progress,
    })
}

/// RFC 3339 with milliseconds, UTC.
pub(crate) fn rfc3339(at: Millis) -> String {
    jiff::Timestamp::from_millisecond(at).map_or_else(
        |_| "1970-01-01T00:00:00.000Z".to_owned(),
        |time| format!("{time:.3}"),
    )
}
