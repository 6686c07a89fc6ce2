//! The configuration of an inspected container in the form in which `plan/desired` builds it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, EndpointSettings, HostConfig, MountType, PortMap,
    RestartPolicyNameEnum,
};

use super::image::{environment, exposed_port, healthcheck};
use crate::model::{
    DEVICE_NAME_VARIABLES, DeviceRequest, Endpoint, Healthcheck, Mount, MountSource, PortBinding,
    ServiceConfig, labels,
};

/// Everything that is compared, our own labels included.
pub(super) fn service_config(inspect: &ContainerInspectResponse) -> ServiceConfig {
    let id = inspect.id.as_deref().unwrap_or_default();
    let host = inspect.host_config.clone().unwrap_or_default();
    let config = inspect.config.clone().unwrap_or_default();
    let network_mode = host.network_mode.clone().unwrap_or_default();
    let networks = inspect
        .network_settings
        .as_ref()
        .and_then(|s| s.networks.as_ref())
        .map(|networks| endpoints(networks, id))
        .filter(|_| !network_mode.starts_with("container:"))
        .unwrap_or_default();
    let mac_address = inspect
        .network_settings
        .as_ref()
        .and_then(|settings| settings.networks.as_ref()?.get(&network_mode))
        .and_then(|endpoint| endpoint.mac_address.clone())
        .unwrap_or_default();
    let base = ServiceConfig {
        image: created_image(inspect, &config),
        network_mode,
        mac_address,
        networks,
        ..ServiceConfig::default()
    };
    with_host(with_container(base, config, id), host)
}

/// The id that the container was created with: stores differ in what they answer for the image itself.
fn created_image(inspect: &ContainerInspectResponse, config: &ContainerConfig) -> String {
    config
        .image
        .clone()
        .filter(|image| image.starts_with("sha256:"))
        .or_else(|| inspect.image.clone())
        .unwrap_or_default()
}

fn with_container(base: ServiceConfig, config: ContainerConfig, id: &str) -> ServiceConfig {
    let mut environment = environment(&config.env.unwrap_or_default());
    for name in DEVICE_NAME_VARIABLES {
        environment.remove(name);
    }
    let labels = config
        .labels
        .as_ref()
        .map(labels::renamed)
        .unwrap_or_default();
    // A container in another's network shows the other's host name.
    let own_names = !base.network_mode.starts_with("container:");
    let hostname = config
        .hostname
        .filter(|name| own_names && (name.is_empty() || !id.starts_with(name.as_str())))
        .unwrap_or_default();
    ServiceConfig {
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        environment,
        labels,
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
        healthcheck: config
            .healthcheck
            .and_then(healthcheck)
            .unwrap_or_else(Healthcheck::none),
        tty: config.tty.unwrap_or(false),
        working_dir: ServiceConfig::path(&config.working_dir.unwrap_or_default()),
        user: config.user.unwrap_or_default(),
        stop_signal: config
            .stop_signal
            .filter(|s| !s.is_empty())
            .unwrap_or_else(|| "SIGTERM".to_owned()),
        stop_grace_period: config.stop_timeout.unwrap_or(10),
        hostname,
        domainname: config.domainname.filter(|_| own_names).unwrap_or_default(),
        ..base
    }
}

fn with_host(base: ServiceConfig, host: HostConfig) -> ServiceConfig {
    let mut volumes = base.volumes;
    volumes.extend(host.binds.iter().flatten().cloned());
    ServiceConfig {
        volumes,
        mounts: mounts(&host),
        restart: restart(&host),
        ports: host.port_bindings.as_ref().map(ports).unwrap_or_default(),
        tmpfs: tmpfs(host.tmpfs),
        privileged: host.privileged.unwrap_or(false),
        read_only: host.readonly_rootfs.unwrap_or(false),
        init: host.init,
        cap_add: capabilities(host.cap_add),
        cap_drop: capabilities(host.cap_drop),
        devices: host
            .devices
            .unwrap_or_default()
            .into_iter()
            .map(|device| {
                let source = device.path_on_host.unwrap_or_default();
                let target = device.path_in_container.unwrap_or_default();
                let rights = device.cgroup_permissions.unwrap_or_default();
                format!("{source}:{target}:{rights}")
            })
            .collect(),
        dns: host.dns.unwrap_or_default(),
        dns_opt: set(host.dns_options),
        dns_search: host.dns_search.unwrap_or_default(),
        extra_hosts: set(host.extra_hosts),
        group_add: set(host.group_add),
        security_opt: host
            .security_opt
            .unwrap_or_default()
            .into_iter()
            .filter(|option| !is_selinux_label(option))
            .collect(),
        sysctls: map(host.sysctls),
        ulimits: host
            .ulimits
            .unwrap_or_default()
            .into_iter()
            .filter_map(|l| Some((l.name?, (l.soft.unwrap_or(0), l.hard.unwrap_or(0)))))
            .collect(),
        cgroup_parent: host.cgroup_parent.unwrap_or_default(),
        pid: host.pid_mode.unwrap_or_default(),
        pids_limit: host.pids_limit.unwrap_or(0).max(0),
        ipc: host.ipc_mode.unwrap_or_default(),
        userns_mode: host.userns_mode.unwrap_or_default(),
        shm_size: host.shm_size.unwrap_or(0),
        mem_limit: host.memory.unwrap_or(0),
        mem_reservation: host.memory_reservation.unwrap_or(0),
        oom_kill_disable: host.oom_kill_disable,
        oom_score_adj: host.oom_score_adj.unwrap_or(0),
        cpu_shares: host.cpu_shares.unwrap_or(0),
        cpu_quota: host.cpu_quota.unwrap_or(0),
        nano_cpus: host.nano_cpus.unwrap_or(0),
        cpuset: host.cpuset_cpus.unwrap_or_default(),
        device_requests: device_requests(host.device_requests),
        ..base
    }
}

