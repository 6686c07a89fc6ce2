//! How far a log has been told: for every origin the place of its last line, for all others a time. Pure.
//!
//! The two streams of a container are counted apart: the engine gives each in the order of its times, and lines of one
//! may be a moment out of order with those of the other.

use std::collections::{BTreeSet, HashMap};

use agent_api::cursor::{Cursor, Origin};

/// A line of a stream may come this much later than a line of the other stream with the same time: long lines come in
/// several messages, and count from the first. In nanoseconds. Nothing is missed within it; `tail.rs` counts with a smaller one.
pub(super) const SLACK: i64 = 10_000_000_000;

/// See the module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Places {
    last: HashMap<Origin, (i64, u32)>,
    /// Where origins begin that are not named, in nanoseconds since the Unix epoch.
    since: i64,
}

impl Places {
    /// Behind the named lines; lines of other origins count from `since`.
    pub(crate) fn new(since: i64, named: impl IntoIterator<Item = Cursor>) -> Self {
        let mut places = Self {
            last: HashMap::new(),
            since,
        };
        for cursor in named {
            places.note(&cursor);
        }
        places
    }

    /// Whether a line has not been told.
    pub(crate) fn is_new(&self, place: &Cursor) -> bool {
        self.last
            .get(&place.origin)
            .map_or(place.nanos >= self.since, |last| {
                (place.nanos, place.count) > *last
            })
    }

    /// The line has been told.
    pub(crate) fn note(&mut self, place: &Cursor) {
        let at = (place.nanos, place.count);
        let last = self.last.entry(place.origin).or_insert(at);
        *last = at.max(*last);
    }

    /// From when on a container has to be read, so that nothing that is new is left out.
    pub(crate) fn begin_of(&self, container: u64) -> i64 {
        let last = |is_std_err| {
            self.last_of(container, is_std_err)
                .map_or(self.since, |(nanos, _)| nanos)
        };
        let (out, err) = (last(false), last(true));
        out.min(err).max(out.max(err).saturating_sub(SLACK))
    }

    /// The last lines of streams that are read once more when their containers are read from [`Self::begin_of`] on.
    pub(crate) fn read_again(&self) -> impl Iterator<Item = (Origin, (i64, u32))> {
        self.last
            .iter()
            .filter(|(origin, (nanos, _))| match origin {
                Origin::Stream { container, .. } => *nanos >= self.begin_of(*container),
                Origin::Agent { .. } => false,
            })
            // There is no line with the number 0 that could be read.
            .filter(|(_, (_, count))| *count > 0)
            .map(|(origin, last)| (*origin, *last))
    }

    /// Time and count of the last line of a stream.
    pub(crate) fn last_of(&self, container: u64, is_std_err: bool) -> Option<(i64, u32)> {
        let origin = Origin::Stream {
            container,
            is_std_err,
        };
        self.last.get(&origin).copied()
    }

    /// The containers that are named.
    pub(crate) fn containers(&self) -> BTreeSet<u64> {
        self.last
            .keys()
            .filter_map(|origin| match origin {
                Origin::Stream { container, .. } => Some(*container),
                Origin::Agent { .. } => None,
            })
            .collect()
    }

    /// The last of the agent's own lines: of the run of which the latest was told.
    pub(crate) fn own(&self) -> Option<Cursor> {
        self.named()
            .filter(|cursor| matches!(cursor.origin, Origin::Agent { .. }))
            .max_by_key(|cursor| cursor.nanos)
    }

    /// The last line of every origin that is named.
    pub(crate) fn named(&self) -> impl Iterator<Item = Cursor> {
        self.last.iter().map(|(origin, (nanos, count))| Cursor {
            origin: *origin,
            nanos: *nanos,
            count: *count,
        })
    }

    /// Streams that were told up to a time that is still to come go on from `now`: the clock was set back, and the engine would leave
    /// out what is written until that time. Whether there were any.
    pub(crate) fn clock_was_set_back(&mut self, now: i64) -> bool {
        let mut was = false;
        for (origin, last) in &mut self.last {
            if matches!(origin, Origin::Stream { .. }) && last.0 > now {
                *last = (now, 0);
                was = true;
            }
        }
        self.since = self.since.min(now);
        was
    }

    /// The time from which origins count that are not named.
    pub(crate) fn since(&self) -> i64 {
        self.since
    }

    /// Lines of origins that are not named are new, whatever their time.
    pub(crate) fn begin_anywhere(&mut self) {
        self.since = 0;
    }

