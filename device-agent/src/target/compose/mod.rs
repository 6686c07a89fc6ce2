//! The compose keys of a service → what they ask for.
//!
//! What comes in: the composition of a [`crate::model::Service`], keys in `snake_case`. What goes out: a [`Composition`]
//! in which absent is `None` or empty, and faults with their paths. Defaults, names on the engine and what a device
//! allows are not decided here but in `plan/desired`. Null is absent.

mod health;
mod network;
mod ports;
mod process;
mod resources;
mod scalar;
mod storage;
#[cfg(test)]
mod tests;
mod volumes;

use std::collections::{BTreeMap, BTreeSet};

use agent_api::compose::mounts;
use serde_json::{Map, Value};

use crate::model::{Endpoint, PortBinding};

pub use health::HealthcheckChange;
pub use network::NetworkMode;
pub use volumes::VolumeUse;

/// What a service asks for, in the words of its compose file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(
    missing_docs,
    reason = "the fields are the compose keys of the same names"
)]
pub struct Composition {
    pub command: Option<Vec<String>>,
    pub entrypoint: Option<Vec<String>>,
    pub user: Option<String>,
    pub working_dir: Option<String>,
    pub tty: Option<bool>,
    pub init: Option<bool>,
    /// `always`, `unless-stopped`, `on-failure` or `no`.
    pub restart: Option<String>,
    pub stop_signal: Option<String>,
    /// Seconds.
    pub stop_grace_period: Option<i64>,
    pub hostname: Option<String>,
    pub domainname: Option<String>,
    pub mac_address: Option<String>,
    pub healthcheck: Option<HealthcheckChange>,
    pub depends_on: BTreeSet<String>,

    pub network_mode: Option<NetworkMode>,
    /// In the order in which they are listed.
    pub networks: Vec<(String, Endpoint)>,
    pub ports: BTreeSet<PortBinding>,
    pub dns: Vec<String>,
    pub dns_opt: BTreeSet<String>,
    pub dns_search: Vec<String>,
    pub extra_hosts: BTreeSet<String>,

    pub volumes: Vec<VolumeUse>,
    pub tmpfs: BTreeSet<String>,
    pub devices: BTreeSet<String>,
    pub read_only: Option<bool>,
    pub shm_size: Option<i64>,

    pub privileged: Option<bool>,
    pub cap_add: BTreeSet<String>,
    pub cap_drop: BTreeSet<String>,
    pub security_opt: BTreeSet<String>,
    pub group_add: BTreeSet<String>,
    pub sysctls: BTreeMap<String, String>,
    pub ulimits: BTreeMap<String, (i64, i64)>,
    pub cgroup_parent: Option<String>,
    pub pid: Option<String>,
    pub ipc: Option<String>,
    pub userns_mode: Option<String>,
    pub pids_limit: Option<i64>,
    pub mem_limit: Option<i64>,
    pub mem_reservation: Option<i64>,
    pub oom_kill_disable: Option<bool>,
    pub oom_score_adj: Option<i64>,
    pub cpu_shares: Option<i64>,
    pub cpu_quota: Option<i64>,
    /// CPUs × 10⁹.
    pub nano_cpus: Option<i64>,
    pub cpuset: Option<String>,

    /// What was left out, for people.
    pub warnings: Vec<String>,
}

impl Composition {
    /// Volumes of the app that are used.
    pub fn volume_names(&self) -> impl Iterator<Item = &str> {
        self.volumes.iter().filter_map(VolumeUse::volume_name)
    }

    /// Networks of the app that are used.
    pub fn network_names(&self) -> impl Iterator<Item = &str> {
        let mode = match &self.network_mode {
            Some(NetworkMode::Named(name)) => Some(name.as_str()),
            _ => None,
        };
        mode.into_iter()
            .chain(self.networks.iter().map(|(name, _)| name.as_str()))
    }

