//! Engine answers → the planner's values, normalised.
//!
//! What comes in: inspect and list models of the client library. What goes out: [`crate::model`] values in which equal
//! means equal, whatever version of the engine answered. Pure; unknown fields are ignored and absent ones get defaults.

mod config;
mod image;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};

use bollard::models::{
    ContainerInspectResponse, ContainerStateStatusEnum, Ipam, Network, NetworkInspect, SystemInfo,
    Volume,
};

use crate::model::{
    Confinement, ContainerState, IpamPool, Limit, Millis, NetworkSpec, ObservedContainer,
    ObservedNetwork, ObservedVolume, ServiceConfig, VolumeSpec, labels, names,
};

pub use image::image;

/// Why something on the engine is none of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOurs {
    /// It is not supervised, or belongs to another device on the same engine. To be passed over.
    #[error("{object} belongs to something else")]
    OtherOwner {
        /// Engine name.
        object: String,
    },
    /// It is marked as ours but cannot be placed. To be reported as a fault.
    #[error("{object}: {problem}")]
    Unplaceable {
        /// Engine name.
        object: String,
        /// What is missing.
        problem: String,
    },
}

/// A container as inspected.
pub fn container(
    inspect: &ContainerInspectResponse,
    confinement: Option<&Confinement>,
) -> Result<ObservedContainer, NotOurs> {
    let name = inspect
        .name
        .as_deref()
        .unwrap_or_default()
        .trim_start_matches('/');
    let mut config = config::service_config(inspect);
    check_owner(name, &config.labels, confinement)?;
    let app_id = number(name, &config.labels, labels::APP_ID)?;
    let service_name = text(name, &config.labels, labels::SERVICE_NAME)?.to_owned();
    let parts = names::parse_container(name, &service_name, confinement);
    let predecessor = names::parse_predecessor(name, &service_name, confinement);
    let is_predecessor = parts.is_none() && predecessor.is_some();
    let parts = parts.or(predecessor);
    let state = inspect.state.clone().unwrap_or_default();
    let asked_mac_address = config.labels.remove(ServiceConfig::MAC_LABEL);
    if let Some(address) = &asked_mac_address {
        config.mac_address.clone_from(address);
    }
    Ok(ObservedContainer {
        id: inspect.id.clone().unwrap_or_default(),
        name: name.to_owned(),
        app_id,
        app_uuid: config
            .labels
            .get(labels::APP_UUID)
            .cloned()
            .unwrap_or_else(|| app_id.to_string()),
        service_id: number(name, &config.labels, labels::SERVICE_ID)?,
        service_name,
        image_id: parts.as_ref().map_or(0, |p| p.image_id),
        release_id: parts.as_ref().map_or(0, |p| p.release_id),
        commit: parts.map(|p| p.commit),
        state: container_state(state.status),
        created: inspect.created.as_deref().map_or(0, millis),
        exit_code: state.exit_code,
        ever_started: state
            .started_at
            .as_deref()
            .is_some_and(|at| !at.is_empty() && !at.starts_with("0001-01-01")),
        error: state.error.unwrap_or_default(),
        stopped_by_agent: false,
        created_from: config.labels.remove(ServiceConfig::DIGEST_LABEL),
        asked_mac_address,
        because: config.labels.remove(ServiceConfig::BECAUSE_LABEL),
        is_predecessor,
        config,
    })
}

/// A network as listed.
pub fn network(
    network: &Network,
    confinement: Option<&Confinement>,
) -> Result<ObservedNetwork, NotOurs> {
    let name = network.name.clone().unwrap_or_default();
    let spec = network_spec(network);
    check_owner(&name, &spec.labels, confinement)?;
    let app_id = number(&name, &spec.labels, labels::APP_ID)?;
    let logical_name = names::parse_owned(&name, confinement)
        .map_or(name.as_str(), |(_, logical)| logical)
        .to_owned();
    Ok(ObservedNetwork {
        id: network.id.clone().unwrap_or_default(),
        name,
        logical_name,
        app_id,
        spec,
    })
}

/// A network as inspected.
pub fn inspected_network(
    inspect: NetworkInspect,
    confinement: Option<&Confinement>,
) -> Result<ObservedNetwork, NotOurs> {
    network(&as_listed(inspect), confinement)
}

/// The network over which bridged services reach the agent. It carries no labels.
#[must_use]
pub fn api_network(inspect: NetworkInspect) -> ObservedNetwork {
    let network = as_listed(inspect);
    ObservedNetwork {
        id: network.id.clone().unwrap_or_default(),
        name: network.name.clone().unwrap_or_default(),
        logical_name: network.name.clone().unwrap_or_default(),
        app_id: 0,
        spec: network_spec(&network),
    }
}

/// A volume as listed or inspected.
pub fn volume(
    volume: &Volume,
    confinement: Option<&Confinement>,
) -> Result<ObservedVolume, NotOurs> {
    let spec = VolumeSpec {
        driver: Some(volume.driver.clone()).filter(|d| !d.is_empty()),
        driver_opts: volume.options.clone().into_iter().collect(),
        labels: labels::renamed(&volume.labels),
    };
    check_owner(&volume.name, &spec.labels, confinement)?;
    let (app_id, logical_name) = names::parse_owned(&volume.name, confinement)
        .and_then(|(owner, logical)| Some((owner.parse().ok()?, logical.to_owned())))
        .ok_or_else(|| unplaceable(&volume.name, "its name does not begin with an app id"))?;
    Ok(ObservedVolume {
        name: volume.name.clone(),
        app_id,
        logical_name,
        spec,
    })
}

