//! A small model of the engine: what it answers after a step. It goes through the real create bodies and the real
//! reading of answers, and merges images into containers as engines do.

use std::collections::HashMap;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerState as State, ContainerStateStatusEnum,
    EndpointSettings, HealthConfig, HostConfig, NetworkSettings,
};

use crate::engine::{decode, encode};
use crate::model::{
    API_NETWORK, ContainerState, ImageFacts, IpamPool, NetworkSpec, Observed, ObservedContainer,
    ObservedNetwork, ObservedVolume, ServiceConfig, Step, labels, names,
};

/// Does a step, and checks what an engine would check.
pub(super) fn apply(world: &mut Observed, step: &Step, serial: u32) {
    let confinement = world.device.confinement.clone();
    match step {
        Step::Pull { image, .. } => {
            let facts = ImageFacts {
                id: format!("sha256:pulled-{image}"),
                command: vec!["run".to_owned()],
                ..ImageFacts::default()
            };
            world.images.insert(image.clone(), facts);
        }
        Step::CreateNetwork {
            name,
            logical_name,
            spec,
        } => create_network(world, name, logical_name, spec.clone(), serial),
        Step::RemoveNetwork { id, .. } => remove_network(world, id),
        Step::CreateVolume {
            name,
            logical_name,
            spec,
        } => {
            assert!(world.volumes.iter().all(|v| v.name != *name));
            let (owner, _) = names::parse_owned(name, confinement.as_ref()).unwrap();
            world.volumes.push(ObservedVolume {
                name: name.clone(),
                app_id: owner.parse().unwrap(),
                logical_name: logical_name.clone(),
                spec: spec.clone(),
            });
        }
        Step::Install {
            name,
            config,
            device_name,
            ..
        } => install(world, name, config, device_name, serial),
        Step::Start { id, .. } => {
            let one_shot = |config: &ServiceConfig| config.restart == "no";
            let container = find(world, id);
            container.ever_started = true;
            container.stopped_by_agent = false;
            container.state = if one_shot(&container.config) {
                ContainerState::Exited
            } else {
                ContainerState::Running
            };
        }
        Step::Stop { id, .. } => {
            let container = find(world, id);
            container.state = ContainerState::Exited;
            container.stopped_by_agent = true;
        }
        Step::Kill { id, .. } | Step::RemoveDead { id, .. } => {
            find(world, id);
            world.containers.retain(|c| c.id != *id);
        }
        Step::Rename { id, name, .. } => {
            assert!(world.containers.iter().all(|c| c.name != *name));
            let container = find(world, id);
            let parts = names::parse_container(name, &container.service_name, confinement.as_ref());
            let parts = parts.unwrap();
            container.name.clone_from(name);
            container.image_id = parts.image_id;
            container.release_id = parts.release_id;
            container.commit = Some(parts.commit);
        }
    }
}

fn create_network(
    world: &mut Observed,
    name: &str,
    logical_name: &str,
    mut spec: NetworkSpec,
    serial: u32,
) {
    assert!(world.networks.iter().all(|n| n.name != *name));
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
    let app_id = spec.labels.get(labels::APP_ID);
    let network = ObservedNetwork {
        id: format!("network-{serial}"),
        name: name.to_owned(),
        logical_name: logical_name.to_owned(),
        app_id: app_id.map_or(0, |id| id.parse().unwrap()),
        spec,
    };
    if name == API_NETWORK {
        world.api_network = Some(network);
    } else {
        world.networks.push(network);
    }
}

fn remove_network(world: &mut Observed, id: &str) {
    let mut all = world.networks.iter().chain(&world.api_network);
    let name = all.find(|n| n.id == *id).unwrap().name.clone();
    let stands_in = |c: &ObservedContainer| c.config.networks.contains_key(&name);
    assert!(!world.containers.iter().any(stands_in), "{name} is in use");
    world.networks.retain(|n| n.id != *id);
    world.api_network.take_if(|n| n.id == *id);
}

fn install(
    world: &mut Observed,
    name: &str,
    config: &ServiceConfig,
    device_name: &str,
    serial: u32,
) {
    assert!(world.containers.iter().all(|c| c.name != *name), "{name}");
    for network in config.networks.keys() {
        let mut all = world.networks.iter().chain(&world.api_network);
        assert!(all.any(|n| n.name == *network), "no network {network}");
    }
    let image = world.images.values().find(|i| i.id == config.image);
    let answer = created(config, name, device_name, image.unwrap(), serial);
    let container = decode::container(&answer, world.device.confinement.as_ref());
    world.containers.push(container.unwrap());
}

fn find<'a>(world: &'a mut Observed, id: &str) -> &'a mut ObservedContainer {
    world.containers.iter_mut().find(|c| c.id == id).unwrap()
}

/// What inspecting a container says right after its creation.
pub(super) fn created(
    config: &ServiceConfig,
    name: &str,
    device_name: &str,
    image: &ImageFacts,
    serial: u32,
) -> ContainerInspectResponse {
    let id = format!("{serial:064x}");
    let encode::Container { body, attach } = encode::container(config, device_name);
    let mut networks = body
        .networking_config
        .and_then(|n| n.endpoints_config)
        .unwrap_or_default();
    networks.extend(attach);
    if matches!(config.network_mode.as_str(), "host" | "none" | "bridge") {
        networks.insert(config.network_mode.clone(), EndpointSettings::default());
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
            jiff::Timestamp::from_second(i64::from(serial))
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
