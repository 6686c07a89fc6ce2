//! Live development: what changes in the folders of a project is brought into its containers, without a build where that is possible.
//!
//! ```text
//!  files ─► watch ─► contexts anew ─► place (where they are in the image) ─► decide ─┬─► bring: remove, put, run, restart
//!  the agent's reports ─► other containers begin with their images                  └─► the caller builds anew
//! ```
//! Nothing is run on the device or in a container but what the project's own Dockerfile has. Files go through the engine's archives, so
//! that a container needs neither a shell nor to run for it. Which containers hold more than their images is recorded before that is so:
//! the next push makes new ones of them.

mod bring;
mod decide;
mod owners;
mod place;
mod service;
#[cfg(test)]
mod tests;
mod watch;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{
    DeployError, Deployment, Events, Options, ServicePlan, build,
    changes::{ServiceState, of_report, of_status},
    plan, prepare,
    record::{Record, Touched, path_of},
    target::again,
};
use crate::agent::{AgentError, Kind, ReportStream};
use bring::Brought;
use service::Service;
use watch::Watch;

/// What waits for a change in folders.
#[derive(Debug)]
pub struct Changes(Watch);

impl Changes {
    /// From now on.
    #[must_use]
    pub fn of(sources: &BuiltFrom) -> Self {
        let contexts = sources.0.values().map(|built| &built.source.context);
        let folders = contexts.flat_map(|context| context.watched());
        Self(Watch::new(folders).0)
    }

    /// Waits until something has changed, then until nothing does.
    pub async fn next(&mut self) {
        self.0.changed().await;
    }
}

/// What the images of a deployment were built from.
#[derive(Debug, Clone, Default)]
pub struct BuiltFrom(BTreeMap<String, Built>);

/// What one of them was built from.
#[derive(Debug, Clone)]
struct Built {
    source: prepare::Source,
    /// Name of the image in the target state, and its engine id.
    name: String,
    image: String,
}

impl BuiltFrom {
    /// Those of services, whose images are in the same order.
    pub(super) fn of(services: &[String], ready: Vec<build::Ready>) -> Self {
        let built = services.iter().zip(ready).filter_map(|(service, ready)| {
            let built = Built {
                source: ready.source?,
                name: ready.name,
                image: ready.image,
            };
            Some((service.clone(), built))
        });
        Self(built.collect())
    }

    /// Whether no service is built.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The services that are built.
    pub fn services(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Something that happened while files were watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LiveEvent {
    /// The system watches no more folders: they are looked at every few seconds.
    Slow(String),
    /// A folder cannot be read as it is now; the next change may mend it.
    Unreadable(String),
    /// The device cannot be reached, or does not do what it should; it is tried again.
    Away(String),
    /// Files are brought to a service.
    Bringing {
        /// The service.
        service: String,
        /// How many are written, folders not counted.
        put: usize,
        /// How many are removed.
        removed: usize,
    },
    /// A command of its Dockerfile is run in its container.
    Running {
        /// The service.
        service: String,
        /// The command.
        command: String,
    },
    /// A line of that.
    Line {
        /// The service.
        service: String,
        /// As the command wrote it.
        line: String,
    },
    /// The command failed: the service is left as it is until something changes.
    Failed {
        /// The service.
        service: String,
        /// The command.
        command: String,
        /// Its exit code.
        code: i64,
    },
    /// The service has what has changed.
    Brought {
        /// The service.
        service: String,
        /// Whether it was started anew.
        restarted: bool,
        /// How long that took.
        took: Duration,
    },
}

/// What ends the watching.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ended {
    /// The service whose image has to be built anew.
    pub service: String,
    /// Why.
    pub because: String,
}

/// How long is waited when the device does not answer.
const AWAY: Duration = Duration::from_secs(2);

/// Watches the folders of `sources` and brings what changes into the containers, until an image has to be built anew.
///
/// # Errors
/// When folders cannot be watched, or when the agent does not come back.
pub async fn watch(
    deployment: &Deployment<'_>,
    options: &Options<'_>,
    sources: &BuiltFrom,
    tell: &(dyn Fn(LiveEvent) + Send + Sync),
) -> Result<Ended, DeployError> {
    let mut session = Session {
        deployment,
        options,
        tell,
        services: service::all(deployment.engine, sources).await?,
        plans: plan(deployment.project, &deployment.facts()).services,
    };
    let mut reports = match deployment.kind {
        Kind::Ours(_) => Some(deployment.agent.reports().await?),
        Kind::Reference { .. } => None,
    };
    let (mut folders, slow) = Watch::new(session.folders());
    if let Some(why) = slow {
        tell(LiveEvent::Slow(why));
    }
    // What has changed since the contexts were read is found by the first look.
    let mut is_due = true;
    loop {
        if is_due {
            is_due = false;
            match session.look().await {
                Ok(None) => {}
                Ok(Some(ended)) => return Ok(ended),
                Err(Trouble::Folder(why)) => tell(LiveEvent::Unreadable(why)),
                Err(Trouble::Changing) => is_due = true,
                Err(Trouble::Device(why)) => {
                    tell(LiveEvent::Away(why));
                    // Nothing announces that a device is back.
                    tokio::time::sleep(AWAY).await;
                    is_due = true;
                }
            }
            // What is new in a folder may have come before it was watched.
            match folders.keep(session.folders()) {
                Ok(are_new) => is_due |= are_new,
                Err(why) => tell(LiveEvent::Slow(why)),
            }
            if is_due {
                continue;
            }
        }
        tokio::select! {
            () = folders.changed() => is_due = true,
            told = told(&mut reports) => match told {
                Ok(states) => is_due = session.has_others(&states),
                Err(error) => reports = Some(again(deployment.agent, error).await?),
            },
        }
    }
}

/// The next thing that the agent says of its services; never, where it has to be asked.
async fn told(reports: &mut Option<ReportStream>) -> Result<Vec<ServiceState>, Option<AgentError>> {
    let Some(reports) = reports else {
        return std::future::pending().await;
    };
    match reports.next().await {
        Ok(Some(report)) => Ok(of_report(&report)),
        Ok(None) => Err(None),
        Err(error) => Err(Some(error)),
    }
}

/// Why a look had no result.
enum Trouble {
    Folder(String),
    /// Somebody was still writing.
    Changing,
    Device(String),
}

impl From<AgentError> for Trouble {
    fn from(error: AgentError) -> Self {
        Self::Device(crate::cause::chain(&error))
    }
}

impl From<crate::engine::EngineError> for Trouble {
    fn from(error: crate::engine::EngineError) -> Self {
        Self::Device(crate::cause::chain(&error))
    }
}

struct Session<'a> {
    deployment: &'a Deployment<'a>,
    options: &'a Options<'a>,
    tell: &'a (dyn Fn(LiveEvent) + Send + Sync),
    services: Vec<Service>,
    plans: Vec<ServicePlan>,
}

