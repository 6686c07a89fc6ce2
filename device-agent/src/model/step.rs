//! What the planner decides, as data.

use serde::Serialize;

use super::{Millis, NetworkSpec, ServiceConfig, VolumeSpec};

/// The outcome of planning.
#[derive(Debug, Clone, PartialEq)]
pub enum Plan {
    /// The world is as the target wants it.
    Converged,
    /// Execute these, then look again.
    Run(Batch),
    /// Nothing can be done now. Look again at `until`, or earlier when something happens.
    Wait {
        /// When to look again at the latest; `None`: only when something happens.
        until: Option<Millis>,
        /// For people.
        because: String,
    },
}

/// Something that was asked for and is not done, or done otherwise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Warning {
    /// Application id.
    pub app_id: u32,
    /// Service name; `None` when it is about the application.
    pub service: Option<String>,
    /// For people.
    pub message: String,
}

/// Steps that may run at the same time.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch(
    /// In the order in which they are told to people.
    pub Vec<Step>,
);

/// One effect. It leaves the executor nothing to decide, and doing it twice is the same as doing it once.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub enum Step {
    /// Fetch an image that is not on the device.
    Pull {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Reference to pull.
        image: String,
    },
    /// Create a network.
    CreateNetwork {
        /// Engine name.
        name: String,
        /// Name in the application.
        logical_name: String,
        /// Its configuration, our labels included.
        spec: NetworkSpec,
    },
    /// Remove a network.
    RemoveNetwork {
        /// Engine id.
        id: String,
        /// Name in the application.
        logical_name: String,
    },
    /// Create a volume.
    CreateVolume {
        /// Engine name.
        name: String,
        /// Name in the application.
        logical_name: String,
        /// Its configuration, our labels included.
        spec: VolumeSpec,
    },
    /// Create a container without starting it.
    Install {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Service id of the target state.
        service_id: u32,
        /// Container name.
        name: String,
        /// Its configuration.
        config: Box<ServiceConfig>,
        /// Device name, given to the container at its creation only.
        device_name: String,
    },
    /// Start a container.
    Start {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Engine image id, for the log line.
        image: String,
    },
    /// Stop a container and leave it.
    Stop {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Engine image id, for the log line.
        image: String,
    },
    /// Stop a container and remove it with its anonymous volumes.
    Kill {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Engine image id, for the log line.
        image: String,
        /// Why, for the log line: `image, env.FOO changed`. The container that follows is there for the same reason.
        because: String,
    },
    /// Remove a container that the engine calls dead.
    RemoveDead {
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
    },
    /// Give a container another name; it is not restarted.
    Rename {
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Its new name.
        name: String,
    },
}

impl Step {
    /// Identity of a step across plannings, under which its failures are counted.
    #[must_use]
    pub fn key(&self) -> String {
        match self {
            Self::Pull { image, .. } => format!("pull {image}"),
            Self::CreateNetwork { name, .. } => format!("create-network {name}"),
            Self::RemoveNetwork { id, .. } => format!("remove-network {id}"),
            Self::CreateVolume { name, .. } => format!("create-volume {name}"),
            Self::Install {
                app_id, service, ..
            } => format!("install {app_id}/{service}"),
            Self::Start {
                app_id, service, ..
            } => format!("start {app_id}/{service}"),
            Self::Stop { id, .. } => format!("stop {id}"),
            Self::Kill { id, .. } => format!("kill {id}"),
            Self::RemoveDead { id, .. } => format!("remove-dead {id}"),
            Self::Rename { id, .. } => format!("rename {id}"),
        }
    }
}
