//! How often, and after which time, a server is asked anew. Pure.

use std::time::{Duration, Instant};

/// Times in a row that nothing comes.
const MOST: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);
/// Bytes that are something.
const SOMETHING: u64 = 64 << 10;

/// Failures in a row.
#[derive(Debug)]
pub(super) struct Patience {
    /// How many there may be.
    most: u32,
    failures: u32,
    had: u64,
    /// When the server is asked anew after the last one.
    until: Option<Instant>,
}

impl Default for Patience {
    fn default() -> Self {
        Self::of(MOST)
    }
}

impl Patience {
    /// For so many failures in a row.
    pub(super) fn of(most: u32) -> Self {
        Self {
            most,
            failures: 0,
            had: 0,
            until: None,
        }
    }

    /// Another failure, when so many bytes are there: how long to wait, or `None` when it is enough. What fails on several connections until the server
    /// is asked anew is one failure.
    pub(super) fn after(
        &mut self,
        has: u64,
        asked: Option<Duration>,
        now: Instant,
    ) -> Option<Duration> {
        let rest = self
            .until
            .and_then(|until| until.checked_duration_since(now));
        if let Some(rest) = rest.filter(|rest| !rest.is_zero()) {
            return Some(rest.max(asked.unwrap_or_default()));
        }
        if has >= self.had.saturating_add(SOMETHING) {
            self.failures = 0;
        }
        self.had = self.had.max(has);
        self.failures += 1;
        if self.failures > self.most {
            return None;
        }
        let grown = SHORTEST.saturating_mul(1 << (self.failures - 1).min(MOST));
        let pause = asked.unwrap_or(grown.min(LONGEST));
        self.until = now.checked_add(pause);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails, and waits.
    fn next(patience: &mut Patience, has: u64, now: &mut Instant) -> Option<Duration> {
        let pause = patience.after(has, None, *now)?;
        *now += pause;
        Some(pause)
    }

    #[test]
    fn a_server_that_gives_something_is_asked_for_ever_and_others_are_not() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        for round in 0..100 {
            let pause = next(&mut patience, round * SOMETHING, &mut now);
            assert!(pause.is_some_and(|pause| pause <= SHORTEST * 2), "{round}");
        }
        let has = 99 * SOMETHING + 1;
        let rest: Vec<_> = std::iter::from_fn(|| next(&mut patience, has, &mut now)).collect();
        assert_eq!(rest.len(), 7);
        assert!(rest.is_sorted());
        assert!(rest.iter().sum::<Duration>() < Duration::from_mins(1));
        let asked = Some(Duration::from_secs(40));
        assert_eq!(Patience::default().after(0, asked, now), asked);
    }

    #[test]
    fn what_fails_at_once_is_one_failure() {
        let (mut patience, mut now) = (Patience::default(), Instant::now());
        let mut rounds = 0;
        while let Some(pause) = patience.after(0, None, now) {
            for later in 1..4 {
                let now = now + Duration::from_millis(later);
                let rest = patience.after(0, None, now).unwrap();
                assert_eq!(rest + Duration::from_millis(later), pause);
            }
            now += pause;
            rounds += 1;
        }
        assert_eq!(rounds, MOST);
    }
}
