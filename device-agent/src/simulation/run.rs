//! One seed from beginning to end.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::agent::Agent;
use super::judge::{Sending, View};
use super::met::{Counts, Met};
use super::outside::ModelEngine;
use super::script::{Action, Script, TROUBLE};
use super::state::{Event, Sim, State, Time, silence};
use crate::engine::Link;
use crate::engine::events::Happened;
use agent_api::os::ApplyState;

/// After the last fault everything must have come to rest within so many milliseconds.
const PATIENCE: Time = 4 * 60 * 60 * 1000;
/// More events than any seed needs.
const MAX_EVENTS: u64 = 200_000;

/// What came of a seed.
#[derive(Debug)]
pub(super) struct Outcome {
    /// What does not hold.
    pub(super) violation: Option<String>,
    /// What happened, if that was wanted.
    pub(super) trace: Vec<String>,
    /// How often the world changed.
    pub(super) changes: u64,
    pub(super) counts: Counts,
}

struct Run {
    sim: Sim,
    is_managed: bool,
    agent: Option<Agent>,
    /// Whether the fuse of the disk is one of power.
    loses_power: bool,
    /// Whether it is looked at in a moment whether the machine is to be started anew.
    is_watched: bool,
}

/// Plays a seed.
pub(super) fn run(seed: u64, traced: bool) -> Outcome {
    let mut run = Run::new(Script::new(seed), seed, traced);
    // What happened before a panic is told as before any other violation.
    let played = catch_unwind(AssertUnwindSafe(|| run.play()));
    let mut state = run.sim.lock();
    if let Err(panic) = played {
        state.violated(format!("it panics: {}", words(panic.as_ref())));
    }
    let outcome = Outcome {
        violation: state.violation().map(str::to_owned),
        trace: state.take_trace(),
        changes: state.changes,
        counts: state.counts.clone(),
    };
    drop(state);
    // The agent's tasks and the world hold on to each other.
    drop(run.agent.take());
    let limbo = run.sim.lock().empty_limbo();
    drop(limbo);
    outcome
}

/// Plays a story until everything has come to rest.
pub(super) fn at_rest(script: Script) -> (Sim, Agent) {
    let mut run = Run::new(script, 1, true);
    run.play();
    let mut state = run.sim.lock();
    let trace = state.take_trace();
    assert_eq!(state.violation(), None, "{trace:#?}");
    drop(state);
    (run.sim, run.agent.unwrap())
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("without a word")
}

impl Run {
    fn new(script: Script, seed: u64, traced: bool) -> Self {
        let mut state = State::new(seed, script.faults, traced);
        state.note(|| format!("{:?}", script.faults));
        for spec in &script.specs {
            state.note(|| format!("{spec:?}"));
        }
        state.judge.specs = Arc::new(script.specs);
        state.engine_begins();
        for (time, action) in script.actions {
            state.at(time, Event::Act(action));
        }
        Self {
            sim: Sim::new(state),
            is_managed: script.is_managed,
            agent: None,
            loses_power: false,
            is_watched: false,
        }
    }

    fn play(&mut self) {
        for _ in 0..MAX_EVENTS {
            if let Some(agent) = &mut self.agent {
                agent.go_on();
            }
            self.watch();
            let mut state = self.sim.lock();
            if state.violation().is_some() {
                return;
            }
            if state.dead && self.agent.is_some() {
                drop(state);
                self.bury();
                continue;
            }
            if state.now > TROUBLE + PATIENCE {
                state.violated("it does not come to rest".to_owned());
                return;
            }
            match state.next_event() {
                Some(Event::Change(change)) => change(&mut state),
                Some(Event::Disk(agent, work)) => {
                    let lives = agent == state.agent && !state.dead;
                    drop(state);
                    if lives {
                        work();
                    } else {
                        drop(work);
                    }
                }
                Some(Event::Act(action)) => {
                    drop(state);
                    self.act(action);
                }
                None => {
                    drop(state);
                    self.judge_end();
                    return;
                }
            }
        }
        self.sim.lock().violated("it goes on and on".to_owned());
    }

