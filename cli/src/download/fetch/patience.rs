//! How often, and after which time, a server is asked anew. Pure.

use std::time::Duration;

/// Times in a row that nothing comes.
const MOST: u32 = 8;
const SHORTEST: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(15);
/// Bytes that are something.
const SOMETHING: u64 = 64 << 10;

/// Failures in a row.
#[derive(Debug, Default)]
pub(super) struct Patience {
    failures: u32,
    had: u64,
}

impl Patience {
    /// Another failure, when so many bytes are there: how long to wait, or `None` when it is enough.
    pub(super) fn after(&mut self, has: u64, asked: Option<Duration>) -> Option<Duration> {
        if has >= self.had.saturating_add(SOMETHING) {
            self.failures = 0;
        }
        self.had = self.had.max(has);
        self.failures += 1;
        if self.failures > MOST {
            return None;
        }
        let grown = SHORTEST.saturating_mul(1 << (self.failures - 1));
        Some(asked.unwrap_or(grown.min(LONGEST)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_gives_something_is_asked_for_ever_and_others_are_not() {
        let mut patience = Patience::default();
        for round in 0..100 {
            let pause = patience.after(round * SOMETHING, None);
            assert!(pause.is_some_and(|pause| pause <= SHORTEST * 2), "{round}");
        }
        let has = 99 * SOMETHING;
        let rest: Vec<_> = std::iter::from_fn(|| patience.after(has + 1, None)).collect();
        assert_eq!(rest.len(), 7);
        assert!(rest.is_sorted());
        assert!(rest.iter().sum::<Duration>() < Duration::from_mins(1));
        let asked = Some(Duration::from_secs(40));
        assert_eq!(Patience::default().after(0, asked), asked);
    }
}
