//! What is lost with an agent or with the power. On a disk that says that something is safe which it loses, nothing that was
//! confirmed can be held against the agent any more. What the world holds still can: no two containers of a service, no volume
//! that goes unasked, and in the end what is stored is applied.

use crate::simulation::met::Met;
use crate::simulation::state::State;

/// What may be lost.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Losses {
    /// What the agent remembers lacks something on the disk.
    pub(in crate::simulation) is_unwritten: bool,
    /// An agent was killed when that was so: what it has stopped may be unknown.
    pub(super) has_forgotten: bool,
    /// The disk has lost something that it had said to be safe.
    pub(super) is_betrayed: bool,
}

impl State {
    /// The disk has lost what it had said to be safe.
    pub(in crate::simulation) fn is_betrayed(&mut self) {
        self.counts.add(Met::LyingDisk);
        self.note(|| "the disk has lost what it had said to be safe".to_owned());
        self.judge.losses.is_betrayed = true;
        self.judge.losses.has_forgotten = true;
        self.judge.confirmed = None;
        for promise in &mut self.judge.promises {
            promise.is_lost();
        }
        self.judge.stops.are_lost();
    }
}
