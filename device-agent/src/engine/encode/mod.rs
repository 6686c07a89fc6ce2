//! The planner's values → bodies of the engine's create requests.
//!
//! What comes in: [`crate::model`] values that leave nothing to decide. What goes out: bodies of the client library, in
//! the form in which the reference writes them. Pure.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, DeviceMapping, EndpointIpamConfig, EndpointSettings, HealthConfig,
    HostConfig, Ipam, IpamConfig, Mount, MountTmpfsOptions, MountType, MountVolumeOptions,
    NetworkCreateRequest, NetworkingConfig, PortBinding, PortMap, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum, VolumeCreateRequest,
};

use crate::model::{
    DEVICE_NAME_VARIABLES, Endpoint, MountSource, NetworkSpec, ServiceConfig, VolumeSpec,
};

/// A container to create.
#[derive(Debug, Clone, PartialEq)]
pub struct Container {
    /// Body of the create request; it names the primary network only.
    pub body: ContainerCreateBody,
    /// Networks to connect after creation and before the start, by engine name.
    pub attach: Vec<(String, EndpointSettings)>,
}

/// The create request of a container. Its name goes into the query.
#[must_use]
pub fn container(config: &ServiceConfig, device_name: &str) -> Container {
    let (primary, others): (Vec<_>, Vec<_>) = config
        .networks
        .iter()
        .map(|(name, endpoint)| (name.clone(), endpoint_settings(endpoint)))
        .partition(|(name, _)| *name == config.network_mode);
    let mut labels = unsorted(&config.labels);
    labels.insert(ServiceConfig::DIGEST_LABEL.to_owned(), config.digest());
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
                    .map(|(name, settings)| (name, with_mac(settings, &config.mac_address)))
                    .collect(),
            ),
        }),
        host_config: Some(host_config(config, binds)),
        ..ContainerCreateBody::default()
    };
    Container {
        body,
        attach: others,
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

fn host_config(config: &ServiceConfig, binds: Vec<String>) -> HostConfig {
    HostConfig {
        binds: Some(binds),
        mounts: Some(config.mounts.iter().map(mount).collect()),
        tmpfs: Some(tmpfs(&config.tmpfs)),
        network_mode: Some(config.network_mode.clone()),
        port_bindings: Some(port_bindings(config)),
        restart_policy: Some(restart_policy(&config.restart)),
        privileged: Some(config.privileged),
        readonly_rootfs: Some(config.read_only),
        init: config.init,
        cap_add: Some(list(&config.cap_add)),
        cap_drop: Some(list(&config.cap_drop)),
        devices: Some(config.devices.iter().map(|d| device(d)).collect()),
        device_requests: Some(Vec::new()),
        dns: Some(config.dns.clone()),
        dns_options: Some(list(&config.dns_opt)),
        dns_search: Some(config.dns_search.clone()),
        extra_hosts: Some(list(&config.extra_hosts)),
        group_add: Some(list(&config.group_add)),
        security_opt: Some(list(&config.security_opt)),
        sysctls: Some(unsorted(&config.sysctls)),
        ulimits: Some(
            config
                .ulimits
                .iter()
                .map(|(name, (soft, hard))| ResourcesUlimits {
                    name: Some(name.clone()),
                    soft: Some(*soft),
                    hard: Some(*hard),
                })
                .collect(),
        ),
        cgroup_parent: Some(config.cgroup_parent.clone()),
        pid_mode: Some(config.pid.clone()),
        pids_limit: Some(config.pids_limit),
        ipc_mode: Some(config.ipc.clone()),
        userns_mode: Some(config.userns_mode.clone()),
        shm_size: Some(config.shm_size),
        memory: Some(config.mem_limit),
        memory_reservation: Some(config.mem_reservation),
        oom_kill_disable: Some(config.oom_kill_disable),
        oom_score_adj: Some(config.oom_score_adj),
        cpu_shares: Some(config.cpu_shares),
        cpu_quota: Some(config.cpu_quota),
        nano_cpus: Some(config.nano_cpus),
        cpuset_cpus: Some(config.cpuset.clone()),
        storage_opt: Some(unsorted(&config.storage_opt)).filter(|o| !o.is_empty()),
        ..HostConfig::default()
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

fn port_bindings(config: &ServiceConfig) -> PortMap {
    let mut out = PortMap::new();
    for port in &config.ports {
        out.entry(port_key(port))
            .or_default()
            .get_or_insert_default()
            .push(PortBinding {
                host_ip: Some(port.host_ip.clone()),
                host_port: Some(port.host.map_or_else(String::new, |p| p.to_string())),
            });
    }
    out
}

fn restart_policy(name: &str) -> RestartPolicy {
    RestartPolicy {
        name: Some(match name {
            "no" => RestartPolicyNameEnum::NO,
            "on-failure" => RestartPolicyNameEnum::ON_FAILURE,
            "unless-stopped" => RestartPolicyNameEnum::UNLESS_STOPPED,
            _ => RestartPolicyNameEnum::ALWAYS,
        }),
        maximum_retry_count: Some(0),
    }
}

fn device(text: &str) -> DeviceMapping {
    let mut parts = text.splitn(3, ':').map(str::to_owned);
    DeviceMapping {
        path_on_host: parts.next(),
        path_in_container: parts.next(),
        cgroup_permissions: parts.next(),
    }
}

fn mount(mount: &crate::model::Mount) -> Mount {
    let base = Mount {
        target: Some(mount.target.clone()),
        read_only: Some(mount.read_only),
        ..Mount::default()
    };
    match &mount.source {
        MountSource::Volume { name, no_copy } => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()),
            volume_options: Some(MountVolumeOptions {
                no_copy: Some(*no_copy),
                ..MountVolumeOptions::default()
            }),
            ..base
        },
        MountSource::Tmpfs { size } => Mount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: Some(MountTmpfsOptions {
                size_bytes: Some(*size),
                ..MountTmpfsOptions::default()
            }),
            ..base
        },
    }
}

fn tmpfs(mounts: &BTreeSet<String>) -> HashMap<String, String> {
    mounts
        .iter()
        .map(|mount| {
            let (path, options) = mount.split_once(':').unwrap_or((mount, ""));
            (path.to_owned(), options.to_owned())
        })
        .collect()
}

fn list(set: &BTreeSet<String>) -> Vec<String> {
    set.iter().cloned().collect()
}

fn unsorted(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter().map(|(k, v)| (k.clone(), v.clone())).collect()
}
