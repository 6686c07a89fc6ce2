//! The deployment itself: prepare, build, hand over, follow.

use std::path::Path;

use super::{
    DeployError, Event, Events, Facts, ServiceFailure, ServiceOutcome, Workshop, build,
    changes::{compare, of_report},
    live::BuiltFrom,
    logs::LogTap,
    plan, prepare,
    record::{Deployed, Record, path_of},
    room,
    secrets::SecretStore,
    target, target_body, tidy,
    touched::Touched,
};
use crate::{
    agent::{Agent, Kind, LogStream},
    engine::{Engine, EngineError},
    project::{Project, metadata::Metadata, registry::RegistrySecrets},
};

/// What is deployed where.
#[derive(Debug, Clone, Copy)]
pub struct Deployment<'a> {
    /// The project.
    pub project: &'a Project,
    /// The device's name, for errors.
    pub device: &'a str,
    /// What tells the device from others over time: its uuid where it is known.
    pub key: &'a str,
    /// The device's agent.
    pub agent: &'a Agent,
    /// What the device is.
    pub kind: &'a Kind,
    /// The device's engine.
    pub engine: &'a Engine,
    /// The build secrets on the device. [`SecretStore::clear`] is for whoever drops the future of [`run`].
    pub secrets: &'a SecretStore,
    /// Where events go.
    pub events: &'a Events,
    /// What is allowed beside the target itself.
    pub allowed: &'a Allowed,
}

/// What a person allows, because it disturbs or loses something.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Update locks of services are overridden.
    pub force: bool,
    /// Volumes that may lose their data where their configuration has changed.
    pub discard_volumes: Vec<String>,
}

/// How it is deployed.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a flag of the command line, and none excludes another"
)]
pub struct Options<'a> {
    /// Build without the engine's cache.
    pub no_cache: bool,
    /// Fetch base images and external images even when the device has them.
    pub pull: bool,
    /// Every service's folder obeys its own `.dockerignore`.
    pub multi_dockerignore: bool,
    /// Only find out what would be done: the device stays as it is.
    pub dry_run: bool,
    /// The comments for live development in Dockerfiles count.
    pub is_live: bool,
    /// Credentials for registries.
    pub registry: &'a RegistrySecrets,
    /// The project's build variables and build secrets.
    pub metadata: &'a Metadata,
    /// Folder of the records of what was built.
    pub builds: &'a Path,
    /// Folder of the cache of content hashes.
    pub contexts: &'a Path,
}

/// A deployment that came up.
#[derive(Debug)]
pub struct Outcome {
    /// The device was there already: nothing was built, and nothing was sent.
    pub unchanged: bool,
    /// Whether an image was built or pulled.
    pub built: bool,
    /// The services, in the project's order.
    pub services: Vec<ServiceOutcome>,
    /// Services that were started and have failed since.
    pub ended: Vec<ServiceFailure>,
    /// Services that are no longer on the device.
    pub removed: Vec<String>,
    /// What the device could not give the services, and other faults that it knows of.
    pub remarks: Vec<String>,
    /// What the images of its services were built from, by the services' names.
    pub sources: BuiltFrom,
    /// The open log stream, from which no line has been missed since the device was given its target.
    pub logs: Option<LogStream>,
}

impl Deployment<'_> {
    /// What the plan needs to know about the device.
    pub(super) fn facts(&self) -> Facts {
        Facts::of(self.kind)
    }

    /// Where its images are made: on the device.
    pub(super) fn workshop(&self) -> Workshop<'_> {
        Workshop {
            project: self.project,
            key: self.key,
            engine: self.engine,
            secrets: self.secrets,
            events: self.events,
            facts: self.facts(),
            room: room::for_pull(self.kind),
        }
    }
}

/// Deploys. Everything is done in this future: dropping it ends all of it, and leaves build secrets to [`SecretStore::clear`].
///
/// # Errors
/// See [`DeployError`]. What the device ran before goes on unless it has been handed its new target.
pub async fn run(
    deployment: &Deployment<'_>,
    options: &Options<'_>,
) -> Result<Outcome, DeployError> {
    let plan = plan(deployment.project, &deployment.facts());
    let names: Vec<String> = plan
        .services
        .iter()
        .map(|service| service.name.clone())
        .collect();
    deployment.events.send(Event::Services(names.clone()));
    for warning in &deployment.project.warnings {
        deployment.events.send(Event::Warning(warning.clone()));
    }
    let workshop = deployment.workshop();
    workshop.clear_secrets().await;
    let mut record = Record::load(&path_of(options.builds, deployment.key));
    let jobs = prepare::decide(&workshop, options, &record, plan.services.clone())
        .await
        .map_err(|error| no_engine(deployment, error))?;
    room::check(deployment, &jobs).await?;
    let ready = build::all(&workshop, options, &mut record, jobs).await?;

    let body = target_body(None, &plan);
    let mut deployed = Deployed {
        target: blake3::hash(&body).to_hex().to_string(),
        images: ready
            .iter()
            .map(|ready| (ready.name.clone(), ready.image.clone()))
            .collect(),
        generation: 0,
    };
    let fresh = ready.iter().any(|ready| ready.fresh);
    let is_untouched = untouch(deployment, options, &ready).await?;
    let sources = BuiltFrom::of(&names, ready);
    if !fresh
        && is_untouched
        && let Some(outcome) = already_there(deployment, &record, &deployed, &names).await?
    {
        return Ok(Outcome { sources, ..outcome });
    }

    let mut tap = LogTap::open(deployment.agent, deployment.kind).await;
    let settled = match deployment.kind {
        Kind::Ours(_) => target::ours(deployment, &plan, &mut tap).await?,
        Kind::Reference { .. } => target::reference(deployment, &plan, &mut tap).await?,
    };
    forget_touched(deployment, options)?;
    if let Some(generation) = settled.generation {
        deployed.generation = generation;
        record.deployed = Some(deployed);
        workshop.save(&record, options);
    }
    if fresh {
        tidy::images(&workshop, options, &mut record).await;
    }
    let (services, removed) = compare(&names, &settled.before, &settled.after);
    Ok(Outcome {
        unchanged: false,
        built: fresh,
        ended: ended(deployment, &services, &mut tap).await,
        services,
        removed,
        remarks: settled.remarks,
        sources,
        logs: tap.into_stream(),
    })
}

