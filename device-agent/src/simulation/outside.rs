//! The engine as the loop sees it: what it reads, each part at a time of its own, as many calls side by side.

use std::collections::{BTreeMap, BTreeSet};

use super::met::Met;
use super::state::{Call, Sim, State, Time};
use crate::engine::{EngineError, QUICK};
use crate::model::{
    API_NETWORK, ImageFacts, Inventory, Observed, ObservedContainer, ObservedNetwork,
    ObservedVolume, Space, Step,
};
use crate::observe::{self, Known, World};
use crate::reconcile::{Outside, Tools};

/// One connection to the model of an engine.
#[derive(Debug, Clone)]
pub(super) struct ModelEngine {
    pub(super) sim: Sim,
    pub(super) link: u64,
}

/// When a reading began, and what had changed by then.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub(super) since: Time,
    pub(super) changes: u64,
    /// When it was complete.
    pub(super) until: Time,
    /// Images that were known to stand for names when it began.
    pub(super) pins: usize,
}

impl ModelEngine {
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: Call,
        effect: impl FnOnce(&mut State) -> Result<T, EngineError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let answer = self.sim.lock().call(self.link, call, effect);
        let lost = |_| EngineError::Unusable("connection closed".to_owned());
        answer.await.map_err(lost)?
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&State) -> T + Send + 'static,
    ) -> Result<T, EngineError> {
        let call = Call {
            object: String::new(),
            limit: QUICK,
            usual: 4,
        };
        self.call(call, |state| Ok(read(state))).await
    }

    /// Everything, whoever made it.
    pub(super) async fn inventory(&self) -> Result<Inventory, EngineError> {
        self.read(State::inventory).await
    }

    async fn containers(&self) -> Result<Vec<ObservedContainer>, EngineError> {
        let is_torn = self.sim.lock().faults.torn;
        if !is_torn {
            return self.read(told).await;
        }
        // Listed at one time, looked at one after the other.
        let ids = self.read(told).await?;
        let mut found = Vec::new();
        for id in ids.into_iter().map(|container| container.id) {
            let one = self.read(move |state| told(state).into_iter().find(|c| c.id == id));
            found.extend(one.await?);
        }
        Ok(found)
    }

    async fn networks(
        &self,
    ) -> Result<(Vec<ObservedNetwork>, Option<ObservedNetwork>), EngineError> {
        self.read(|state| {
            let all = state.engine.networks.values().cloned();
            let (own, others): (Vec<_>, Vec<_>) = all.partition(|n| n.name == API_NETWORK);
            (others, own.into_iter().next())
        })
        .await
    }

    async fn volumes(&self) -> Result<Vec<ObservedVolume>, EngineError> {
        self.read(|state| {
            let all = state.engine.volumes.values();
            all.filter_map(|volume| volume.told.clone()).collect()
        })
        .await
    }

    async fn images(&self, known: &Known<'_>) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
        let services = known.target.into_iter().flat_map(|t| t.apps.values());
        let wanted: BTreeSet<String> = services
            .flat_map(|app| app.services.values())
            .map(|service| service.image.clone())
            .collect();
        let pinned = known.pinned.clone();
        self.read(move |state| {
            let images = &state.engine.images;
            let find = |reference: &String| {
                let pinned = pinned.get(reference).and_then(|id| images.get(id));
                pinned.or_else(|| images.get(state.engine.tags.get(reference)?))
            };
            let found = wanted
                .iter()
                .filter_map(|name| Some((name.clone(), find(name)?.clone())));
            found.collect()
        })
        .await
    }

    async fn leftovers(
        &self,
        known: &Known<'_>,
        images: &BTreeMap<String, ImageFacts>,
    ) -> Result<Option<Inventory>, EngineError> {
        let Some(session) = known.ended_session else {
            return Ok(None);
        };
        let present = self.inventory().await?;
        let needed = images.values().map(|facts| facts.id.clone()).collect();
        Ok(Some(observe::left_over(&present, session, known, &needed)))
    }
}

fn told(state: &State) -> Vec<ObservedContainer> {
    let all = state.engine.containers.values();
    all.map(|container| ObservedContainer {
        state: container.state,
        exit_code: container.exit_code,
        ..container.told.clone()
    })
    .collect()
}

impl Outside for ModelEngine {
    async fn observe(&self, known: Known<'_>) -> Result<World, EngineError> {
        let began = {
            let mut state = self.sim.lock();
            let now = state.now;
            let pins = known.pinned.len();
            let follows = |last: Reading| last.until == now && last.pins > pins;
            let first = state.judge.reading.filter(|last| follows(*last));
            if !state.dead && first.is_some() {
                state.counts.add(Met::SecondReading);
            }
            Reading {
                // What the loop knows itself is as old as the first of two.
                since: first.map_or(now, |first| first.since),
                changes: state.changes,
                until: now,
                pins,
            }
        };
        let (mut containers, (networks, api_network), volumes, images) = tokio::try_join!(
            self.containers(),
            self.networks(),
            self.volumes(),
            self.images(&known)
        )?;
        let leftovers = self.leftovers(&known, &images).await?;
        let own = api_network.as_ref();
        let spare = |left| observe::spare(left, &known, &containers, &networks, own);
        let leftovers = leftovers.map(spare);
        for container in &mut containers {
            container.stopped_by_agent = known.memory.has_stopped(&container.id);
        }
        let mut state = self.sim.lock();
        let (locks, handed_over) = state.locks.read();
        let disk = Some(Space {
            room: state.engine.room,
            could_be_freed: None,
        });
        if !state.dead && !state.judge.is_proposal(known.target) {
            state.judge.reading = Some(Reading {
                until: state.now,
                ..began
            });
            state.judge.read_for = known.target.map(|target| target.name.clone());
            state.reasons_are_read_for();
            state.note(|| "agent has read the world".to_owned());
        }
        drop(state);
        Ok(World {
            observed: Observed {
                containers,
                networks,
                api_network,
                volumes,
                images,
                api_keys: known.memory.api_keys(),
                failures: known.failures.clone(),
                pulling: known.pulling,
                asked: known.memory.asked().clone(),
                locks,
                handed_over,
                leftovers,
                reasons: known.reasons.clone(),
                disk,
                local_mode: known.local_mode,
                fleet_volumes: known.fleet_volumes.clone(),
                ..Observed::empty(known.facts.clone())
            },
            ports: BTreeMap::new(),
            faults: Vec::new(),
        })
    }

    async fn execute(&self, step: &Step, tools: &Tools) -> Result<(), EngineError> {
        self.do_step(step, tools).await
    }
}
