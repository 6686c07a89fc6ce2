//! What the engine does with containers when it is asked.

use std::collections::BTreeMap;

use super::{Container, EPOCH, conflict, not_found};
use crate::engine::{EngineError, decode, encode};
use crate::model::{ContainerState, Endpoint, ServiceConfig, names};
use crate::simulation::inspect::{self, Birth};
use crate::simulation::met::Met;
use crate::simulation::state::{State, Time};

/// A container that is asked for.
#[derive(Debug)]
pub(in crate::simulation) struct Order {
    pub(in crate::simulation) name: String,
    pub(in crate::simulation) config: Box<ServiceConfig>,
    pub(in crate::simulation) device_name: String,
    pub(in crate::simulation) because: String,
}

/// A container that is there.
#[derive(Debug)]
pub(in crate::simulation) struct Created {
    pub(in crate::simulation) id: String,
    /// Networks that it must still be connected to.
    pub(in crate::simulation) others: BTreeMap<String, Endpoint>,
}

impl State {
    /// In its first network only, as it is asked for.
    pub(in crate::simulation) fn create(&mut self, order: &Order) -> Result<Created, EngineError> {
        let mut present = self.engine.containers.values();
        if present.any(|c| c.told.name == order.name) {
            return Err(conflict("the container name is already in use"));
        }
        self.check_room()?;
        let image = self.engine.images.get(&order.config.image);
        let image = image
            .cloned()
            .ok_or_else(|| not_found(&order.config.image))?;
        for volume in named_volumes(&order.config) {
            self.volume_for_container(&volume);
        }
        let birth = Birth {
            id: self.new_id(),
            at: EPOCH + i64::try_from(self.now).unwrap(),
        };
        let words = (order.device_name.as_str(), order.because.as_str());
        let told = inspect::created(&order.config, &order.name, words, &image, &birth);
        let mut told = decode::container(&told, None).unwrap();
        let attach = encode::container(&order.config, words.0, words.1).attach;
        let networks = &mut told.config.networks;
        let others = attach
            .into_iter()
            .filter_map(|(name, _)| networks.remove_entry(&name))
            .collect();
        let container = Container {
            told,
            state: ContainerState::Created,
            exit_code: Some(0),
            codes: vec![(self.now, 0)],
            was_stopped: false,
            run: 0,
            failures: 0,
            history: vec![(self.now, ContainerState::Created)],
            born: self.now,
            born_in: self.boots,
            by_hand: false,
            ended: None,
        };
        self.engine.containers.insert(birth.id.clone(), container);
        self.changed(|| format!("engine: {} is created as {}", order.name, &birth.id[..8]));
        self.tell();
        let id = birth.id;
        Ok(Created { id, others })
    }

    pub(in crate::simulation) fn connect_network(
        &mut self,
        id: &str,
        network: &str,
        endpoint: Endpoint,
    ) -> Result<(), EngineError> {
        if !self.engine.networks.values().any(|n| n.name == network) {
            return Err(not_found(network));
        }
        let told = &mut self.container(id)?.told;
        told.config.networks.insert(network.to_owned(), endpoint);
        let name = told.name.clone();
        self.changed(|| format!("engine: {name} is connected to {network}"));
        self.tell();
        Ok(())
    }

    fn container(&mut self, id: &str) -> Result<&mut Container, EngineError> {
        let found = self.engine.containers.get_mut(id);
        found.ok_or_else(|| not_found(id))
    }

    pub(in crate::simulation) fn start(&mut self, id: &str) -> Result<(), EngineError> {
        let container = self.container(id)?;
        match container.state {
            ContainerState::Running | ContainerState::Restarting | ContainerState::Paused => {
                return Ok(());
            }
            ContainerState::Removing | ContainerState::Dead => {
                return Err(conflict("container is marked for removal"));
            }
            ContainerState::Created | ContainerState::Exited => {}
        }
        let config = container.told.config.clone();
        if let Some(owner) = config.network_mode.strip_prefix("container:") {
            let owner = self.engine.containers.get(owner);
            if !owner.is_some_and(|owner| owner.state == ContainerState::Running) {
                return Err(conflict("cannot join network of a non running container"));
            }
        }
        let names = self.engine.networks.values().map(|n| &n.name);
        let names: Vec<&String> = names.collect();
        if let Some(missing) = config.networks.keys().find(|n| !names.contains(n)) {
            return Err(not_found(missing));
        }
        self.run(id);
        Ok(())
    }