/// Removes the containers that hold more than their images, because changes were brought to them, where the image stays: the agent makes
/// new ones. Returns whether there was none.
async fn untouch(
    deployment: &Deployment<'_>,
    options: &Options<'_>,
    ready: &[build::Ready],
) -> Result<bool, DeployError> {
    let path = Touched::path(options.builds, deployment.key);
    let touched = Touched::load(&path);
    let mut rest = Touched::default();
    let mut none = true;
    for (container, image) in touched.0 {
        // Another image means another container, once the target is there.
        let mut all = ready.iter();
        if all.any(|ready| ready.name == image.name && ready.image == image.id) {
            deployment.engine.stop_container(&container).await?;
            deployment.engine.remove_container(&container).await?;
            none = false;
        } else {
            rest.0.insert(container, image);
        }
    }
    if !none {
        rest.save(&path).map_err(DeployError::Touched)?;
    }
    Ok(none)
}

/// Every service has a container of its image now.
fn forget_touched(deployment: &Deployment<'_>, options: &Options<'_>) -> Result<(), DeployError> {
    let path = Touched::path(options.builds, deployment.key);
    match fs_err::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(DeployError::Touched(error))
        }
        _ => Ok(()),
    }
}

/// The services that ended with an error as soon as they were started, with the last lines of their logs.
async fn ended(
    deployment: &Deployment<'_>,
    services: &[ServiceOutcome],
    tap: &mut LogTap,
) -> Vec<ServiceFailure> {
    if !failures(services, |_| Vec::new()).is_empty() {
        tap.drain(deployment.events).await;
    }
    failures(services, |service| tap.last_lines(service))
}

fn failures(
    services: &[ServiceOutcome],
    lines: impl Fn(&str) -> Vec<String>,
) -> Vec<ServiceFailure> {
    let failed = services.iter().filter_map(|service| {
        let code = service.exit_code.filter(|code| *code != 0)?;
        Some(ServiceFailure {
            service: Some(service.service.clone()),
            reason: format!("has ended with code {code}"),
            lines: lines(&service.service),
        })
    });
    failed.collect()
}

/// Whether our agent holds exactly this target, with exactly these images, and is done with it.
async fn already_there(
    deployment: &Deployment<'_>,
    record: &Record,
    deployed: &Deployed,
    names: &[String],
) -> Result<Option<Outcome>, DeployError> {
    let (Kind::Ours(_), Some(before)) = (deployment.kind, &record.deployed) else {
        return Ok(None);
    };
    let same = before.target == deployed.target && before.images == deployed.images;
    if !same || *deployment.allowed != Allowed::default() {
        return Ok(None);
    }
    let report = deployment.agent.report().await?;
    let states = of_report(&report);
    let healthy = report.state == agent_api::os::ApplyState::Applied
        && report.generation == before.generation
        // One that was stopped on request waits to be started.
        && report.services.iter().all(|service| service.waiting.is_none())
        && states.iter().all(|state| state.error.is_none())
        && names.iter().all(|name| {
            states
                .iter()
                .any(|state| state.name == *name && state.container.is_some())
        });
    if !healthy {
        return Ok(None);
    }
    let (services, _) = compare(names, &states, &states);
    Ok(Some(Outcome {
        unchanged: true,
        built: false,
        ended: failures(&services, |_| Vec::new()),
        services,
        removed: Vec::new(),
        remarks: report.faults,
        sources: BuiltFrom::default(),
        logs: None,
    }))
}

/// An engine that cannot be reached although the agent answers is a matter of its own: the device is not in development mode.
pub(super) fn no_engine(deployment: &Deployment<'_>, error: DeployError) -> DeployError {
    match error {
        DeployError::Engine(source @ EngineError::Transport(_)) if matches!(&source, EngineError::Transport(transport) if transport.is_connect()) => {
            DeployError::NoEngine {
                device: deployment.device.to_owned(),
                source,
            }
        }
        other => other,
    }
}
