//! What an engine says about what it was asked to make. Goes through the real create bodies, and merges images into
//! containers as engines do.

use std::collections::HashMap;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState as State, ContainerStateStatusEnum,
    HealthConfig, HostConfig, NetworkSettings,
};

use crate::engine::encode;
use crate::model::{ImageFacts, IpamPool, Millis, NetworkSpec, ServiceConfig};

/// What the engine gives a new container.
#[derive(Debug, Clone)]
pub(crate) struct Birth {
    /// 64 hex digits.
    pub(crate) id: String,
    pub(crate) at: Millis,
}

/// What inspecting a network says right after its creation.
pub(crate) fn network(mut spec: NetworkSpec, serial: u32) -> NetworkSpec {
    spec.driver.get_or_insert_with(|| "bridge".to_owned());
    spec.ipam_driver.get_or_insert_with(|| "default".to_owned());
    if spec.config_only {
        spec.driver = Some("null".to_owned());
    } else if spec.ipam_pools.is_empty() {
        spec.ipam_pools.push(IpamPool {
            subnet: Some(format!("172.{serial}.0.0/16")),
            gateway: Some(format!("172.{serial}.0.1")),
            ..IpamPool::default()
        });
    }
    spec
}

/// What inspecting a container says right after its creation.
pub(crate) fn created(
    config: &ServiceConfig,
    name: &str,
    (device_name, because): (&str, &str),
    image: &ImageFacts,
    birth: &Birth,
) -> ContainerInspectResponse {
    let id = birth.id.clone();
    let encode::Container { body, attach, .. } = encode::container(config, device_name, because);
    let mut networks = body
        .networking_config
        .and_then(|n| n.endpoints_config)
        .unwrap_or_default();
    networks.extend(attach);
    if matches!(config.network_mode.as_str(), "host" | "none" | "bridge") {
        networks.entry(config.network_mode.clone()).or_default();
    }
    for endpoint in networks.values_mut() {
        // As engines up to 24 do.
        endpoint
            .aliases
            .get_or_insert_default()
            .push(id[..12].to_owned());
    }
    let mut env: Vec<String> = body.env.unwrap_or_default();
    for (key, value) in &image.environment {
        if !env.iter().any(|line| line.starts_with(&format!("{key}="))) {
            env.push(format!("{key}={value}"));
        }
    }
    let mut all_labels: HashMap<_, _> = image.labels.clone().into_iter().collect();
    all_labels.extend(body.labels.unwrap_or_default());
    let or = |value: Option<String>, image: &str| {
        value
            .filter(|v| !v.is_empty())
            .or_else(|| Some(image.to_owned()).filter(|v| !v.is_empty()))
    };
    let command = body.cmd.unwrap_or_default();
    let entrypoint = body.entrypoint.unwrap_or_default();
    let mut volumes = body.volumes.unwrap_or_default();
    volumes.extend(image.volumes.iter().cloned());
    volumes.sort();
    volumes.dedup();
    ContainerInspectResponse {
        created: Some(
            jiff::Timestamp::from_millisecond(birth.at)
                .unwrap()
                .to_string(),
        ),
        name: Some(format!("/{name}")),
        image: Some(config.image.clone()),
        state: Some(State {
            status: Some(ContainerStateStatusEnum::CREATED),
            started_at: Some("0001-01-01T00:00:00Z".to_owned()),
            exit_code: Some(0),
            ..State::default()
        }),
        host_config: body.host_config.map(host),
        config: Some(ContainerConfig {
            hostname: or(body.hostname, &id[..12]),
            domainname: body.domainname,
            user: or(body.user, &image.user),
            tty: body.tty,
            env: Some(env),
            cmd: Some(if entrypoint.is_empty() && command.is_empty() {
                image.command.clone()
            } else {
                command
            }),
            entrypoint: Some(entrypoint),
            healthcheck: body.healthcheck.map(|check| merged(check, image)),
            image: body.image,
            volumes: Some(volumes).filter(|v| !v.is_empty()),
            working_dir: or(body.working_dir, &image.working_dir),
            labels: Some(all_labels),
            stop_signal: or(body.stop_signal, &image.stop_signal),
            stop_timeout: body.stop_timeout,
            ..ContainerConfig::default()
        }),
        network_settings: Some(NetworkSettings {
            networks: Some(networks),
            ..NetworkSettings::default()
        }),
        id: Some(id),
        ..ContainerInspectResponse::default()
    }
}

/// What engines change in it.
fn host(mut host: HostConfig) -> HostConfig {
    host.pids_limit.take_if(|limit| *limit == 0);
    if host.privileged == Some(true) {
        let options = host.security_opt.get_or_insert_default();
        options.push("label=disable".to_owned());
    }
    host
}

fn merged(check: HealthConfig, image: &ImageFacts) -> HealthConfig {
    let Some(image) = &image.healthcheck else {
        return check;
    };
    let or = |value: Option<i64>, image: Option<i64>| value.filter(|v| *v != 0).or(image);
    HealthConfig {
        interval: or(check.interval, image.interval),
        timeout: or(check.timeout, image.timeout),
        retries: or(check.retries, image.retries),
        start_period: or(check.start_period, image.start_period),
        ..check
    }
}
