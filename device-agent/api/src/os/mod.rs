//! Our own API under `/os/v1`.
//!
//! | route | body |
//! | --- | --- |
//! | `GET /os/v1/info` | [`Info`] |
//! | `GET /os/v1/report` | [`Report`] |
//! | `GET /os/v1/report?follow=true` | [`Report`] as newline-delimited JSON: the present one at once, then one for every change |
//! | `POST /os/v1/target-state` | body as `POST /v2/local/target-state`, beside `local` perhaps `force` and `discardVolumes`; answers [`Accepted`] |
//! | `POST /os/v1/fleet/target-state` | the fleet's target, as the reference's target state version 3 or as a body of the line above; perhaps with `discardVolumes`; answers [`Accepted`] |
//! | `POST /os/v1/plan` | the same body, perhaps with `rebuilt`; answers [`Preview`] and changes nothing |
//! | `POST /os/v1/restart`, `start`, `stop`, `purge` | [`Action`]; answers [`Asked`] |
//! | `GET /os/v1/local-mode` | [`LocalMode`] |
//! | `PUT /os/v1/local-mode` | [`SetLocalMode`]; answers [`LocalMode`] |
//! | `GET /os/v1/disk` | [`Disk`] |
//! | `GET /os/v1/logs` | [`crate::log::LogLine`] as newline-delimited JSON: the greeting, then what comes; endless |
//!
//! Query of `/os/v1/logs`:
//!
//! | key | wish |
//! | --- | --- |
//! | `service=NAME`, repeatable | no other services; `service=` without a name: no service at all |
//! | `stream=stdout`, `stream=stderr` | of services, no other stream |
//! | `system=true`, `system=false` | whether the agent's own lines are wanted; unless given: yes, but not beside `service` or `stream` |
//! | `journal=true` | where `system` is wanted, the journal of the device's system in the place of the agent's own lines, which stand in it too. Devices that can name `system-journal` among their capabilities |
//! | `since=TIME` | past lines come first, from this time on |
//! | `tail=N` | of the past lines only the last N, at most 100,000 |
//! | `until=TIME` | no line after this time; the answer ends then |
//! | `after=PLACE,…`, repeatable | past lines come first: of each origin that is named those behind its place, of others those from `since` on (unless given: none). `tail` counts no more. At most 1000 places. Of the journal the place of its last row |
//! | `follow=false` | the answer ends after the past lines |
//!
//! A service that has `BALENA_LOGS_LEVEL` in its environment, as `none`, `err` or `error`, is heard in full only by who names it by
//! `service`; others are told nothing of it or what it writes to standard error, as on `/v2/local/logs`. Of a container that is gone
//! nobody knows that any more.
//!
//! A time is RFC 3339, or seconds since 1970 with at most nine decimals. What is not understood is answered by 400; unknown keys are
//! ignored. Past lines come in the order of their times, as far back as the engine, the agent and (where the engine logs to it) the
//! journal kept them.
//!
//! Every line has a `cursor`, its place ([`crate::cursor`]). A client that keeps the place of the last line of every origin, and the
//! time in the greeting's, goes on exactly where it was: `after` these places, `since` that time (or that of its last line, if that was
//! earlier: the past was not told to its end). This works over restarts of client, agent and engine. What cannot be told is said by a
//! line with `isNotice`: `N lines of web dropped` where a client reads too slowly, lines of a container that is gone, lines that
//! the engine or the journal has given up or cannot read, lines of the agent from before the system started. A line of more than
//! 64 KiB ends with `[... N bytes cut]`. Places follow the device's clock: where it is set back while nobody listens, lines are missing
//! that bear times which were told before, and that is said.
//!
//! An answer that ends before its last chunk was cut off: by the connection, by the agent's end, or
//! because the system's journal cannot be read any more. Only a few clients are told the past at
//! a time; one that does not read gives way to the next, and goes on when it reads again.
//!
//! `force` overrides the update locks of services. `discardVolumes` lists the volumes, by their names in the project, whose data
//! may be lost because their configuration changes; without it such a volume keeps the configuration that it has. It is about the
//! applications of the target that it comes with, and not about those that the fleet keeps beside a local target. `rebuilt` lists
//! the services whose images will be built anew before the target is sent.
//!
//! A device that belongs to a fleet and is not in local mode wants a key by TCP, as the reference does: `Authorization: Bearer KEY`, or
//! `?apikey=KEY`. The key of a service opens `info`, and `restart`, `start`, `stop`, `purge` of its own application; the device's own key opens
//! everything. On the unix socket root needs no key, and there `GET /os/v1/key` tells the device's own.
//!
//! Errors are [`Problem`] with a fitting HTTP status; without a fitting key `unauthorized`, 401.

