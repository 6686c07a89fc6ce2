//! What a phase finds: steps to run now, and what holds up the rest.

use crate::model::{Block, Ends, Millis, Plan, Step};

use super::contracts::Verdict;
use super::survey::Survey;

/// What one phase finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// To be run at the same time.
    pub(super) steps: Vec<Step>,
    /// To be run when all of `steps` have succeeded.
    pub(super) then: Vec<Step>,
    /// Why there are not more.
    pub(super) blocked: Blocked,
}

/// What keeps the world from being as it should be.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    until: Option<Millis>,
    blocks: Vec<Block>,
}

/// What something is about: an application, and perhaps one of its services.
#[derive(Debug, Clone, Copy)]
pub(super) struct About<'a>(pub(super) u32, pub(super) Option<&'a str>);

impl Found {
    /// Adds a step, unless it failed a short while ago.
    pub(super) fn offer(&mut self, survey: &Survey<'_>, step: Step) {
        let app_id = step.about().map(|(app_id, _)| app_id);
        self.offer_for(survey, app_id, step);
    }

    /// The same for a step that does not say which application it is for, if it is for one.
    pub(super) fn offer_for(&mut self, survey: &Survey<'_>, app_id: Option<u32>, step: Step) {
        match survey.observed.failures.get(&step.key()) {
            Some(failure) if super::backoff::until(failure) > survey.now => {
                let service = step.about().and_then(|(_, service)| service);
                self.blocked.earliest(super::backoff::until(failure));
                self.blocked.push(Block {
                    app_id,
                    service: service.map(str::to_owned),
                    because: format!("{} failed: {}", step.key(), failure.error),
                    ends: Ends::BySomebody,
                });
            }
            _ => self.steps.push(step),
        }
    }

    /// Something must happen first, and will wake the agent when it does.
    pub(super) fn wait_for(&mut self, about: About<'_>, because: String) {
        self.blocked.push(about.block(because, Ends::ByItself));
    }

    /// Another service must be started first.
    pub(super) fn wait_for_start(&mut self, about: About<'_>, because: String) {
        self.blocked.push(about.block(because, Ends::WithStart));
    }

    /// Somebody must do something first.
    pub(super) fn fault(&mut self, about: About<'_>, because: String) {
        self.blocked.push(about.block(because, Ends::BySomebody));
    }

    /// The machine must be started anew first.
    pub(super) fn restart(&mut self, about: About<'_>, because: String) {
        self.blocked.push(about.block(because, Ends::WithRestart));
    }

    /// Somebody must do something first, of which nothing tells: it is looked at again at `until`.
    pub(super) fn fault_until(&mut self, about: About<'_>, until: Millis, because: String) {
        self.blocked.earliest(until);
        self.fault(about, because);
    }

    /// Nothing but time must pass.
    pub(super) fn wait_until(&mut self, about: About<'_>, until: Millis, because: String) {
        self.blocked.earliest(until);
        self.blocked.push(about.block(because, Ends::ByItself));
    }
}

impl About<'_> {
    fn block(self, because: String, ends: Ends) -> Block {
        Block {
            app_id: Some(self.0),
            service: self.1.map(str::to_owned),
            because,
            ends,
        }
    }
}

impl Blocked {
    /// A service's lock is in the way.
    pub(super) fn lock(&mut self, app_id: u32, service: &str, again: Millis) {
        self.earliest(again);
        let because = format!("{service} holds its update lock");
        self.push(About(app_id, Some(service)).block(because, Ends::WithLock));
    }

    /// The device lacks what a release requires.
    pub(super) fn reject(&mut self, app_id: u32, verdict: &Verdict) {
        for (service, because) in verdict.unmet() {
            let about = About(app_id, Some(service));
            self.push(about.block(because.to_owned(), Ends::BySomebody));
        }
    }

    /// Whether nothing is left to do but to start the machine anew. What somebody must see to does not keep it from that.
    pub(super) fn wants_restart(&self) -> bool {
        wants_restart(&self.blocks)
    }

    fn earliest(&mut self, until: Millis) {
        self.until = Some(self.until.map_or(until, |other| other.min(until)));
    }

    fn push(&mut self, block: Block) {
        if !self.blocks.contains(&block) {
            self.blocks.push(block);
        }
    }

    /// Both.
    pub(super) fn and(&mut self, other: Self) {
        if let Some(until) = other.until {
            self.earliest(until);
        }
        for block in other.blocks {
            self.push(block);
        }
    }

    /// Waiting, or nothing left to do.
    pub(super) fn into_plan(self) -> Plan {
        if self.blocks.is_empty() {
            return Plan::Converged;
        }
        Plan::Wait {
            until: self.until,
            blocks: self.blocks,
        }
    }
}

/// See [`Blocked::wants_restart`].
pub(super) fn wants_restart(blocks: &[Block]) -> bool {
    let any = |ends| blocks.iter().any(|block| block.ends == ends);
    any(Ends::WithRestart) && !any(Ends::ByItself) && !any(Ends::WithLock)
}
