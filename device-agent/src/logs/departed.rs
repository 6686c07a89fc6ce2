//! Where the lines of containers ended that are gone, so that a client that comes back can be told whether it misses any.
//! Pure.

use std::collections::VecDeque;

use agent_api::cursor::{Cursor, Origin};
use serde::{Deserialize, Serialize};

use super::places::Places;

/// Containers that are remembered.
const MAX_REMEMBERED: usize = 256;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Departed {
    containers: VecDeque<Gone>,
}

/// A container that was read to its end and removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Gone {
    /// Its short id.
    pub(super) container: u64,
    pub(super) service: String,
    /// From when on it was read, in nanoseconds since the Unix epoch; absent: nobody knows.
    #[serde(default)]
    pub(super) since: Option<i64>,
    /// Time and count of the last line of either stream.
    pub(super) out: Option<(i64, u32)>,
    pub(super) err: Option<(i64, u32)>,
}

/// What a client misses of a container that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Missing {
    /// Nothing.
    Nothing,
    /// Lines of this service.
    Lines(String),
    /// Nobody knows whether, of this service if that is known.
    Perhaps(Option<String>),
}

impl Departed {
    /// Remembers a container whose lines were all read.
    pub(super) fn add(&mut self, gone: Gone) {
        self.containers
            .retain(|known| known.container != gone.container);
        if self.containers.len() == MAX_REMEMBERED {
            self.containers.pop_front();
        }
        self.containers.push_back(gone);
    }

    /// All that are remembered.
    pub(super) fn all(&self) -> impl Iterator<Item = &Gone> {
        self.containers.iter()
    }

    /// What somebody misses who has lines up to these places.
    pub(super) fn missing(&self, container: u64, told: &Places) -> Missing {
        let Some(gone) = self
            .containers
            .iter()
            .find(|gone| gone.container == container)
        else {
            return Missing::Perhaps(None);
        };
        let streams = [(false, gone.out), (true, gone.err)];
        let is_new = |is_std_err, (nanos, count)| {
            told.is_new(&Cursor {
                origin: Origin::Stream {
                    container,
                    is_std_err,
                },
                nanos,
                count,
            })
        };
        let misses = |(is_std_err, last): (bool, Option<_>)| {
            last.is_some_and(|last| is_new(is_std_err, last))
        };
        if streams.into_iter().any(misses) {
            return Missing::Lines(gone.service.clone());
        }
        // A stream that was silent while it was read may have said something before; who has any line of the container from behind
        // that time has everything of before it, since the past is told in the order of its times.
        let reached = streams
            .into_iter()
            .filter_map(|(is_std_err, _)| told.last_of(container, is_std_err))
            .map(|(nanos, _)| nanos)
            .fold(told.since(), i64::max);
        let is_known = gone.since.is_some_and(|since| reached >= since);
        let has_silent = streams.into_iter().any(|(_, last)| last.is_none());
        if has_silent && !is_known {
            Missing::Perhaps(Some(gone.service.clone()))
        } else {
            Missing::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_has_not_seen_the_last_line_misses_some() {
        let mut departed = Departed::default();
        let at = |nanos| Cursor {
            origin: Origin::Stream {
                container: 7,
                is_std_err: false,
            },
            nanos,
            count: 1,
        };
        let told = |nanos| Places::new(0, [at(nanos)]);
        assert_eq!(departed.missing(7, &told(5)), Missing::Perhaps(None));
        departed.add(Gone {
            container: 7,
            service: "web".to_owned(),
            since: Some(1),
            out: Some((9, 1)),
            err: None,
        });
        assert_eq!(
            departed.missing(7, &told(5)),
            Missing::Lines("web".to_owned())
        );
        assert_eq!(departed.missing(7, &told(9)), Missing::Nothing);
        for container in 100..=100 + u64::try_from(MAX_REMEMBERED).unwrap() {
            departed.add(Gone {
                container,
                service: "x".to_owned(),
                since: None,
                out: None,
                err: None,
            });
        }
        assert_eq!(departed.containers.len(), MAX_REMEMBERED);
        assert_eq!(departed.missing(7, &told(9)), Missing::Perhaps(None));
    }

    #[test]
    fn a_stream_that_was_silent_while_it_was_read_may_have_spoken_before() {
        let at = |is_std_err, nanos| Cursor {
            origin: Origin::Stream {
                container: 7,
                is_std_err,
            },
            nanos,
            count: 1,
        };
        let of = |since, out| {
            let mut departed = Departed::default();
            departed.add(Gone {
                container: 7,
                service: "web".to_owned(),
                since,
                out,
                err: None,
            });
            departed
        };
        let perhaps = || Missing::Perhaps(Some("web".to_owned()));
        let silent = of(Some(100), None);
        assert_eq!(
            silent.missing(7, &Places::new(0, [at(false, 50)])),
            perhaps()
        );
        assert_eq!(
            silent.missing(7, &Places::new(0, [at(true, 100)])),
            Missing::Nothing
        );
        assert_eq!(silent.missing(7, &Places::new(100, [])), Missing::Nothing);
        let spoke = of(Some(100), Some((120, 1)));
        assert_eq!(
            spoke.missing(7, &Places::new(0, [at(false, 120)])),
            Missing::Nothing
        );
        // Written by an agent that did not know.
        let old = of(None, Some((120, 1)));
        assert_eq!(old.missing(7, &Places::new(0, [at(false, 120)])), perhaps());
    }
}
