//! What the engine has, read once before each planning.

use std::collections::BTreeMap;

use super::{DeviceFacts, Millis, NetworkSpec, ServiceConfig, VolumeSpec};

/// The world as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    /// The device.
    pub device: DeviceFacts,
    /// Supervised containers, in every state.
    pub containers: Vec<ObservedContainer>,
    /// Supervised networks.
    pub networks: Vec<ObservedNetwork>,
    /// The network [`super::API_NETWORK`], over which bridged services reach the agent. It carries no labels and
    /// belongs to no application: its `app_id` is 0. Never looked at on a simulated device.
    pub api_network: Option<ObservedNetwork>,
    /// Supervised volumes.
    pub volumes: Vec<ObservedVolume>,
    /// Images of the target that the engine has, by the reference that the target uses.
    pub images: BTreeMap<String, ImageFacts>,
    /// API keys of services by application id and service name, for those that `plan::wants_api_key` names.
    /// They must not change while a service has its container.
    pub api_keys: BTreeMap<(u32, String), String>,
    /// Failures of the present target by [`super::Step::key`]; a step that succeeds clears its entry.
    pub failures: BTreeMap<String, Failure>,
}

/// A container that carries our labels.
#[derive(Debug, Clone, PartialEq)]
pub struct ObservedContainer {
    /// Engine id.
    pub id: String,
    /// Engine name, without the leading slash.
    pub name: String,
    /// From its labels.
    pub app_id: u32,
    /// From its labels.
    pub app_uuid: String,
    /// From its labels.
    pub service_id: u32,
    /// From its labels.
    pub service_name: String,
    /// From its name.
    pub image_id: u32,
    /// From its name.
    pub release_id: u32,
    /// From its name; `None` when the name is not of our pattern.
    pub commit: Option<String>,
    /// Engine state.
    pub state: ContainerState,
    /// When it was created.
    pub created: Millis,
    /// Exit code of the last run.
    pub exit_code: Option<i64>,
    /// Whether it was ever started.
    pub ever_started: bool,
    /// The engine's own error text of the last start.
    pub error: String,
    /// Whether the agent itself stopped it, because its target said that it should not run.
    pub stopped_by_agent: bool,
    /// The configuration that it has now, normalised.
    pub config: ServiceConfig,
    /// [`ServiceConfig::digest`] of what it was created from, if this agent created it. Engines leave out what the kernel
    /// cannot do (memory limits without their control group, for example), so `config` alone could differ for ever.
    pub created_from: Option<String>,
}

/// Engine state of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContainerState {
    /// Created, never started.
    Created,
    /// Running.
    Running,
    /// Between two runs.
    Restarting,
    /// Frozen.
    Paused,
    /// Ended.
    Exited,
    /// Being removed.
    Removing,
    /// Could not be removed.
    Dead,
}

/// A network that carries our labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedNetwork {
    /// Engine id.
    pub id: String,
    /// Engine name.
    pub name: String,
    /// From its name, without prefixes.
    pub logical_name: String,
    /// From its label.
    pub app_id: u32,
    /// Its configuration, normalised.
    pub spec: NetworkSpec,
}

/// A volume that carries our labels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObservedVolume {
    /// Engine name.
    pub name: String,
    /// From its name.
    pub app_id: u32,
    /// From its name, without prefixes.
    pub logical_name: String,
    /// Its configuration, normalised.
    pub spec: VolumeSpec,
}

/// What an image says about containers made from it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageFacts {
    /// Engine image id, `sha256:…`.
    pub id: String,
    /// Arguments.
    pub command: Vec<String>,
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Environment.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Working directory.
    pub working_dir: String,
    /// User.
    pub user: String,
    /// Stop signal; empty is SIGTERM.
    pub stop_signal: String,
    /// Paths of anonymous volumes.
    pub volumes: Vec<String>,
    /// Exposed ports: number and protocol.
    pub exposed_ports: Vec<(u16, String)>,
    /// Health check.
    pub healthcheck: Option<super::Healthcheck>,
}

/// A step that did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// How often in a row.
    pub count: u32,
    /// When last.
    pub at: Millis,
    /// What the engine said.
    pub error: String,
}