mod preview;
mod report;

use serde::{Deserialize, Serialize};

pub use preview::{ChangeAction, Loss, NetworkChange, Preview, ServiceChange, VolumeChange};
pub use report::{ApplyState, ENGINE_AWAY, ImageReport, LayerReport, Report, ServiceReport};

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
    /// What clients may rely on: `report-stream`, `log-tail`, `log-service-filter`, `log-cursor` (places, `after`), `log-since` (`since`,
    /// `until`, `stream`), …
    #[serde(default)]
    pub capabilities: Vec<String>,
    /// Whether targets are taken from the local network. Always so on a device that belongs to no fleet.
    #[serde(default = "yes")]
    pub local_mode: bool,
    /// Room on the engine's disk, where that can be told without asking the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<Room>,
    /// By what the device's SSH server is known, the key that clients ask for first before others; empty where the agent finds no keys. Who asks
    /// by an unauthenticated way may take it for what a first contact is: it says nothing against a key that is known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ssh_host_keys: Vec<SshHostKey>,
}

/// A host key of the device's SSH server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SshHostKey {
    /// Its kind, `ssh-ed25519` for example.
    pub algorithm: String,
    /// `SHA256:` and 43 characters of base64, as `ssh-keygen -l` shows it.
    pub fingerprint: String,
}

/// Room on a file system, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Room {
    /// What is free.
    pub free: u64,
    /// The size of the file system.
    pub total: u64,
}

/// Agents that do not say it knew nothing but local mode.
fn yes() -> bool {
    true
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

/// Body of `POST /os/v1/restart`, `start`, `stop` and `purge`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Action {
    /// Application id; may be left out when there is one application only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_id: Option<u32>,
    /// Service name; without it every service of the application is meant. A `purge` of one service empties the volumes that it has,
    /// and gives new containers to all that share them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<String>,
    /// Override update locks.
    #[serde(default)]
    pub force: bool,
}

/// A request was stored; follow the report until its `asked` is at least this number and its state is not `applying`; of a request
/// about one service, the state of that service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// Grows by one with every request.
    pub request: u64,
}

/// Whether targets are taken from the local network.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalMode {
    /// Whether it is on.
    pub enabled: bool,
    /// Whether the device belongs to a fleet; if not, local mode cannot be switched off.
    pub managed: bool,
    /// What switching it off would remove: everything on the engine that came since it was switched on.
    #[serde(default)]
    pub losses: Vec<Loss>,
}

/// Body of `PUT /os/v1/local-mode`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetLocalMode {
    /// On or off.
    pub enabled: bool,
    /// Allows volumes that came since it was switched on to be lost.
    #[serde(default)]
    pub discard: bool,
}

/// Room on the disk that holds the engine's images, containers and volumes, in bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The engine's directory.
    pub path: String,
    /// Size of the file system.
    pub total: u64,
    /// What is free.
    pub free: u64,
    /// What images without a container hold.
    pub unused_images: u64,
    /// What the cache of builds holds.
    pub build_cache: u64,
}

/// An error of `/os/v1`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// A word for machines: `invalid-target`, `not-found`, …
    pub code: String,
    /// What happened and what to do, for people.
    pub message: String,
}
