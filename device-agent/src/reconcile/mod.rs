//! The loop: observe, plan, run a batch, publish, wait for a wake. All decisions are the planner's.
//!
//! In: the accepted target, the link to the engine, its events. Out: [`Snapshot`]s. It wakes when one of them changes,
//! or when the planner asked for a time; it never looks again just because time has passed. What failed is a fact for
//! the next planning.

mod telling;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::{StreamExt, stream};
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, watch};

use crate::engine::events::Happened;
use crate::engine::{Connected, EngineError, Link};
use crate::execute::Executor;
use crate::logs::Hub;
use crate::memory::Memory;
use crate::model::{Batch, DeviceFacts, Failure, Millis, Observed, Plan, Step, Target};
use crate::observe::{Known, World, observe};
use crate::plan;
use crate::report::{ServiceKey, Snapshot};
use crate::store::Accepted;

/// Steps at a time.
const PARALLEL: usize = 8;
/// First delay after the world could not be read; it doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay after the world could not be read.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Batches in a row for one target, after which something must be wrong: a planner that is never content would wear
/// out the device's storage.
const MAX_BATCHES: u32 = 200;
/// How long to rest then.
const REST: Duration = Duration::from_mins(1);

/// What the loop works with.
#[derive(Debug)]
pub(crate) struct Inputs {
    pub(crate) facts: DeviceFacts,
    /// What was wrong when the agent started.
    pub(crate) faults: Vec<String>,
    pub(crate) memory: Memory,
    pub(crate) targets: watch::Receiver<Accepted>,
    pub(crate) link: watch::Receiver<Link>,
    pub(crate) events: broadcast::Receiver<Happened>,
    pub(crate) hub: Hub,
}

