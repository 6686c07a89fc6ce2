//! What came in a local session is gone in the end, whether the fleet has a target or not.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::model::{Inventory, Step};
use crate::simulation::met::Met;
use crate::simulation::spec::Spec;
use crate::simulation::state::State;

/// How often the agent tries to take something away; then it gives up all that is left, for the fleet's sake.
const TRIES: u32 = 5;

/// See the module.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Leftovers {
    /// What there was when a session began: it came before it, or goes with an earlier one.
    before: Inventory,
    /// Contents of the volumes that there were when a session had ended.
    volumes: BTreeSet<u64>,
    /// Containers and images that there were then, by id.
    containers: BTreeSet<String>,
    images: BTreeSet<String>,
    /// How often something could not be taken away, by step.
    failures: BTreeMap<String, u32>,
}

impl State {
    /// A session is about to begin with what was here a moment ago.
    pub(super) fn note_before(&mut self, present: &Inventory) {
        let now = self.inventory();
        let before = &mut self.judge.leftovers.before;
        for all in [present, &now] {
            before.containers.extend(all.containers.iter().cloned());
            before.images.extend(all.images.iter().cloned());
            before.volumes.extend(all.volumes.iter().cloned());
        }
    }

    /// A session has ended: the agent sees all that is here now.
    pub(super) fn note_leftovers(&mut self) {
        let left = self.inventory().without(&self.judge.leftovers.before);
        if !left.containers.is_empty() || !left.images.is_empty() || !left.volumes.is_empty() {
            self.counts.add(Met::EndOfSession);
        }
        let volumes = self.engine.volumes.iter();
        let volumes = volumes.filter(|(name, _)| left.volumes.contains(*name));
        let leftovers = &mut self.judge.leftovers;
        leftovers.volumes.extend(volumes.map(|(_, v)| v.content));
        leftovers.containers.extend(left.containers);
        leftovers.images.extend(left.images);
    }

    /// An image is gone: one that comes later is another.
    pub(in crate::simulation) fn image_is_gone(&mut self, id: &str) {
        self.judge.leftovers.images.remove(id);
    }

    /// A step has failed.
    pub(in crate::simulation) fn note_failure(&mut self, step: &Step) {
        if matches!(step, Step::RemoveLeftover(_) | Step::RemoveImage { .. }) {
            let failures = &mut self.judge.leftovers.failures;
            *failures.entry(step.key()).or_default() += 1;
        }
    }

    /// What should have gone with a session, now that everything has come to rest. What a target of the fleet names stays,
    /// whenever it was sent.
    pub(in crate::simulation) fn left_behind(&self, view: &View) -> Vec<String> {
        let left = &self.judge.leftovers;
        let is_given_up = left.failures.values().any(|count| *count >= TRIES);
        // When a session began and ended may be lost.
        if view.is_local || is_given_up || self.judge.losses.is_betrayed {
            return Vec::new();
        }
        let fleets = self.judge.sent[1].iter();
        let fleets: Vec<&Spec> = fleets.map(|sent| &self.judge.specs[sent.number]).collect();
        let mut found = Vec::new();
        for (name, volume) in &self.engine.volumes {
            let came = left.volumes.contains(&volume.content);
            if came && !fleets.iter().any(|spec| names_volume(spec, name)) {
                found.push(format!("volume {name} is left of a session"));
            }
        }
        for id in self.engine.images.keys() {
            if left.images.contains(id) && !fleets.iter().any(|spec| names_image(spec, id)) {
                found.push(format!("image {id} is left of a session"));
            }
        }
        // With a target every container is one that it wants.
        for container in self.engine.containers.values() {
            if !view.has_target && left.containers.contains(&container.told.id) {
                found.push(format!("{} is left of a session", container.told.name));
            }
        }
        found
    }
}

fn names_volume(spec: &Spec, name: &str) -> bool {
    spec.apps.iter().any(|(id, app)| {
        let mut volumes = app.volumes.keys();
        volumes.any(|volume| format!("{id}_{volume}") == name)
    })
}

fn names_image(spec: &Spec, id: &str) -> bool {
    let mut services = spec.apps.values().flat_map(|app| app.services.values());
    services.any(|service| id.starts_with(&format!("sha256:{}-", service.image)))
}