    /// Services that must have been started before this one.
    #[must_use]
    pub fn waits_for(&self) -> BTreeSet<String> {
        let mut names = self.depends_on.clone();
        if let Some(NetworkMode::Service(name)) = &self.network_mode {
            names.insert(name.clone());
        }
        names
    }
}

/// Something in a composition that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Keys from the service, joined by dots: `ports.0`.
    pub at: String,
    /// What is wrong there.
    pub message: String,
}

/// A value, or what is wrong with it: paths begin at the value.
type Read<T> = Result<T, Vec<Fault>>;

/// Reads a composition. Unknown keys and what the device does not do become warnings.
#[must_use]
pub fn read(sent: &Map<String, Value>) -> (Composition, Vec<Fault>) {
    let mut out = Composition::default();
    let mut faults = Vec::new();
    for (key, value) in sent {
        if value.is_null() {
            continue;
        }
        let outcome = process::key(key, value, &mut out)
            .or_else(|| network::key(key, value, &mut out))
            .or_else(|| storage::key(key, value, &mut out))
            .or_else(|| resources::key(key, value, &mut out));
        match outcome {
            Some(Ok(())) => {}
            Some(Err(found)) => faults.extend(found.into_iter().map(|f| f.under(key))),
            None => out
                .warnings
                .push(format!("the compose key {} has no effect", quoted(key))),
        }
    }
    faults.extend(contradictions(&out));
    (out, faults)
}

/// What an engine refuses although each key is right by itself.
fn contradictions(read: &Composition) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut wrong = |at: &str, message: String| {
        faults.push(Fault {
            at: at.to_owned(),
            message,
        });
    };
    let mounted: BTreeSet<String> = read
        .volumes
        .iter()
        .filter_map(VolumeUse::mount_point)
        .collect();
    for mount in &read.tmpfs {
        let path = mounts::clean(mounts::of_tmpfs(mount));
        if mounted.contains(&path) {
            wrong(
                "tmpfs",
                format!("a volume is mounted at {}, too", quoted(&path)),
            );
        }
        if mounts::OWN_DIRECTORIES.contains(&path.as_str()) {
            wrong(
                "tmpfs",
                format!("the device itself mounts a folder at {}", quoted(&path)),
            );
        }
    }
    let positive = |limit: Option<i64>| limit.is_some_and(|limit| limit > 0);
    if positive(read.cpu_quota) && positive(read.nano_cpus) {
        wrong("cpu_quota", "cannot stand beside `cpus`".to_owned());
    }
    faults
}

impl Fault {
    fn new(message: impl Into<String>) -> Vec<Self> {
        vec![Self {
            at: String::new(),
            message: message.into(),
        }]
    }

    fn under(self, key: &str) -> Self {
        let mut at = super::problem::join("", key);
        if !self.at.is_empty() {
            at = format!("{at}.{}", self.at);
        }
        Self { at, ..self }
    }
}

/// A piece of the input in a message: short, on one line.
fn quoted(text: &str) -> String {
    let short: String = text.chars().take(64).flat_map(char::escape_debug).collect();
    format!("`{short}`")
}

/// Warns of members of an object that mean nothing here.
fn unused(at: &str, map: &Map<String, Value>, known: &[&str], warnings: &mut Vec<String>) {
    let is_known = |key: &str| known.contains(&super::value::snake_case(key).as_str());
    for (key, _) in map
        .iter()
        .filter(|(key, sent)| !sent.is_null() && !is_known(key))
    {
        warnings.push(format!("{at}: {} has no effect", quoted(key)));
    }
}

/// Puts what was read in its place.
fn put<T>(place: &mut T, read: Read<T>) -> Read<()> {
    *place = read?;
    Ok(())
}

/// Puts what was read in its place.
fn put_some<T>(place: &mut Option<T>, read: Read<T>) -> Read<()> {
    *place = Some(read?);
    Ok(())
}
