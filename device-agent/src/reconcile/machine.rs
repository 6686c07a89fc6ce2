//! The machine beside its engine, as far as the loop asks it something itself.
//!
//! Two things stand behind it: the machine on which the agent runs, and the one of a simulation.

use std::fmt::Debug;
use std::io;
use std::path::PathBuf;

use crate::host;
use crate::locks::{Held, LockError};

/// See the module.
pub(crate) trait Machine: Debug + Send + Sync {
    /// A word for the present run of the machine, which no other has.
    fn boot(&self) -> io::Result<String>;

    /// Takes the locks of every application, or none; with `force` also those that services hold. Returns the applications
    /// whose locks were not held before.
    fn take_locks(&self, force: bool) -> Result<Vec<u32>, LockError>;

    /// Lets go of the locks of an application.
    fn release_locks(&self, app_id: u32);
}

/// The machine on which the agent runs.
#[derive(Debug)]
pub(crate) struct OwnMachine {
    pub(crate) services_dir: PathBuf,
    pub(crate) locks: Held,
}

impl Machine for OwnMachine {
    fn boot(&self) -> io::Result<String> {
        host::boot_id()
    }

    fn take_locks(&self, force: bool) -> Result<Vec<u32>, LockError> {
        self.locks.take_all(&self.services_dir, force)
    }

    fn release_locks(&self, app_id: u32) {
        self.locks.release(&self.services_dir, app_id);
    }
}