/// The volume in which the operating system looks for firmware. It carries no labels.
#[must_use]
pub fn firmware_volume(volume: &Volume) -> ObservedVolume {
    ObservedVolume {
        name: volume.name.clone(),
        app_id: 0,
        logical_name: volume.name.clone(),
        spec: VolumeSpec::default(),
    }
}

fn network_spec(network: &Network) -> NetworkSpec {
    let Ipam {
        driver,
        config,
        options,
    } = network.ipam.clone().unwrap_or_default();
    NetworkSpec {
        driver: network.driver.clone().filter(|d| !d.is_empty()),
        driver_opts: sorted(network.options.clone()),
        labels: network
            .labels
            .as_ref()
            .map(labels::renamed)
            .unwrap_or_default(),
        internal: network.internal.unwrap_or(false),
        enable_ipv6: network.enable_ipv6.unwrap_or(false),
        config_only: network.config_only.unwrap_or(false),
        ipam_driver: driver.filter(|d| !d.is_empty()),
        ipam_pools: config
            .unwrap_or_default()
            .into_iter()
            .map(|pool| IpamPool {
                subnet: pool.subnet.filter(|s| !s.is_empty()),
                ip_range: pool.ip_range.filter(|s| !s.is_empty()),
                gateway: pool.gateway.filter(|s| !s.is_empty()),
                aux_addresses: sorted(pool.auxiliary_addresses),
            })
            .collect(),
        ipam_options: sorted(options),
    }
}

fn as_listed(inspect: NetworkInspect) -> Network {
    Network {
        name: inspect.name,
        id: inspect.id,
        driver: inspect.driver,
        enable_ipv6: inspect.enable_ipv6,
        ipam: inspect.ipam,
        internal: inspect.internal,
        config_only: inspect.config_only,
        options: inspect.options,
        labels: inspect.labels,
        ..Network::default()
    }
}

/// What the engine says that it cannot do; what it says nothing of, it can.
#[must_use]
pub fn cannot_limit(system: &SystemInfo) -> BTreeSet<Limit> {
    [
        (Limit::Memory, system.memory_limit),
        (Limit::CpuShares, system.cpu_shares),
        (Limit::CpuQuota, system.cpu_cfs_quota),
        (Limit::Cpuset, system.cpu_set),
        (Limit::Pids, system.pids_limit),
    ]
    .into_iter()
    .filter(|(_, can)| *can == Some(false))
    .map(|(limit, _)| limit)
    .collect()
}

type Labels = std::collections::BTreeMap<String, String>;

/// Only what is supervised, and marked with the namespace of this simulated device, or with none on a real one.
fn check_owner(
    object: &str,
    labels: &Labels,
    confinement: Option<&Confinement>,
) -> Result<(), NotOurs> {
    let namespace = labels.get(Confinement::LABEL);
    if labels.contains_key(labels::SUPERVISED) && namespace == confinement.map(|c| &c.namespace) {
        Ok(())
    } else {
        Err(NotOurs::OtherOwner {
            object: object.to_owned(),
        })
    }
}

fn text<'a>(object: &str, labels: &'a Labels, key: &str) -> Result<&'a str, NotOurs> {
    labels
        .get(key)
        .map(String::as_str)
        .filter(|value| !value.is_empty())
        .ok_or_else(|| unplaceable(object, &format!("it has no label {key}")))
}

fn number(object: &str, labels: &Labels, key: &str) -> Result<u32, NotOurs> {
    text(object, labels, key)?
        .parse()
        .map_err(|_| unplaceable(object, &format!("its label {key} is no number")))
}

fn unplaceable(object: &str, problem: &str) -> NotOurs {
    NotOurs::Unplaceable {
        object: object.to_owned(),
        problem: problem.to_owned(),
    }
}

fn container_state(status: Option<ContainerStateStatusEnum>) -> ContainerState {
    use ContainerStateStatusEnum as Status;
    match status {
        // A container that is being stopped still runs; what comes of it wakes the agent.
        Some(Status::RUNNING | Status::STOPPING) => ContainerState::Running,
        Some(Status::RESTARTING) => ContainerState::Restarting,
        Some(Status::PAUSED) => ContainerState::Paused,
        Some(Status::EXITED) => ContainerState::Exited,
        Some(Status::REMOVING) => ContainerState::Removing,
        Some(Status::DEAD) => ContainerState::Dead,
        Some(Status::CREATED | Status::EMPTY) | None => ContainerState::Created,
    }
}

fn millis(timestamp: &str) -> Millis {
    timestamp
        .parse::<jiff::Timestamp>()
        .map_or(0, jiff::Timestamp::as_millisecond)
}

fn sorted(map: Option<HashMap<String, String>>) -> Labels {
    map.unwrap_or_default().into_iter().collect()
}
