//! Who must not be disturbed: steps that end or rename a container need the update locks of all services of its
//! application.

use std::collections::{BTreeMap, BTreeSet};

use super::found::{Blocked, Found};
use super::survey::Survey;
use crate::model::{Millis, Step, Target};

/// Configuration variable with which a fleet overrides all locks.
const OVERRIDE: &str = "SUPERVISOR_OVERRIDE_LOCK";

/// When a lock is looked at again of whose end nobody told, in milliseconds: not every file system can be watched.
const LOOK_AGAIN: Millis = 60_000;

/// The application whose locks a step needs.
fn disturbs(step: &Step) -> Option<u32> {
    match step {
        Step::Stop { app_id, .. }
        | Step::Kill { app_id, .. }
        | Step::Rename { app_id, .. }
        | Step::HandOver { app_id, .. } => Some(*app_id),
        _ => None,
    }
}

/// Whether a target overrides all locks.
pub(crate) fn overrides_locks(target: &Target) -> bool {
    let value = target.config.get(OVERRIDE);
    value.is_some_and(|value| crate::model::labels::is_on(value))
}

/// The applications whose locks are overridden.
pub(super) fn forced(survey: &Survey<'_>, target: &Target, app_id: u32) -> bool {
    overrides_locks(target) || survey.observed.asked.force.contains(&app_id)
}

/// The steps that may be run, in stages: locks first. What a service's lock holds up is left out and told.
pub(super) fn guarded(
    survey: &Survey<'_>,
    target: &Target,
    found: Found,
) -> (Vec<Vec<Step>>, Blocked) {
    let Found {
        steps,
        then,
        mut blocked,
    } = found;
    let mut to_take = BTreeMap::new();
    let mut refused = BTreeSet::new();
    for app_id in steps.iter().filter_map(disturbs) {
        let locks = survey
            .observed
            .locks
            .get(&app_id)
            .cloned()
            .unwrap_or_default();
        let force = forced(survey, target, app_id);
        if locks.by_services.is_empty() || force {
            if !locks.by_agent {
                to_take.insert(app_id, force);
            }
        } else if refused.insert(app_id) {
            let again = survey.now.saturating_add(LOOK_AGAIN);
            for service in locks.by_services {
                blocked.lock(app_id, &service, again);
            }
        }
    }
    let mut locks = Found::default();
    for (app_id, force) in to_take {
        locks.offer(survey, Step::TakeLocks { app_id, force });
        let taken = locks
            .steps
            .iter()
            .any(|step| matches!(step, Step::TakeLocks { app_id: taken, .. } if *taken == app_id));
        if !taken {
            refused.insert(app_id);
        }
    }
    blocked.and(locks.blocked);
    let allowed = |steps: Vec<Step>| -> Vec<Step> {
        let may = |step: &Step| disturbs(step).is_none_or(|app_id| !refused.contains(&app_id));
        steps.into_iter().filter(may).collect()
    };
    let steps = allowed(steps);
    if steps.is_empty() {
        return (Vec::new(), blocked);
    }
    let then = if refused.is_empty() { then } else { Vec::new() };
    let stages = [locks.steps, steps, then];
    let stages = stages.into_iter().filter(|stage| !stage.is_empty());
    (stages.collect(), blocked)
}

/// The locks of services that do not let the machine be started anew.
pub(super) fn against_restart(survey: &Survey<'_>, target: &Target) -> Blocked {
    let mut blocked = Blocked::default();
    let again = survey.now.saturating_add(LOOK_AGAIN);
    for (app_id, locks) in &survey.observed.locks {
        if !forced(survey, target, *app_id) {
            for service in &locks.by_services {
                blocked.lock(*app_id, service, again);
            }
        }
    }
    blocked
}

/// Locks that are not needed any more, or that an agent before this one left.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for (app_id, locks) in &survey.observed.locks {
        let busy = survey
            .observed
            .containers
            .iter()
            .any(|c| c.app_id == *app_id && c.is_predecessor);
        if (locks.by_agent && !busy) || locks.stale {
            found.offer(survey, Step::ReleaseLocks { app_id: *app_id });
        }
    }
    found
}
