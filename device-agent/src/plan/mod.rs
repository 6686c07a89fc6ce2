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
pub mod contracts;
mod desired;
mod found;
mod keys;
mod locks;
mod phases;
mod preview;
mod requests;
mod strategy;
mod survey;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::{BTreeMap, BTreeSet};

use agent_api::os::Room;

use crate::model::{
    Batch, Block, ImageFacts, Millis, Observed, ObservedContainer, Plan, Service, Target, Warning,
};

pub use keys::{found_api_keys, wanted_api_keys};
pub(crate) use locks::overrides_locks;
pub use preview::preview;
pub use requests::{settle, take};

pub(crate) use survey::live;

use survey::Survey;

/// What is to be done next at `now`.
#[must_use]
pub fn plan(observed: &Observed, target: &Target, now: Millis) -> Plan {
    let survey = Survey::of(observed, target, now);
    let found = phases::BACKGROUND(&survey);
    if !found.steps.is_empty() {
        return Plan::Run(Batch(vec![found.steps]));
    }
    let mut blocked = found.blocked;
    for (app, verdict) in &survey.rejected {
        blocked.reject(app.id, verdict);
    }
    for phase in phases::IN_ORDER {
        let (stages, held_up) = locks::guarded(&survey, target, phase(&survey));
        if !stages.is_empty() {
            return Plan::Run(Batch(stages));
        }
        blocked.and(held_up);
    }
    if blocked.wants_restart() {
        blocked.and(locks::against_restart(&survey, target));
    }
    blocked.into_plan()
}

/// Whether nothing is left to do but to start the machine anew, for services whose labels ask for it.
#[must_use]
pub fn wants_restart(blocks: &[Block]) -> bool {
    found::wants_restart(blocks)
}

/// Containers that are not to be started in the run of the machine in which they were created, by engine id. In
/// [`Observed::created_since_boot`] are those of them that were created in the present one.
#[must_use]
pub fn waiting_for_restart(observed: &Observed) -> BTreeSet<String> {
    let waiting = live(observed).filter(|c| strategy::requires_restart(c));
    waiting.map(|container| container.id.clone()).collect()
}

/// What the target asks for and does not get on this device, sorted; the same for as long as target and images are.
#[must_use]
pub fn warnings(observed: &Observed, target: &Target) -> Vec<Warning> {
    let mut warnings = Survey::of(observed, target, 0).warnings;
    warnings.sort();
    warnings.dedup();
    warnings
}

/// A service's container, the newest of several.
pub(crate) fn container<'a>(
    observed: &'a Observed,
    (app_id, service): &(u32, String),
) -> Option<&'a ObservedContainer> {
    live(observed)
        .filter(|c| c.app_id == *app_id && c.service_name == *service)
        .max_by_key(|c| (c.created, &c.id))
}

/// Whether the engine's disk has too little room to fetch anything.
#[must_use]
pub fn is_short(room: Room) -> bool {
    phases::is_short(room)
}

/// Of the images that earlier targets had (engine ids by reference) those that neither the target nor a container needs.
#[must_use]
pub fn unused_images(
    observed: &Observed,
    target: &Target,
    known: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let services = target.apps.values().flat_map(|app| app.services.values());
    let wanted: BTreeSet<&str> = services.map(|service| service.image.as_str()).collect();
    let containers = observed.containers.iter();
    let used: BTreeSet<&str> = containers
        .map(|container| container.config.image.as_str())
        .collect();
    let is_needed = |reference: &str, id: &str| {
        wanted.contains(reference) || used.contains(reference) || used.contains(id)
    };
    known
        .iter()
        .filter(|(reference, id)| !is_needed(reference, id))
        .map(|(reference, _)| reference.clone())
        .collect()
}

/// Whether a service talks to the agent, by its own word or its image's, so that [`Observed::api_keys`] must hold a key
/// for it.
#[must_use]
pub fn wants_api_key(service: &Service, image: Option<&ImageFacts>) -> bool {
    desired::wants_api_key(service, image)
}
