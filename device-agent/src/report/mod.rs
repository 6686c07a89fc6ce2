//! What the agent tells others: the report of `/os/v1` and the lists of `/v2`, made from one reading of the world.
//!
//! In: the target, what was observed, what is being done. Out: one [`Snapshot`], published whole. Pure: no I/O.

mod applications;
mod doing;
mod releases;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use agent_api::os::{ApplyState, ImageReport, LayerReport, Report, ServiceReport};
use agent_api::reference::{ContainerStatus, ImageStatus};

use crate::model::{
    Batch, Block, ContainerState, Failure, Millis, Observed, ObservedContainer, Service, Subject,
    Target, Warning,
};
use crate::plan;
use crate::reconcile::Progress;

pub(crate) use applications::{Present, ReleaseService, ReleaseState};
use doing::Doing;
pub(crate) use releases::reached;
pub(crate) use standing::{Left, Standing};

/// Everything that is told, made at one moment.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Snapshot {
    /// For our own API.
    pub(crate) report: Report,
    /// What is left to be done, for who waits for something.
    pub(crate) left: Left,
    /// The target with which the world was last read: of a later one nothing is known but what the report says.
    pub(crate) seen: u64,
    /// For the reference's API, the newest container first.
    pub(crate) containers: Vec<ContainerStatus>,
    /// For the reference's API.
    pub(crate) images: Vec<ImageStatus>,
    /// For the reference's API: the releases that the target wants, by application.
    pub(crate) applications: BTreeMap<u32, ReleaseState>,
    /// For the reference's API: what is there, by application and image id.
    pub(crate) present: BTreeMap<u32, BTreeMap<u32, Present>>,
    /// Commits of the releases that applications have reached.
    pub(crate) releases: BTreeMap<u32, String>,
    /// 0..=100 while something is being pulled.
    pub(crate) progress: Option<u8>,
    /// Whether nothing is left to do but to start the machine anew.
    pub(crate) wants_restart: bool,
    /// Since when the device is on its way to its target, fetches aside.
    pub(crate) applying_since: Option<Instant>,
}

