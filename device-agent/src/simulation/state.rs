//! All that there is in a simulated world, its time, and what will happen in it.
//!
//! One lock for everything: the agent's tasks and the world take turns on one thread.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, oneshot, watch};

use super::disk::Files;
use super::engine::Engine;
use super::judge::Judge;
use super::locks::Locks;
use super::met::{Counts, Met};
use super::outside::ModelEngine;
use super::random::Random;
use super::script::{Action, Faults};
use crate::engine::events::Happened;
use crate::engine::{EngineError, Link, SILENCE};
use crate::store::disk::Work;

/// Milliseconds since the beginning.
pub(super) type Time = u64;

/// The longest time without an event that the agent believes.
pub(super) fn silence() -> Time {
    Time::try_from(SILENCE.as_millis()).unwrap()
}

/// A change of the world at a time.
pub(super) type Change = Box<dyn FnOnce(&mut State) + Send>;

/// What happens at a time.
pub(super) enum Event {
    /// A change of the world.
    Change(Change),
    /// Work on the disk, of the agent of this number.
    Disk(u32, Work),
    /// Something that somebody does.
    Act(Action),
}

/// A handle on the world.
#[derive(Clone)]
pub(super) struct Sim(Arc<Mutex<State>>);

impl std::fmt::Debug for Sim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sim")
    }
}

impl Sim {
    pub(super) fn new(state: State) -> Self {
        Self(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// See the module.
pub(super) struct State {
    pub(super) now: Time,
    queue: BTreeMap<(Time, u64), Event>,
    serial: u64,
    pub(super) random: Random,
    pub(super) faults: Faults,
    /// No more faults: what was asked for must come about.
    pub(super) calm: bool,
    /// Whether the agent was killed: nothing that it still does has an effect.
    pub(super) dead: bool,
    /// Grows by one with every start of the agent.
    pub(super) agent: u32,
    pub(super) engine: Engine,
    pub(super) disk: Files,
    pub(super) locks: Locks,
    pub(super) judge: Judge,
    /// Grows with every change that a reading may see.
    pub(super) changes: u64,
    pub(super) counts: Counts,
    /// When the call that was sent last is answered.
    last_answer: Time,
    /// Grows by one with every start of the machine.
    pub(super) boots: u32,
    /// What a killed agent waits for.
    limbo: Vec<Box<dyn Any + Send>>,
    trace: Option<Vec<String>>,
    violation: Option<String>,
    pub(super) happened: Option<broadcast::Sender<Happened>>,
    pub(super) link: Option<watch::Sender<Link<ModelEngine>>>,
    /// Whether the engine's events are cut off.
    pub(super) events_cut: bool,
}

/// A call of the engine's API.
#[derive(Debug, Clone)]
pub(super) struct Call {
    /// What it is about: the engine does one thing after the other with it. Empty for what only reads.
    pub(super) object: String,
    /// How long the agent waits for the answer.
    pub(super) limit: Duration,
    /// Milliseconds that it takes at most when nothing is wrong.
    pub(super) usual: Time,
}

/// What becomes of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Good,
    FailsBefore,
    FailsAfter,
}

impl State {
    pub(super) fn new(seed: u64, faults: Faults, traced: bool) -> Self {
        Self {
            now: 0,
            queue: BTreeMap::new(),
            serial: 0,
            random: Random::new(seed),
            faults,
            calm: false,
            dead: true,
            agent: 0,
            engine: Engine::default(),
            disk: Files::default(),
            locks: Locks::default(),
            judge: Judge::default(),
            changes: 0,
            counts: Counts::default(),
            last_answer: 0,
            boots: 0,
            limbo: Vec::new(),
            trace: traced.then(Vec::new),
            violation: None,
            happened: None,
            link: None,
            events_cut: false,
        }
    }

    /// Notes what happens, for people.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(format!("{:>9} {}", self.now, what()));
        }
    }

    /// An invariant does not hold. The first one counts.
    pub(super) fn violated(&mut self, what: String) {
        self.note(|| format!("VIOLATION {what}"));
        self.violation.get_or_insert(what);
    }

    pub(super) fn violation(&self) -> Option<&str> {
        self.violation.as_deref()
    }

    pub(super) fn take_trace(&mut self) -> Vec<String> {
        self.trace.take().unwrap_or_default()
    }

    pub(super) fn at(&mut self, time: Time, event: Event) {
        self.serial += 1;
        self.queue.insert((time.max(self.now), self.serial), event);
    }

    pub(super) fn after(&mut self, delay: Time, change: impl FnOnce(&mut Self) + Send + 'static) {
        self.at(self.now + delay, Event::Change(Box::new(change)));
    }

