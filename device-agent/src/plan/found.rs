//! What a phase finds: steps to run now, and what holds up the rest.

use crate::model::{Millis, Plan, Step};

use super::survey::Survey;

/// What one phase finds.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// To be run at the same time.
    pub(super) steps: Vec<Step>,
    /// Why there are not more.
    pub(super) blocked: Blocked,
}

/// What keeps the world from being as it should be.
#[derive(Debug, Default)]
pub(super) struct Blocked {
    until: Option<Millis>,
    because: Vec<String>,
}

impl Found {
    /// Adds a step, unless it failed a short while ago.
    pub(super) fn offer(&mut self, survey: &Survey<'_>, step: Step) {
        match survey.observed.failures.get(&step.key()) {
            Some(failure) if super::backoff::until(failure) > survey.now => {
                self.blocked.add(
                    Some(super::backoff::until(failure)),
                    format!("{} failed: {}", step.key(), failure.error),
                );
            }
            _ => self.steps.push(step),
        }
    }

    /// Something must happen first, and will wake the agent when it does.
    pub(super) fn wait_for(&mut self, because: String) {
        self.blocked.add(None, because);
    }
}

impl Blocked {
    fn add(&mut self, until: Option<Millis>, because: String) {
        self.and(Self {
            until,
            because: vec![because],
        });
    }

    /// Both.
    pub(super) fn and(&mut self, other: Self) {
        self.until = match (self.until, other.until) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        };
        for because in other.because {
            if !self.because.contains(&because) {
                self.because.push(because);
            }
        }
    }

    /// Waiting, or nothing left to do.
    pub(super) fn into_plan(self) -> Plan {
        if self.because.is_empty() {
            return Plan::Converged;
        }
        Plan::Wait {
            until: self.until,
            because: self.because.join("; "),
        }
    }
}
