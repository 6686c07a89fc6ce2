//! What was asked for beside the target: to restart, stop or start services, to purge an application.
//!
//! Each is a fact about containers and volumes that exist, kept until it is so: a request that was stored survives a
//! crash, doing it twice is the same as doing it once, and a container that came later is never meant.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::Scope;

/// Everything that was asked for and is not done yet.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Asked {
    /// Grows by one with every request.
    pub number: u64,
    /// Containers that are to be replaced, by engine id, and why.
    pub replace: BTreeMap<String, String>,
    /// Volumes that are to be removed with their data, by engine name, and why. Each is made anew if it is wanted.
    pub discard: BTreeMap<String, String>,
    /// Containers that have had the volumes of `discard` since they were to go, by the volumes' engine names, then engine ids.
    pub users: BTreeMap<String, BTreeSet<String>>,
    /// The run of the machine in which `users` were seen; empty while there are none.
    pub seen_in: String,
    /// Services that are not to run although the target says so, as `<application id>/<service name>`.
    pub stopped: BTreeSet<String>,
    /// Containers that are to be started although they have ended, by engine id.
    pub start: BTreeSet<String>,
    /// Applications whose update locks are overridden until nothing is left to do for them.
    pub force: BTreeSet<u32>,
}

impl Asked {
    /// How a service is written in [`Asked::stopped`].
    #[must_use]
    pub fn service(app_id: u32, name: &str) -> String {
        format!("{app_id}/{name}")
    }

    /// Whether a service was stopped on request.
    #[must_use]
    pub fn is_stopped(&self, app_id: u32, name: &str) -> bool {
        self.stopped.contains(&Self::service(app_id, name))
    }
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The application it is about; not looked at where `what` says it.
    pub app_id: u32,
    /// What is to be done.
    pub what: Wish,
    /// Overrides update locks.
    pub force: bool,
}

impl Request {
    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> Subject {
        match &self.what {
            Wish::CleanVolumes(scope) => Subject::Volumes(*scope),
            Wish::Restart(Some(name))
            | Wish::Stop(Some(name))
            | Wish::Start(Some(name))
            | Wish::Purge(Some(name)) => Subject::Service(self.app_id, name.clone()),
            Wish::Restart(None)
            | Wish::Stop(None)
            | Wish::Start(None)
            | Wish::Purge(None)
            | Wish::Update
            | Wish::Anew => Subject::App(self.app_id),
        }
    }
}

/// What a [`Request`] is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Subject {
    /// A whole application, by its id.
    App(u32),
    /// One service, by its application's id and its name.
    Service(u32, String),
    /// Volumes of the applications in this scope that are to go.
    Volumes(Scope),
}

/// What a [`Request`] asks for. Without a service every service of the application is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// New containers; also for services that were stopped.
    Restart(Option<String>),
    /// No running containers.
    Stop(Option<String>),
    /// Running containers, also where they have ended.
    Start(Option<String>),
    /// New containers and new, empty volumes: all of the application, or those that one service has.
    Purge(Option<String>),
    /// Volumes that no application names and no container uses go, with their data; of the applications in this scope,
    /// also of those that are gone.
    CleanVolumes(Scope),
    /// Nothing but what the target asks for, now.
    Update,
    /// The same, begun anew: what is being fetched is dropped, and what failed is tried again at once.
    Anew,
}

/// Why a request was not taken, in the reference's words where it has some.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Refused {
    /// There is no such application on the device.
    #[error("Application ID does not exist: {0}")]
    NoApp(u32),
    /// The application has no such service.
    #[error("there is no service {0} on this device")]
    NoService(String),
    /// The release requires what the device does not have, so nothing of it is touched: what is missing.
    #[error("the release is rejected: {0}")]
    Rejected(String),
    /// These services hold their update locks.
    #[error("Lockfile exists for {{ appId: {app_id}, service: {} }}", .services.join(", "))]
    Locked {
        /// The application.
        app_id: u32,
        /// At least one.
        services: Vec<String>,
    },
    /// The engine does not answer, so nothing is known; its words.
    #[error("{away}: {0}", away = agent_api::os::ENGINE_AWAY)]
    EngineAway(String),
    /// It could not be stored; the disk's words.
    #[error("the request could not be stored: {0}")]
    NotStored(String),
    /// The update locks of services could not be taken, though nobody holds them; the disk's words.
    #[error("the update locks could not be taken: {0}")]
    NotLocked(String),
}