/// User-defined networks only; the engine's own have no aliases and are named by the network mode.
fn endpoints(networks: &HashMap<String, EndpointSettings>, id: &str) -> BTreeMap<String, Endpoint> {
    networks
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "host" | "none" | "bridge" | "default"))
        .map(|(name, settings)| (name.clone(), endpoint(settings, id)))
        .collect()
}

fn endpoint(settings: &EndpointSettings, id: &str) -> Endpoint {
    let ipam = settings.ipam_config.clone().unwrap_or_default();
    let mut link_local_ips = ipam.link_local_ips.unwrap_or_default();
    link_local_ips.sort();
    Endpoint {
        // Older engines add the short id of the container as an alias.
        aliases: settings
            .aliases
            .iter()
            .flatten()
            .filter(|alias| alias.len() != 12 || !id.starts_with(alias.as_str()))
            .cloned()
            .collect(),
        ipv4_address: ipam.ipv4_address.filter(|a| !a.is_empty()),
        ipv6_address: ipam.ipv6_address.filter(|a| !a.is_empty()),
        link_local_ips,
    }
}

fn ports(map: &PortMap) -> BTreeSet<PortBinding> {
    let mut out = BTreeSet::new();
    for (key, bindings) in map {
        let Some((container, protocol)) = exposed_port(key) else {
            continue;
        };
        for binding in bindings.iter().flatten() {
            out.insert(PortBinding {
                container,
                protocol: protocol.clone(),
                host_ip: binding.host_ip.clone().unwrap_or_default(),
                host: binding
                    .host_port
                    .as_deref()
                    .and_then(|port| port.parse().ok())
                    .filter(|port| *port != 0),
            });
        }
    }
    out
}

fn mounts(host: &HostConfig) -> BTreeSet<Mount> {
    let mount = |mount: &bollard::models::Mount| {
        Some(Mount {
            target: mount.target.clone().unwrap_or_default(),
            read_only: mount.read_only.unwrap_or(false),
            source: mount_source(mount)?,
        })
    };
    host.mounts.iter().flatten().filter_map(mount).collect()
}

/// `None` for kinds that no service can ask for.
fn mount_source(mount: &bollard::models::Mount) -> Option<MountSource> {
    let source = mount.source.clone().unwrap_or_default();
    Some(match mount.typ? {
        MountType::VOLUME => MountSource::Volume {
            name: source,
            no_copy: mount
                .volume_options
                .as_ref()
                .and_then(|options| options.no_copy)
                .unwrap_or(false),
        },
        MountType::TMPFS => MountSource::Tmpfs {
            size: mount
                .tmpfs_options
                .as_ref()
                .and_then(|options| options.size_bytes)
                .unwrap_or(0),
        },
        MountType::BIND => MountSource::Bind {
            source,
            propagation: mount
                .bind_options
                .as_ref()
                .and_then(|options| options.propagation)
                .map(|word| word.to_string())
                .filter(|word| !word.is_empty()),
        },
        _ => return None,
    })
}

fn device_requests(requests: Option<Vec<bollard::models::DeviceRequest>>) -> Vec<DeviceRequest> {
    let request = |request: bollard::models::DeviceRequest| DeviceRequest {
        driver: request.driver.unwrap_or_default(),
        count: request.count.unwrap_or_default(),
        device_ids: request.device_ids.unwrap_or_default(),
        capabilities: request.capabilities.unwrap_or_default(),
        options: map(request.options),
    };
    requests.into_iter().flatten().map(request).collect()
}

fn restart(host: &HostConfig) -> String {
    host.restart_policy
        .as_ref()
        .and_then(|policy| policy.name)
        .filter(|name| *name != RestartPolicyNameEnum::EMPTY)
        .unwrap_or(RestartPolicyNameEnum::NO)
        .to_string()
}

fn tmpfs(mounts: Option<HashMap<String, String>>) -> BTreeSet<String> {
    mounts
        .unwrap_or_default()
        .into_iter()
        .map(|(path, options)| {
            if options.is_empty() {
                path
            } else {
                format!("{path}:{options}")
            }
        })
        .collect()
}

/// Upper case without `CAP_`: engines write them in either way.
fn capabilities(names: Option<Vec<String>>) -> BTreeSet<String> {
    set(names)
        .iter()
        .map(|name| ServiceConfig::capability(name))
        .collect()
}

fn is_selinux_label(option: &str) -> bool {
    option.starts_with("label=") || option.starts_with("label:")
}

fn set(list: Option<Vec<String>>) -> BTreeSet<String> {
    list.unwrap_or_default().into_iter().collect()
}

fn map(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}
