//! Batches are carried out: stage by stage, the steps of a stage side by side. How each went is noted for the next planning.

use futures_util::{StreamExt, stream};

use super::{NOT_NOTED, Outside, Reconciler, pulls};
use crate::engine::EngineError;
use crate::model::{Batch, Failure, Step, Target};
use crate::observe::World;

/// Steps at a time.
const PARALLEL: usize = 8;

impl<E: Outside> Reconciler<E> {
    /// Runs a batch stage by stage, the steps of a stage side by side, and notes how each went.
    pub(super) async fn execute(
        &mut self,
        engine: &E,
        world: &World,
        target: &Target,
        batch: &Batch,
    ) {
        for stage in &batch.0 {
            let (background, steps): (Vec<_>, Vec<_>) =
                stage.iter().cloned().partition(Step::is_background);
            for step in &background {
                self.pulls.begin(engine, &self.inputs.tools, step);
            }
            let (steps, has_failed) = self.note_stops(steps);
            if background.is_empty() && steps.is_empty() {
                return;
            }
            self.tell_reasons(&world.observed, &steps);
            // Of what follows it is not known yet whether it is done.
            let doing = background.into_iter().chain(steps.iter().cloned());
            let doing = Batch(vec![doing.collect()]);
            self.publish(world, Some(target), &doing, &[]);
            let outcomes = self.run_stage(engine, world, target, &steps).await;
            let has_failed = has_failed || outcomes.iter().any(|(_, outcome)| outcome.is_err());
            for (step, outcome) in outcomes {
                self.note(&step, outcome);
            }
            if has_failed {
                return;
            }
        }
    }

    async fn run_stage(
        &mut self,
        engine: &E,
        world: &World,
        target: &Target,
        steps: &[Step],
    ) -> Vec<pulls::Outcome> {
        let tools = self.inputs.tools.clone();
        let mut progress = tools.pulls.subscribe();
        let doing = Batch(vec![steps.to_vec()]);
        let mut running = std::pin::pin!(
            stream::iter(steps.to_vec())
                .map(|step| {
                    let tools = &tools;
                    async move {
                        let outcome = engine.execute(&step, tools).await;
                        (step, outcome)
                    }
                })
                .buffer_unordered(PARALLEL)
                .collect::<Vec<_>>()
        );
        loop {
            let ended = tokio::select! {
                biased;
                outcomes = running.as_mut() => return outcomes,
                Some(call) = self.inputs.calls.recv() => {
                    self.waiting_calls.push_back(call);
                    continue;
                }
                Ok(()) = progress.changed() => {
                    self.publish(world, Some(target), &doing, &[]);
                    continue;
                }
                ended = self.pulls.ended() => ended,
            };
            self.note(&ended.0, ended.1);
        }
    }

    /// Noted before it is done: one that was stopped and not noted would count as ended by itself. So would one that was to
    /// be removed as well and then fitted the target again. What cannot be noted is not done: it has failed. Returns what is
    /// left to be done, and whether something has failed.
    fn note_stops(&mut self, steps: Vec<Step>) -> (Vec<Step>, bool) {
        let ends: Vec<_> = steps.iter().filter_map(Step::stopped).collect();
        if ends.is_empty() {
            return (steps, false);
        }
        let Err(error) = self.inputs.memory.note_stopped(ends) else {
            return (steps, false);
        };
        tracing::error!(%error, "what is to be stopped could not be kept");
        let (ends, others): (Vec<_>, Vec<_>) =
            steps.into_iter().partition(|step| step.stopped().is_some());
        for step in &ends {
            self.has_failed(step, format!("{NOT_NOTED}{error}"));
        }
        (others, !ends.is_empty())
    }

    pub(super) fn note(&mut self, step: &Step, outcome: Result<(), EngineError>) {
        match outcome {
            Ok(()) => {
                self.failures.remove(&step.key());
                if let Step::Start { id, .. } = step {
                    self.ending.remove(id);
                }
                let kept = match step {
                    // Nothing more of it is to be disturbed.
                    Step::ReleaseLocks { app_id } => self.inputs.memory.forget_force(*app_id),
                    Step::Start { id, .. } => self.inputs.memory.note_started(id),
                    Step::RemoveImage { image } => self.inputs.memory.forget_image(image),
                    _ => Ok(()),
                };
                if let Err(error) = kept {
                    tracing::error!(%error, "what was done could not be kept");
                }
            }
            Err(error) => self.has_failed(step, error.to_string()),
        }
    }

    fn has_failed(&mut self, step: &Step, error: String) {
        let at = self.now();
        let failure = self.failures.entry(step.key()).or_insert(Failure {
            count: 0,
            at,
            error: String::new(),
        });
        failure.count = failure.count.saturating_add(1);
        failure.at = at;
        failure.error = error;
    }
}
