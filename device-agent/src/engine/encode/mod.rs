//! The planner's values → bodies of the engine's create requests.
//!
//! What comes in: [`crate::model`] values that leave nothing to decide. What goes out: bodies of the client library, in
//! the form in which the reference writes them. Pure.

mod host;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointIpamConfig, EndpointSettings, HealthConfig, Ipam, IpamConfig,
    NetworkCreateRequest, NetworkingConfig, VolumeCreateRequest,
};

use crate::model::{DEVICE_NAME_VARIABLES, Endpoint, NetworkSpec, ServiceConfig, VolumeSpec};

/// A container to create.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Body of the create request; it names the primary network only.
    pub body: ContainerCreateBody,
    /// Networks to connect after creation and before the start, by engine name.
    pub attach: Vec<(String, EndpointSettings)>,
    /// The MAC address that is asked for, which older engines read outside of the networks; empty is none.
    pub mac_address: String,
}

/// The create request of a container. Its name goes into the query; the reason is kept on it for people.
#[must_use]
pub fn container(config: &ServiceConfig, device_name: &str, because: &str) -> Container {
    let (primary, others): (Vec<_>, Vec<_>) = config
        .networks
        .iter()
        .map(|(name, endpoint)| (name.clone(), endpoint_settings(endpoint)))
        .partition(|(name, _)| *name == config.network_mode);
    // The engine's own bridge is no network of ours, but it is where an address of our choice would be.
    let bridge = config.network_mode == "bridge" && !config.mac_address.is_empty();
    let bridge = bridge.then(|| ("bridge".to_owned(), EndpointSettings::default()));
    let mut labels = unsorted(&config.labels);
    labels.insert(ServiceConfig::DIGEST_LABEL.to_owned(), config.digest());
    labels.insert(ServiceConfig::BECAUSE_LABEL.to_owned(), because.to_owned());
    if !config.mac_address.is_empty() {
        labels.insert(
            ServiceConfig::MAC_LABEL.to_owned(),
            config.mac_address.clone(),
        );
    }
    let (volumes, binds): (Vec<_>, Vec<_>) = config
        .volumes
        .iter()
        .cloned()
        .partition(|volume| !volume.contains(':'));
    let body = ContainerCreateBody {
        image: Some(config.image.clone()),
        cmd: Some(config.command.clone()),
        entrypoint: Some(config.entrypoint.clone()),
        env: Some(environment(&config.environment, device_name)),
        labels: Some(labels),
        exposed_ports: Some(exposed_ports(config)),
        volumes: Some(volumes),
        tty: Some(config.tty),
        healthcheck: Some(HealthConfig {
            test: Some(config.healthcheck.test.clone()),
            interval: config.healthcheck.interval,
            timeout: config.healthcheck.timeout,
            retries: config.healthcheck.retries,
            start_period: config.healthcheck.start_period,
            start_interval: None,
        }),
        stop_signal: Some(config.stop_signal.clone()),
        stop_timeout: Some(config.stop_grace_period),
        domainname: Some(config.domainname.clone()),
        hostname: Some(config.hostname.clone()),
        user: Some(config.user.clone()),
        working_dir: Some(config.working_dir.clone()),
        networking_config: Some(NetworkingConfig {
            endpoints_config: Some(
                primary
                    .into_iter()
                    .chain(bridge)
                    .map(|(name, settings)| (name, with_mac(settings, &config.mac_address)))
                    .collect(),
            ),
        }),
        host_config: Some(host::config(config, binds)),
        ..ContainerCreateBody::default()
    };
    Container {
        body,
        attach: others,
        mac_address: config.mac_address.clone(),
    }
}

/// The create request of a network.
#[must_use]
pub fn network(name: &str, spec: &NetworkSpec) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some(spec.driver.clone().unwrap_or_else(|| "bridge".to_owned())),
        internal: Some(spec.internal),
        config_only: Some(spec.config_only),
        enable_ipv6: Some(spec.enable_ipv6),
        options: Some(unsorted(&spec.driver_opts)),
        labels: Some(unsorted(&spec.labels)),
        ipam: Some(Ipam {
            driver: Some(
                spec.ipam_driver
                    .clone()
                    .unwrap_or_else(|| "default".to_owned()),
            ),
            config: Some(
                spec.ipam_pools
                    .iter()
                    .map(|pool| IpamConfig {
                        subnet: pool.subnet.clone(),
                        ip_range: pool.ip_range.clone(),
                        gateway: pool.gateway.clone(),
                        auxiliary_addresses: Some(unsorted(&pool.aux_addresses))
                            .filter(|a| !a.is_empty()),
                    })
                    .collect(),
            ),
            options: Some(unsorted(&spec.ipam_options)),
        }),
        ..NetworkCreateRequest::default()
    }
}

/// The create request of a volume.
#[must_use]
pub fn volume(name: &str, spec: &VolumeSpec) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(name.to_owned()),
        driver: Some(spec.driver.clone().unwrap_or_else(|| "local".to_owned())),
        driver_opts: Some(unsorted(&spec.driver_opts)),
        labels: Some(unsorted(&spec.labels)),
        cluster_volume_spec: None,
    }
}

fn environment(variables: &BTreeMap<String, String>, device_name: &str) -> Vec<String> {
    let names = DEVICE_NAME_VARIABLES
        .iter()
        .map(|name| format!("{name}={device_name}"));
    let variables = variables
        .iter()
        .map(|(key, value)| format!("{key}={value}"));
    names.chain(variables).collect()
}

fn endpoint_settings(endpoint: &Endpoint) -> EndpointSettings {
    EndpointSettings {
        ipam_config: Some(EndpointIpamConfig {
            ipv4_address: endpoint.ipv4_address.clone(),
            ipv6_address: endpoint.ipv6_address.clone(),
            link_local_ips: Some(endpoint.link_local_ips.clone()).filter(|ips| !ips.is_empty()),
        }),
        aliases: Some(list(&endpoint.aliases)).filter(|aliases| !aliases.is_empty()),
        ..EndpointSettings::default()
    }
}

fn with_mac(settings: EndpointSettings, address: &str) -> EndpointSettings {
    EndpointSettings {
        mac_address: Some(address.to_owned()).filter(|address| !address.is_empty()),
        ..settings
    }
}

fn port_key(port: &crate::model::PortBinding) -> String {
    format!("{}/{}", port.container, port.protocol)
}

fn exposed_ports(config: &ServiceConfig) -> Vec<String> {
    let keys: BTreeSet<_> = config.ports.iter().map(port_key).collect();
    keys.into_iter().collect()
}

fn list(set: &BTreeSet<String>) -> Vec<String> {
    set.iter().cloned().collect()
}

fn unsorted(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}
