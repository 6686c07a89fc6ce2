//! A small model of the engine: what it answers after a step. It goes through the real create bodies and the real
//! reading of answers, and merges images into containers as engines do.

use bollard::models::ContainerInspectResponse;

use crate::engine::decode;
use crate::model::{
    API_NETWORK, ContainerState, ImageFacts, Leftover, NetworkSpec, Observed, ObservedContainer,
    ObservedNetwork, ObservedVolume, ServiceConfig, Step, labels, names,
};
use crate::simulation::inspect::{self, Birth};

/// Does a step, and checks what an engine would check.
pub(in crate::plan) fn apply(world: &mut Observed, step: &Step, serial: u32) {
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
            let confinement = world.device.confinement.as_ref();
            let (owner, _) = names::parse_owned(name, confinement).unwrap();
            world.volumes.push(ObservedVolume {
                name: name.clone(),
                app_id: owner.parse().unwrap(),
                logical_name: logical_name.clone(),
                spec: spec.clone(),
            });
        }
        Step::RemoveVolume { name, .. } => {
            let in_use = |c: &ObservedContainer| crate::plan::survey::uses(c, name);
            assert!(!world.containers.iter().any(in_use), "{name} is in use");
            world.volumes.retain(|volume| volume.name != *name);
            world.asked.discard.remove(name);
        }
        Step::RemoveImage { image } => {
            world.images.retain(|_, facts| facts.id != *image);
            world.unused_images.remove(image);
        }
        Step::TakeLocks { app_id, force } => {
            let locks = world.locks.entry(*app_id).or_default();
            assert!(locks.by_services.is_empty() || *force, "a lock is broken");
            locks.by_services.clear();
            locks.by_agent = true;
        }
        Step::ReleaseLocks { app_id } => {
            let locks = world.locks.entry(*app_id).or_default();
            locks.by_agent = false;
            locks.stale = false;
        }
        Step::RemoveLeftover(leftover) => {
            let left = world.leftovers.as_mut().unwrap();
            let gone = match leftover {
                Leftover::Container(id) => left.containers.remove(id),
                Leftover::Image(id) => left.images.remove(id),
                Leftover::Network(id) => left.networks.remove(id),
                Leftover::Volume(name) => left.volumes.remove(name),
            };
            assert!(gone, "{leftover:?} is not there");
        }
        _ => apply_to_container(world, step, serial),
    }
}

/// Does what is done to a container.
fn apply_to_container(world: &mut Observed, step: &Step, serial: u32) {
    match step {
        Step::Install {
            app_id,
            service,
            name,
            config,
            device_name,
            because,
            ..
        } => {
            install(world, name, (config, device_name, because), serial);
            world.reasons.remove(&(*app_id, service.clone()));
        }
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
            world.asked.start.remove(id);
        }
        Step::Stop { app_id, id, .. } => {
            check_lock(world, *app_id);
            let container = find(world, id);
            container.state = ContainerState::Exited;
            container.stopped_by_agent = true;
        }
        Step::Kill {
            app_id,
            service,
            because,
            recreates,
            id,
            ..
        } => {
            check_lock(world, *app_id);
            find(world, id);
            world.containers.retain(|c| c.id != *id);
            world.asked.replace.remove(id);
            if *recreates {
                let key = (*app_id, service.clone());
                world.reasons.insert(key, because.clone());
            }
        }
        Step::RemoveDead { id, .. } => {
            find(world, id);
            world.containers.retain(|c| c.id != *id);
        }
        Step::HandOver {
            app_id,
            service,
            id,
            name,
            because,
            ..
        } => {
            check_lock(world, *app_id);
            let key = (*app_id, service.clone());
            world.reasons.insert(key, because.clone());
            world.handed_over.remove(&(*app_id, service.clone()));
            let container = find(world, id);
            container.name.clone_from(name);
            container.is_predecessor = true;
        }
        Step::Rename {
            app_id, id, name, ..
        } => rename(world, *app_id, id, name),
        other => panic!("{other:?} is about no container"),
    }
}

fn rename(world: &mut Observed, app_id: u32, id: &str, name: &str) {
    check_lock(world, app_id);
    assert!(world.containers.iter().all(|c| c.name != *name));
    let confinement = world.device.confinement.clone();
    let container = find(world, id);
    let parts = names::parse_container(name, &container.service_name, confinement.as_ref());
    let parts = parts.unwrap();
    name.clone_into(&mut container.name);
    container.image_id = parts.image_id;
    container.release_id = parts.release_id;
    container.commit = Some(parts.commit);
}

fn create_network(
    world: &mut Observed,
    name: &str,
    logical_name: &str,
    spec: NetworkSpec,
    serial: u32,
) {
    assert!(world.networks.iter().all(|n| n.name != *name));
    let spec = inspect::network(spec, serial);
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

/// What is disturbed has its locks taken.
fn check_lock(world: &Observed, app_id: u32) {
    let locks = world.locks.get(&app_id);
    assert!(
        locks.is_some_and(|locks| locks.by_agent && locks.by_services.is_empty()),
        "disturbed without its locks: {locks:?}"
    );
}

fn install(
    world: &mut Observed,
    name: &str,
    (config, device_name, because): (&ServiceConfig, &str, &str),
    serial: u32,
) {
    assert!(world.containers.iter().all(|c| c.name != *name), "{name}");
    for network in config.networks.keys() {
        let mut all = world.networks.iter().chain(&world.api_network);
        assert!(all.any(|n| n.name == *network), "no network {network}");
    }
    let image = world.images.values().find(|i| i.id == config.image);
    let answer = created(config, name, (device_name, because), image.unwrap(), serial);
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
    words: (&str, &str),
    image: &ImageFacts,
    serial: u32,
) -> ContainerInspectResponse {
    let birth = Birth {
        id: format!("{serial:064x}"),
        at: i64::from(serial) * 1000,
    };
    inspect::created(config, name, words, image, &birth)
}
