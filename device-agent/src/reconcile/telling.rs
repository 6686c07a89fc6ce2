//! What the loop tells: reasons as system lines, and snapshots for everybody who follows.

use std::sync::Arc;

use agent_api::os::ApplyState;

use super::Reconciler;
use crate::model::{Batch, Step, Target};
use crate::observe::World;
use crate::plan;
use crate::report::{Snapshot, Sources, snapshot};

impl Reconciler {
    /// Says why containers are made anew, before they are.
    pub(super) fn tell_reasons(&mut self, batch: &Batch) {
        for step in &batch.0 {
            match step {
                Step::Kill {
                    app_id,
                    service,
                    because,
                    ..
                } => {
                    let key = (*app_id, service.clone());
                    if self.is_wanted(&key) {
                        self.inputs
                            .hub
                            .system(format!("Recreating service '{service}' because {because}"));
                        self.reasons.insert(key, because.clone());
                    }
                }
                Step::Install {
                    app_id, service, ..
                } => {
                    self.reasons
                        .entry((*app_id, service.clone()))
                        .or_insert_with(|| "new".to_owned());
                }
                _ => {}
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
        waiting: Option<&str>,
    ) {
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
            doing,
            reasons: &self.reasons,
            pulls: &self.pulls.borrow(),
            warnings: &warnings,
            faults: &faults,
            waiting,
        });
        self.put(made);
    }

    /// Without a reading, what was last read stands, and who follows the present target is told what is wrong.
    pub(super) fn publish_fault(&self, fault: String) {
        let mut made = self.publish.borrow().as_ref().clone();
        made.report.generation = self.generation;
        made.report.state = ApplyState::Failing;
        made.report.waiting = Some(fault.clone());
        made.report.faults = self.faults();
        made.report.faults.push(fault);
        self.put(made);
    }

    /// Wakes followers only when something has changed.
    fn put(&self, made: Snapshot) {
        self.publish.send_if_modified(|present| {
            let changed = **present != made;
            if changed {
                *present = Arc::new(made);
            }
            changed
        });
    }
}
