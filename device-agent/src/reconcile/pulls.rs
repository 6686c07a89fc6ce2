//! Images that are being fetched while everything else goes on.
//!
//! A pull is the one step that is not waited for: the planner is told that it is under way, and its end wakes the loop.
//! One that the target does not need any more is dropped. A connection to the registry that breaks is the engine's to mend: it
//! goes on with each layer where it was, a few times; only then has the pull failed, and what it had fetched may be gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::pin::Pin;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use super::outside::{Outside, Tools};
use crate::engine::EngineError;
use crate::model::Step;

/// How far an image is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// 0..=100.
    pub(crate) percent: u8,
    /// Layer, bytes here, bytes in all.
    pub(crate) layers: Vec<(String, u64, u64)>,
}

/// A step that has ended, and how.
pub(super) type Outcome = (Step, Result<(), EngineError>);

type Pulling = Pin<Box<dyn Future<Output = Outcome> + Send>>;

/// The pulls under way.
#[derive(Default)]
pub(super) struct Pulls {
    steps: BTreeMap<String, Step>,
    running: FuturesUnordered<Pulling>,
    /// Pulls that have ended and were not told of yet: they still count as under way.
    over: VecDeque<Outcome>,
    /// Told to a pull that it is not needed any more.
    stop: BTreeMap<String, tokio_util::sync::CancellationToken>,
}

impl Pulls {
    /// References under way.
    pub(super) fn references(&self) -> BTreeSet<String> {
        self.steps.keys().cloned().collect()
    }

    /// The steps under way.
    pub(super) fn steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.values()
    }

    /// Begins a pull, unless it is under way.
    pub(super) fn begin<E: Outside>(&mut self, engine: &E, tools: &Tools, step: &Step) {
        let Step::Pull { image, .. } = step else {
            return;
        };
        if self.steps.contains_key(image) {
            return;
        }
        let cancel = tokio_util::sync::CancellationToken::new();
        self.steps.insert(image.clone(), step.clone());
        self.stop.insert(image.clone(), cancel.clone());
        let (engine, tools, step) = (engine.clone(), tools.clone(), step.clone());
        self.running.push(Box::pin(async move {
            let outcome = tokio::select! {
                biased;
                () = cancel.cancelled() => Ok(()),
                outcome = engine.execute(&step, &tools) => outcome,
            };
            if let Step::Pull { image, .. } = &step {
                tools
                    .pulls
                    .send_if_modified(|pulls| pulls.remove(image).is_some());
            }
            (step, outcome)
        }));
    }

    /// Drops the pulls that nobody needs.
    pub(super) fn keep(&mut self, is_needed: impl Fn(&str) -> bool) {
        for (image, stop) in &self.stop {
            if !is_needed(image) {
                stop.cancel();
            }
        }
    }

    /// Drops all of them; the engine keeps the layers that it has.
    pub(super) fn drop_all(&mut self) {
        self.keep(|_| false);
    }

    /// Does something else while the pulls go on: without this they would stand still for as long as it takes. What ends
    /// meanwhile is told by [`Pulls::over`] or [`Pulls::ended`].
    pub(super) async fn beside<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = std::pin::pin!(other);
        loop {
            tokio::select! {
                biased;
                done = &mut other => return done,
                Some(outcome) = self.running.next(), if !self.running.is_empty() => {
                    self.over.push_back(outcome);
                }
            }
        }
    }

    /// The pulls that have ended beside something else and were not told of yet.
    pub(super) fn over(&mut self) -> Vec<Outcome> {
        let over: Vec<Outcome> = std::mem::take(&mut self.over).into();
        for (step, _) in &over {
            self.forget(step);
        }
        over
    }

    fn forget(&mut self, step: &Step) {
        if let Step::Pull { image, .. } = step {
            self.steps.remove(image);
            self.stop.remove(image);
        }
    }

    /// The next pull that ends; waits for ever when there is none.
    pub(super) async fn ended(&mut self) -> Outcome {
        let over = self.over.pop_front();
        let ended = match over {
            Some(outcome) => Some(outcome),
            None => self.running.next().await,
        };
        match ended {
            Some((step, outcome)) => {
                self.forget(&step);
                (step, outcome)
            }
            None => std::future::pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use futures_util::FutureExt;
    use tokio::sync::oneshot;

    use super::*;

    #[test]
    fn a_pull_goes_on_while_the_world_is_read() {
        let has_begun = Arc::new(AtomicBool::new(false));
        let step = Step::Pull {
            app_id: 1,
            service: "web".to_owned(),
            image: "image".to_owned(),
        };
        let mut pulls = Pulls::default();
        pulls.steps.insert("image".to_owned(), step.clone());
        let begun = Arc::clone(&has_begun);
        pulls.running.push(Box::pin(async move {
            begun.store(true, Ordering::Relaxed);
            (step, Ok(()))
        }));
        let (read, reading) = oneshot::channel::<u8>();
        {
            let mut world = std::pin::pin!(pulls.beside(reading));
            assert_eq!(world.as_mut().now_or_never(), None);
            assert!(has_begun.load(Ordering::Relaxed));
            read.send(7).unwrap();
            assert_eq!(world.now_or_never(), Some(Ok(7)));
        }
        assert!(pulls.references().contains("image"), "it is not told yet");
        assert_eq!(pulls.over().len(), 1);
        assert!(pulls.references().is_empty());
        assert!(pulls.over().is_empty());
    }
}
