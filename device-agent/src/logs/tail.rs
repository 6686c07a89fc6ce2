//! Where the last lines of the past begin: they are read once to count them, before they are told.

use std::collections::{BTreeMap, VecDeque};

use super::Asked;
use super::attempts::Broken;
use super::past::{Past, Place};
use super::places::Places;

/// Lines of the two streams of a container come so much out of the order of their times at most where they are counted
/// exactly, in nanoseconds. Much less than [`super::places::SLACK`], which bounds the same for what must not be missed: reading
/// too much costs nothing there, while here each time within it is kept in memory, and a flood has a million a second. If a line
/// comes later than this, a client is told a line more than it asked for.
const DISORDER: i64 = 50_000_000;

/// Where the last lines begin, and where they end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Beginning {
    /// Time of the earliest of them, in nanoseconds since the Unix epoch.
    pub(super) nanos: i64,
    /// So many lines of this time or a later one come before.
    pub(super) skip: usize,
    /// The latest time of all lines that there are.
    pub(super) end: i64,
}

/// Where the last `count` lines begin that are wanted and not told; `None` when there are no such lines.
pub(super) async fn last(
    place: Place<'_>,
    asked: &Asked,
    told: &Places,
    count: usize,
) -> Result<Option<Beginning>, Broken> {
    // The engine and the journal count lines behind `until` too. One more than is wanted shows whether the time of the
    // first one is that of others before it.
    let tail = asked.wanted.until.is_none();
    let tail = tail.then_some(count.saturating_add(1));
    let (beginning, is_short) = look_back(place, asked, told, (count, tail)).await?;
    let is_cut = tail.is_some() && beginning.is_some_and(|beginning| beginning.skip > 0);
    if is_short || is_cut {
        return Ok(look_back(place, asked, told, (count, None)).await?.0);
    }
    Ok(beginning)
}

/// The same, among the last `tail` messages of each origin where that is given; and whether these may be too few.
async fn look_back(
    place: Place<'_>,
    asked: &Asked,
    told: &Places,
    (count, tail): (usize, Option<usize>),
) -> Result<(Option<Beginning>, bool), Broken> {
    let mut past = Past::open(place, asked, told, tail).await?;
    let mut times = VecDeque::new();
    let mut end = 0;
    // How many lines have come before them, by their times.
    let mut left_out: BTreeMap<i64, usize> = BTreeMap::new();
    while let Some(line) = past.next().await {
        if !asked.wanted.wants(&line) || !told.is_new(&line.place) {
            continue;
        }
        end = line.place.nanos.max(end);
        times.push_back(line.place.nanos);
        if times.len() > count {
            let nanos = times.pop_front().unwrap_or_default();
            *left_out.entry(nanos).or_default() += 1;
            left_out = left_out.split_off(&nanos.saturating_sub(DISORDER));
        }
    }
    if let Some(broken) = past.broken {
        return Err(broken);
    }
    let beginning = times.iter().min().map(|&nanos| Beginning {
        nanos,
        skip: left_out.range(nanos..).map(|(_, count)| count).sum(),
        end,
    });
    Ok((beginning, past.is_short))
}
