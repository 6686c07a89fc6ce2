//! Which bytes of a file are there, and which of the others somebody fetches already. Pure.

use std::ops::Range;

use serde::{Deserialize, Serialize};

/// Parts of a file: apart from each other, in their order, none of them empty.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<(u64, u64)>", into = "Vec<(u64, u64)>")]
pub struct Parts(Vec<Range<u64>>);

/// Numbers that are no parts.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the parts of a file are out of order")]
pub struct NoParts;

impl TryFrom<Vec<(u64, u64)>> for Parts {
    type Error = NoParts;

    fn try_from(pairs: Vec<(u64, u64)>) -> Result<Self, NoParts> {
        let parts: Vec<_> = pairs.into_iter().map(|(from, to)| from..to).collect();
        let is_apart = parts.windows(2).all(|pair| match pair {
            [one, next] => one.end < next.start,
            _ => true,
        });
        let has_empty = parts.iter().any(Range::is_empty);
        if !is_apart || has_empty {
            return Err(NoParts);
        }
        Ok(Self(parts))
    }
}

impl From<Parts> for Vec<(u64, u64)> {
    fn from(parts: Parts) -> Self {
        parts.0.iter().map(|part| (part.start, part.end)).collect()
    }
}

impl Parts {
    /// Adds one.
    pub fn add(&mut self, part: Range<u64>) {
        if part.is_empty() {
            return;
        }
        let touches = |one: &Range<u64>| one.start <= part.end && part.start <= one.end;
        let near = self.0.iter().filter(|one| touches(one));
        let joined = near.fold(part.clone(), |all, one| {
            all.start.min(one.start)..all.end.max(one.end)
        });
        self.0.retain(|one| !touches(one));
        let place = self.0.partition_point(|one| one.start < joined.start);
        self.0.insert(place, joined);
    }

    /// Takes one away.
    pub fn remove(&mut self, part: &Range<u64>) {
        let rest = self.0.iter().flat_map(|one| {
            [
                one.start..one.end.min(part.start),
                one.start.max(part.end)..one.end,
            ]
        });
        self.0 = rest.filter(|one| !one.is_empty()).collect();
    }

    /// How many bytes there are.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|part| part.end - part.start).sum()
    }

    /// How many there are from the beginning on without a gap.
    #[must_use]
    pub fn prefix(&self) -> u64 {
        match self.0.first() {
            Some(first) if first.start == 0 => first.end,
            _ => 0,
        }
    }

    /// Where the last one ends.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.0.last().map_or(0, |last| last.end)
    }

    /// The parts of a range, each with whether it is there.
    #[must_use]
    pub fn split(&self, range: &Range<u64>) -> Vec<(Range<u64>, bool)> {
        let mut all = Vec::new();
        let mut at = range.start;
        for part in &self.0 {
            let here = part.start.max(at)..part.end.min(range.end);
            if here.is_empty() {
                continue;
            }
            if at < here.start {
                all.push((at..here.start, false));
            }
            at = here.end;
            all.push((here, true));
        }
        if at < range.end {
            all.push((at..range.end, false));
        }
        all
    }

    /// The first gap before `length`, and no more than `most` bytes of it.
    #[must_use]
    pub fn gap(&self, length: u64, most: u64) -> Option<Range<u64>> {
        let from = self.prefix();
        let next = self
            .0
            .iter()
            .map(|part| part.start)
            .find(|start| *start > from);
        let to = next
            .unwrap_or(length)
            .min(length)
            .min(from.saturating_add(most));
        (from < to).then_some(from..to)
    }
}

/// A file that several connections fetch.
#[derive(Debug, Clone)]
pub struct Pieces {
    length: u64,
    done: Parts,
    /// What is there or will be.
    taken: Parts,
}

impl Pieces {
    /// Of which some parts are there already.
    #[must_use]
    pub fn new(length: u64, mut done: Parts) -> Self {
        done.remove(&(length..u64::MAX));
        Self {
            length,
            taken: done.clone(),
            done,
        }
    }

    /// The next piece that nobody fetches, which from now on somebody does.
    pub fn take(&mut self, most: u64) -> Option<Range<u64>> {
        let piece = self.taken.gap(self.length, most)?;
        self.taken.add(piece.clone());
        Some(piece)
    }

    /// The piece from there on, if nobody fetches that.
    pub fn take_at(&mut self, at: u64, most: u64) -> Option<Range<u64>> {
        let to = self.length.min(at.saturating_add(most));
        let (piece, is_taken) = self.taken.split(&(at..to)).into_iter().next()?;
        if is_taken {
            return None;
        }
        self.taken.add(piece.clone());
        Some(piece)
    }

