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
        /// At least one.
        blocks: Vec<Block>,
    },
}

/// Something that holds up a service, an application or everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Block {
    /// Application id; `None` when it is about the device.
    pub app_id: Option<u32>,
    /// Service name; `None` when it is about the application.
    pub service: Option<String>,
    /// For people.
    pub because: String,
    /// What ends it.
    pub ends: Ends,
}

impl Block {
    /// Whether it holds until somebody does something.
    #[must_use]
    pub fn is_fault(&self) -> bool {
        matches!(self.ends, Ends::BySomebody | Ends::WithLock)
    }
}

/// What must happen for a [`Block`] to hold nothing up any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Ends {
    /// Time passes, or what is under way is done.
    ByItself,
    /// Somebody does something about it.
    BySomebody,
    /// Another service is started.
    WithStart,
    /// A service lets go of its update lock.
    WithLock,
    /// The machine is started anew.
    WithRestart,
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

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.service {
            Some(service) => write!(f, "service '{service}': {}", self.message),
            None => f.write_str(&self.message),
        }
    }
}

/// Steps that need no new reading of the world in between.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Batch(
    /// Steps of one stage may run at the same time. A stage begins when all steps before it have succeeded; what is left
    /// of a batch after a failure is not run.
    pub Vec<Vec<Step>>,
);

impl Batch {
    /// All steps, in the order in which they are told to people.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.0.iter().flatten()
    }
}

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
        /// Why, kept on the container: `new`, `image, env.FOO changed`.
        because: String,
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
        /// Why, for the log line: `image, env.FOO changed`.
        because: String,
        /// Whether a new container of the service follows, which is there for the same reason.
        recreates: bool,
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
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Its new name.
        name: String,
    },
    /// Let a container run on under another name until its successor has taken over. Markers of earlier successors are
    /// taken away first, and the engine does not restart it any more.
    HandOver {
        /// Application id.
        app_id: u32,
        /// Service name.
        service: String,
        /// Engine id.
        id: String,
        /// Its name until then.
        name: String,
        /// Engine image id, for the log line.
        image: String,
        /// Why, for the log line and the successor: `image, env.FOO changed`.
        because: String,
    },
    /// Remove a volume with its data, because that was asked for.
    RemoveVolume {
        /// Engine name.
        name: String,
        /// Name in the application.
        logical_name: String,
    },
    /// Remove an image by its engine id, or the reference that nobody needs any more.
    RemoveImage {
        /// Engine id or reference.
        image: String,
    },
    /// Take the update locks of all services of an application, or none.
    TakeLocks {
        /// Application id.
        app_id: u32,
        /// Override those that services hold.
        force: bool,
    },
    /// Let go of them.
    ReleaseLocks {
        /// Application id.
        app_id: u32,
    },
    /// Remove, by force, something that a local session left behind.
    RemoveLeftover(Leftover),
}

/// Something on the engine that is to go, whoever made it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub enum Leftover {
    /// A container by its engine id.
    Container(String),
    /// An image by its engine id.
    Image(String),
    /// A network by its engine id.
    Network(String),
    /// A volume by its name.
    Volume(String),
}

impl Step {
    /// The application, and perhaps the service, that it is about.
    #[must_use]
    pub fn about(&self) -> Option<(u32, Option<&str>)> {
        match self {
            Self::Pull {
                app_id, service, ..
            }
            | Self::Install {
                app_id, service, ..
            }
            | Self::Start {
                app_id, service, ..
            }
            | Self::Stop {
                app_id, service, ..
            }
            | Self::Kill {
                app_id, service, ..
            }
            | Self::Rename {
                app_id, service, ..
            }
            | Self::HandOver {
                app_id, service, ..
            } => Some((*app_id, Some(service))),
            Self::TakeLocks { app_id, .. } | Self::ReleaseLocks { app_id } => Some((*app_id, None)),
            Self::CreateNetwork { .. }
            | Self::RemoveNetwork { .. }
            | Self::CreateVolume { .. }
            | Self::RemoveVolume { .. }
            | Self::RemoveImage { .. }
            | Self::RemoveDead { .. }
            | Self::RemoveLeftover(_) => None,
        }
    }

    /// The container that it stops, whether that goes for good or not, by engine id.
    #[must_use]
    pub fn stopped(&self) -> Option<&String> {
        match self {
            Self::Stop { id, .. } | Self::Kill { id, .. } => Some(id),
            _ => None,
        }
    }

    /// Whether it is not waited for: it takes long and changes nothing that runs.
    #[must_use]
    pub fn is_background(&self) -> bool {
        matches!(self, Self::Pull { .. })
    }
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
            Self::HandOver { id, .. } => format!("hand-over {id}"),
            Self::RemoveVolume { name, .. } => format!("remove-volume {name}"),
            Self::RemoveImage { image } => format!("remove-image {image}"),
            Self::TakeLocks { app_id, .. } => format!("take-locks {app_id}"),
            Self::ReleaseLocks { app_id } => format!("release-locks {app_id}"),
            Self::RemoveLeftover(what) => match what {
                Leftover::Container(id) => format!("remove-container {id}"),
                Leftover::Image(id) => format!("remove-image {id}"),
                Leftover::Network(id) => format!("remove-network {id}"),
                Leftover::Volume(name) => format!("remove-volume {name}"),
            },
        }
    }
}
