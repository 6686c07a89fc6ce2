//! Which containers wait for a restart of the machine that has not come yet.
//!
//! The run of the machine in which a container was first seen is kept, not a time: a clock may be set, and a machine that
//! took the past for the present would restart for ever.

use std::collections::BTreeSet;
use std::io;

use super::{Outside, Reconciler};
use crate::observe::World;
use crate::plan;

impl<E: Outside> Reconciler<E> {
    /// Completes a reading. Where it cannot be kept which containers wait, none does: a service that starts too early is
    /// better than a machine that restarts for it again and again.
    pub(super) fn note_restarts(&mut self, world: &mut World) {
        let waiting = plan::waiting_for_restart(&world.observed);
        let seen = self.seen_since_boot(&waiting);
        world.observed.created_since_boot = seen.unwrap_or_else(|error| {
            tracing::error!(%error, "which services wait for a restart of the machine could not be kept");
            BTreeSet::new()
        });
    }

    fn seen_since_boot(&mut self, waiting: &BTreeSet<String>) -> io::Result<BTreeSet<String>> {
        let boot = self.inputs.machine.boot()?;
        self.inputs.memory.seen_since(&boot, waiting)
    }
}
