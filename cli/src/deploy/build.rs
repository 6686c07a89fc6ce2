//! Building and pulling the images of all services side by side.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::Arc,
};

use futures_util::{StreamExt, stream};

use super::{
    BuildFailure, DeployError, Options, ServicePlan, Step, Workshop,
    prepare::{Job, Source, base_ids},
    record::{BuiltImage, Record},
};
use crate::{
    engine::{BuildEvent, BuildRequest, EngineError, ImageRef, Progress, made},
    project::{BuildSpec, metadata::SecretFiles},
};

/// Images that are built or pulled at once.
const AT_ONCE: usize = 8;

/// Lines of a failed build that are shown.
const LAST_LINES: usize = 20;

/// An image that is there.
pub(super) struct Ready {
    /// Name in the target state.
    pub(super) name: String,
    /// Engine id.
    pub(super) image: String,
    /// Whether it was built or pulled just now.
    pub(super) fresh: bool,
    /// What it is built from, if it is.
    pub(super) source: Option<Source>,
}

/// Makes all images. Build secrets are on the device while they are made and no longer, however that ends.
pub(super) async fn all(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    record: &mut Record,
    jobs: Vec<(ServicePlan, Job)>,
) -> Result<Vec<Ready>, DeployError> {
    let secret = |job: &Job| matches!(job, Job::Build { secrets, .. } if !secrets.is_empty());
    if jobs.iter().any(|(_, job)| secret(job)) {
        let opened = workshop.secrets.open().await;
        opened.map_err(DeployError::SecretStore)?;
    }
    let ready = images(workshop, options, record, jobs).await;
    workshop.clear_secrets().await;
    ready
}

/// What was built is recorded at once, so that it is not lost when a sibling fails.
async fn images(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    record: &mut Record,
    jobs: Vec<(ServicePlan, Job)>,
) -> Result<Vec<Ready>, DeployError> {
    let keep = |job: &Job| matches!(job, Job::Keep { .. });
    let of = jobs.iter().filter(|(_, job)| !keep(job)).count();
    let tasks = jobs
        .into_iter()
        .enumerate()
        .map(|(index, (service, job))| async move {
            let name = service.image.to_string();
            let result = one(workshop, options, &service, job).await;
            (index, service.name, name, result)
        });
    let mut results = stream::iter(tasks).buffer_unordered(AT_ONCE);
    let mut ready = Vec::new();
    let mut failed = Vec::new();
    while let Some((index, service, name, result)) = results.next().await {
        match result {
            Ok(done) => {
                if let Some(built) = done.record {
                    record.put(name.clone(), built);
                    workshop.save(record, options);
                }
                let is_ready = Ready {
                    name,
                    image: done.image,
                    fresh: done.fresh,
                    source: done.source,
                };
                ready.push((index, is_ready));
            }
            Err((error, lines)) => {
                workshop.events.step(&service, Step::Failed);
                let failure = BuildFailure {
                    service,
                    error,
                    lines,
                };
                failed.push((index, failure));
            }
        }
    }
    if !failed.is_empty() {
        failed.sort_by_key(|(index, _)| *index);
        let failed = failed.into_iter().map(|(_, failure)| failure).collect();
        return Err(DeployError::Builds { failed, of });
    }
    ready.sort_by_key(|(index, _)| *index);
    Ok(ready.into_iter().map(|(_, ready)| ready).collect())
}

struct Done {
    image: String,
    fresh: bool,
    record: Option<BuiltImage>,
    source: Option<Source>,
}

type Failed = (EngineError, Vec<String>);

async fn one(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    service: &ServicePlan,
    job: Job,
) -> Result<Done, Failed> {
    let done = match job {
        Job::Keep { image, source } => Done {
            image,
            fresh: false,
            record: None,
            source,
        },
        Job::Pull(image) => {
            let id = pull(workshop, options, service, &image)
                .await
                .map_err(|error| (error, Vec::new()))?;
            Done {
                image: id,
                fresh: true,
                record: None,
                source: None,
            }
        }
        Job::Build {
            source,
            digest,
            secrets,
        } => {
            let volumes = volumes(workshop, &secrets).await;
            let volumes = volumes.map_err(|error| (error, Vec::new()))?;
            build(workshop, options, service, (source, digest, volumes)).await?
        }
    };
    let image = done.image.clone();
    workshop.events.step(&service.name, Step::Ready { image });
    Ok(done)
}

