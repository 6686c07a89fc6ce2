//! From services to contexts, and the decision which images have to be built.

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use futures_util::{StreamExt, TryStreamExt, future::try_join_all, stream};
use tokio::task::spawn_blocking;

use super::{
    Action, DeployError, Event, ImageSource, Options, ServicePlan, Step, Workshop,
    record::{BuiltImage, Record},
};
use crate::{
    engine::{Engine, EngineError, ImageRef},
    project::{
        BuildSpec,
        context::{BuildContext, ContextError, ContextRequest, prepare},
        metadata::SecretFiles,
    },
};

/// Contexts that are read at once; more would only make the disk seek.
const AT_ONCE: usize = 4;

/// A service whose image is decided on.
#[derive(Debug)]
pub(super) enum Job {
    /// To be built.
    Build {
        source: Source,
        /// Digest of the context and of the secrets.
        digest: String,
        secrets: SecretFiles,
    },
    /// To be taken from a registry, or from the engine where it has it.
    Pull(ImageRef),
    /// The device has it: its id, and what it was built from, if it was.
    Keep {
        image: String,
        source: Option<Source>,
    },
}

/// What an image is built from.
#[derive(Debug, Clone)]
pub(super) struct Source {
    pub(super) spec: Arc<BuildSpec>,
    pub(super) context: Arc<BuildContext>,
}

/// Reads the secrets of all services that are built. An engine that would not give them to a build is told apart before anything
/// is sent to it.
async fn secrets(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    services: &[ServicePlan],
) -> Result<BTreeMap<String, SecretFiles>, DeployError> {
    let mut all = BTreeMap::new();
    let mut able = false;
    for service in services {
        let secrets = options.metadata.build_secrets(&service.name);
        if secrets.is_empty() || matches!(service.source, ImageSource::Registry(_)) {
            continue;
        }
        let service = service.name.clone();
        if !able {
            let make = workshop.engine.make().await?;
            if !make.mounts_in_builds {
                let engine = make.name;
                return Err(DeployError::BuildSecrets { service, engine });
            }
            able = true;
        }
        match SecretFiles::read(&secrets) {
            Ok(files) => drop(all.insert(service, files)),
            Err(source) => return Err(DeployError::Secrets { service, source }),
        }
    }
    Ok(all)
}

/// Reads all contexts. Mistakes in several services are told together.
pub(super) async fn contexts(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    services: &[ServicePlan],
) -> Result<BTreeMap<String, Source>, DeployError> {
    let folders: Vec<PathBuf> = services
        .iter()
        .filter_map(|service| match &service.source {
            ImageSource::Build(build) => Some(build.context.clone()),
            ImageSource::Registry(_) => None,
        })
        .collect();
    let mut tasks = Vec::new();
    for service in services {
        let ImageSource::Build(build) = &service.source else {
            continue;
        };
        let mut build = build.clone();
        // What the service's own file says wins over what the project's metadata says for all.
        for (name, value) in options.metadata.build_arguments(&service.name) {
            build.args.entry(name).or_insert(value);
        }
        tasks.push(context(
            workshop,
            options,
            &folders,
            (service.name.clone(), build),
        ));
    }
    let mut prepared = BTreeMap::new();
    let mut failed = Vec::new();
    let mut results = stream::iter(tasks).buffer_unordered(AT_ONCE);
    while let Some((service, build, result)) = results.next().await {
        match result {
            Ok(context) => {
                for warning in &context.warnings {
                    workshop.events.send(Event::Warning(warning.clone()));
                }
                let step = Step::Prepared {
                    files: context.files,
                    bytes: context.bytes,
                };
                workshop.events.step(&service, step);
                let source = Source {
                    spec: Arc::new(build),
                    context: Arc::new(context),
                };
                prepared.insert(service, source);
            }
            Err(error) => failed.push((service, error)),
        }
    }
    if failed.is_empty() {
        Ok(prepared)
    } else {
        Err(DeployError::Contexts(failed))
    }
}

