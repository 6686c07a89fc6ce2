//! What must always hold, judged by what people asked for and what the engine did; nothing here asks the planner.

mod asked;
mod contracts;
mod deeds;
mod ends;
mod hand_over;
mod leftovers;
mod losses;
mod purges;
mod reasons;
mod reports;
mod services;
mod stops;
#[cfg(test)]
mod tests;
mod volumes;
mod waits;

use std::collections::BTreeSet;
use std::sync::Arc;

use super::met::Met;
use super::outside::Reading;
use super::spec::Spec;
use super::state::State;
use crate::model::{Step, Target};
use crate::store::Accepted;

use asked::Promise;
use deeds::Deeds;
pub(super) use ends::View;
use leftovers::Leftovers;
use losses::Losses;
use reasons::Reasons;
use services::Fetching;
use stops::Stops;
use volumes::Session;

/// What is known of what was asked for.
#[derive(Debug, Default)]
pub(super) struct Judge {
    pub(super) specs: Arc<Vec<Spec>>,
    /// The last whole reading of the present agent.
    pub(super) reading: Option<Reading>,
    /// The one that was told last.
    pub(super) told: Option<Reading>,
    /// The name of the target for which the world was read last.
    pub(super) read_for: Option<String>,
    /// The same for what was told last.
    told_for: Option<String>,
    deeds: Deeds,
    fetching: Option<Fetching>,
    reasons: Reasons,
    /// Targets that were only thought of: nothing is told of what is read for them.
    pub(super) proposals: Vec<Arc<Target>>,
    /// The last change of the store that was confirmed.
    confirmed: Option<Accepted>,
    /// Requests, in the order in which they were made.
    promises: Vec<Promise>,
    stops: Stops,
    pub(in crate::simulation) losses: Losses,
    /// The last generation of which something is not run because of a contract.
    rejected_in: u64,
    /// Contents of volumes that were let go by the target that counted when their removal began.
    let_go: BTreeSet<u64>,
    /// Local sessions, in their order.
    sessions: Vec<Session>,
    leftovers: Leftovers,
    /// Targets that were sent, of the local network and of the fleet.
    sent: [Vec<Sent>; 2],
    /// Whether somebody was promised that nothing is changed.
    is_still: bool,
    /// Each time that this was asked for, whether it may be so now: it has neither ended nor been refused.
    stillness: Vec<bool>,
}

/// A target that was sent.
#[derive(Debug)]
struct Sent {
    number: usize,
    /// Whether it overrides locks, until all is applied.
    force: bool,
    /// All was applied: locks count again.
    is_spent: bool,
    /// What its sender was told.
    answer: Answer,
}

/// What the sender of a target was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Nothing,
    Stored,
    /// It could not be stored.
    Refused,
}

impl Sent {
    fn is_refused(&self) -> bool {
        self.answer == Answer::Refused
    }
}

impl Judge {
    /// Whether somebody wants nothing to be changed. The agent hears at once when that ends, so that no reading is too old for it.
    fn may_be_still(&self) -> bool {
        self.stillness.contains(&true)
    }

    /// Whether the world is read for a target that is only thought of.
    pub(super) fn is_proposal(&self, target: Option<&Target>) -> bool {
        let is_it = |target: &Target| {
            self.proposals
                .iter()
                .any(|p| std::ptr::eq(p.as_ref(), target))
        };
        target.is_some_and(is_it)
    }
}

/// A target that a client sends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sending {
    pub(super) number: usize,
    /// As the fleet's, or as that of a local session.
    pub(super) is_fleet: bool,
    pub(super) force: bool,
}

impl State {
    /// A target is sent. What comes back names it.
    pub(super) fn sends_target(&mut self, sending: Sending) -> usize {
        if self.judge.deeds.is_busy() {
            self.counts.add(Met::TargetMidWay);
        }
        let to = usize::from(sending.is_fleet);
        self.judge.sent[to].push(Sent {
            number: sending.number,
            force: sending.force,
            is_spent: false,
            answer: Answer::Nothing,
        });
        self.may_mean_of(sending.number);
        self.judge.sent[to].len() - 1
    }