/// Runs until it is dropped, or the engine's events end.
pub(crate) async fn run(inputs: Inputs, publish: watch::Sender<Arc<Snapshot>>) {
    let mut reconciler = Reconciler {
        inputs,
        publish,
        generation: 0,
        failures: BTreeMap::new(),
        pinned: BTreeMap::new(),
        reasons: BTreeMap::new(),
        pulls: watch::Sender::new(BTreeMap::new()),
        delay: FIRST_DELAY,
        batches: 0,
        started: Instant::now(),
    };
    loop {
        match reconciler.round().await {
            Next::Again => {}
            Next::Wait(limit) => {
                if reconciler.wait(limit).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// What to do after a round.
enum Next {
    Again,
    /// Until something happens, or so long.
    Wait(Option<Duration>),
}

struct Reconciler {
    inputs: Inputs,
    publish: watch::Sender<Arc<Snapshot>>,
    /// The target that the fields below are about.
    generation: u64,
    failures: BTreeMap<String, Failure>,
    pinned: BTreeMap<String, String>,
    reasons: BTreeMap<ServiceKey, String>,
    pulls: watch::Sender<BTreeMap<String, u8>>,
    delay: Duration,
    batches: u32,
    /// The planner's time is counted from here: it only measures delays, and the system's clock may be set.
    started: Instant,
}

impl Reconciler {
    async fn round(&mut self) -> Next {
        // Whatever happened so far is seen by the reading that follows.
        self.forget_events();
        let accepted = self.inputs.targets.borrow_and_update().clone();
        let link = self.inputs.link.borrow_and_update().clone();
        if accepted.generation != self.generation {
            self.generation = accepted.generation;
            self.failures.clear();
            self.pinned.clear();
            self.batches = 0;
        }
        let connected = match link {
            Link::Up(connected) => connected,
            Link::Connecting => return Next::Wait(None),
            Link::Down(reason) => {
                // What failed may have failed for this reason alone.
                self.failures.clear();
                self.publish_fault(format!("{}: {reason}", agent_api::os::ENGINE_AWAY));
                return Next::Wait(None);
            }
        };
        let target = accepted.target.as_deref();
        self.keep_keys(target);
        let world = match self.observe(&connected, target).await {
            Ok(world) => world,
            Err(error) => {
                tracing::warn!(%error, "the engine's state could not be read");
                self.publish_fault(format!("the engine's state could not be read: {error}"));
                let delay = self.delay;
                self.delay = (delay * 2).min(LONGEST_DELAY);
                return Next::Wait(Some(delay));
            }
        };
        self.delay = FIRST_DELAY;
        self.remember(&world, target);
        let Some(target) = target else {
            // Nothing was ever asked for: what runs is left alone.
            self.publish(&world, None, &Batch::default(), None);
            return Next::Wait(None);
        };
        match plan::plan(&world.observed, target, self.now()) {
            Plan::Converged => {
                self.batches = 0;
                // What failed on the way is not needed any more.
                self.failures.clear();
                self.publish(&world, Some(target), &Batch::default(), None);
                Next::Wait(None)
            }
            Plan::Wait { until, because } => {
                self.batches = 0;
                self.publish(&world, Some(target), &Batch::default(), Some(&because));
                Next::Wait(until.map(|until| millis(until.saturating_sub(self.now()))))
            }
            Plan::Run(_) if self.batches >= MAX_BATCHES => {
                self.batches = 0;
                let because = "the target is not reached after many steps";
                tracing::error!("{because}");
                self.publish(&world, Some(target), &Batch::default(), Some(because));
                Next::Wait(Some(REST))
            }
            Plan::Run(batch) => {
                self.batches += 1;
                self.execute(&connected, &world, target, &batch).await;
                Next::Again
            }
        }
    }

    fn forget_events(&mut self) {
        loop {
            match self.inputs.events.try_recv() {
                Ok(_) | Err(TryRecvError::Lagged(_)) => {}
                Err(TryRecvError::Empty | TryRecvError::Closed) => return,
            }
        }
    }

    async fn wait(&mut self, limit: Option<Duration>) -> Result<(), RecvError> {
        let limit = async {
            match limit {
                Some(limit) => tokio::time::sleep(limit).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            changed = self.inputs.targets.changed() => changed.map_err(|_| RecvError::Closed),
            changed = self.inputs.link.changed() => changed.map_err(|_| RecvError::Closed),
            event = self.inputs.events.recv() => match event {
                Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                Err(closed @ RecvError::Closed) => Err(closed),
            },
            () = limit => Ok(()),
        }
    }

    async fn observe(
        &mut self,
        connected: &Connected,
        target: Option<&Target>,
    ) -> Result<World, EngineError> {
        // Reads side by side make a large future; it lives only now and then.
        let world = Box::pin(observe(connected, self.known(target))).await?;
        let present = pins(&world.observed, target);
        let before = self.pinned.len();
        self.pinned
            .retain(|reference, _| present.contains_key(reference));
        if self.pinned.len() == before {
            return Ok(world);
        }
        // Somebody took a container away: its service gets what its image's name means now.
        Box::pin(observe(connected, self.known(target))).await
    }

    fn known<'a>(&'a self, target: Option<&'a Target>) -> Known<'a> {
        Known {
            facts: &self.inputs.facts,
            target,
            failures: &self.failures,
            memory: &self.inputs.memory,
            pinned: &self.pinned,
        }
    }

    /// Gives keys to the services that the planner says need one.
    fn keep_keys(&mut self, target: Option<&Target>) {
        let wanted: BTreeSet<ServiceKey> = target
            .into_iter()
            .flat_map(|target| target.apps.values())
            .flat_map(|app| app.services.values().map(move |service| (app.id, service)))
            .filter(|(_, service)| plan::wants_api_key(service))
            .map(|(app, service)| (app, service.name.clone()))
            .collect();
        if let Err(error) = self.inputs.memory.keep_api_keys(&wanted) {
            tracing::error!(%error, "the keys of services could not be kept");
        }
    }

    /// Keeps what later readings must know, and forgets what is gone.
    fn remember(&mut self, world: &World, target: Option<&Target>) {
        self.pinned = pins(&world.observed, target);
        let still: BTreeSet<&str> = world
            .observed
            .containers
            .iter()
            .filter(|container| container.state == crate::model::ContainerState::Exited)
            .map(|container| container.id.as_str())
            .collect();
        if let Err(error) = self.inputs.memory.keep_stopped(|id| still.contains(id)) {
            tracing::error!(%error, "what was stopped could not be kept");
        }
        let present: BTreeSet<ServiceKey> = world
            .observed
            .containers
            .iter()
            .map(|container| (container.app_id, container.service_name.clone()))
            .collect();
        let doomed = |key: &ServiceKey| !present.contains(key) && !self.is_wanted(key);
        let gone: Vec<ServiceKey> = self
            .reasons
            .keys()
            .filter(|key| doomed(key))
            .cloned()
            .collect();
        for key in gone {
            self.reasons.remove(&key);
        }
    }

    fn is_wanted(&self, (app, service): &ServiceKey) -> bool {
        let accepted = self.inputs.targets.borrow();
        accepted
            .target
            .as_ref()
            .and_then(|target| target.apps.get(app))
            .is_some_and(|app| app.services.contains_key(service))
    }

    /// Runs a batch's steps side by side and notes how each went.
    async fn execute(
        &mut self,
        connected: &Connected,
        world: &World,
        target: &Target,
        batch: &Batch,
    ) {
        self.tell_reasons(batch);
        self.publish(world, Some(target), batch, None);
        let only_pulls = batch.0.iter().all(|step| matches!(step, Step::Pull { .. }));
        let pulls = self.pulls.clone();
        let mut progress = pulls.subscribe();
        let outcomes = {
            let executor = Executor {
                connected,
                facts: &self.inputs.facts,
                hub: &self.inputs.hub,
                pulls: &pulls,
            };
            let mut running = std::pin::pin!(
                stream::iter(&batch.0)
                    .map(|step| async move { (step, executor.execute(step).await) })
                    .buffer_unordered(PARALLEL)
                    .collect::<Vec<_>>()
            );
            let mut targets = self.inputs.targets.clone();
            loop {
                tokio::select! {
                    outcomes = running.as_mut() => break outcomes,
                    Ok(()) = progress.changed() => {
                        self.publish(world, Some(target), batch, None);
                    }
                    // What takes long and changes nothing that runs is not waited for by a target that may not need it.
                    // The engine keeps the layers that it has.
                    Ok(()) = targets.changed(), if only_pulls => break Vec::new(),
                }
            }
        };
        pulls.send_replace(BTreeMap::new());
        for (step, outcome) in outcomes {
            self.note(step, outcome);
        }
    }

    fn now(&self) -> Millis {
        Millis::try_from(self.started.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }

    fn note(&mut self, step: &Step, outcome: Result<(), EngineError>) {
        match outcome {
            Ok(()) => {
                self.failures.remove(&step.key());
                if let Step::Stop { id, .. } = step
                    && let Err(error) = self.inputs.memory.note_stopped(id)
                {
                    tracing::error!(%error, "what was stopped could not be kept");
                }
            }
            Err(error) => {
                let now = self.now();
                let failure = self.failures.entry(step.key()).or_insert(Failure {
                    count: 0,
                    at: 0,
                    error: String::new(),
                });
                failure.count = failure.count.saturating_add(1);
                failure.at = now;
                failure.error = error.to_string();
            }
        }
    }
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

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
