//! Whether what a server gives comes to an end one day. Pure.

use std::time::Duration;

/// Bytes in a second, at least: less than the slowest of modems has.
const LEAST: u64 = 512;
/// Bytes that are enough for any time; all connections of a download together stay below what its next attempt counts as something
/// (`download/patience.rs`).
const ENOUGH: u64 = 15 << 10;

/// What came of late.
#[derive(Debug)]
pub struct Pace {
    /// How long a server may give too little.
    patience: Duration,
    waited: Duration,
    came: u64,
}

impl Pace {
    /// For a server that may stay silent for so long.
    #[must_use]
    pub fn of(patience: Duration) -> Self {
        Self {
            patience,
            waited: Duration::ZERO,
            came: 0,
        }
    }

    /// So many bytes came, and were waited for so long: whether that is enough. How long they then took us is not the server's fault.
    pub fn is_kept(&mut self, bytes: usize, waited: Duration) -> bool {
        self.came = self
            .came
            .saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.waited = self.waited.saturating_add(waited);
        if self.came >= LEAST.saturating_mul(self.patience.as_secs()).min(ENOUGH) {
            *self = Self::of(self.patience);
        }
        self.waited < self.patience
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn a_slow_server_is_borne_and_one_that_trickles_is_not() {
        let (second, nearly) = (Duration::from_secs(1), Duration::from_secs(29));
        let mut pace = Pace::of(PATIENCE);
        assert!((0..10_000).all(|_| pace.is_kept(600, second)));
        // Much at a time, and then nothing for long.
        assert!((0..1000).all(|_| pace.is_kept(20_000, nearly)));
        let mut pace = Pace::of(PATIENCE);
        let borne = (0..10_000).take_while(|_| pace.is_kept(1, second));
        assert_eq!(borne.count(), 29);
        let mut pace = Pace::of(PATIENCE);
        assert!(pace.is_kept(1, nearly));
        assert!(!pace.is_kept(1, nearly));
    }
}