impl Default for Snapshot {
    /// Before the world was read for the first time.
    fn default() -> Self {
        Self {
            report: Report {
                generation: 0,
                state: ApplyState::Applying,
                asked: 0,
                waiting: None,
                services: Vec::new(),
                images: Vec::new(),
                faults: Vec::new(),
            },
            left: Left::default(),
            seen: 0,
            containers: Vec::new(),
            images: Vec::new(),
            applications: BTreeMap::new(),
            present: BTreeMap::new(),
            releases: BTreeMap::new(),
            progress: None,
            wants_restart: false,
            applying_since: None,
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
    /// What failed, by [`crate::model::Step::key`].
    pub(crate) failures: &'a BTreeMap<String, Failure>,
    /// Ports that the engine has published, by container id.
    pub(crate) ports: &'a BTreeMap<String, Vec<String>>,
    /// What is being executed now.
    pub(crate) doing: &'a Batch,
    /// Whether that is nothing but what goes on beside everything else.
    pub(crate) is_idle: bool,
    /// Why services were last created.
    pub(crate) reasons: &'a BTreeMap<ServiceKey, String>,
    /// By image reference, while it is pulled.
    pub(crate) pulls: &'a BTreeMap<String, Progress>,
    /// Commits by application, as [`reached`] says.
    pub(crate) releases: &'a BTreeMap<u32, String>,
    pub(crate) warnings: &'a [Warning],
    pub(crate) faults: &'a [String],
    /// Why nothing can be done now, when the target is not reached.
    pub(crate) blocks: &'a [Block],
}

/// Makes the snapshot.
pub(crate) fn snapshot(sources: &Sources<'_>) -> Snapshot {
    let doing = Doing::of(sources);
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
            .map(|container| {
                let word = doing.to_container(container);
                service_report(sources, container, word, &errors)
            }),
    );
    let state = state(sources);
    let left = Left::of(sources);
    stand(&mut services, &left);
    let mut faults = sources.faults.to_vec();
    faults.extend(sources.warnings.iter().map(ToString::to_string));
    let mut containers: Vec<&ObservedContainer> = sources.observed.containers.iter().collect();
    containers.sort_by_key(|container| std::cmp::Reverse(container.created));
    let images = images(sources);
    Snapshot {
        report: Report {
            generation: sources.generation,
            state,
            asked: sources.observed.asked.number,
            waiting: waiting(sources.blocks),
            services,
            images: images.clone(),
            faults,
        },
        left,
        seen: sources.generation,
        containers: containers
            .into_iter()
            .map(|container| {
                let word = doing.to_container(container);
                let is_its = named.contains(&container.id);
                let of_service = || doing.to_service(&key(container)).filter(|_| is_its);
                container_status(container, word.or_else(of_service))
            })
            .collect(),
        images: images.into_iter().filter_map(image_status).collect(),
        applications: applications::releases(sources, &doing),
        present: applications::present(sources, &doing),
        releases: sources.releases.clone(),
        progress: sources.pulls.values().map(|pull| pull.percent).min(),
        wants_restart: sources.doing.steps().next().is_none()
            && plan::wants_restart(sources.blocks),
        // Who publishes it knows.
        applying_since: None,
    }
}

/// Says of every service how far it is by itself.
pub(crate) fn stand(services: &mut [ServiceReport], left: &Left) {
    for service in services {
        let subject = Subject::Service(service.app_id, service.name.clone());
        service.state = match left.standing(&subject) {
            Standing::Settled => ApplyState::Applied,
            Standing::Busy => ApplyState::Applying,
            Standing::Held { .. } => ApplyState::Failing,
        };
    }
}

/// Everything that holds up something, in one text.
fn waiting<'a>(blocks: impl IntoIterator<Item = &'a Block>) -> Option<String> {
    let mut texts: Vec<&str> = Vec::new();
    for block in blocks {
        if !texts.contains(&block.because.as_str()) {
            texts.push(&block.because);
        }
    }
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What starts a service that was stopped on request.
fn stopped(sources: &Sources<'_>, app_id: u32, service: &str) -> Option<String> {
    let asked = &sources.observed.asked;
    asked.is_stopped(app_id, service).then(|| {
        format!("{service} was stopped on request, until it is started or given another target")
    })
}

/// What a service waits for.
fn waits(blocks: &[Block], app_id: u32, service: &str) -> Option<String> {
    let about = |block: &&Block| {
        block.app_id == Some(app_id) && block.service.as_deref().is_none_or(|name| name == service)
    };
    let texts: Vec<&str> = blocks
        .iter()
        .filter(about)
        .map(|block| block.because.as_str())
        .collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

/// What is waited for counts as a failure where somebody must do something about it, for followers would wait with us;
/// what ends by itself does not.
fn state(sources: &Sources<'_>) -> ApplyState {
    let is_fault = sources.blocks.iter().any(Block::is_fault);
    let is_busy = sources.doing.steps().next().is_some();
    match (is_busy, sources.blocks) {
        (true, _) => ApplyState::Applying,
        (false, []) if sources.failures.is_empty() => ApplyState::Applied,
        (false, [_, ..]) if !is_fault => ApplyState::Applying,
        (false, _) => ApplyState::Failing,
    }
}

fn key(container: &ObservedContainer) -> ServiceKey {
    (container.app_id, container.service_name.clone())
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
    doing: &Doing<'_>,
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
                .max_by_key(|container| (!container.is_predecessor, container.created));
            reports.push(match newest {
                Some(container) => {
                    let word = doing.to_container(container);
                    let word = word.or_else(|| doing.to_service(&key(container)));
                    service_report(sources, container, word, errors)
                }
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
    doing: &Doing<'_>,
    errors: &BTreeMap<ServiceKey, String>,
) -> ServiceReport {
    let key = (app_id, service.name.clone());
    let waiting = waits(sources.blocks, app_id, &service.name);
    let status = if sources.observed.images.contains_key(&service.image) {
        "Downloaded"
    } else {
        "Idle"
    };
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
        status: doing.to_service(&key).unwrap_or(status).to_owned(),
        container_id: None,
        created_at: None,
        exit_code: None,
        ports: Vec::new(),
        because: sources.reasons.get(&key).cloned(),
        error,
        waiting,
        locked: is_locked(sources, app_id, &service.name),
        state: ApplyState::Unknown,
    }
}

fn service_report(
    sources: &Sources<'_>,
    container: &ObservedContainer,
    word: Option<&'static str>,
    errors: &BTreeMap<ServiceKey, String>,
) -> ServiceReport {
    let key = key(container);
    let engine_error = (!container.error.is_empty() && container.state != ContainerState::Running)
        .then(|| container.error.clone());
    ServiceReport {
        app_id: container.app_id,
        name: container.service_name.clone(),
        service_id: container.service_id,
        image_id: container.image_id,
        status: word.unwrap_or_else(|| status(container)).to_owned(),
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
        because: container.because.clone().or_else(|| {
            let reason = sources.reasons.get(&key)?;
            gives_way(sources, container, word).then(|| reason.clone())
        }),
        error: errors.get(&key).cloned().or(engine_error),
        waiting: waits(sources.blocks, container.app_id, &container.service_name)
            .or_else(|| stopped(sources, container.app_id, &container.service_name)),
        locked: is_locked(sources, container.app_id, &container.service_name),
        state: ApplyState::Unknown,
    }
}

/// Whether another container is to come for this one, by what is done or was tried: else it is not made anew.
fn gives_way(
    sources: &Sources<'_>,
    container: &ObservedContainer,
    word: Option<&'static str>,
) -> bool {
    let has_failed = |verb: &str| {
        let key = format!("{verb} {}", container.id);
        sources.failures.contains_key(&key)
    };
    container.is_predecessor
        || matches!(word, Some("Stopping" | "Handing over"))
        || has_failed("kill")
        || has_failed("hand-over")
}

fn is_locked(sources: &Sources<'_>, app_id: u32, service: &str) -> bool {
    let locks = sources.observed.locks.get(&app_id);
    locks.is_some_and(|locks| locks.by_services.contains(service))
}

fn status(container: &ObservedContainer) -> &'static str {
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

fn container_status(container: &ObservedContainer, word: Option<&'static str>) -> ContainerStatus {
    ContainerStatus {
        status: word.unwrap_or_else(|| status(container)).to_owned(),
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
                download_progress: sources.pulls.get(&service.image).map(|pull| pull.percent),
                layers: layers(sources.pulls.get(&service.image)),
            });
        }
    }
    images
}

fn layers(pull: Option<&Progress>) -> Vec<LayerReport> {
    let layers = pull.into_iter().flat_map(|pull| &pull.layers);
    layers
        .map(|(id, current, total)| LayerReport {
            id: id.clone(),
            current: *current,
            total: *total,
        })
        .collect()
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
