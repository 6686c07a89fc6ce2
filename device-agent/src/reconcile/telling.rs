//! What the loop tells: reasons as system lines, and snapshots for everybody who follows.

use std::sync::Arc;

use agent_api::os::ApplyState;

use super::{Outside, Reconciler};
use crate::model::{Batch, Block, Step, Target};
use crate::observe::World;
use crate::plan;
use crate::report::{Snapshot, Sources, snapshot, stand};

impl<E: Outside> Reconciler<E> {
    /// Says why containers are made anew, before they are.
    pub(super) fn tell_reasons(&mut self, batch: &Batch) {
        for step in batch.steps() {
            if let Step::Kill {
                app_id,
                service,
                because,
                recreates: true,
                ..
            }
            | Step::HandOver {
                app_id,
                service,
                because,
                ..
            } = step
            {
                let told = format!("Recreating service '{service}' because {because}");
                self.inputs.tools.hub.system(told);
                self.reasons
                    .insert((*app_id, service.clone()), because.clone());
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
        made.applying_since = (made.report.state == ApplyState::Applying)
            .then(|| since.unwrap_or_else(std::time::Instant::now));
        self.publish.send_if_modified(|present| {
            let changed = **present != made;
            if changed {
                *present = Arc::new(made);
            }
            changed
        });
    }
}
