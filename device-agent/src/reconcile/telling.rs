//! What the loop tells: reasons as system lines, and snapshots for everybody who follows.

use std::sync::Arc;
use std::time::Instant;

use agent_api::os::ApplyState;

use super::{Outside, Reconciler, Tools, words};
use crate::model::{Batch, Block, Leftover, Millis, Observed, ObservedContainer, Step, Target};
use crate::observe::World;
use crate::plan;
use crate::report::{Snapshot, Sources, snapshot, stand};

impl<E: Outside> Reconciler<E> {
    /// Says why containers are made anew, before they are.
    pub(super) fn tell_reasons(&mut self, observed: &Observed, steps: &[Step]) {
        for step in steps {
            if let Step::Kill {
                id,
                recreates: false,
                ..
            }
            | Step::RemoveLeftover(Leftover::Container(id)) = step
            {
                self.goes_for_good(observed, id);
            }
            if let Step::Kill {
                app_id,
                service,
                id,
                because,
                recreates: true,
                ..
            }
            | Step::HandOver {
                app_id,
                service,
                id,
                because,
                ..
            } = step
            {
                self.ending.insert(id.clone());
                let told = format!("Recreating service '{service}' because {because}");
                self.inputs.tools.hub.system(told);
                self.reasons
                    .insert((*app_id, service.clone()), because.clone());
            }
        }
    }

    /// What comes after a container that goes for good is new. The old one of a hand-over has its successor, or is to have it,
    /// and one of two leaves the other.
    fn goes_for_good(&mut self, observed: &Observed, id: &str) {
        let of = |c: &ObservedContainer| (c.app_id, c.service_name.clone());
        let all = || plan::live(observed).filter(|c| !c.is_predecessor);
        if let Some(service) = all().find(|c| c.id == id).map(of)
            && !all().any(|c| c.id != id && of(c) == service)
        {
            self.reasons.remove(&service);
        }
    }

    /// Says which services' update locks hold up the target; the next look is in so many milliseconds.
    pub(super) fn tell_locks(&mut self, blocks: &[Block], next: Option<Millis>) {
        for line in self.locks_told.news(blocks, next) {
            self.inputs.tools.hub.system(line);
        }
    }

    /// Says what of a new target is not run because the device lacks what it requires.
    pub(super) fn tell_contracts(&self, target: Option<&Target>) {
        let Tools { facts, hub, .. } = &self.inputs.tools;
        let told = target.map(|target| words::of_contracts(target, facts));
        for line in told.into_iter().flatten() {
            if line.is_error {
                hub.system_error(line.text);
            } else {
                hub.system(line.text);
            }
        }
    }

    fn faults(&self) -> Vec<String> {
        let mut faults = self.inputs.faults.clone();
        faults.extend(self.inputs.targets.borrow().fault.clone());
        faults
    }

    pub(super) fn publish(
        &self,
        world: &World,
        target: Option<&Target>,
        doing: &Batch,
        blocks: &[Block],
    ) {
        let is_idle = doing.steps().next().is_none();
        let pulling = self.pulls.steps().cloned().collect::<Vec<_>>();
        let doing = Batch(doing.0.iter().cloned().chain([pulling]).collect());
        let mut faults = self.faults();
        faults.extend(world.faults.iter().cloned());
        let warnings = target
            .map(|target| plan::warnings(&world.observed, target))
            .unwrap_or_default();
        let made = snapshot(&Sources {
            generation: self.generation,
            target,
            observed: &world.observed,
            // Newer than those that the reading took along.
            failures: &self.failures,
            ports: &world.ports,
            doing: &doing,
            is_idle,
            reasons: &self.reasons,
            pulls: &self.inputs.tools.pulls.borrow(),
            releases: self.inputs.memory.releases(),
            warnings: &warnings,
            faults: &faults,
            blocks,
        });
        self.put(made);
    }

    /// The world is as it was read last; only pulls have gone on.
    pub(super) fn publish_progress(&self) {
        let target = self.inputs.targets.borrow().target.clone();
        if let Some((world, blocks)) = &self.shown {
            self.publish(world, target.as_deref(), &Batch::default(), blocks);
        }
    }

    /// Without a reading, what was last read stands, and who follows the present target is told what is wrong.
    pub(super) fn publish_fault(&self, fault: String) {
        let mut made = self.publish.borrow().as_ref().clone();
        made.report.generation = self.generation;
        made.report.state = ApplyState::Failing;
        made.wants_restart = false;
        made.report.waiting = Some(fault.clone());
        made.left.held_up(fault.clone());
        stand(&mut made.report.services, &made.left);
        made.report.faults = self.faults();
        made.report.faults.push(fault);
        self.put(made);
    }

    /// Wakes followers only when something has changed.
    fn put(&self, mut made: Snapshot) {
        let since = self.publish.borrow().applying_since;
        made.applying_since = applying_since(&made, since, Instant::now());
        self.publish.send_if_modified(|present| {
            let changed = **present != made;
            if changed {
                *present = Arc::new(made);
            }
            changed
        });
    }
}

/// Since when a device is on its way to its target, if it is, by what was told before. A fetch may take hours and counts for
/// nothing, also when it has ended: what follows begins anew.
fn applying_since(made: &Snapshot, before: Option<Instant>, now: Instant) -> Option<Instant> {
    let is_applying = made.report.state == ApplyState::Applying;
    let is_fetching = made.progress.is_some();
    (is_applying && !is_fetching).then(|| before.unwrap_or(now))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn what_follows_a_long_fetch_is_not_judged_by_when_the_fetch_began() {
        let began = Instant::now();
        let after = |minutes| began + Duration::from_mins(minutes);
        let mut made = Snapshot::default();
        assert_eq!(made.report.state, ApplyState::Applying);
        let since = applying_since(&made, None, began);
        assert_eq!(since, Some(began));
        assert_eq!(applying_since(&made, since, after(1)), Some(began));
        made.progress = Some(3);
        let since = applying_since(&made, since, after(2));
        assert_eq!(since, None);
        made.progress = None;
        let since = applying_since(&made, since, after(600));
        assert_eq!(since, Some(after(600)));
        made.report.state = ApplyState::Failing;
        assert_eq!(applying_since(&made, since, after(601)), None);
    }
}