impl Session<'_> {
    fn folders(&self) -> impl Iterator<Item = PathBuf> {
        self.services.iter().flat_map(Service::folders)
    }

    /// Whether a service has another container than the one that is known.
    fn has_others(&self, states: &[ServiceState]) -> bool {
        let mut services = self.services.iter();
        services.any(|service| {
            let container = container_of(states, &service.name);
            container.is_some() && container != service.container()
        })
    }

    /// Looks at everything, and does what is to be done.
    async fn look(&mut self) -> Result<Option<Ended>, Trouble> {
        // Nobody wants to be told again what was told by the push.
        let (events, _) = Events::channel();
        let mut workshop = self.deployment.workshop();
        workshop.events = &events;
        let read = prepare::contexts(&workshop, self.options, &self.plans).await;
        let mut read = read.map_err(|error| match &error {
            DeployError::Contexts(all) if all.iter().all(|(_, error)| error.is_transient()) => {
                Trouble::Changing
            }
            _ => Trouble::Folder(crate::cause::chain(&error)),
        })?;
        let states = match self.deployment.kind {
            Kind::Ours(_) => of_report(&self.deployment.agent.report().await?),
            Kind::Reference { .. } => of_status(&self.deployment.agent.status().await?),
        };
        for service in &mut self.services {
            let Some(source) = read.remove(&service.name) else {
                continue;
            };
            let container = container_of(&states, &service.name);
            service.is_in(self.deployment.engine, container).await?;
            let work = service.work(&source.context);
            let Some((id, bring)) = (match work {
                service::Work::Nothing => None,
                service::Work::Rebuild(because) => {
                    let service = service.name.clone();
                    return Ok(Some(Ended { service, because }));
                }
                service::Work::Bring(id, bring) => Some((id, bring)),
            }) else {
                continue;
            };
            let touched = Touched {
                container: id.clone(),
                image: service.image().to_owned(),
            };
            let path = path_of(self.options.builds, self.deployment.key);
            let mut record = Record::load(&path);
            if record.touched.get(service.image_name()) != Some(&touched) {
                record
                    .touched
                    .insert(service.image_name().to_owned(), touched);
                workshop.save(&record, self.options);
            }
            let began = Instant::now();
            let (first, restarted) = (bring.first, bring.restart);
            let asked = bring::Asked {
                engine: self.deployment.engine,
                container: &id,
                service: &service.name,
                context: &source.context,
                tell: self.tell,
            };
            let brought = bring::bring(&asked, &bring).await?;
            drop(bring);
            match brought {
                Brought::Changing => return Err(Trouble::Changing),
                Brought::Impossible(because) => {
                    let service = service.name.clone();
                    return Ok(Some(Ended { service, because }));
                }
                Brought::Failed => service.has(source.context, Some(first)),
                Brought::Done => {
                    service.has(source.context, None);
                    (self.tell)(LiveEvent::Brought {
                        service: service.name.clone(),
                        restarted,
                        took: began.elapsed(),
                    });
                }
            }
        }
        Ok(None)
    }
}

fn container_of<'a>(states: &'a [ServiceState], service: &str) -> Option<&'a str> {
    let mut own = states.iter().filter(|state| state.name == service);
    own.find_map(|state| state.container.as_deref())
}