    /// How long it is has become known.
    pub fn set_length(&mut self, length: u64) {
        self.length = length;
        self.done.remove(&(length..u64::MAX));
    }

    /// How long it is; [`u64::MAX`] while that is not known.
    #[must_use]
    pub fn length(&self) -> u64 {
        self.length
    }

    /// Some bytes have come.
    pub fn came(&mut self, part: Range<u64>) {
        self.done.add(part);
    }

    /// What has not come of a piece is somebody else's.
    pub fn give_back(&mut self, rest: &Range<u64>) {
        self.taken.remove(rest);
        for part in &self.done.0 {
            self.taken.add(part.clone());
        }
    }

    /// What is there.
    #[must_use]
    pub fn done(&self) -> &Parts {
        &self.done
    }

    /// Whether everything is.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.done.prefix() == self.length
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parts(pairs: &[(u64, u64)]) -> Parts {
        Parts::try_from(pairs.to_vec()).unwrap()
    }

    #[test]
    fn parts_that_touch_become_one() {
        let mut all = parts(&[(0, 10), (20, 30), (40, 50)]);
        all.add(10..20);
        assert_eq!(all, parts(&[(0, 30), (40, 50)]));
        all.add(60..60);
        all.remove(&(5..45));
        assert_eq!(all, parts(&[(0, 5), (45, 50)]));
        assert_eq!((all.prefix(), all.bytes(), all.end()), (5, 10, 50));
        assert_eq!(all.gap(100, 10), Some(5..15));
        assert_eq!(all.gap(100, 1000), Some(5..45));
        assert_eq!(parts(&[(0, 5)]).gap(5, 10), None);
        assert_eq!(parts(&[(5, 6)]).gap(3, 10), Some(0..3));
        for wrong in [
            &[(5, 5)][..],
            &[(5, 3)],
            &[(0, 5), (5, 7)],
            &[(3, 5), (0, 1)],
        ] {
            Parts::try_from(wrong.to_vec()).unwrap_err();
        }
    }

    #[test]
    fn what_one_connection_leaves_another_one_takes() {
        let mut pieces = Pieces::new(100, parts(&[(0, 20), (90, 120)]));
        assert_eq!(pieces.take(40), Some(20..60));
        assert_eq!(pieces.take(40), Some(60..90));
        assert_eq!(pieces.take(40), None);
        pieces.came(20..30);
        pieces.give_back(&(30..60));
        pieces.came(60..90);
        assert!(!pieces.is_whole());
        assert_eq!(pieces.take(40), Some(30..60));
        pieces.came(30..60);
        assert!(pieces.is_whole());
    }

    #[test]
    fn a_connection_goes_on_until_where_another_one_is() {
        let mut pieces = Pieces::new(u64::MAX, parts(&[(70, 80)]));
        assert_eq!(pieces.take(40), Some(0..40));
        assert_eq!(pieces.take_at(40, 20), Some(40..60));
        assert_eq!(pieces.take_at(60, 20), Some(60..70));
        assert_eq!(pieces.take_at(70, 20), None);
        // What is there stays taken.
        pieces.give_back(&(60..100));
        assert_eq!(pieces.take_at(70, 20), None);
        pieces.set_length(75);
        assert_eq!(pieces.take(100), Some(60..70));
        pieces.came(0..70);
        assert!(pieces.is_whole());
        assert_eq!(pieces.length(), 75);
        let split = parts(&[(10, 20), (30, 40)]).split(&(15..35));
        assert_eq!(split, [(15..20, true), (20..30, false), (30..35, true)]);
        assert_eq!(Parts::default().split(&(3..5)), [(3..5, false)]);
    }

    proptest! {
        #[test]
        fn parts_are_those_that_were_added_and_not_removed(
            steps in proptest::collection::vec((any::<bool>(), 0..64_u64, 0..64_u64), 0..20)
        ) {
            let (mut all, mut expected) = (Parts::default(), [false; 64]);
            for (adds, from, to) in steps {
                if adds {
                    all.add(from..to);
                } else if from < to {
                    all.remove(&(from..to));
                }
                for index in from..to {
                    expected[usize::try_from(index).unwrap()] = adds;
                }
            }
            let pairs: Vec<(u64, u64)> = all.clone().into();
            prop_assert_eq!(&Parts::try_from(pairs.clone()).unwrap(), &all);
            let mut found = [false; 64];
            for (from, to) in pairs {
                for index in from..to {
                    found[usize::try_from(index).unwrap()] = true;
                }
            }
            prop_assert_eq!(found, expected);
        }
    }
}
