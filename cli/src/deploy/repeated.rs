//! Telling lines that a device repeats after a gap from new ones, where it gives them no places: by their times and texts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::log::LogLine;

/// Past lines that our agent is asked to repeat after a gap: as many as it gives at most.
pub(super) const REPEATED: u32 = 10_000;

/// Tells lines that are repeated after a gap from new ones: for each service, nothing older than its last line is new, and of
/// the same millisecond only what was not there. Of a service that had said nothing, nothing is new that is older than the first
/// line of all: it was written before the log was followed.
#[derive(Debug, Default)]
pub(super) struct Seen {
    first: Option<i64>,
    gaps: bool,
    /// There was a gap, and nothing that was repeated since is known from before it.
    open: bool,
    /// A new line came while that was so.
    hole: bool,
    last: BTreeMap<Option<String>, Last>,
    /// Lines up to these may be repeated.
    before_gap: BTreeMap<Option<String>, Last>,
}

#[derive(Debug, Default, Clone)]
struct Last {
    timestamp: i64,
    messages: BTreeSet<u64>,
}

/// Services that are kept apart; a device may name any number.
const MOST_SERVICES: usize = 1000;

/// Messages of one millisecond that are kept.
const MOST_MESSAGES: usize = 1000;

impl Seen {
    /// The connection was lost: from now on lines may come again.
    pub(super) fn gap(&mut self) {
        self.gaps = true;
        self.open = self.first.is_some();
        self.before_gap.clone_from(&self.last);
    }

    /// Whether lines are missing before the new one. Says so once for each gap.
    pub(super) fn hole(&mut self) -> bool {
        std::mem::take(&mut self.hole)
    }

    /// How many past lines of each service fill a gap. Without a line that was seen there is nothing to count from.
    pub(super) fn repeated(&self) -> Option<u32> {
        self.first.map(|_| REPEATED)
    }

    pub(super) fn is_new(&mut self, line: &LogLine) -> bool {
        let Some(timestamp) = line.timestamp else {
            // The greeting is the only line without a time.
            return true;
        };
        let service = &line.service_name;
        let message = fingerprint(&line.message);
        if let Some(last) = self.before_gap.get(service) {
            let known = timestamp == last.timestamp && last.messages.contains(&message);
            if timestamp < last.timestamp || known {
                self.open = false;
                return false;
            }
        } else if self.gaps && self.first.is_some_and(|first| timestamp < first) {
            self.open = false;
            return false;
        }
        self.hole |= std::mem::take(&mut self.open);
        let first = self.first.map_or(timestamp, |first| first.min(timestamp));
        self.first = Some(first);
        if self.last.len() < MOST_SERVICES || self.last.contains_key(service) {
            let last = self.last.entry(service.clone()).or_default();
            if timestamp > last.timestamp {
                last.timestamp = timestamp;
                last.messages.clear();
            }
            if timestamp == last.timestamp && last.messages.len() < MOST_MESSAGES {
                last.messages.insert(message);
            }
        }
        true
    }
}

fn fingerprint(message: &str) -> u64 {
    let hash = blake3::hash(message.as_bytes());
    let mut bytes = [0; 8];
    bytes
        .iter_mut()
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(service: &str, message: &str, timestamp: i64) -> LogLine {
        LogLine {
            service_name: Some(service.to_owned()),
            message: message.to_owned(),
            is_system: None,
            is_std_err: Some(false),
            timestamp: Some(timestamp),
            service_id: Some(1),
            ..LogLine::greeting()
        }
    }

    #[test]
    fn without_a_gap_every_line_is_new() {
        let mut seen = Seen::default();
        for _ in 0..3 {
            assert!(seen.is_new(&line("web", "same", 5)));
        }
        assert!(seen.is_new(&line("web", "late", 4)));
    }

    #[test]
    fn after_a_gap_only_what_was_missed_is_new() {
        let mut seen = Seen::default();
        for (message, at) in [("a", 1), ("b", 2), ("c", 2)] {
            assert!(seen.is_new(&line("web", message, at)));
        }
        assert!(seen.is_new(&line("db", "x", 9)));
        seen.gap();
        assert!(seen.is_new(&LogLine::greeting()));
        for (service, message, at, new) in [
            ("web", "a", 1, false),
            ("web", "b", 2, false),
            ("web", "c", 2, false),
            ("web", "d", 2, true),
            ("web", "e", 3, true),
            ("db", "x", 9, false),
            ("db", "y", 10, true),
            ("new", "y", 0, false),
            ("new", "z", 1, true),
        ] {
            assert_eq!(
                seen.is_new(&line(service, message, at)),
                new,
                "{service} {message}"
            );
        }
        assert!(!seen.hole());
        assert_eq!(Seen::default().repeated(), None);
        assert_eq!(seen.repeated(), Some(REPEATED));
        // A second gap counts from what was seen after the first.
        seen.gap();
        assert!(!seen.is_new(&line("web", "e", 3)));
        assert!(seen.is_new(&line("web", "f", 3)));
    }

    #[test]
    fn a_gap_that_the_device_cannot_fill_is_a_hole_and_told_once() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&line("web", "a", 1)));
        assert!(!seen.hole());
        seen.gap();
        assert!(seen.is_new(&LogLine::greeting()));
        assert!(!seen.hole());
        assert!(seen.is_new(&line("web", "x", 90)));
        assert!(seen.hole());
        assert!(seen.is_new(&line("web", "y", 91)));
        assert!(!seen.hole());
        // Nothing was seen before this one, so nothing can be missing.
        let mut seen = Seen::default();
        seen.gap();
        assert!(seen.is_new(&line("web", "a", 1)));
        assert!(!seen.hole());
    }
}
