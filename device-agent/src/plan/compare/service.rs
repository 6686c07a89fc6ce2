//! A container against the configuration that its service should have.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Confinement, Endpoint, Limit, ObservedContainer, ServiceConfig, names};

/// What the comparison must know beside the two configurations.
#[derive(Debug, Clone, Copy)]
pub(in crate::plan) struct Scope<'a> {
    /// Engine names of the supervised networks: a container must not be in one of them that its service is not in.
    /// Others it may be in, because somebody attached it by hand.
    pub(in crate::plan) supervised_networks: &'a BTreeSet<&'a str>,
    /// Takes the prefix off the names of networks.
    pub(in crate::plan) confinement: Option<&'a Confinement>,
    /// The host name is the device's: renaming the device restarts nothing.
    pub(in crate::plan) host_name_is_devices: bool,
    /// What the engine leaves out, whatever container asks for it.
    pub(in crate::plan) cannot_limit: &'a BTreeSet<Limit>,
}

/// The names of what differs; none if the container may stay.
pub(in crate::plan) fn service(
    container: &ObservedContainer,
    desired: &ServiceConfig,
    scope: Scope<'_>,
) -> Vec<String> {
    let mut out = Differences(Vec::new());
    // What was created from this very configuration differs only where the engine could not do what was asked. Networks
    // can be attached and detached afterwards. Another agent, or another version of this one, has left no digest of ours:
    // then every field counts.
    if container.created_from.as_ref() != Some(&desired.digest()) {
        process(&container.config, desired, scope, &mut out);
        rights(&container.config, desired, &mut out);
        limits(&container.config, desired, &mut out);
        mac_address(container, desired, &mut out);
        what_the_kernel_can(&container.config, desired, scope, &mut out);
    }
    // What this agent changes at a container that is there, at the beginning of a hand-over: it may not have come to its end.
    out.field("restart", &container.config.restart, &desired.restart);
    networks(&container.config, desired, scope, &mut out);
    out.0
}

struct Differences(Vec<String>);

impl Differences {
    fn field<T: PartialEq + ?Sized>(&mut self, name: &str, current: &T, desired: &T) {
        if current != desired {
            self.0.push(name.to_owned());
        }
    }

    fn by_key(
        &mut self,
        name: &str,
        current: &BTreeMap<String, String>,
        desired: &BTreeMap<String, String>,
    ) {
        let keys: BTreeSet<_> = current.keys().chain(desired.keys()).collect();
        for key in keys {
            if current.get(key) != desired.get(key) {
                self.0.push(format!("{name}.{key}"));
            }
        }
    }
}

fn process(
    current: &ServiceConfig,
    desired: &ServiceConfig,
    scope: Scope<'_>,
    out: &mut Differences,
) {
    out.field("image", &current.image, &desired.image);
    out.field("command", &current.command, &desired.command);
    out.field("entrypoint", &current.entrypoint, &desired.entrypoint);
    out.by_key("env", &current.environment, &desired.environment);
    out.by_key("label", &current.labels, &desired.labels);
    out.field("volumes", &current.volumes, &desired.volumes);
    out.field("mounts", &current.mounts, &desired.mounts);
    out.field("tmpfs", &current.tmpfs, &desired.tmpfs);
    out.field("ports", &current.ports, &desired.ports);
    out.field("healthcheck", &current.healthcheck, &desired.healthcheck);
    out.field("tty", &current.tty, &desired.tty);
    out.field("init", &current.init, &desired.init);
    out.field("working_dir", &current.working_dir, &desired.working_dir);
    out.field("user", &current.user, &desired.user);
    out.field("stop_signal", &current.stop_signal, &desired.stop_signal);
    out.field(
        "stop_grace_period",
        &current.stop_grace_period,
        &desired.stop_grace_period,
    );
    if !scope.host_name_is_devices {
        out.field("hostname", &current.hostname, &desired.hostname);
    }
    out.field("domainname", &current.domainname, &desired.domainname);
}