    /// A target that was sent could not be stored, as the client hears.
    pub(super) fn hears_of_refusal(&mut self, is_fleet: bool, which: usize) {
        self.judge.sent[usize::from(is_fleet)][which].answer = Answer::Refused;
    }

    /// A target that was sent is stored, as the client hears.
    pub(super) fn hears_of_target(&mut self, is_fleet: bool, which: usize) {
        self.judge.sent[usize::from(is_fleet)][which].answer = Answer::Stored;
    }

    /// Another target is about to count.
    pub(super) fn sends_change(&mut self) {
        self.judge.stops.may_clear();
    }

    /// A change of the store was confirmed, or refused.
    pub(super) fn hears_of_change(&mut self, changed: Option<&Accepted>, is_given: bool) {
        if let Some(accepted) = changed {
            let generation = accepted.generation;
            self.note(|| format!("people: generation {generation} is stored"));
            let before = self.judge.confirmed.as_ref();
            if before.is_none_or(|before| before.generation <= generation) {
                self.judge.confirmed = Some(accepted.clone());
            }
        } else {
            self.note(|| "people: it could not be stored".to_owned());
            self.judge.stops.is_refused();
        }
        if changed.is_some() && is_given {
            let now = self.now;
            self.judge.stops.cleared(now);
        } else {
            // It may have been stored all the same, or be the target of before.
            self.judge.stops.unclear();
        }
    }

    /// What an agent finds on the disk when it begins.
    pub(super) fn judge_store(&mut self, found: &Accepted, asked: u64, forgotten: Option<&String>) {
        let generation = found.generation;
        self.note(|| {
            format!(
                "agent begins with generation {generation}, {:?}",
                found.mode
            )
        });
        if let Some(fault) = found.fault.as_ref().or(forgotten)
            && !self.judge.losses.is_betrayed
        {
            self.violated(format!("what was stored is damaged: {fault}"));
        }
        if let Some(confirmed) = &self.judge.confirmed {
            let name = |accepted: &Accepted| accepted.target.as_ref().map(|t| t.name.clone());
            let is_lost = found.generation < confirmed.generation
                || (found.generation == confirmed.generation
                    && found.mode == confirmed.mode
                    && name(found) != name(confirmed));
            if is_lost {
                let wanted = confirmed.generation;
                self.violated(format!("generation {wanted} was confirmed and is lost"));
            }
        }
        let promised = self.judge.promises.iter().filter_map(|p| p.number).max();
        if promised.is_some_and(|promised| promised > asked) {
            self.violated(format!("request {promised:?} was confirmed and is lost"));
        }
    }

    /// The agent is no more: what was not confirmed may have been done or not.
    pub(super) fn mourn(&mut self) {
        self.judge.reading = None;
        self.judge.told = None;
        self.judge.told_for = None;
        self.judge.stops.mourn();
        self.end_promises();
        self.judge.losses.refusals.clear();
        self.judge.is_still = false;
        self.judge.stillness.clear();
        self.judge.read_for = None;
        self.judge.deeds = Deeds::default();
        self.judge.fetching = None;
        self.judge.reasons = Reasons::default();
        // That locks count again may not have reached the disk.
        for sent in self.judge.sent.iter_mut().flatten() {
            sent.is_spent = false;
        }
    }

    /// Somebody asks for nothing to be changed. What comes back names it.
    pub(super) fn asks_for_stillness(&mut self) -> usize {
        self.judge.stillness.push(true);
        self.judge.stillness.len() - 1
    }

    /// Who asked for nothing to be changed is answered.
    pub(super) fn begins_stillness(&mut self, is_granted: bool) {
        self.note(|| format!("people: nothing is to be changed ({is_granted})"));
        if is_granted {
            self.judge.is_still = true;
            self.counts.add(Met::Stillness);
        }
    }

