//! How long the silence of a journal is believed. Pure.
//!
//! An engine that logs to the journal reads it with systemd's library, as `journalctl` does. That library remembers how many rows
//! a file had when it found no further one, and does not look again before there are more. The journal counts a row before it
//! links it to its container: who looks between the two overlooks the row, and is given it together with the next row that anybody
//! writes, which may be never. Whoever opens the journal anew finds it. So a stream that stays silent is asked for anew.

use std::time::Duration;

/// What is believed at first, and after a stream that had kept lines back.
const FIRST: Duration = Duration::from_secs(5);
/// What is believed at most.
const LONGEST: Duration = Duration::from_mins(1);

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Silence {
    first: Duration,
    longest: Duration,
    believed: Duration,
}

impl Default for Silence {
    fn default() -> Self {
        Self::new(FIRST, LONGEST)
    }
}

impl Silence {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest,
            believed: first,
        }
    }

    /// A stream that gives nothing for so long is asked for anew.
    pub(super) fn believed(self) -> Duration {
        self.believed
    }

    /// It has been asked for anew, because the one before had kept lines back, or for nothing: then it is doubted less soon.
    pub(super) fn asked_anew(&mut self, had_kept_back: bool) {
        self.believed = if had_kept_back {
            self.first
        } else {
            (self.believed * 2).min(self.longest)
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_was_doubted_for_nothing_is_doubted_less_soon() {
        let mut silence = Silence::default();
        let mut waits = vec![silence.believed().as_secs()];
        for had_kept_back in [false, false, false, false, false, true, false] {
            silence.asked_anew(had_kept_back);
            waits.push(silence.believed().as_secs());
        }
        assert_eq!(waits, [5, 10, 20, 40, 60, 60, 5, 10]);
    }
}
