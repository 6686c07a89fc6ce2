//! A disk that says that something is safe which it loses with the power: of what was confirmed nothing can be held against the
//! agent any more. What the world holds still can: no two containers of a service, no volume that goes unasked, and in the end
//! what is stored is applied.

use crate::simulation::met::Met;
use crate::simulation::state::State;

impl State {
    /// The disk has lost what it had said to be safe.
    pub(in crate::simulation) fn is_betrayed(&mut self) {
        self.counts.add(Met::LyingDisk);
        self.note(|| "the disk has lost what it had said to be safe".to_owned());
        self.judge.is_betrayed = true;
        self.judge.has_forgotten = true;
        self.judge.confirmed = None;
        for promise in &mut self.judge.promises {
            promise.is_lost();
        }
        self.judge.stops.are_lost();
    }
}
