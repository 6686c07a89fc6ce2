//! What of the past could not be read, how often, and what is given up: one part that stays unreadable must not hold up the others.
//! Pure.

use std::collections::BTreeMap;

/// After so many failures a part is left out.
const MAX_ATTEMPTS: u32 = 3;

/// Something that is read on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// The engine's list of containers, and with it everything else.
    Engine,
    /// Containers that are gone.
    Journal,
    /// A container, by its short id.
    Container(u64),
}

/// A part that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Broken {
    pub(super) part: Part,
    /// Whose lines, and why, for people.
    pub(super) reason: String,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    failed: BTreeMap<Part, u32>,
}

impl Attempts {
    /// Counts a failure; whether the part is given up with it.
    pub(super) fn fail(&mut self, part: Part) -> bool {
        let failed = self.failed.entry(part).or_default();
        *failed += 1;
        *failed >= MAX_ATTEMPTS
    }

    pub(super) fn is_given_up(&self, part: Part) -> bool {
        self.failed
            .get(&part)
            .is_some_and(|failed| *failed >= MAX_ATTEMPTS)
    }

    /// The engine has come anew: everything may be readable.
    pub(super) fn forgive(&mut self) {
        self.failed.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_part_that_fails_again_and_again_is_given_up() {
        let (one, two) = (Part::Container(1), Part::Container(2));
        let mut attempts = Attempts::default();
        let given_up: Vec<bool> = (0..MAX_ATTEMPTS).map(|_| attempts.fail(one)).collect();
        assert_eq!(given_up, [false, false, true]);
        assert!(!attempts.fail(two));
        assert!(attempts.is_given_up(one) && !attempts.is_given_up(two));
        assert!(!attempts.is_given_up(Part::Journal));
        attempts.forgive();
        assert!(!attempts.is_given_up(one));
    }
}
