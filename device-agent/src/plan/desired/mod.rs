//! What a service asks for, its image and the device → the configuration of its container.
//!
//! What comes in: values only. What goes out: a [`ServiceConfig`] with every default filled in, as a container created
//! from it reads back, and what was left out, for people. Nothing is looked up: facts are fields of the context.

mod confine;
mod environment;
mod features;
mod health;
mod labels;
mod network;
mod resource;
mod storage;
#[cfg(test)]
mod tests;

use crate::model::{App, DeviceFacts, ImageFacts, Service, ServiceConfig};
use crate::target::compose::{self, Composition, NetworkMode};

pub(super) use features::{asks_for_api, wants_api_key};
pub(super) use network::uses_host;
pub(super) use resource::{Wanted, api_network, networks, volumes};

/// What the configuration of a service depends on beside the service itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Context<'a> {
    /// The device.
    pub(super) device: &'a DeviceFacts,
    /// The application of the service.
    pub(super) app: &'a App,
    /// API key of the service, if it was given one.
    pub(super) api_key: Option<&'a str>,
    /// Engine id of the container whose network is shared, with `network_mode: service:…`.
    pub(super) network_container: Option<&'a str>,
}

/// The configuration of a service, and warnings.
pub(super) fn service(
    context: Context<'_>,
    service: &Service,
    image: &ImageFacts,
) -> (ServiceConfig, Vec<String>) {
    let composition = compose::read(&service.composition).0;
    let composition = confine::composition(composition, image, context.device.confinement.as_ref());
    let mut wish = network::settled(context, composition);
    let mut warnings = std::mem::take(&mut wish.warnings);
    let labels = labels::of(context, service, image);
    let features = features::of(context.device, &labels, &wish, &mut warnings);
    let wish = storage::settled(wish, &features.mount_points(context.device), &mut warnings);
    let (network_mode, networks) = network::of(context, &service.name, &wish, &features);
    let config = ServiceConfig {
        image: image.id.clone(),
        environment: environment::of(context, service, image, &features),
        networks,
        network_mode,
        volumes: storage::volumes(context, &service.name, &wish, image, &features),
        mounts: storage::mounts(context, &wish, &features),
        device_requests: features
            .on
            .iter()
            .filter_map(|f| f.device_request())
            .collect(),
        healthcheck: health::of(wish.healthcheck.as_ref(), image.healthcheck.as_ref()),
        hostname: hostname(context, &wish),
        labels,
        ..ServiceConfig::default()
    };
    let config = with_limits(with_rights(with_process(config, &wish, image), &wish), wish);
    (config, warnings)
}

/// Only a service in the host's network is named after the device.
fn hostname(context: Context<'_>, wish: &Composition) -> String {
    match (&wish.hostname, &wish.network_mode) {
        (Some(name), _) => name.clone(),
        (None, Some(NetworkMode::Host)) => context.device.hostname.clone(),
        (None, _) => String::new(),
    }
}

fn with_process(base: ServiceConfig, wish: &Composition, image: &ImageFacts) -> ServiceConfig {
    let or_image = |wish: &Option<String>, image: &str| {
        wish.clone()
            .filter(|wish| !wish.is_empty())
            .unwrap_or_else(|| image.to_owned())
    };
    // The engine reads a single empty entry point as none at all.
    let entrypoint = wish
        .entrypoint
        .clone()
        .filter(|words| words.as_slice() != [""])
        .or_else(|| wish.entrypoint.as_ref().map(|_| Vec::new()))
        .unwrap_or_else(|| image.entrypoint.clone());
    // With neither, the engine fills in the image's arguments, so asking for none is no wish that it can keep.
    let command = wish
        .command
        .clone()
        .filter(|words| !words.is_empty() || !entrypoint.is_empty())
        .unwrap_or_else(|| image.command.clone());
    let working_dir = or_image(&wish.working_dir, &image.working_dir);
    let stop_signal = or_image(&wish.stop_signal, &image.stop_signal);
    ServiceConfig {
        command,
        entrypoint,
        restart: wish.restart.clone().unwrap_or_else(|| "always".to_owned()),
        tty: wish.tty.unwrap_or(true),
        init: wish.init,
        working_dir: ServiceConfig::path(&working_dir),
        user: or_image(&wish.user, &image.user),
        stop_signal: if stop_signal.is_empty() {
            "SIGTERM".to_owned()
        } else {
            stop_signal
        },
        stop_grace_period: wish.stop_grace_period.unwrap_or(10),
        domainname: wish.domainname.clone().unwrap_or_default(),
        mac_address: wish.mac_address.clone().unwrap_or_default(),
        ..base
    }
}

fn with_rights(base: ServiceConfig, wish: &Composition) -> ServiceConfig {
    ServiceConfig {
        privileged: wish.privileged.unwrap_or(false),
        read_only: wish.read_only.unwrap_or(false),
        cap_add: wish.cap_add.clone(),
        cap_drop: wish.cap_drop.clone(),
        devices: wish.devices.clone(),
        security_opt: wish.security_opt.clone(),
        group_add: wish.group_add.clone(),
        sysctls: wish.sysctls.clone(),
        cgroup_parent: wish.cgroup_parent.clone().unwrap_or_default(),
        pid: wish.pid.clone().unwrap_or_default(),
        ipc: wish.ipc.clone().unwrap_or_else(|| "shareable".to_owned()),
        userns_mode: wish.userns_mode.clone().unwrap_or_default(),
        ..base
    }
}

fn with_limits(base: ServiceConfig, wish: Composition) -> ServiceConfig {
    ServiceConfig {
        ports: wish.ports,
        tmpfs: wish.tmpfs,
        dns: wish.dns,
        dns_opt: wish.dns_opt,
        dns_search: wish.dns_search,
        extra_hosts: wish.extra_hosts,
        ulimits: wish.ulimits,
        pids_limit: wish.pids_limit.unwrap_or(0),
        shm_size: wish.shm_size.unwrap_or(64 << 20),
        mem_limit: wish.mem_limit.unwrap_or(0),
        mem_reservation: wish.mem_reservation.unwrap_or(0),
        oom_kill_disable: Some(wish.oom_kill_disable.unwrap_or(false)),
        oom_score_adj: wish.oom_score_adj.unwrap_or(0),
        cpu_shares: wish.cpu_shares.unwrap_or(0),
        cpu_quota: wish.cpu_quota.unwrap_or(0),
        nano_cpus: wish.nano_cpus.unwrap_or(0),
        cpuset: wish.cpuset.unwrap_or_default(),
        ..base
    }
}
