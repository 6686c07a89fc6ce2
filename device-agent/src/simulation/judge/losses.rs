//! What is lost with an agent or with the power. On a disk that says that something is safe which it loses, nothing that was
//! confirmed can be held against the agent any more. What the world holds still can: no two containers of a service, no volume
//! that goes unasked, and in the end what is stored is applied.

use std::collections::BTreeSet;

use crate::reconcile::NOT_NOTED;
use crate::simulation::met::Met;
use crate::simulation::state::State;

/// What may be lost.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Losses {
    /// Why the disk did not write, in the life of the present agent.
    pub(in crate::simulation) refusals: BTreeSet<String>,
    /// The disk has lost something that it had said to be safe: what the agent has stopped may be unknown, too.
    pub(super) is_betrayed: bool,
}

impl Losses {
    /// Whether a step may have failed with these words because it could not be noted before.
    pub(super) fn is_unnoted(&self, key: &str, words: &str) -> bool {
        let is_end = ["stop ", "kill "].iter().any(|verb| key.starts_with(verb));
        let error = words.strip_prefix(NOT_NOTED);
        is_end && error.is_some_and(|error| self.refusals.contains(error))
    }
}

impl State {
    /// The agent begins to stop a container: whatever becomes of the agent, the next one must know that it was meant.
    pub(in crate::simulation) fn judge_noted(&mut self, id: &str) {
        let Some(container) = self.engine.containers.get(id) else {
            return;
        };
        if !self.disk.is_noted_as_stopped(id) {
            let name = container.told.name.clone();
            self.violated(format!("{name} is stopped, and that is not noted"));
        }
    }

    /// The disk has lost what it had said to be safe.
    pub(in crate::simulation) fn is_betrayed(&mut self) {
        self.counts.add(Met::LyingDisk);
        self.note(|| "the disk has lost what it had said to be safe".to_owned());
        self.judge.losses.is_betrayed = true;
        self.forget_lost_uses();
        self.judge.confirmed = None;
        for promise in &mut self.judge.promises {
            promise.is_lost();
        }
        self.judge.stops.are_lost();
    }
}