fn rights(current: &ServiceConfig, desired: &ServiceConfig, out: &mut Differences) {
    out.field("privileged", &current.privileged, &desired.privileged);
    out.field("read_only", &current.read_only, &desired.read_only);
    out.field("cap_add", &current.cap_add, &desired.cap_add);
    out.field("cap_drop", &current.cap_drop, &desired.cap_drop);
    out.field("devices", &current.devices, &desired.devices);
    out.field("security_opt", &current.security_opt, &desired.security_opt);
    out.field("group_add", &current.group_add, &desired.group_add);
    out.field("sysctls", &current.sysctls, &desired.sysctls);
    out.field(
        "cgroup_parent",
        &current.cgroup_parent,
        &desired.cgroup_parent,
    );
    out.field("pid", &current.pid, &desired.pid);
    out.field("ipc", &current.ipc, &desired.ipc);
    out.field("userns_mode", &current.userns_mode, &desired.userns_mode);
}

/// Without `cpus`, as the reference.
fn limits(current: &ServiceConfig, desired: &ServiceConfig, out: &mut Differences) {
    out.field("ulimits", &current.ulimits, &desired.ulimits);
    out.field("shm_size", &current.shm_size, &desired.shm_size);
    out.field(
        "oom_score_adj",
        &current.oom_score_adj,
        &desired.oom_score_adj,
    );
    out.field("dns", &current.dns, &desired.dns);
    out.field("dns_opt", &current.dns_opt, &desired.dns_opt);
    out.field("dns_search", &current.dns_search, &desired.dns_search);
    out.field("extra_hosts", &current.extra_hosts, &desired.extra_hosts);
    out.field(
        "device_requests",
        &current.device_requests,
        &desired.device_requests,
    );
}

/// Of a container of ours it is known what was asked for. Of others there is only what the engine tells: of a running one,
/// and of its own choice, too, so none that is asked for is no difference.
fn mac_address(container: &ObservedContainer, desired: &ServiceConfig, out: &mut Differences) {
    let current = &container.config.mac_address;
    let is_told = !desired.mac_address.is_empty() && !current.is_empty();
    if container.asked_mac_address.is_some() || is_told {
        out.field("mac_address", current, &desired.mac_address);
    }
}

/// What the kernel cannot do is no difference that another container would end.
fn what_the_kernel_can(
    current: &ServiceConfig,
    desired: &ServiceConfig,
    scope: Scope<'_>,
    out: &mut Differences,
) {
    let can = |limit: Limit| !scope.cannot_limit.contains(&limit);
    if can(Limit::Memory) {
        out.field("mem_limit", &current.mem_limit, &desired.mem_limit);
        out.field(
            "mem_reservation",
            &current.mem_reservation,
            &desired.mem_reservation,
        );
    }
    if can(Limit::Pids) {
        out.field("pids_limit", &current.pids_limit, &desired.pids_limit);
    }
    if can(Limit::CpuShares) {
        out.field("cpu_shares", &current.cpu_shares, &desired.cpu_shares);
    }
    if can(Limit::CpuQuota) {
        out.field("cpu_quota", &current.cpu_quota, &desired.cpu_quota);
    }
    if can(Limit::Cpuset) {
        out.field("cpuset", &current.cpuset, &desired.cpuset);
    }
    if current.oom_kill_disable.is_some() {
        out.field(
            "oom_kill_disable",
            &current.oom_kill_disable,
            &desired.oom_kill_disable,
        );
    }
}

/// Every network of the service must be there, with at least its aliases and exactly its addresses.
fn networks(
    current: &ServiceConfig,
    desired: &ServiceConfig,
    scope: Scope<'_>,
    out: &mut Differences,
) {
    let told = |name: &str| {
        let logical = names::parse_owned(name, scope.confinement).map_or(name, |(_, l)| l);
        format!("networks.{logical}")
    };
    out.field("network_mode", &current.network_mode, &desired.network_mode);
    for (name, wanted) in &desired.networks {
        if !current
            .networks
            .get(name)
            .is_some_and(|endpoint| serves(endpoint, wanted))
        {
            out.0.push(told(name));
        }
    }
    for name in current.networks.keys() {
        let ours = scope.supervised_networks.contains(name.as_str());
        if ours && !desired.networks.contains_key(name) {
            out.0.push(told(name));
        }
    }
}

fn serves(current: &Endpoint, wanted: &Endpoint) -> bool {
    current.aliases.is_superset(&wanted.aliases)
        && current.ipv4_address == wanted.ipv4_address
        && current.ipv6_address == wanted.ipv6_address
        && current.link_local_ips == wanted.link_local_ips
}
