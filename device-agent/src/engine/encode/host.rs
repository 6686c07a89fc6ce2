//! The part of a create request that says what the container may do and use of the host.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{
    DeviceMapping, DeviceRequest, HostConfig, Mount, MountBindOptions, MountTmpfsOptions,
    MountType, MountVolumeOptions, PortBinding, PortMap, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};

use super::{list, port_key, unsorted};
use crate::model::{MountSource, ServiceConfig};

/// Everything that the reference sets, and `binds` in the short form.
pub(super) fn config(config: &ServiceConfig, binds: Vec<String>) -> HostConfig {
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
        device_requests: Some(config.device_requests.iter().map(device_request).collect()),
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
        oom_kill_disable: config.oom_kill_disable,
        oom_score_adj: Some(config.oom_score_adj),
        cpu_shares: Some(config.cpu_shares),
        cpu_quota: Some(config.cpu_quota),
        nano_cpus: Some(config.nano_cpus),
        cpuset_cpus: Some(config.cpuset.clone()),
        ..HostConfig::default()
    }
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

fn device_request(request: &crate::model::DeviceRequest) -> DeviceRequest {
    DeviceRequest {
        driver: Some(request.driver.clone()),
        count: Some(request.count),
        device_ids: Some(request.device_ids.clone()),
        capabilities: Some(request.capabilities.clone()),
        options: Some(unsorted(&request.options)),
    }
}

/// What is not asked for is not said either, so that the engine tells back what the reference's says.
fn mount(mount: &crate::model::Mount) -> Mount {
    let base = Mount {
        target: Some(mount.target.clone()),
        read_only: Some(true).filter(|_| mount.read_only),
        ..Mount::default()
    };
    match &mount.source {
        MountSource::Volume { name, no_copy } => Mount {
            typ: Some(MountType::VOLUME),
            source: Some(name.clone()).filter(|name| !name.is_empty()),
            volume_options: no_copy.then(|| MountVolumeOptions {
                no_copy: Some(true),
                ..MountVolumeOptions::default()
            }),
            ..base
        },
        MountSource::Tmpfs { size } => Mount {
            typ: Some(MountType::TMPFS),
            tmpfs_options: (*size != 0).then(|| MountTmpfsOptions {
                size_bytes: Some(*size),
                ..MountTmpfsOptions::default()
            }),
            ..base
        },
        MountSource::Bind {
            source,
            propagation,
        } => Mount {
            typ: Some(MountType::BIND),
            source: Some(source.clone()),
            bind_options: propagation.as_deref().map(|word| MountBindOptions {
                propagation: word.parse().ok(),
                ..MountBindOptions::default()
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
