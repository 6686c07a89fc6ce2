//! Observed world and target → the next steps.
//!
//! What comes in: values read once. What goes out: a [`Plan`]. Pure and synchronous: no I/O, no clock, no randomness;
//! equal inputs give equal plans. Phases stand in order; the first that finds steps wins, and what it finds may run at
//! the same time. After it the world is read again, so nothing is planned on hope.
//!
//! A service that fails holds up only what waits for it. What failed is tried again after 2ⁿ × 500 ms, at most 15
//! minutes; until then the plan waits and says why.

mod backoff;
mod compare;
mod desired;
mod found;
mod phases;
mod survey;
#[cfg(test)]
mod tests;

use crate::model::{Batch, Millis, Observed, Plan, Service, Target, Warning};

use survey::Survey;

/// What is to be done next at `now`.
#[must_use]
pub fn plan(observed: &Observed, target: &Target, now: Millis) -> Plan {
    let survey = Survey::of(observed, target, now);
    let mut blocked = found::Blocked::default();
    for phase in phases::IN_ORDER {
        let found = phase(&survey);
        if !found.steps.is_empty() {
            return Plan::Run(Batch(found.steps));
        }
        blocked.and(found.blocked);
    }
    blocked.into_plan()
}

/// What the target asks for and does not get on this device, sorted; the same for as long as target and images are.
#[must_use]
pub fn warnings(observed: &Observed, target: &Target) -> Vec<Warning> {
    let mut warnings = Survey::of(observed, target, 0).warnings;
    warnings.sort();
    warnings.dedup();
    warnings
}

/// Whether a service talks to the agent, so that [`Observed::api_keys`] must hold a key for it.
#[must_use]
pub fn wants_api_key(service: &Service) -> bool {
    desired::wants_api_key(service)
}
