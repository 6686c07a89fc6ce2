//! Images that are being fetched while everything else goes on.
//!
//! A pull is the one step that is not waited for: the planner is told that it is under way, and its end wakes the loop.
//! One that the target does not need any more is dropped. A connection to the registry that breaks is the engine's to mend: it
//! goes on with each layer where it was, a few times; only then has the pull failed, and what it had fetched may be gone.

use std::collections::{BTreeMap, BTreeSet};
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

    /// The next pull that ends; waits for ever when there is none.
    pub(super) async fn ended(&mut self) -> Outcome {
        match self.running.next().await {
            Some((step, outcome)) => {
                if let Step::Pull { image, .. } = &step {
                    self.steps.remove(image);
                    self.stop.remove(image);
                }
                (step, outcome)
            }
            None => std::future::pending().await,
        }
    }
}
