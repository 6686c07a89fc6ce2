//! Networks and volumes that an application needs.

use super::confine;
use crate::model::{
    API_NETWORK, App, Confinement, DeviceFacts, IpamPool, NetworkSpec, VolumeSpec, labels, names,
};
use crate::target::compose;

/// Address of the agent in its own network.
pub(super) const API_GATEWAY: &str = "10.114.104.1";

/// A network or volume that is to exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted<T> {
    /// Engine name.
    pub(crate) name: String,
    /// Name in the application.
    pub(crate) logical_name: String,
    /// Its configuration, our labels included.
    pub(crate) spec: T,
}

/// The networks of an app, `default` among them in any case, and warnings.
pub(crate) fn networks(device: &DeviceFacts, app: &App) -> (Vec<Wanted<NetworkSpec>>, Vec<String>) {
    let mut warnings = Vec::new();
    let mut specs = app.networks.clone();
    let default = specs.entry("default".to_owned()).or_default();
    // Without addresses it cannot clash with the networks around the device.
    default.config_only |= all_use_host(device, app);
    let networks = specs.into_iter().map(|(logical_name, spec)| {
        let confinement = device.confinement.as_ref();
        let mut spec = confine::network(&logical_name, spec, confinement, &mut warnings);
        warnings.extend(
            spec.ipam_pools
                .iter()
                .filter_map(|pool| open_pool(&logical_name, pool)),
        );
        own(&mut spec.labels, confinement);
        spec.labels
            .insert(labels::APP_ID.to_owned(), app.id.to_string());
        if !spec.ipam_pools.is_empty() {
            spec.labels
                .insert(labels::IPAM_CONFIG.to_owned(), "true".to_owned());
        }
        Wanted {
            name: names::network(&app.uuid, &logical_name, confinement),
            logical_name,
            spec,
        }
    });
    (networks.collect(), warnings)
}

/// Words about an address pool that leaves the engine a choice.
fn open_pool(network: &str, pool: &IpamPool) -> Option<String> {
    let missing = match (&pool.subnet, &pool.gateway) {
        (Some(_), Some(_)) => return None,
        (None, Some(_)) => "subnet",
        (Some(_), None) => "gateway",
        (None, None) => "subnet and no gateway",
    };
    Some(format!(
        "an address pool of the network {network} has no {missing}, which the engine chooses"
    ))
}

/// The volumes of an app, and warnings.
pub(crate) fn volumes(device: &DeviceFacts, app: &App) -> (Vec<Wanted<VolumeSpec>>, Vec<String>) {
    let mut warnings = Vec::new();
    let volumes = app.volumes.clone().into_iter().map(|(logical_name, spec)| {
        let confinement = device.confinement.as_ref();
        let mut spec = confine::volume(&logical_name, spec, confinement, &mut warnings);
        own(&mut spec.labels, confinement);
        spec.labels
            .insert(labels::APP_UUID.to_owned(), app.uuid.clone());
        Wanted {
            name: names::volume(app.id, &logical_name, confinement),
            logical_name,
            spec,
        }
    });
    (volumes.collect(), warnings)
}

/// The network over which bridged services reach the agent. Its name, bridge and addresses are known to host scripts.
pub(crate) fn api_network() -> Wanted<NetworkSpec> {
    let bridge = ("com.docker.network.bridge.name", API_NETWORK);
    Wanted {
        name: API_NETWORK.to_owned(),
        logical_name: API_NETWORK.to_owned(),
        spec: NetworkSpec {
            driver_opts: [(bridge.0.to_owned(), bridge.1.to_owned())].into(),
            ipam_pools: vec![IpamPool {
                subnet: Some("10.114.104.0/25".to_owned()),
                gateway: Some(API_GATEWAY.to_owned()),
                ..IpamPool::default()
            }],
            ..NetworkSpec::default()
        },
    }
}

fn all_use_host(device: &DeviceFacts, app: &App) -> bool {
    let free = device
        .confinement
        .as_ref()
        .is_none_or(|c| c.allow_privileged);
    free && app
        .services
        .values()
        .all(|service| super::uses_host(&compose::read(&service.composition).0))
}

fn own(labels: &mut std::collections::BTreeMap<String, String>, confinement: Option<&Confinement>) {
    *labels = labels::renamed(&*labels);
    // Asked for by a service, it would hide what is made from the agent that made it.
    labels.remove(Confinement::LABEL);
    labels.insert(labels::SUPERVISED.to_owned(), "true".to_owned());
    if let Some(confinement) = confinement {
        labels.insert(Confinement::LABEL.to_owned(), confinement.namespace.clone());
    }
}
