//! Our own API under `/os/v1`.
//!
//! | route | body |
//! | --- | --- |
//! | `GET /os/v1/info` | [`Info`] |
//! | `GET /os/v1/report` | [`Report`] |
//! | `GET /os/v1/report?follow=true` | [`Report`] as newline-delimited JSON: the present one at once, then one for every change |
//! | `POST /os/v1/target-state` | body as `POST /v2/local/target-state`; answers [`Accepted`] |
//! | `GET /os/v1/logs` | [`crate::log::LogLine`] as newline-delimited JSON: the greeting, then what comes; endless |
//!
//! Query of `/os/v1/logs`: `tail=N` first replays the last N lines that the engine and the agent kept (at most 10,000,
//! 8 MiB); `service=NAME`, repeatable, leaves out other services; `system=true|false` says whether the agent's own lines
//! are wanted (unless given: yes, but not beside `service`); `service=` without a name wants no service's lines; `follow=false`
//! ends the answer after the replayed lines. A line of more than 64 KiB ends with `[... N bytes cut]`. A
//! client that reads too slowly gets the system line `N lines dropped` where they would have been.
//!
//! Errors are [`Problem`] with a fitting HTTP status.

use serde::{Deserialize, Serialize};

/// What this device is and what its agent can do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Device uuid, 32 or 62 hex digits.
    pub uuid: String,
    /// Device name.
    pub name: String,
    /// Host name; `<hostname>.local` in mDNS.
    pub hostname: String,
    /// Device type slug, for example `raspberrypi4-64`.
    pub device_type: String,
    /// Architecture slug, for example `aarch64`.
    pub arch: String,
    /// Operating system with version, for example `os 1.0.0`.
    pub os_version: String,
    /// Version of the agent.
    pub agent_version: String,
    /// Version of the reference API that `/v1` and `/v2` follow.
    pub compatible_version: String,
    /// Development or production mode.
    pub variant: Variant,
    /// `false` for a device that belongs to no fleet.
    pub managed: bool,
    /// The engine behind the agent; absent while it cannot be reached.
    pub engine: Option<EngineInfo>,
    /// The confinement of a simulated device; absent on a real one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confinement: Option<Confinement>,
    /// What clients may rely on: `report-stream`, `log-tail`, …
    #[serde(default)]
    pub capabilities: Vec<String>,
}

/// Development or production mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Variant {
    /// Engine and API may be open to the local network.
    Development,
    /// Keys only.
    Production,
    /// A value that this build does not know.
    #[serde(other)]
    Unknown,
}

/// The container engine behind the agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// `docker`, `moby`, `balenaEngine` …
    pub name: String,
    /// Engine version.
    pub version: String,
    /// API version that was negotiated.
    pub api_version: String,
}

/// How a simulated device is kept apart from the workstation and from its siblings on the same engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confinement {
    /// Suffix of container names and prefix of networks and volumes; also the tag of images built for this device.
    pub namespace: String,
    /// The loopback address on which ports of services are published.
    pub address: String,
    /// Whether services may run privileged and in the host's network.
    pub allow_privileged: bool,
}

/// `POST /os/v1/target-state` was stored; follow the report until its `generation` is at least this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    /// Grows by one with every accepted target.
    pub generation: u64,
}

/// What the agent has seen and what it is doing about it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// The target that this report is about.
    pub generation: u64,
    /// Whether there is something left to do.
    pub state: ApplyState,
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
}

/// An error of `/os/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A word for machines: `invalid-target`, `not-found`, …
    pub code: String,
    /// What happened and what to do, for people.
    pub message: String,
}
