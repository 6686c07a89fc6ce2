//! The world as the loop reads it, and what the loop itself knows about it: since when containers run, which images stand
//! for which names, which keys services have. Decides nothing that the planner decides, and changes nothing outside.

use std::collections::{BTreeMap, BTreeSet};

use super::{Outside, Reconciler};
use crate::engine::EngineError;
use crate::model::{Block, ContainerState, Observed, Target};
use crate::observe::{Known, World};
use crate::plan;
use crate::report::reached;
use crate::store::Accepted;

impl<E: Outside> Reconciler<E> {
    pub(super) async fn observe(
        &mut self,
        engine: &E,
        accepted: &Accepted,
    ) -> Result<World, EngineError> {
        let target = accepted.target.as_deref();
        let world = self.read(engine, accepted).await?;
        let present = pins(&world.observed, target);
        let before = self.pinned.len();
        self.pinned
            .retain(|reference, _| present.contains_key(reference));
        let mut world = if self.pinned.len() == before {
            world
        } else {
            // Somebody took a container away: its service gets what its image's name means now.
            self.read(engine, accepted).await?
        };
        self.note_running(&mut world.observed);
        Ok(world)
    }

    /// Once, while pulls go on. What those that have ended brought is seen by it.
    async fn read(&mut self, engine: &E, accepted: &Accepted) -> Result<World, EngineError> {
        for (step, outcome) in self.pulls.over() {
            self.note(&step, outcome);
        }
        let pulling = self.pulls.references();
        let mut pulls = std::mem::take(&mut self.pulls);
        let known = Known {
            pulling,
            ..self.known(accepted)
        };
        let world = pulls.beside(engine.observe(known)).await;
        self.pulls = pulls;
        world
    }

    pub(super) fn known<'a>(&'a self, accepted: &'a Accepted) -> Known<'a> {
        Known {
            facts: &self.inputs.tools.facts,
            target: accepted.target.as_deref(),
            failures: &self.failures,
            memory: &self.inputs.memory,
            pinned: &self.pinned,
            locks: &self.inputs.tools.locks,
            pulling: self.pulls.references(),
            reasons: &self.reasons,
            local_mode: accepted.is_local(),
            ended_session: accepted.ended_session.as_deref(),
            fleet_volumes: &accepted.fleet_volumes,
        }
    }

    /// Containers are counted from when they are first seen running: the engine's clock may have been set since.
    fn note_running(&mut self, observed: &mut Observed) {
        let now = self.now();
        let runs = |id: &String| {
            let mut containers = observed.containers.iter();
            containers.any(|c| c.id == *id && c.state == ContainerState::Running)
        };
        self.running_since.retain(|id, _| runs(id));
        for container in &observed.containers {
            if container.state == ContainerState::Running {
                self.running_since
                    .entry(container.id.clone())
                    .or_insert(now);
            }
        }
        observed.running_since = self.running_since.clone();
    }

    /// Gives keys to the services that the planner says need one: those that their containers have, or new ones.
    pub(super) fn keep_keys(&mut self, world: &mut World, target: Option<&Target>) {
        let given = self.inputs.memory.api_keys();
        // Without a target nothing is changed, and what runs uses its key.
        let Some(target) = target else {
            world.observed.api_keys = given;
            return;
        };
        let found = plan::found_api_keys(&world.observed, target);
        let wanted = plan::wanted_api_keys(&world.observed, target, &given, &found);
        if let Err(error) = self.inputs.memory.keep_api_keys(&wanted, &found) {
            tracing::error!(%error, "the keys of services could not be kept");
        }
        world.observed.api_keys = self.inputs.memory.api_keys();
    }

    /// Remembers which images the fleet's targets brought, and says which of them nobody needs any more.
    pub(super) fn keep_images(&mut self, world: &mut World, target: Option<&Target>) {
        let (Some(target), false) = (target, world.observed.local_mode) else {
            return;
        };
        let present = world.observed.images.iter();
        let present = present.map(|(reference, facts)| (reference.clone(), facts.id.clone()));
        if let Err(error) = self.inputs.memory.note_images(present.collect()) {
            tracing::error!(%error, "which images there are could not be kept");
        }
        let known = self.inputs.memory.images();
        world.observed.unused_images = plan::unused_images(&world.observed, target, known);
    }

    /// Remembers which releases the applications have reached, when there is nothing to be done at once.
    pub(super) fn note_releases(&mut self, observed: &Observed, target: &Target, blocks: &[Block]) {
        let pulls = self.pulls.steps();
        let pulling: BTreeSet<u32> = pulls
            .filter_map(|step| step.about().map(|(app_id, _)| app_id))
            .collect();
        let memory = &mut self.inputs.memory;
        let releases = reached(memory.releases(), observed, target, blocks, &pulling);
        if let Err(error) = memory.note_releases(releases) {
            tracing::error!(%error, "which releases are reached could not be kept");
        }
    }

    /// Keeps what later readings must know, and forgets what is gone.
    pub(super) fn remember(&mut self, world: &World, target: Option<&Target>) {
        self.pinned = pins(&world.observed, target);
        let containers = &world.observed.containers;
        // One that still runs may have a stop under way that the engine is late with.
        let exists = |id: &str| containers.iter().any(|c| c.id == id);
        self.inputs.memory.keep_stopped(exists);
        self.ending.retain(|id| exists(id));
        // A reason was needed until the container that it is about was there.
        let ending = &self.ending;
        self.reasons.retain(|(app_id, service), _| {
            // One that the engine cannot take away at once is not the new one.
            !plan::live(&world.observed).any(|c| {
                let is_its = c.app_id == *app_id && c.service_name == *service;
                is_its && !c.is_predecessor && !ending.contains(&c.id)
            })
        });
    }
}

/// A fleet that has not asked for anything yet gets what a local session left behind taken away, and nothing else.
/// Returns whether there is such a session.
pub(super) fn keep_leftovers_only(observed: &mut Observed) -> bool {
    let Some(leftovers) = &observed.leftovers else {
        return false;
    };
    observed
        .containers
        .retain(|container| leftovers.containers.contains(&container.id));
    observed.networks.clear();
    true
}

/// Engine image ids by the references that stand for them, as long as a service's container is made from them. An image
/// that is built anew under the same name takes effect with the next target, not while the services before it still
/// build.
fn pins(observed: &Observed, target: Option<&Target>) -> BTreeMap<String, String> {
    let made_from = |app: u32, service: &str, image: &str| {
        observed.containers.iter().any(|container| {
            container.app_id == app
                && container.service_name == service
                && container.config.image == image
        })
    };
    target
        .into_iter()
        .flat_map(|target| target.apps.values())
        .flat_map(|app| app.services.values().map(move |service| (app.id, service)))
        .filter_map(|(app, service)| {
            let id = &observed.images.get(&service.image)?.id;
            made_from(app, &service.name, id).then(|| (service.image.clone(), id.clone()))
        })
        .collect()
}
