//! What can stop a deployment.

use std::io;

use super::OpenError;
use crate::{
    agent::AgentError,
    cause::chain,
    engine::EngineError,
    project::{context::ContextError, metadata::SecretError},
};

/// A deployment that did not come about.
#[derive(Debug, thiserror::Error)]
pub enum DeployError {
    /// Which containers hold more than their images cannot be written down.
    #[error("which containers have changes that their images do not have cannot be written down")]
    Touched(#[source] io::Error),
    /// The device's agent could not be asked or told.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The device's engine could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine cannot be reached at all, although the agent can.
    #[error("{device} offers no way to its container engine")]
    NoEngine {
        /// The device.
        device: String,
        /// What happened.
        #[source]
        source: EngineError,
    },
    /// The device's disk is too full for what is to be built or fetched.
    #[error(
        "{device} has no room for this push: {} are free on its engine's disk, at least {} are needed{}",
        bytes(*.free), bytes(*.needed), freed(*.images, *.cache)
    )]
    NoRoom {
        /// The device.
        device: String,
        /// Bytes that are free.
        free: u64,
        /// Bytes that are needed at least.
        needed: u64,
        /// Bytes that images without a container hold.
        images: u64,
        /// Bytes that the cache of builds holds.
        cache: u64,
    },
    /// Contexts cannot be sent.
    #[error("{}", contexts(.0))]
    Contexts(Vec<(String, ContextError)>),
    /// Images could not be built or pulled.
    #[error("{}", builds(.failed, *.of))]
    Builds {
        /// Those that failed, in the project's order.
        failed: Vec<BuildFailure>,
        /// How many were built or pulled.
        of: usize,
    },
    /// A service asks for build secrets.
    #[error(
        "the build of `{service}` needs secrets, which only balenaEngine can give to a build; this device's engine is {engine}"
    )]
    BuildSecrets {
        /// The service.
        service: String,
        /// The engine's name and version.
        engine: String,
    },
    /// Build secrets cannot be read.
    #[error("the secrets of `{service}` cannot be given to its build")]
    Secrets {
        /// The service.
        service: String,
        /// The reason.
        #[source]
        source: SecretError,
    },
    /// Build secrets cannot be kept track of, so that none are sent.
    #[error("cannot keep track of the build secrets")]
    SecretStore(#[source] OpenError),
    /// Another push to the device is under way.
    #[error("another push to this device is under way{}", holder(*.pid))]
    Busy {
        /// Process that does it.
        pid: Option<u32>,
    },
    /// The lock file cannot be used.
    #[error("cannot lock the device against a second push")]
    Lock {
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// The device could not bring up what it was given.
    #[error("{}", services(.failed, .faults))]
    Services {
        /// What failed, in the project's order.
        failed: Vec<ServiceFailure>,
        /// What is wrong with the device itself.
        faults: Vec<String>,
    },
    /// The device works and gets nowhere.
    #[error("the device has made no progress for {minutes} minutes{}", because(.waiting.as_ref()))]
    Stuck {
        /// How long was waited.
        minutes: u64,
        /// What it waits for, where it says so.
        waiting: Option<String>,
    },
    /// The device has been given another target state meanwhile.
    #[error("the device was given another target state while it worked on this one")]
    Overtaken,
}

/// An image that could not be built or pulled.
#[derive(Debug)]
pub struct BuildFailure {
    /// The service.
    pub service: String,
    /// What happened.
    pub error: EngineError,
    /// The last lines of its build.
    pub lines: Vec<String>,
}

/// A service that could not be brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceFailure {
    /// The service; `None` for a failure that is of no one service.
    pub service: Option<String>,
    /// What the device says.
    pub reason: String,
    /// The last lines of its log.
    pub lines: Vec<String>,
}

fn freed(images: u64, cache: u64) -> String {
    if images == 0 && cache == 0 {
        return String::new();
    }
    format!(
        "; unused images hold {}, the cache of builds {}",
        bytes(images),
        bytes(cache)
    )
}

/// In MiB, as engines count.
fn bytes(count: u64) -> String {
    format!("{} MiB", count >> 20)
}

fn contexts(failed: &[(String, ContextError)]) -> String {
    let one = |(service, error): &(String, ContextError)| format!("{service}: {}", chain(error));
    failed.iter().map(one).collect::<Vec<_>>().join("\n")
}

fn builds(failed: &[BuildFailure], of: usize) -> String {
    match failed {
        [one] if of == 1 => format!(
            "`{}` could not be built: {}",
            one.service,
            chain(&one.error)
        ),
        [one] => format!(
            "`{}`, 1 of {of} services, could not be built: {}",
            one.service,
            chain(&one.error)
        ),
        many => {
            let mut list = String::new();
            for failure in many {
                list.push_str("\n  ");
                list.push_str(&failure.service);
                list.push_str(": ");
                list.push_str(&chain(&failure.error));
            }
            format!("{} of {of} services could not be built:{list}", many.len())
        }
    }
}

fn services(failed: &[ServiceFailure], faults: &[String]) -> String {
    let mut parts: Vec<String> = failed
        .iter()
        .map(|failure| match &failure.service {
            Some(service) => format!("`{service}` did not come up: {}", failure.reason),
            None => failure.reason.clone(),
        })
        .collect();
    parts.extend(faults.iter().cloned());
    if parts.is_empty() {
        parts.push("the device could not bring up the services and gives no reason".to_owned());
    }
    parts.join("\n")
}

fn holder(pid: Option<u32>) -> String {
    pid.map_or_else(String::new, |pid| format!(" (process {pid})"))
}

fn because(waiting: Option<&String>) -> String {
    waiting.map_or_else(String::new, |reason| format!("; it waits: {reason}"))
}