    /// It ends, or was refused.
    pub(super) fn ends_stillness(&mut self, which: usize) {
        if let Some(may_be) = self.judge.stillness.get_mut(which) {
            *may_be = false;
        }
        self.note(|| "people: everything may be changed".to_owned());
        self.judge.is_still = false;
    }

    /// The agent begins a step. A pull disturbs nobody.
    pub(super) fn judge_step(&mut self, step: &Step) {
        if self.judge.is_still && !step.is_background() {
            self.violated(format!("{} while nothing is to be changed", step.key()));
        }
        self.note_let_go(step);
        self.judge_contract(step);
        self.judge_reason(step);
    }

    /// The agent says that all of a target is applied.
    pub(super) fn spend_force(&mut self, target: &str) {
        let specs = &self.judge.specs;
        let sent = self.judge.sent.iter_mut().flatten();
        for sent in sent.filter(|sent| specs[sent.number].name == target) {
            sent.is_spent = true;
        }
    }

    /// A container runs: no other of its service may, but during a hand-over.
    pub(super) fn judge_running(&mut self, id: &str) {
        let this = &self.engine.containers[id].told;
        let (app, service) = (this.app_id, this.service_name.clone());
        let up: Vec<_> = self
            .engine
            .containers
            .values()
            .filter(|c| c.told.app_id == app && c.told.service_name == service && c.is_up())
            .collect();
        let successors = up.iter().filter(|c| !c.told.is_predecessor).count();
        let predecessors = up.len() - successors;
        if successors > 1 || predecessors > 1 {
            let names: Vec<String> = up.iter().map(|c| c.told.name.clone()).collect();
            self.violated(format!("{app}/{service} lives more than once: {names:?}"));
        }
    }

    /// A container runs: not before the machine's next start, if its label asks for that. Where nothing can be written the
    /// agent does not wait.
    pub(super) fn judge_first_run(&mut self, id: &str) {
        let container = &self.engine.containers[id];
        if !container.requires_restart() || container.run > 1 {
            return;
        }
        let name = container.told.name.clone();
        let can_write = !self.counts.has(Met::FailedWrite) && !self.counts.has(Met::FullDisk);
        if container.born_in != self.boots {
            self.counts.add(Met::RestartForService);
        } else if can_write {
            self.violated(format!("{name} runs before the machine was started anew"));
        }
    }

    /// The agent begins to do something to a container that needs its application's locks.
    pub(super) fn judge_disturbance(&mut self, id: &str, word: &str) {
        let Some(container) = self.engine.containers.get(id) else {
            return;
        };
        let app = container.told.app_id;
        let name = container.told.name.clone();
        let lockers: Vec<String> = self
            .locks
            .by_services(app)
            .into_iter()
            .map(str::to_owned)
            .collect();
        if !lockers.is_empty() && !self.is_forced(app) {
            self.violated(format!(
                "{name} is {word} while {lockers:?} of {app} hold their locks"
            ));
        }
    }

    /// Targets that may count, or have counted a moment ago.
    fn sent_lately(&self) -> impl Iterator<Item = &Sent> {
        let is_betrayed = self.judge.losses.is_betrayed;
        let sent = self.judge.sent.iter();
        sent.flat_map(move |sent| {
            let mut stored = 0;
            // Those that could not be stored leave the one before in force, or are stored all the same.
            sent.iter().rev().take_while(move |sent| {
                let counts = is_betrayed || stored < 2;
                stored += u32::from(!sent.is_refused());
                counts
            })
        })
    }

    fn is_forced(&self, app: u32) -> bool {
        let lately = self.sent_lately();
        let mut overridden = lately.map(|sent| {
            let spec = &self.judge.specs[sent.number];
            // What stays of the fleet's beside a local target was not sent with it.
            let is_in_it = spec.apps.contains_key(&app);
            spec.overrides_locks || (sent.force && !sent.is_spent && is_in_it)
        });
        overridden.any(|yes| yes) || self.judge.promises.iter().any(|p| p.forces(app))
    }
}