    pub(in crate::simulation) fn stop(&mut self, id: &str) -> Result<(), EngineError> {
        let now = self.now;
        let container = self.container(id)?;
        if container.is_up() {
            container.was_stopped = true;
            container.ends_with(137, now);
            self.set_state(id, ContainerState::Exited);
        }
        Ok(())
    }

    pub(in crate::simulation) fn remove(
        &mut self,
        id: &str,
        force: bool,
    ) -> Result<(), EngineError> {
        let is_troubled = !self.calm;
        let container = self.container(id)?;
        if container.state == ContainerState::Removing {
            return Err(conflict("removal of container is already in progress"));
        }
        if container.is_up() && !force {
            return Err(conflict("cannot remove a running container"));
        }
        if is_troubled && self.random.chance(self.faults.removals) {
            self.counts.add(Met::StuckRemoval);
            let left = if self.random.chance(50) {
                ContainerState::Dead
            } else {
                ContainerState::Removing
            };
            self.set_state(id, left);
            if left == ContainerState::Dead {
                self.counts.add(Met::DeadContainer);
            }
            if left == ContainerState::Removing {
                let (id, delay) = (id.to_owned(), self.random.between(1, 5_000));
                self.after(delay, move |state| state.take_away(&id));
                return Ok(());
            }
            return Err(conflict("driver failed to remove root filesystem"));
        }
        self.take_away(id);
        Ok(())
    }

    /// It is gone.
    pub(in crate::simulation) fn take_away(&mut self, id: &str) {
        if let Some(mut container) = self.engine.containers.remove(id) {
            container.ended = Some(self.now);
            let name = container.told.name.clone();
            self.engine.gone.insert(id.to_owned(), container);
            self.changed(|| format!("engine: {name} ({}) is gone", &id[..8]));
            self.tell();
        }
    }

    pub(in crate::simulation) fn rename(
        &mut self,
        id: &str,
        name: &str,
    ) -> Result<(), EngineError> {
        let mut others = self.engine.containers.values();
        if others.any(|c| c.told.name == name && c.told.id != id) {
            return Err(conflict("the container name is already in use"));
        }
        let container = self.container(id)?;
        if container.told.name == name {
            return Err(EngineError::Refused {
                status: 400,
                message: "renaming a container with the same name as its current name".to_owned(),
            });
        }
        let told = &mut container.told;
        name.clone_into(&mut told.name);
        let parts = names::parse_container(name, &told.service_name, None);
        let predecessor = names::parse_predecessor(name, &told.service_name, None);
        told.is_predecessor = parts.is_none() && predecessor.is_some();
        let parts = parts.or(predecessor);
        told.image_id = parts.as_ref().map_or(0, |p| p.image_id);
        told.release_id = parts.as_ref().map_or(0, |p| p.release_id);
        told.commit = parts.map(|p| p.commit);
        self.changed(|| format!("engine: {} is named {name}", &id[..8]));
        self.tell();
        self.judge_running(id);
        Ok(())
    }

    /// Its restart policy becomes `no`.
    pub(in crate::simulation) fn restart_no_more(&mut self, id: &str) -> Result<(), EngineError> {
        let container = self.container(id)?;
        "no".clone_into(&mut container.told.config.restart);
        self.changed(|| format!("engine: {} is not restarted any more", &id[..8]));
        self.tell();
        Ok(())
    }

    pub(in crate::simulation) fn set_state(&mut self, id: &str, to: ContainerState) {
        let now = self.now;
        let Some(container) = self.engine.containers.get_mut(id) else {
            return;
        };
        container.state = to;
        container.history.push((now, to));
        let name = container.told.name.clone();
        self.changed(|| format!("engine: {name} ({}) is {to:?}", &id[..8]));
        self.tell();
        if to == ContainerState::Running {
            self.judge_running(id);
        }
    }

    pub(in crate::simulation) fn has_existed_since(
        &self,
        app: u32,
        service: &str,
        since: Time,
    ) -> bool {
        self.engine
            .containers
            .values()
            .any(|c| c.told.app_id == app && c.told.service_name == service && c.born < since)
    }
}

/// Engine names of the volumes that a container has.
pub(super) fn named_volumes(config: &ServiceConfig) -> Vec<String> {
    let sources = config
        .volumes
        .iter()
        .filter_map(|bind| bind.split_once(':'));
    sources
        .map(|(source, _)| source.to_owned())
        .filter(|source| !source.starts_with('/'))
        .collect()
}
