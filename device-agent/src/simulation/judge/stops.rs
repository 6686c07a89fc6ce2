//! Which services may be expected to be stopped on request.

use std::collections::BTreeMap;

use crate::simulation::state::Time;

/// What is known of whether a service was stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stop {
    Yes,
    /// Until a target that was sent is confirmed.
    Clearing,
    Perhaps,
}

/// See [`Stop`]; what is not here is not stopped.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Stops {
    pub(super) services: BTreeMap<(u32, String), Stop>,
    /// Until when it was perhaps so of services of which it is not so any more.
    until: BTreeMap<(u32, String), Time>,
    /// Grows with every target that is sent or confirmed.
    pub(super) targets: u64,
    /// Targets that were sent and not answered yet.
    pub(super) pending: u32,
    /// A target that could not be stored may be, and counts then from the next start on.
    is_unsure: bool,
}

impl Stops {
    pub(super) fn may_clear(&mut self) {
        self.targets += 1;
        self.pending += 1;
        for stop in self.services.values_mut() {
            if *stop == Stop::Yes {
                *stop = Stop::Clearing;
            }
        }
    }

    pub(super) fn cleared(&mut self, now: Time) {
        self.is_unsure = false;
        self.targets += 1;
        self.pending = self.pending.saturating_sub(1);
        let until = &mut self.until;
        self.services.retain(|service, stop| {
            let stays = *stop != Stop::Clearing;
            if !stays {
                until.insert(service.clone(), now);
            }
            stays
        });
    }

    /// Nobody answers any more.
    pub(super) fn mourn(&mut self) {
        if std::mem::take(&mut self.is_unsure) {
            self.are_lost();
        }
        self.unclear();
        self.pending = 0;
    }

    /// A target could not be stored, as its sender hears.
    pub(super) fn is_refused(&mut self) {
        self.is_unsure = true;
    }

    /// Any of them may be so again.
    pub(super) fn are_lost(&mut self) {
        let known = self.services.keys().chain(self.until.keys());
        self.services = known.map(|key| (key.clone(), Stop::Perhaps)).collect();
    }

    pub(super) fn unclear(&mut self) {
        self.targets += 1;
        self.pending = self.pending.saturating_sub(1);
        for stop in self.services.values_mut() {
            if *stop == Stop::Clearing {
                *stop = Stop::Perhaps;
            }
        }
    }

    pub(super) fn set(&mut self, services: &[(u32, String)], stop: Option<Stop>, now: Time) {
        for service in services {
            match stop {
                Some(stop) => {
                    self.services.insert(service.clone(), stop);
                }
                None if self.services.remove(service).is_some() => {
                    self.until.insert(service.clone(), now);
                }
                None => {}
            }
        }
    }

    /// Whether a service was perhaps stopped at some time since.
    pub(super) fn was_stopped(&self, app: u32, service: &str, since: Time) -> bool {
        let until = self.until.get(&(app, service.to_owned()));
        let was = until.is_some_and(|until| *until >= since);
        was || self.is_stopped(app, service) != Some(false)
    }

    /// `None`: that cannot be said.
    pub(in crate::simulation) fn is_stopped(&self, app: u32, service: &str) -> Option<bool> {
        match self.services.get(&(app, service.to_owned())) {
            None => Some(false),
            Some(Stop::Yes) => Some(true),
            Some(Stop::Clearing | Stop::Perhaps) => None,
        }
    }
}
