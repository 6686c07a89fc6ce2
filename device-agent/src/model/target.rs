//! The state that the device is to reach, validated.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// Everything that the device is asked to be.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Target {
    /// Device name.
    pub name: String,
    /// Configuration variables as they were sent.
    pub config: BTreeMap<String, String>,
    /// Applications by id.
    pub apps: BTreeMap<u32, App>,
    /// Whether the update locks of services are overridden until it is reached.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub force: bool,
}

impl Target {
    /// Allows volumes of these names, in whichever of its applications, to lose their data. It is kept with each application: one
    /// that another target has put beside them is not meant.
    pub fn let_go(&mut self, volumes: &BTreeSet<String>) {
        for app in self.apps.values_mut() {
            let named = volumes
                .iter()
                .filter(|name| app.volumes.contains_key(*name));
            app.discard_volumes = named.cloned().collect();
        }
    }
}

/// An application: a set of services that are updated together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct App {
    /// Numeric id; volumes are named after it.
    pub id: u32,
    /// Uuid; networks are named after it. In local mode the id as text.
    pub uuid: String,
    /// Name.
    pub name: String,
    /// Commit of the release; `None` means that there is nothing to run.
    pub commit: Option<String>,
    /// Id of the release.
    pub release_id: u32,
    /// Services by name.
    pub services: BTreeMap<String, Service>,
    /// Networks by name, without the application's prefix.
    pub networks: BTreeMap<String, NetworkSpec>,
    /// Volumes by name, without the application's prefix.
    pub volumes: BTreeMap<String, VolumeSpec>,
    /// Those of them, by name, that may lose their data where their configuration changes.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub discard_volumes: BTreeSet<String>,
    /// What kind of application it is.
    #[serde(default)]
    pub class: AppClass,
}

/// What kind of application it is. In local mode those of the fleet give way to the local ones; the others stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AppClass {
    /// The fleet's own.
    #[default]
    Fleet,
    /// Beside the fleet's own.
    App,
    /// A building block of the device.
    Block,
}

/// A service as it was asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Service {
    /// Name; also its alias on every network.
    pub name: String,
    /// Service id.
    pub id: u32,
    /// Image id of the target state (not of the engine).
    pub image_id: u32,
    /// Image reference, resolved to an engine image id at plan time.
    pub image: String,
    /// Whether it should run.
    pub running: bool,
    /// Environment variables.
    pub environment: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// The remaining compose keys in `snake_case`, with the values that were sent.
    pub composition: Map<String, Value>,
    /// What it requires of the device, as it was sent; [`crate::target::contract`] reads it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contract: Option<Value>,
}

/// A network of an application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NetworkSpec {
    /// Engine driver; `bridge` unless set.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// No route to the outside.
    pub internal: bool,
    /// IPv6 addresses too.
    pub enable_ipv6: bool,
    /// A name without addresses.
    pub config_only: bool,
    /// IPAM driver; `default` unless set.
    pub ipam_driver: Option<String>,
    /// Address pools.
    pub ipam_pools: Vec<IpamPool>,
    /// Options of the IPAM driver.
    pub ipam_options: BTreeMap<String, String>,
}

/// Addresses of a network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IpamPool {
    /// CIDR.
    pub subnet: Option<String>,
    /// CIDR within the subnet, from which addresses are given.
    pub ip_range: Option<String>,
    /// The host's address.
    pub gateway: Option<String>,
    /// Addresses that are in use by others, by name.
    pub aux_addresses: BTreeMap<String, String>,
}

/// A volume of an application.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct VolumeSpec {
    /// Engine driver; `local` unless set.
    pub driver: Option<String>,
    /// Options of the driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}
