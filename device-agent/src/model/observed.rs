//! What the engine has, read once before each planning.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::os::Room;
use serde::{Deserialize, Serialize};

use super::{
    AppLocks, Asked, DeviceFacts, Limit, Millis, NetworkSpec, Secret, ServiceConfig, VolumeSpec,
};

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
    /// Supervised volumes, and [`super::EXTRA_FIRMWARE`], which carries no labels and belongs to no application: its `app_id` is
    /// 0. That one is never looked at on a simulated device.
    pub volumes: Vec<ObservedVolume>,
    /// Images of the target that the engine has, by the reference that the target uses.
    pub images: BTreeMap<String, ImageFacts>,
    /// API keys of services by application id and service name, for those that `plan::wants_api_key` names.
    /// A service whose key changes gets another container.
    pub api_keys: BTreeMap<(u32, String), Secret>,
    /// Failures of the present target by [`super::Step::key`]; a step that succeeds clears its entry.
    pub failures: BTreeMap<String, Failure>,
    /// What the engine leaves out of containers that ask for it.
    pub cannot_limit: BTreeSet<Limit>,
    /// References of images that are being fetched now.
    pub pulling: BTreeSet<String>,
    /// What was asked for and is not done yet.
    pub asked: Asked,
    /// A word for the present run of the machine; empty where there is none.
    pub boot: String,
    /// Update locks by application id, for those that have a container or a directory.
    pub locks: BTreeMap<u32, AppLocks>,
    /// Services that say that their successor may take over, by application id and name.
    pub handed_over: BTreeSet<(u32, String)>,
    /// When each running container was first seen running, by engine id, in the planner's time.
    pub running_since: BTreeMap<String, Millis>,
    /// What a local session left behind and must go, after local mode was switched off.
    pub leftovers: Option<Inventory>,
    /// Containers that wait for a restart of the machine ([`crate::plan::waiting_for_restart`]) and were created since the last
    /// one, by engine id.
    pub created_since_boot: BTreeSet<String>,
    /// Engine names of volumes that went on request, which could not be noted yet: after a crash they would go once more.
    pub unnoted_discards: BTreeSet<String>,
    /// Why services are being given new containers, by application id and name, until they have them.
    pub reasons: BTreeMap<(u32, String), String>,
    /// Room on the engine's disk, where that can be told.
    pub disk: Option<Space>,
    /// Whether targets come from the local network: then images are kept.
    pub local_mode: bool,
    /// Engine names of the volumes that the fleet's target names, in a local session: it is theirs again when that ends.
    pub fleet_volumes: BTreeSet<String>,
    /// Images that nothing needs, by engine id or reference, which were fetched for an earlier target.
    pub unused_images: BTreeSet<String>,
}

impl Observed {
    /// A device with an empty engine, in local mode.
    #[must_use]
    pub fn empty(device: DeviceFacts) -> Self {
        Self {
            device,
            containers: Vec::new(),
            networks: Vec::new(),
            api_network: None,
            volumes: Vec::new(),
            images: BTreeMap::new(),
            api_keys: BTreeMap::new(),
            failures: BTreeMap::new(),
            cannot_limit: BTreeSet::new(),
            pulling: BTreeSet::new(),
            asked: Asked::default(),
            boot: String::new(),
            locks: BTreeMap::new(),
            handed_over: BTreeSet::new(),
            running_since: BTreeMap::new(),
            leftovers: None,
            created_since_boot: BTreeSet::new(),
            unnoted_discards: BTreeSet::new(),
            reasons: BTreeMap::new(),
            disk: None,
            local_mode: true,
            fleet_volumes: BTreeSet::new(),
            unused_images: BTreeSet::new(),
        }
    }
}

/// How full the engine's disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Room.
    pub room: Room,
    /// Bytes that unused images and the cache of builds hold; asked for only when there is little room.
    pub could_be_freed: Option<u64>,
}

/// Everything on an engine, by engine id; volumes by name.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inventory {
    /// Containers.
    pub containers: BTreeSet<String>,
    /// Images.
    pub images: BTreeSet<String>,
    /// Networks.
    pub networks: BTreeSet<String>,
    /// Volumes.
    pub volumes: BTreeSet<String>,
}

impl Inventory {
    /// What is here and not in `known`.
    #[must_use]
    pub fn without(&self, known: &Self) -> Self {
        let minus = |a: &BTreeSet<String>, b: &BTreeSet<String>| a.difference(b).cloned().collect();
        Self {
            containers: minus(&self.containers, &known.containers),
            images: minus(&self.images, &known.images),
            networks: minus(&self.networks, &known.networks),
            volumes: minus(&self.volumes, &known.volumes),
        }
    }

    /// Whether it holds nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.containers.is_empty()
            && self.images.is_empty()
            && self.networks.is_empty()
            && self.volumes.is_empty()
    }
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
    /// The MAC address that was asked for, if this agent created it and one was.
    pub asked_mac_address: Option<String>,
    /// Why it was created, by its label, if this agent created it.
    pub because: Option<String>,
    /// Whether its name says that it is to be replaced by a running successor.
    pub is_predecessor: bool,
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

impl ObservedNetwork {
    /// The application that it belongs to; the network of the agent's own API belongs to none.
    #[must_use]
    pub fn app(&self) -> Option<u32> {
        (self.app_id != 0).then_some(self.app_id)
    }
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

impl ObservedVolume {
    /// The application that it belongs to; the one for firmware belongs to none.
    #[must_use]
    pub fn app(&self) -> Option<u32> {
        (self.app_id != 0).then_some(self.app_id)
    }
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