async fn context(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    folders: &[PathBuf],
    (service, build): (String, BuildSpec),
) -> (String, BuildSpec, Result<BuildContext, ContextError>) {
    let root = workshop.project.root.clone();
    let folders = folders.to_vec();
    let cache = options.contexts.to_path_buf();
    let facts = workshop.facts.clone();
    let (multi_dockerignore, is_live) = (options.multi_dockerignore, options.is_live);
    let name = service.clone();
    let task = spawn_blocking(move || {
        let result = prepare(&ContextRequest {
            project_root: &root,
            service: &name,
            build: &build,
            contexts: &folders,
            multi_dockerignore,
            cache_dir: Some(&cache),
            device_type: &facts.device_type,
            arch: &facts.arch,
            is_live,
        });
        (build, result)
    });
    match task.await {
        Ok((build, result)) => (service, build, result),
        Err(join) => {
            let path = workshop.project.root.clone();
            let source = std::io::Error::other(join);
            let error = ContextError::Read { path, source };
            (service, BuildSpec::default(), Err(error))
        }
    }
}

/// Decides what is to be done for every service. An image is kept if it was built from the same context on the same bases, and
/// the device still has all of them.
pub(super) async fn decide(
    workshop: &Workshop<'_>,
    options: &Options<'_>,
    record: &Record,
    services: Vec<ServicePlan>,
) -> Result<Vec<(ServicePlan, Job)>, DeployError> {
    let mut secrets = secrets(workshop, options, &services).await?;
    let mut contexts = contexts(workshop, options, &services).await?;
    let jobs = services.into_iter().map(|service| {
        let prepared = contexts.remove(&service.name);
        let secrets = secrets.remove(&service.name).unwrap_or_default();
        async move {
            let job = match (prepared, &service.source) {
                (Some(source), _) => {
                    let mut digest = source.context.digest.clone();
                    if !secrets.is_empty() {
                        let sealed = workshop.secrets.seal(&secrets, &digest);
                        digest = sealed.map_err(|error| DeployError::SecretStore(error.into()))?;
                    }
                    let known = record.images.get(&service.image.to_string());
                    let known = known.filter(|known| known.digest == digest);
                    match (known, options.no_cache || options.pull) {
                        (Some(known), false) if still_there(workshop, &service, known).await? => {
                            Job::Keep {
                                image: known.image.clone(),
                                source: Some(source),
                            }
                        }
                        _ => Job::Build {
                            source,
                            digest,
                            secrets,
                        },
                    }
                }
                (None, ImageSource::Registry(image)) => {
                    registry_image(workshop.engine, options, &service, image).await?
                }
                (None, ImageSource::Build(_)) => {
                    return Err(DeployError::Contexts(Vec::new()));
                }
            };
            let action = match &job {
                Job::Build { .. } => Action::Build,
                Job::Pull(_) => Action::Pull,
                Job::Keep { .. } => Action::Keep,
            };
            workshop.events.step(&service.name, Step::Decided(action));
            Ok((service, job))
        }
    });
    stream::iter(jobs).buffered(16).try_collect().await
}

async fn still_there(
    workshop: &Workshop<'_>,
    service: &ServicePlan,
    known: &BuiltImage,
) -> Result<bool, EngineError> {
    let engine = workshop.engine;
    let name = service.image.to_string();
    let (image, bases) = futures_util::future::try_join(
        engine.image_id(&name),
        base_ids(engine, known.bases.keys()),
    )
    .await?;
    Ok(image.as_deref() == Some(&known.image) && bases == known.bases)
}

/// The ids that the engine has for some names.
pub(super) async fn base_ids(
    engine: &Engine,
    names: impl Iterator<Item = &String>,
) -> Result<BTreeMap<String, Option<String>>, EngineError> {
    let ids = names.map(|name| async move {
        Ok::<_, EngineError>((name.clone(), engine.image_id(name).await?))
    });
    Ok(try_join_all(ids).await?.into_iter().collect())
}

/// An image that the engine has is not pulled again, unless that is asked for; it only gets its name.
async fn registry_image(
    engine: &Engine,
    options: &Options<'_>,
    service: &ServicePlan,
    image: &ImageRef,
) -> Result<Job, EngineError> {
    if options.pull {
        return Ok(Job::Pull(image.clone()));
    }
    let name = service.image.to_string();
    let (present, named) = futures_util::future::try_join(
        async { engine.image_id(&image.to_string()).await },
        engine.image_id(&name),
    )
    .await?;
    Ok(match present {
        None => Job::Pull(image.clone()),
        Some(id) => {
            if named.as_ref() != Some(&id) && !options.dry_run {
                engine.tag(&id, &service.image).await?;
            }
            Job::Keep {
                image: id,
                source: None,
            }
        }
    })
}