/// What a build mounts to see its secrets.
async fn volumes(
    workshop: &Workshop<'_>,
    secrets: &SecretFiles,
) -> Result<Vec<String>, EngineError> {
    if secrets.is_empty() {
        return Ok(Vec::new());
    }
    Ok(vec![workshop.secrets.put(secrets).await?])
}

async fn pull(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    service: &ServicePlan,
    image: &ImageRef,
) -> Result<String, EngineError> {
    let engine = workshop.engine;
    let name = image.to_string();
    let auth = options.registry.auth_header(&name);
    engine
        .pull(image, Some(&auth), workshop.room, |event| {
            let step = Step::Pulled {
                bytes: event.current,
                total: event.total,
            };
            workshop.events.step(&service.name, step);
        })
        .await?;
    let Some(id) = engine.image_id(&name).await? else {
        return Err(EngineError::Unfinished {
            peer: engine.http().peer(),
            what: "pull",
        });
    };
    engine.tag(&id, &service.image).await?;
    Ok(id)
}

async fn build(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    service: &ServicePlan,
    (source, digest, volumes): (Source, String, Vec<String>),
) -> Result<Done, Failed> {
    let engine = workshop.engine;
    let (spec, context) = (BuildSpec::clone(&source.spec), Arc::clone(&source.context));
    let request = BuildRequest {
        service: service.name.clone(),
        tag: service.image.to_string(),
        // Existing clients say nothing where the engine's default is meant.
        dockerfile: Some(context.dockerfile.clone()).filter(|name| name != "Dockerfile"),
        target: spec.target,
        args: spec.args,
        labels: spec.labels,
        shm_size: spec.shm_size,
        extra_hosts: spec.extra_hosts,
        cache_from: spec.cache_from,
        no_cache: options.no_cache,
        pull: options.pull,
        volumes,
        registry_config: Some(options.registry.config_header()),
    };
    let (base_images, total) = (context.base_images.clone(), context.bytes);
    let (mut lines, mut layers) = (VecDeque::new(), BTreeSet::new());
    let result = engine
        .build(
            &request,
            move |out| Ok(context.write_tar(out)?),
            |progress| {
                if let Progress::Said(BuildEvent::Note(line)) = &progress {
                    layers.extend(made(line).map(str::to_owned));
                }
                if let Some(step) = step_of(progress, total, &mut lines) {
                    workshop.events.step(&service.name, step);
                }
            },
        )
        .await;
    let lines = || lines.iter().cloned().collect();
    let short = result.map_err(|error| (error, lines()))?;
    let ids = async {
        // Old engines end with a short id.
        let image = engine.image_id(&short).await?.unwrap_or(short);
        Ok((image, base_ids(engine, base_images.iter()).await?))
    };
    let (image, bases) = ids.await.map_err(|error: EngineError| (error, lines()))?;
    Ok(Done {
        image: image.clone(),
        fresh: true,
        record: Some(BuiltImage {
            digest,
            image,
            bases,
            layers,
        }),
        source: Some(source),
    })
}

/// What of a build's progress is told; its last lines are kept.
fn step_of(progress: Progress, total: u64, lines: &mut VecDeque<String>) -> Option<Step> {
    let mut keep = |line: String| {
        if lines.len() >= LAST_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    };
    Some(match progress {
        Progress::Sent(bytes) => Step::Sent { bytes, total },
        Progress::Said(BuildEvent::Step { number, of, text }) => {
            keep(format!("Step {number}/{of} : {text}"));
            Step::Instruction { number, of, text }
        }
        Progress::Said(BuildEvent::Cached) => Step::Cached,
        Progress::Said(BuildEvent::Line(line)) => {
            keep(line.clone());
            Step::Output(line)
        }
        Progress::Said(BuildEvent::Note(line)) => Step::Note(line),
        Progress::Said(BuildEvent::Layer { bytes, .. }) => {
            let (bytes, total) = bytes?;
            Step::Pulled { bytes, total }
        }
        Progress::Said(BuildEvent::Image(_) | BuildEvent::Failed(_)) => return None,
    })
}
