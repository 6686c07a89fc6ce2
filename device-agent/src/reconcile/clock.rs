//! The time by which the loop measures delays. It only ever goes on; the system's clock may be set.
//!
//! Two things stand behind it: the machine's own clock, and the one of a simulation.

use std::fmt::Debug;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

/// A wait for a time to pass.
pub(crate) type Sleep = Pin<Box<dyn Future<Output = ()> + Send>>;

/// See the module.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Since some moment that stays the same.
    fn elapsed(&self) -> Duration;

    /// Waits for so long.
    fn sleep(&self, time: Duration) -> Sleep;
}

/// The machine's own clock, from when this was made.
#[derive(Debug)]
pub(crate) struct OwnClock(Instant);

impl OwnClock {
    /// Begins to count.
    pub(crate) fn new() -> Self {
        Self(Instant::now())
    }
}

impl Clock for OwnClock {
    fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, time: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(time))
    }
}
