//! Live development: what changes in the folders of a project is brought into its containers, without a build where that is possible.
//!
//! ```text
//!  files ─► watch ─► contexts anew ─► place (where they are in the image) ─► decide ─┬─► bring: remove, put, run, restart
//!  the agent's reports ─► other containers begin with their images                  └─► the caller builds anew
//! ```
//! Files go through the engine's archives, so that a container needs neither a shell nor to run for it. Nothing is run in a container but
//! what the project's own Dockerfile has, and `rm` and `rmdir` for what is removed. Which containers hold more than their images is
//! written down before that is so (`touched.rs`): the next push makes new ones of them.

mod bring;
mod decide;
mod links;
mod news;
mod owners;
mod place;
mod service;
mod session;
#[cfg(test)]
mod tests;
mod watch;

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use super::{DeployError, Deployment, Options, build, changes::ServiceState, plan, prepare};
use news::News;
use service::Service;
use session::{Session, Trouble};
use watch::Watch;

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
/// How long somebody who is writing to a file is given.
const CHANGING: Duration = Duration::from_millis(300);

/// Services whose files are watched, and what is known of their containers.
#[derive(Debug)]
pub struct Watched {
    services: Vec<Service>,
    /// Digests of the contexts with which a build has failed: it is not tried again with the same.
    failed: Option<Vec<String>>,
}

impl Watched {
    /// Those of a deployment that came up.
    ///
    /// # Errors
    /// When the engine cannot be asked for the images that they start from.
    pub async fn of(
        deployment: &Deployment<'_>,
        options: &Options<'_>,
        sources: &BuiltFrom,
    ) -> Result<Self, DeployError> {
        let services = service::all(deployment.engine, sources, options.metadata).await?;
        Ok(Self {
            services,
            failed: None,
        })
    }

    /// Takes note that what was asked for could not be built or deployed.
    pub fn has_failed(&mut self) {
        self.failed = Some(self.digests());
    }

    fn digests(&self) -> Vec<String> {
        let digests = self.services.iter().map(Service::digest);
        digests.map(str::to_owned).collect()
    }

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
}

/// Watches folders and brings what changes into the containers, until an image has to be built anew.
///
/// # Errors
/// When what is brought cannot be written down.
pub async fn watch(
    deployment: &Deployment<'_>,
    options: &Options<'_>,
    watched: &mut Watched,
    tell: &(dyn Fn(LiveEvent) + Send + Sync),
) -> Result<Ended, DeployError> {
    let (mut folders, slow) = Watch::new(watched.folders());
    if let Some(why) = slow {
        tell(LiveEvent::Slow(why));
    }
    let mut session = Session {
        deployment,
        options,
        tell,
        watched,
        plans: plan(deployment.project, &deployment.facts()).services,
    };
    let mut news = News {
        deployment,
        reports: None,
    };
    let mut is_away = false;
    loop {
        let mut pause = None;
        match session.look().await {
            Ok(Some(ended)) => return Ok(ended),
            Ok(None) => is_away = false,
            Err(Trouble::Folder(why)) => tell(LiveEvent::Unreadable(why)),
            Err(Trouble::Changing) => pause = Some(CHANGING),
            Err(Trouble::Unwritten(error)) => return Err(error),
            Err(Trouble::Device(why)) => {
                if !is_away {
                    tell(LiveEvent::Away(why));
                }
                is_away = true;
                // Nothing announces that a device is back.
                pause = Some(AWAY);
            }
        }
        // What is new in a folder may have come before it was watched.
        match folders.keep(session.watched.folders()) {
            Ok(true) => continue,
            Ok(false) => {}
            Err(why) => tell(LiveEvent::Slow(why)),
        }
        tokio::select! {
            () = folders.changed() => {}
            () = news.others(session.watched) => {}
            () = after(pause) => {}
        }
    }
}

async fn after(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}

fn container_of<'a>(states: &'a [ServiceState], service: &str) -> Option<&'a str> {
    let mut own = states.iter().filter(|state| state.name == service);
    own.find_map(|state| state.container.as_deref())
}