    /// The next event; time goes on to it.
    pub(super) fn next_event(&mut self) -> Option<Event> {
        let ((time, _), event) = self.queue.pop_first()?;
        self.now = time;
        Some(event)
    }

    /// Something changed that a reading of the world may see.
    pub(super) fn changed(&mut self, what: impl FnOnce() -> String) {
        self.changes += 1;
        self.note(what);
    }

    /// Tells the agent that something happened, if it can be told. Of an event that is lost it knows only that nothing
    /// was told for long, at the latest.
    pub(super) fn tell(&mut self) {
        let is_lost = !self.calm && self.random.chance(self.faults.lost);
        let (delay, happened) = if is_lost {
            self.counts.add(Met::LostEvent);
            (silence(), Happened::Gap)
        } else {
            (self.delay(20), Happened::Other)
        };
        let agent = self.agent;
        self.after(delay, move |state| {
            if state.agent == agent && !state.events_cut {
                state.send(happened);
            }
        });
    }

    pub(super) fn send(&self, happened: Happened) {
        if let Some(sender) = &self.happened {
            // Nobody may listen.
            drop(sender.send(happened));
        }
    }

    /// Milliseconds, mostly few.
    pub(super) fn delay(&mut self, usual: Time) -> Time {
        let delay = self.random.between(0, usual);
        if !self.calm && self.random.chance(self.faults.slow) {
            delay + self.random.between(10, 4_000)
        } else {
            delay
        }
    }

    /// Holds on to something until the agent is started anew.
    pub(super) fn forget(&mut self, thing: Box<dyn Any + Send>) {
        self.limbo.push(thing);
    }

    pub(super) fn empty_limbo(&mut self) -> Vec<Box<dyn Any + Send>> {
        std::mem::take(&mut self.limbo)
    }

    /// Sends a call to the engine, which does it some time, or does not.
    pub(super) fn call<T: Send + 'static>(
        &mut self,
        link: u64,
        call: Call,
        effect: impl FnOnce(&mut Self) -> Result<T, EngineError> + Send + 'static,
    ) -> oneshot::Receiver<Result<T, EngineError>> {
        let (sender, answer) = oneshot::channel();
        if self.dead {
            self.forget(Box::new(sender));
            return answer;
        }
        let Call {
            object,
            limit,
            usual,
        } = call;
        let limit = self.now + Time::try_from(limit.as_millis()).unwrap();
        let mut due = self.now + self.delay(usual);
        let troubled = !self.calm;
        if troubled && self.random.chance(self.faults.hangs) {
            due = limit + self.random.between(1, 30_000);
        }
        if !object.is_empty() {
            let free = self.engine.busy.entry(object).or_default();
            due = due.max(*free);
            *free = due;
        }
        let fate = if troubled && self.random.chance(self.faults.errors) {
            self.random.pick(&[Fate::FailsBefore, Fate::FailsAfter])
        } else {
            Fate::Good
        };
        match fate {
            Fate::Good => {}
            Fate::FailsBefore => self.counts.add(Met::FailedCall),
            Fate::FailsAfter => self.counts.add(Met::DoneAndFailed),
        }
        let answered = due + self.delay(usual);
        if answered > limit {
            self.counts.add(Met::NoAnswer);
        }
        if answered < self.last_answer {
            self.counts.add(Met::Overtaken);
        }
        self.last_answer = answered;
        // A call whose client goes away is sometimes given up.
        let is_given_up = self.random.chance(50);
        let agent = self.agent;
        let sender = if answered > limit {
            self.at(
                limit,
                Event::Change(Box::new(move |_| {
                    drop(sender.send(Err(EngineError::Hanging(Duration::from_secs(30)))));
                })),
            );
            None
        } else {
            Some(sender)
        };
        let act = move |state: &mut Self| {
            let gone = || Err(EngineError::Unusable("connection closed".to_owned()));
            let is_away = state.engine.link != link;
            let outcome = if is_away || (is_given_up && state.agent != agent) {
                gone()
            } else if fate == Fate::FailsBefore {
                Err(refused())
            } else {
                effect(state)
            };
            let outcome = match fate {
                Fate::FailsAfter => Err(refused()),
                Fate::Good | Fate::FailsBefore => outcome,
            };
            let Some(sender) = sender else { return };
            state.at(
                answered,
                Event::Change(Box::new(move |state| {
                    let is_away = state.engine.link != link;
                    // Who asked may be gone.
                    drop(sender.send(if is_away { gone() } else { outcome }));
                })),
            );
        };
        self.at(due, Event::Change(Box::new(act)));
        answer
    }
}

fn refused() -> EngineError {
    EngineError::Refused {
        status: 500,
        message: "the engine is not well".to_owned(),
    }
}
