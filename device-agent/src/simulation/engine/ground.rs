//! Networks and volumes.

use super::{Volume, conflict, not_found};
use crate::engine::EngineError;
use crate::model::{
    API_NETWORK, NetworkSpec, ObservedNetwork, ObservedVolume, VolumeSpec, labels, names,
};
use crate::simulation::inspect;
use crate::simulation::met::Met;
use crate::simulation::state::{State, Time};

impl State {
    pub(in crate::simulation) fn create_network(
        &mut self,
        name: &str,
        logical_name: &str,
        spec: &NetworkSpec,
    ) -> Result<(), EngineError> {
        let is_there = self.engine.networks.values().any(|n| n.name == name);
        // Of two networks that are read by their name the engine tells nothing.
        let is_alone = name == API_NETWORK || self.faults.twins == 0;
        if is_there && is_alone {
            return Err(conflict("a network of this name exists"));
        }
        if is_there {
            self.counts.add(Met::Twin);
        }
        if !is_alone && !self.calm && self.random.chance(self.faults.twins) {
            let delay = self.random.between(1, 5_000);
            let (name, logical_name) = (name.to_owned(), logical_name.to_owned());
            let spec = spec.clone();
            self.after(delay, move |state| {
                if state.engine.link != 0 {
                    // As a call that nobody waits for any more.
                    drop(state.create_network(&name, &logical_name, &spec));
                }
            });
        }
        let id = self.new_id();
        let serial = self.serial();
        let app_id = spec.labels.get(labels::APP_ID);
        let network = ObservedNetwork {
            id: id.clone(),
            name: name.to_owned(),
            logical_name: logical_name.to_owned(),
            app_id: app_id.map_or(0, |id| id.parse().unwrap()),
            spec: inspect::network(spec.clone(), serial),
        };
        self.engine.networks.insert(id, network);
        self.changed(|| format!("engine: network {name} is created"));
        self.tell();
        Ok(())
    }

    pub(in crate::simulation) fn remove_network(&mut self, id: &str) -> Result<(), EngineError> {
        let network = self.engine.networks.get(id);
        let name = network.ok_or_else(|| not_found(id))?.name.clone();
        let mut containers = self.engine.containers.values();
        if containers.any(|c| c.is_up() && c.told.config.networks.contains_key(&name)) {
            return Err(EngineError::Refused {
                status: 403,
                message: "network has active endpoints".to_owned(),
            });
        }
        self.engine.networks.remove(id);
        self.changed(|| format!("engine: network {name} is gone"));
        self.tell();
        Ok(())
    }

    /// Whether the volume of this name, which may have been there before, is one of ours.
    pub(in crate::simulation) fn create_volume(
        &mut self,
        name: &str,
        logical_name: &str,
        (spec, asked_at): (&VolumeSpec, Time),
    ) -> Result<bool, EngineError> {
        if let Some(present) = self.engine.volumes.get(name) {
            return Ok(present.told.is_some());
        }
        self.check_room()?;
        let (owner, _) = names::parse_owned(name, None).unwrap();
        let mut spec = spec.clone();
        spec.driver.get_or_insert_with(|| "local".to_owned());
        let told = ObservedVolume {
            name: name.to_owned(),
            app_id: owner.parse().unwrap(),
            logical_name: logical_name.to_owned(),
            spec,
        };
        self.insert_volume(name, Some(told), asked_at);
        Ok(true)
    }

    /// A container that is created makes the volumes that it has, where they are missing.
    pub(super) fn volume_for_container(&mut self, name: &str) {
        if !self.engine.volumes.contains_key(name) {
            self.insert_volume(name, None, self.now);
        }
    }

    fn insert_volume(&mut self, name: &str, told: Option<ObservedVolume>, asked_at: Time) {
        let volume = Volume {
            told,
            content: self.random.next(),
            asked_at,
            is_used: false,
        };
        self.judge_birth(&volume);
        self.engine.volumes.insert(name.to_owned(), volume);
        self.changed(|| format!("engine: volume {name} is created"));
        self.tell();
    }

    pub(in crate::simulation) fn remove_volume(&mut self, name: &str) -> Result<(), EngineError> {
        let Some(volume) = self.engine.volumes.get(name).cloned() else {
            return Err(not_found(name));
        };
        let bind = format!("{name}:");
        let mut containers = self.engine.containers.values();
        if containers.any(|c| c.told.config.volumes.iter().any(|v| v.starts_with(&bind))) {
            return Err(conflict("volume is in use"));
        }
        self.judge_volume(name, &volume);
        self.engine.volumes.remove(name);
        self.changed(|| format!("engine: volume {name} is gone"));
        self.tell();
        Ok(())
    }
}
