//! What the agent has seen and does about it: `GET /os/v1/report`.

use serde::{Deserialize, Serialize};

/// What the agent has seen and what it is doing about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The target that this report is about.
    pub generation: u64,
    /// Whether there is something left to do.
    pub state: ApplyState,
    /// The last request ([`Asked`]) that this report takes into account.
    #[serde(default)]
    pub asked: u64,
    /// Why the agent waits, when it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Every service of the target, and every container that is not in it any more.
    pub services: Vec<ServiceReport>,
    /// Images of the target.
    #[serde(default)]
    pub images: Vec<ImageReport>,
    /// Faults that a person should know about: a state file that could not be read, an engine that does not answer, …
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub faults: Vec<String>,
}

/// How the fault of an engine that does not answer begins; the agent goes on as soon as the engine is back.
pub const ENGINE_AWAY: &str = "the engine is away";

/// Whether the device is where its target wants it to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ApplyState {
    /// Steps are being executed.
    Applying,
    /// Nothing left to do.
    Applied,
    /// Something failed; it is tried again.
    Failing,
    /// A value that this build does not know.
    #[serde(other)]
    Unknown,
}

/// One service in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceReport {
    /// Application id.
    pub app_id: u32,
    /// Service name.
    pub name: String,
    /// Service id of the target state.
    pub service_id: u32,
    /// Image id of the target state (not of the engine).
    pub image_id: u32,
    /// `Running`, `exited`, `Installing`, …: the reference's words.
    pub status: String,
    /// Engine container id, once there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub container_id: Option<String>,
    /// RFC 3339 with milliseconds, UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// Exit code of a container that has ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// Published ports as `address:port->port/protocol`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<String>,
    /// Why the container was last created or recreated: `image, env.FOO changed`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The last failure of this service, if it is still failing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What this service waits for, if it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waiting: Option<String>,
    /// Whether the service holds its update lock.
    #[serde(default, skip_serializing_if = "is_no")]
    pub locked: bool,
    /// How far this one service is with its target and with what was asked for; the trouble of other services is not its own, unless
    /// it waits for them. `unknown` from an agent that only tells this of the device.
    #[serde(default = "unknown")]
    pub state: ApplyState,
}

fn unknown() -> ApplyState {
    ApplyState::Unknown
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "what serde asks for")]
fn is_no(flag: &bool) -> bool {
    !flag
}

/// One image in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageReport {
    /// Reference with tag.
    pub name: String,
    /// Application id.
    pub app_id: u32,
    /// Service name.
    pub service_name: String,
    /// Image id of the target state (not of the engine).
    pub image_id: u32,
    /// Engine image id, `sha256:…`; absent while it is not on the device.
    pub engine_id: Option<String>,
    /// 0..=100 while it is being pulled.
    pub download_progress: Option<u8>,
    /// Its layers while it is being pulled, as far as the engine has told them; at most 128.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<LayerReport>,
}

/// One layer of an image that is being pulled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerReport {
    /// Short digest, as the engine tells it.
    pub id: String,
    /// Bytes that are here.
    pub current: u64,
    /// Bytes in all.
    pub total: u64,
}