    /// Everything that comes of this origin from now on is new, whatever its time.
    pub(crate) fn leave_behind(&mut self, origin: Origin) {
        self.last.insert(origin, (i64::MIN, 0));
    }

    /// Nothing that comes of this origin from now on has been told.
    pub(crate) fn forget(&mut self, origin: &Origin) {
        self.last.remove(origin);
    }
}

/// Gives the lines of one container their places. Reading has to begin with all lines of one time.
#[derive(Debug)]
pub(crate) struct Counter {
    container: u64,
    out: (i64, u32),
    err: (i64, u32),
}

impl Counter {
    pub(crate) fn new(container: u64) -> Self {
        Self {
            container,
            out: (0, 0),
            err: (0, 0),
        }
    }

    /// The place of the next line of a stream.
    pub(crate) fn place(&mut self, is_std_err: bool, nanos: i64) -> Cursor {
        let last = if is_std_err {
            &mut self.err
        } else {
            &mut self.out
        };
        let count = if last.0 == nanos { last.1 + 1 } else { 1 };
        *last = (nanos, count);
        Cursor {
            origin: Origin::Stream {
                container: self.container,
                is_std_err,
            },
            nanos,
            count,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stream(is_std_err: bool) -> Origin {
        Origin::Stream {
            container: 7,
            is_std_err,
        }
    }

    #[test]
    fn a_container_is_read_from_its_older_stream_on_but_not_from_the_beginning() {
        let mut places = Places::new(5, []);
        assert_eq!(places.begin_of(7), 5);
        let at = |is_std_err, nanos| Cursor {
            origin: stream(is_std_err),
            nanos,
            count: 1,
        };
        places.note(&at(false, 100));
        assert_eq!(places.begin_of(7), 5, "standard error may have some");
        places.note(&at(true, 90));
        assert_eq!(places.begin_of(7), 90);
        places.note(&at(false, 90 + 3 * SLACK));
        assert_eq!(places.begin_of(7), 90 + 2 * SLACK);
        assert_eq!(places.containers(), BTreeSet::from([7]));
        assert_eq!(places.own(), None);
    }

    #[test]
    fn after_the_clock_was_set_back_streams_go_on_from_now() {
        let at = |is_std_err, nanos| Cursor {
            origin: stream(is_std_err),
            nanos,
            count: 3,
        };
        let agent = Cursor {
            origin: Origin::Agent { run: 1 },
            nanos: 900,
            count: 4,
        };
        let mut places = Places::new(500, [at(false, 900), at(true, 90), agent]);
        assert!(!places.clone().clock_was_set_back(900));
        assert!(places.clock_was_set_back(100));
        assert!(!places.is_new(&at(false, 99)));
        assert!(places.is_new(&at(false, 100)));
        assert_eq!(places.last_of(7, true), Some((90, 3)));
        assert_eq!(places.since(), 100);
        assert_eq!(places.own(), Some(agent), "its lines have numbers");
        let again: Vec<_> = places.read_again().collect();
        assert_eq!(again, [(stream(true), (90, 3))]);
    }

    /// Lines of both streams in an order in which an engine may give them: each stream by its times, equal ones among them.
    fn written() -> impl Strategy<Value = Vec<(bool, i64)>> {
        proptest::collection::vec((any::<bool>(), 0..3_i64), 0..60).prop_map(|steps| {
            let mut clocks = [1_i64, 1];
            steps
                .into_iter()
                .map(|(is_std_err, step)| {
                    let clock = &mut clocks[usize::from(is_std_err)];
                    *clock += step;
                    (is_std_err, *clock)
                })
                .collect()
        })
    }

    proptest! {
        /// However often reading breaks off, and wherever: every line is told once.
        #[test]
        fn readings_that_resume_tell_every_line_once(lines in written(), breaks in proptest::collection::vec(0..60_usize, 0..6)) {
            let mut places = Places::new(0, []);
            let mut told = Vec::new();
            for length in breaks.into_iter().chain([usize::MAX]) {
                let resumed = places.clone();
                let since = resumed.begin_of(7);
                let mut counter = Counter::new(7);
                let given = lines.iter().enumerate().filter(|(_, (_, nanos))| *nanos >= since);
                for (number, (is_std_err, nanos)) in given.take(length) {
                    let place = counter.place(*is_std_err, *nanos);
                    if resumed.is_new(&place) {
                        places.note(&place);
                        told.push(number);
                    }
                }
            }
            told.sort_unstable();
            prop_assert_eq!(told, (0..lines.len()).collect::<Vec<_>>());
        }
    }
}