    /// The agent is dead.
    fn bury(&mut self) {
        drop(self.agent.take());
        let power = std::mem::take(&mut self.loses_power);
        let mut state = self.sim.lock();
        state.note(|| format!("the agent is dead (power: {power})"));
        state.dead = true;
        state.happened = None;
        state.link = None;
        state.disk.fuse = None;
        state.abandon_locks();
        state.mourn();
        if power {
            state.counts.add(Met::PowerCut);
            state.boots += 1;
            state.cut_disk();
            state.lose_directories();
            state.engine_ends();
            let back = state.now + state.random.between(1, 3_000);
            state.at(back, Event::Act(Action::EngineBegins));
        }
        let back = state.now + state.random.between(1, 3_000);
        state.at(back, Event::Act(Action::Begin));
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::Begin => self.begin(),
            Action::Kill(fuse) => self.kill(fuse, false),
            Action::PowerCut(fuse) => self.kill(fuse, true),
            Action::Put(..)
            | Action::PutFleet(_)
            | Action::BeginSession
            | Action::EndSession
            | Action::Ask(_)
            | Action::Preview(_)
            | Action::Still(..) => self.call(action),
            Action::Connect => self.connect(),
            Action::CutEvents => self.cut_events(),
            Action::NoticeCut => {
                let is_cut = self.sim.lock().events_cut;
                if is_cut {
                    self.disconnect("the events have ended");
                }
            }
            Action::EngineEnds => {
                self.sim.lock().engine_ends();
                self.disconnect("connection refused");
            }
            Action::EngineBegins => {
                let mut state = self.sim.lock();
                if state.engine.link == 0 {
                    state.engine_begins();
                    let due = state.now + state.delay(300);
                    state.at(due, Event::Act(Action::Connect));
                }
            }
            Action::Rebuild(image) => self.sim.lock().rebuild(image),
            Action::TakeAway => {
                let mut state = self.sim.lock();
                let ids: Vec<String> = state.engine.containers.keys().cloned().collect();
                if !ids.is_empty() {
                    let id = state.random.pick(&ids);
                    let told = &state.engine.containers[&id].told;
                    let (app, service) = (told.app_id, told.service_name.clone());
                    state.take_away(&id);
                    state.goes_for_none(app, &service);
                }
            }
            Action::ByHand(hand) => self.sim.lock().by_hand(hand),
            Action::Duplicate => self.sim.lock().duplicate(),
            Action::Restart => self.restart(),
            Action::FillDisk(is_full) => self.sim.lock().disk.is_full = is_full,
            Action::FillEngine(is_full) => self.sim.lock().fill_engine(is_full),
            Action::Calm => {
                let mut state = self.sim.lock();
                state.note(|| "no more faults".to_owned());
                state.calm = true;
                state.disk.is_full = false;
                state.disk.fuse = None;
                state.fill_engine(false);
                state.unlock_all();
            }
        }
    }

    /// Who watches the reports starts the machine anew when they say so.
    fn watch(&mut self) {
        let wants = |agent: &Agent| agent.report().wants_restart;
        if self.agent.as_ref().is_some_and(wants) && !self.is_watched {
            self.is_watched = true;
            let mut state = self.sim.lock();
            let due = state.now + state.random.between(1, 3_000);
            state.at(due, Event::Act(Action::Restart));
        }
    }

    fn restart(&mut self) {
        self.is_watched = false;
        let wants = |agent: &Agent| agent.report().wants_restart;
        if self.agent.as_ref().is_some_and(wants) {
            self.sim.lock().counts.add(Met::Restart);
            self.kill(None, true);
        }
    }

    fn begin(&mut self) {
        if self.agent.is_some() {
            return;
        }
        self.agent = Some(Agent::begin(&self.sim, self.is_managed));
        let mut state = self.sim.lock();
        let due = state.now + state.delay(50);
        state.at(due, Event::Act(Action::Connect));
    }

    fn kill(&mut self, fuse: Option<u64>, power: bool) {
        if self.agent.is_none() {
            return;
        }
        self.loses_power = power;
        let mut state = self.sim.lock();
        match fuse {
            Some(operations) => state.disk.fuse = Some(operations),
            None => state.dead = true,
        }
    }

    fn call(&mut self, action: Action) {
        let Some(agent) = &mut self.agent else {
            return;
        };
        match action {
            Action::Put(number, force) => agent.put(Sending {
                number,
                is_fleet: false,
                force,
            }),
            Action::PutFleet(number) => agent.put(Sending {
                number,
                is_fleet: true,
                force: false,
            }),
            Action::BeginSession => agent.switch(true),
            Action::EndSession => agent.switch(false),
            Action::Ask(request) => agent.ask(request),
            Action::Preview(number) => agent.preview(number),
            Action::Still(time, force) => agent.hold_still(time, force),
            _ => {}
        }
    }

    /// The agent has a connection to the engine, if there is one.
    fn connect(&mut self) {
        let mut state = self.sim.lock();
        let link = state.engine.link;
        if let (Some(sender), true) = (&state.link, link != 0) {
            sender.send_replace(Link::Up(ModelEngine {
                sim: self.sim.clone(),
                link,
            }));
            state.events_cut = false;
            state.note(|| format!("the agent is connected to the engine ({link})"));
            state.send(Happened::Gap);
        }
    }

    /// The connection is half open: nothing comes over it any more.
    fn cut_events(&mut self) {
        let mut state = self.sim.lock();
        state.events_cut = true;
        state.counts.add(Met::HalfOpen);
        state.note(|| "the events are cut off".to_owned());
        let noticed = state.now + state.random.between(1, silence());
        state.at(noticed, Event::Act(Action::NoticeCut));
    }

    fn disconnect(&mut self, reason: &str) {
        let mut state = self.sim.lock();
        state.events_cut = true;
        if let Some(sender) = &state.link {
            sender.send_replace(Link::Down(reason.to_owned()));
        }
        state.note(|| format!("the agent is cut off: {reason}"));
        let back = state.now + state.random.between(1, 5_000);
        // The engine begins if it has ended, else there is only a new connection.
        state.at(back, Event::Act(Action::EngineBegins));
        state.at(back, Event::Act(Action::Connect));
    }

    fn judge_end(&mut self) {
        let Some(agent) = &self.agent else {
            self.sim.lock().violated("there is no agent".to_owned());
            return;
        };
        let view: View = agent.view();
        let told = agent.report();
        let mut state = self.sim.lock();
        let mut differences = state.left_behind(&view);
        if view.has_target {
            differences.extend(state.differences(&view, true));
            differences.extend(state.broken_promises(u64::MAX, &view));
        }
        if !differences.is_empty() {
            let waiting = &told.report.waiting;
            state.violated(format!(
                "everything has come to rest, but {differences:?}; it is told {:?}, {waiting:?}",
                told.report.state
            ));
        }
        let report = &told.report;
        // One that is rejected is held up for ever, which is said.
        let expected = if view.is_rejected() {
            ApplyState::Failing
        } else {
            ApplyState::Applied
        };
        let is_right = report.generation == view.generation && report.state == expected;
        if view.has_target && !is_right {
            state.violated(format!(
                "everything is as it should be, but it is told {:?} of {} of {}: {:?}",
                report.state, report.generation, view.generation, report.waiting
            ));
        }
        for service in report.services.clone() {
            let now = state.now;
            if let Some(lie) = state.lie(&service, now) {
                state.violated(format!("at the end it is not so that {lie}"));
            }
        }
    }
}
