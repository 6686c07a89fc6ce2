//! A model of the machine beside its engine.

use std::io;

use super::state::Sim;
use crate::locks::LockError;
use crate::reconcile::Machine;

/// The agent's view of it.
#[derive(Debug)]
pub(super) struct ModelMachine(pub(super) Sim);

impl Machine for ModelMachine {
    fn boot(&self) -> io::Result<String> {
        let boots = self.0.lock().boots;
        Ok(format!("boot {boots}"))
    }

    fn take_locks(&self, force: bool) -> Result<Vec<u32>, LockError> {
        self.0.lock().take_all_locks(force)
    }

    fn release_locks(&self, app_id: u32) {
        let mut state = self.0.lock();
        if !state.dead {
            state.release_locks(app_id);
        }
    }
}
