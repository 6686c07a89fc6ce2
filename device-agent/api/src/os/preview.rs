//! What a target state would change: `POST /os/v1/plan`.

use serde::{Deserialize, Serialize};

/// What a target state would change, found without changing anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Preview {
    /// Every service of the target, and every one that would go.
    pub services: Vec<ServiceChange>,
    /// Volumes whose data would be lost if it were allowed.
    #[serde(default)]
    pub losses: Vec<Loss>,
    /// Every volume of the target, and every other one on the device that belongs to an application.
    #[serde(default)]
    pub volumes: Vec<VolumeChange>,
    /// Every network of the target, and every one that would go.
    #[serde(default)]
    pub networks: Vec<NetworkChange>,
    /// Services that hold their update lock and would have to let go of it first.
    #[serde(default)]
    pub locked: Vec<String>,
    /// Why the release would be refused; empty when it would not.
    #[serde(default)]
    pub rejected: Vec<String>,
    /// What would be left out or done otherwise.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What would become of one service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceChange {
    /// Application id.
    pub app_id: u32,
    /// Service name.
    pub name: String,
    /// What would be done.
    pub action: ChangeAction,
    /// Why, by field: `image`, `env.FOO`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// What would become of one volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VolumeChange {
    /// Application id.
    pub app_id: u32,
    /// Its name in the project.
    pub name: String,
    /// `keep`, `create`, `recreate` or `remove`. What is not kept or created loses its data.
    pub action: ChangeAction,
    /// Whether the target names it. One that it does not name any more stays on the device with its data.
    pub wanted: bool,
    /// Why it would lose its data, or keep a configuration that is not the target's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
}

/// What would become of one network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkChange {
    /// Application id.
    pub app_id: u32,
    /// Its name in the project.
    pub name: String,
    /// `keep`, `create`, `recreate` or `remove`.
    pub action: ChangeAction,
    /// What differs, by field: `driver`, `ipam`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub because: Vec<String>,
}

/// What would be done to a service, a volume or a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChangeAction {
    /// Nothing.
    Keep,
    /// It gets its first container.
    Create,
    /// It gets another container.
    Recreate,
    /// Its container goes.
    Remove,
    /// Its container is started.
    Start,
    /// Its container is stopped.
    Stop,
    /// Its container gets another name and goes on.
    Rename,
    /// A value that this build does not know.
    #[serde(other)]
    Unknown,
}

/// Data that would be lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loss {
    /// `volume`, `image`, `container` or `network`.
    pub kind: String,
    /// Its name in the project, else on the engine.
    pub name: String,
    /// Why.
    pub because: String,
}
