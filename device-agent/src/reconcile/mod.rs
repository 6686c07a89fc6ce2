//! The loop: observe, plan, run a batch, publish, wait for a wake. All decisions are the planner's.
//!
//! In: the accepted target, the link to the engine, its events, calls. Out: [`Snapshot`]s and answers. It wakes when one
//! of them changes, or when the planner asked for a time; it never looks again just because time has passed. What failed
//! is a fact for the next planning.

mod answering;
mod calls;
mod clock;
mod executing;
mod machine;
mod outside;
mod pulls;
mod reading;
mod restarts;
mod stillness;
mod telling;
mod words;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::sync::{broadcast, mpsc, watch};

use crate::engine::Link;
use crate::engine::events::Happened;
use crate::memory::Memory;
use crate::model::{Batch, Block, Ends, Failure, Millis, Plan, Target};
use crate::observe::World;
use crate::plan;
use crate::report::{ServiceKey, Snapshot};
use crate::store::{Accepted, SharedStore};

pub(crate) use calls::{Call, Caller, Proposal, Stillness};
#[cfg(test)]
pub(crate) use clock::Sleep;
pub(crate) use clock::{Clock, OwnClock};
pub(crate) use machine::{Machine, OwnMachine};
pub(crate) use outside::{Outside, Tools};
pub(crate) use pulls::Progress;
use pulls::Pulls;
use reading::keep_leftovers_only;
use stillness::Still;
use words::LocksTold;

/// First delay after the world could not be read; it doubles.
const FIRST_DELAY: Duration = Duration::from_secs(1);
/// Longest delay after the world could not be read.
const LONGEST_DELAY: Duration = Duration::from_secs(30);
/// Batches in a row for one target, after which something must be wrong: a planner that is never content would wear
/// out the device's storage.
const MAX_BATCHES: u32 = 200;
/// How long to rest then.
const REST: Duration = Duration::from_mins(1);
/// Before the reason for which a stop could not be noted.
pub(crate) const NOT_NOTED: &str = "it waits until that is noted: ";

/// What the loop works with.
#[derive(Debug)]
pub(crate) struct Inputs<E> {
    pub(crate) tools: Tools,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) machine: Arc<dyn Machine>,
    /// What was wrong when the agent started.
    pub(crate) faults: Vec<String>,
    pub(crate) memory: Memory,
    pub(crate) store: SharedStore,
    pub(crate) targets: watch::Receiver<Accepted>,
    pub(crate) link: watch::Receiver<Link<E>>,
    pub(crate) events: broadcast::Receiver<Happened>,
    pub(crate) calls: mpsc::Receiver<Call>,
}

