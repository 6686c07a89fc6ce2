//! How much is said at one time: answers to all are spread by chance, answers to one are counted.

use std::{
    hash::{BuildHasher as _, RandomState},
    time::Duration,
};

use tokio::time::Instant;

/// Unicast answers in one second, over all links.
const MOST_UNICAST: u32 = 250;

/// Counter of unicast answers, and chance.
#[derive(Debug)]
pub(super) struct Pace {
    second: Instant,
    sent: u32,
    chance: RandomState,
}

impl Pace {
    /// Nothing was said yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            second: now,
            sent: 0,
            chance: RandomState::new(),
        }
    }

    /// Counts a unicast answer; `false` when there were too many: nobody makes this device flood another one.
    pub(super) fn may_send(&mut self) -> bool {
        let now = Instant::now();
        if self.second + Duration::from_secs(1) <= now {
            (self.second, self.sent) = (now, 0);
        }
        self.sent = self.sent.saturating_add(1);
        self.sent <= MOST_UNICAST
    }

    /// A time up to `span`, by chance.
    pub(super) fn within(&self, span: Duration) -> Duration {
        let random = self.chance.hash_one(Instant::now()) % 1000;
        span.mul_f64(f64::from(u32::try_from(random).unwrap_or_default()) / 1000.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_questions_is_answered_by_a_bounded_number_of_packets() {
        let mut pace = Pace::new(Instant::now() + Duration::from_mins(1));
        assert_eq!((0..10_000).filter(|_| pace.may_send()).count(), 250);
    }
}
