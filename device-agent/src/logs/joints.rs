//! Whether past lines join on to what a client has: the last line that it has of a stream is read once more, so that where another
//! one comes in its place the engine or the journal has given up lines meanwhile. Pure.

use std::collections::HashMap;

use agent_api::cursor::{Cursor, Origin};

use super::places::Places;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Joints {
    awaited: HashMap<Origin, (i64, u32)>,
}

impl Joints {
    /// Where the past is read behind these places.
    pub(super) fn new(told: &Places) -> Self {
        Self {
            awaited: told.read_again().collect(),
        }
    }

    /// Whether the next line that was read of its origin does not follow what was told; once for both streams of a container.
    pub(super) fn breaks_at(&mut self, place: &Cursor) -> bool {
        let at = (place.nanos, place.count);
        let Some(last) = self.awaited.get(&place.origin).filter(|last| at >= **last) else {
            return false;
        };
        if at == *last {
            self.awaited.remove(&place.origin);
            return false;
        }
        self.awaited
            .retain(|origin, _| !is_of_same(origin, &place.origin));
        true
    }
}

/// What is said where it does not join on.
pub(super) fn words(service: &str) -> String {
    format!("lines of {service} may be missing: those that were told last are kept no more")
}

/// What is said where times that were told are still to come.
pub(super) fn clock_words(whose: &str) -> String {
    format!("lines of {whose} may be missing: the device's clock was set back")
}

/// Whether two origins are streams of one container.
fn is_of_same(one: &Origin, other: &Origin) -> bool {
    let container = |origin: &Origin| match origin {
        Origin::Stream { container, .. } => Some(*container),
        Origin::Agent { .. } => None,
    };
    container(one) == container(other)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(container: u64, is_std_err: bool, nanos: i64, count: u32) -> Cursor {
        Cursor {
            origin: Origin::Stream {
                container,
                is_std_err,
            },
            nanos,
            count,
        }
    }

    #[test]
    fn a_stream_of_which_the_last_told_line_is_gone_has_a_hole_once() {
        let told = Places::new(
            0,
            [
                at(7, false, 100, 2),
                at(8, false, 100, 2),
                at(8, true, 90, 1),
            ],
        );
        let mut joints = Joints::new(&told);
        for (place, breaks) in [
            (at(7, false, 100, 1), false),
            (at(7, false, 100, 2), false),
            (at(7, false, 101, 1), false),
            (at(8, false, 100, 1), false),
            (at(8, false, 100, 3), true),
            (at(8, false, 101, 1), false),
            (at(8, true, 95, 1), false),
            (at(9, false, 500, 1), false),
        ] {
            assert_eq!(joints.breaks_at(&place), breaks, "{place}");
        }
    }

    #[test]
    fn a_stream_that_is_read_from_behind_its_last_line_only_proves_nothing() {
        const LATER: i64 = 3_600_000_000_000;
        let told = Places::new(0, [at(7, false, LATER, 1), at(7, true, 100, 1)]);
        let mut joints = Joints::new(&told);
        assert!(!joints.breaks_at(&at(7, true, LATER, 1)));
        assert!(joints.breaks_at(&at(7, false, LATER + 1, 1)));
        let agent = Cursor {
            origin: Origin::Agent { run: 1 },
            ..at(0, false, 5, 5)
        };
        let mut joints = Joints::new(&Places::new(0, [agent]));
        let next = Cursor { count: 9, ..agent };
        assert!(!joints.breaks_at(&next), "its numbers tell that");
    }
}