/// Runs until it is dropped, or the engine's events end.
pub(crate) async fn run<E: Outside>(inputs: Inputs<E>, publish: watch::Sender<Arc<Snapshot>>) {
    let mut reconciler = Reconciler {
        inputs,
        publish,
        generation: 0,
        failures: BTreeMap::new(),
        pinned: BTreeMap::new(),
        reasons: BTreeMap::new(),
        ending: BTreeSet::new(),
        running_since: BTreeMap::new(),
        locks_told: LocksTold::default(),
        pulls: Pulls::default(),
        shown: None,
        waiting_calls: VecDeque::new(),
        still: None,
        delay: FIRST_DELAY,
        batches: 0,
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

struct Reconciler<E> {
    inputs: Inputs<E>,
    publish: watch::Sender<Arc<Snapshot>>,
    /// The target that the fields below are about.
    generation: u64,
    failures: BTreeMap<String, Failure>,
    pinned: BTreeMap<String, String>,
    reasons: BTreeMap<ServiceKey, String>,
    /// Containers that were to give way to others, by engine id, until they are gone or are to stay: the engine may be late
    /// with their end, also when it has failed and under a later target.
    ending: BTreeSet<String>,
    /// When running containers were first seen running, in the planner's time.
    running_since: BTreeMap<String, Millis>,
    locks_told: LocksTold,
    pulls: Pulls,
    /// What was published last, and why nothing could be done: pulls go on meanwhile, and their progress is told.
    shown: Option<(World, Vec<Block>)>,
    /// Calls that came while a batch was executed.
    waiting_calls: VecDeque<Call>,
    /// Set while somebody asked for nothing to be changed.
    still: Option<Still>,
    delay: Duration,
    batches: u32,
}

impl<E: Outside> Reconciler<E> {
    async fn round(&mut self) -> Next {
        self.end_stillness();
        self.shown = None;
        // They were about the target before, if there is a new one.
        for (step, outcome) in self.pulls.over() {
            self.note(&step, outcome);
        }
        // Whatever happened so far is seen by the reading that follows.
        self.forget_events();
        let accepted = self.inputs.targets.borrow_and_update().clone();
        let link = self.inputs.link.borrow_and_update().clone();
        self.take_up(&accepted);
        let engine = match link {
            Link::Up(engine) => engine,
            // In a moment it is known whether there is one; calls wait for that.
            Link::Connecting => return Next::Wait(None),
            Link::Down(reason) => {
                // What failed may have failed for this reason alone.
                self.failures.clear();
                self.refuse_calls(&reason);
                self.publish_fault(format!("{}: {reason}", agent_api::os::ENGINE_AWAY));
                return Next::Wait(None);
            }
        };
        let target = accepted.target.as_deref();
        self.gather_calls();
        let mut world = match self.observe(&engine, &accepted).await {
            Ok(world) => world,
            Err(error) => {
                tracing::warn!(%error, "the engine's state could not be read");
                self.refuse_calls(&error.to_string());
                self.publish_fault(format!("the engine's state could not be read: {error}"));
                let delay = self.delay;
                self.delay = (delay * 2).min(LONGEST_DELAY);
                return Next::Wait(Some(delay));
            }
        };
        self.delay = FIRST_DELAY;
        self.keep_keys(&mut world, target);
        self.keep_images(&mut world, target);
        self.note_restarts(&mut world);
        self.remember(&world, target);
        self.settle_requests(&mut world, target);
        self.answer_calls(&engine, &mut world, target).await;
        let nothing = Target::default();
        let target = match target {
            Some(target) => target,
            None if keep_leftovers_only(&mut world.observed) => &nothing,
            None => {
                // Nothing was ever asked for: what runs is left alone.
                self.publish(&world, None, &Batch::default(), &[]);
                return Next::Wait(None);
            }
        };
        // It may have ended while the world was read, which saw its locks then.
        if self.still.is_some() {
            self.end_stillness();
            if self.still.is_none() {
                return Next::Again;
            }
            let block = stillness::block();
            self.publish(&world, Some(target), &Batch::default(), &[block]);
            return Next::Wait(None);
        }
        self.proceed(&engine, world, target).await
    }

    /// Plans, and does what the plan says.
    async fn proceed(&mut self, engine: &E, world: World, target: &Target) -> Next {
        let now = self.now();
        match plan::plan(&world.observed, target, now) {
            Plan::Converged => {
                self.batches = 0;
                self.locks_told.forget();
                // What failed on the way is not needed any more.
                self.failures.clear();
                self.ending.clear();
                self.reasons.clear();
                self.note_releases(&world.observed, target, &[]);
                self.publish(&world, Some(target), &Batch::default(), &[]);
                self.forget_force();
                if world.observed.leftovers.is_some() {
                    self.forget_session().await;
                }
                Next::Wait(None)
            }
            Plan::Wait { until, blocks } => {
                self.batches = 0;
                self.tell_locks(&blocks, until.map(|until| until.saturating_sub(now)));
                self.note_releases(&world.observed, target, &blocks);
                self.publish(&world, Some(target), &Batch::default(), &blocks);
                self.shown = Some((world, blocks));
                Next::Wait(until.map(|until| millis(until.saturating_sub(self.now()))))
            }
            Plan::Run(_) if self.batches >= MAX_BATCHES => {
                self.batches = 0;
                let because = "the target is not reached after many steps";
                tracing::error!("{because}");
                let block = Block {
                    app_id: None,
                    service: None,
                    because: because.to_owned(),
                    ends: Ends::BySomebody,
                };
                self.publish(&world, Some(target), &Batch::default(), &[block]);
                Next::Wait(Some(REST))
            }
            Plan::Run(batch) => {
                self.batches += 1;
                self.execute(engine, &world, target, &batch).await;
                Next::Again
            }
        }
    }

    /// A target that was not seen before begins with a clean slate.
    fn take_up(&mut self, accepted: &Accepted) {
        if accepted.generation == self.generation {
            return;
        }
        self.generation = accepted.generation;
        self.failures.clear();
        self.pinned.clear();
        self.batches = 0;
        self.locks_told.forget();
        self.tell_contracts(accepted.target.as_deref());
        let memory = &mut self.inputs.memory;
        let forced = accepted.forced.as_ref().clone();
        let begun = memory.begin_generation(accepted.generation, accepted.given, forced);
        if let Err(error) = begun {
            tracing::error!(%error, "what was asked for could not be kept");
        }
        let target = accepted.target.clone();
        self.pulls.keep(|image| {
            let apps = target.iter().flat_map(|target| target.apps.values());
            let mut services = apps.flat_map(|app| app.services.values());
            services.any(|service| service.image == image)
        });
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
        let mut progress = self.inputs.tools.pulls.subscribe();
        let mut limit = match limit {
            Some(limit) => self.inputs.clock.sleep(limit),
            None => Box::pin(std::future::pending()),
        };
        let ended = loop {
            tokio::select! {
                biased;
                changed = self.inputs.targets.changed() => return changed.map_err(|_| RecvError::Closed),
                changed = self.inputs.link.changed() => return changed.map_err(|_| RecvError::Closed),
                Some(call) = self.inputs.calls.recv() => {
                    self.waiting_calls.push_back(call);
                    return Ok(());
                }
                event = self.inputs.events.recv() => return match event {
                    Ok(_) | Err(RecvError::Lagged(_)) => Ok(()),
                    Err(closed @ RecvError::Closed) => Err(closed),
                },
                ended = self.pulls.ended() => break ended,
                Ok(()) = progress.changed() => self.publish_progress(),
                () = stillness::ended(&mut self.still) => return Ok(()),
                () = &mut limit => return Ok(()),
            }
        };
        self.note(&ended.0, ended.1);
        Ok(())
    }

    /// The planner's time: it only measures delays.
    fn now(&self) -> Millis {
        Millis::try_from(self.inputs.clock.elapsed().as_millis()).unwrap_or(Millis::MAX)
    }
}

fn millis(millis: Millis) -> Duration {
    Duration::from_millis(u64::try_from(millis).unwrap_or_default())
}
