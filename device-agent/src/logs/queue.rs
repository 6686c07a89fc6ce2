//! One client's lines: a lane for each service, all of them within one bound by number and by bytes. Lines leave in the
//! order in which they came. When there is no room, the longest lane loses its oldest line, so that a service that
//! floods loses its own lines and no other's; what was lost is counted, and told in its place.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use agent_api::log::LogLine;
use tokio::sync::Notify;

use super::Line;
use super::wanted::Wanted;
use crate::host::now_nanos;

/// Lines that wait for one client.
pub(super) const MAX_LINES: usize = 2048;
/// Bytes of messages that wait for one client. The lines themselves are shared between clients.
pub(super) const MAX_BYTES: usize = 512 * 1024;

/// What a client gets next.
#[derive(Debug, Clone)]
pub(super) enum Taken {
    /// A line.
    Line(Arc<Line>),
    /// Something about the lines that come behind it.
    Notice(Arc<LogLine>),
    /// The client read too slowly.
    Dropped(Dropped),
}

/// Lines that were lost one after another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Dropped {
    /// Whose; empty for the agent itself.
    pub(super) service: String,
    /// How many.
    pub(super) lines: u64,
    /// When the first of them was, in milliseconds since the Unix epoch.
    pub(super) at: i64,
}

/// What waits in a lane.
#[derive(Debug, Clone)]
enum Item {
    Line(Arc<Line>),
    Notice(Arc<LogLine>),
}

impl Item {
    fn text(&self) -> &LogLine {
        match self {
            Self::Line(line) => &line.text,
            Self::Notice(notice) => notice,
        }
    }

    fn bytes(&self) -> usize {
        self.text().message.len()
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    wanted: Wanted,
    waiting: Mutex<Waiting>,
    arrived: Notify,
    /// A lane became empty.
    emptied: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Lanes with something in them, by service; the agent itself has the empty name.
    lanes: BTreeMap<String, Lane>,
    /// Number of the next line.
    arrival: u64,
    lines: usize,
    bytes: usize,
    /// Whoever reads the services does not wait for this client again until it has taken everything.
    hopeless: bool,
}

#[derive(Debug, Default)]
struct Lane {
    /// With the number of its arrival.
    lines: VecDeque<(u64, Item)>,
    bytes: usize,
    /// What was lost before the first of `lines`: when it came, how much, and since when.
    dropped: Option<(u64, u64, i64)>,
}

impl Lane {
    /// When the oldest thing in it came.
    fn arrival(&self) -> Option<u64> {
        match self.dropped {
            Some((arrival, ..)) => Some(arrival),
            None => self.lines.front().map(|(arrival, _)| *arrival),
        }
    }

    fn push(&mut self, arrival: u64, new: Item) {
        self.bytes += new.bytes();
        self.lines.push_back((arrival, new));
    }

    /// Takes the oldest line away, with the number of its arrival.
    fn shift(&mut self) -> Option<(u64, Item)> {
        let (arrival, first) = self.lines.pop_front()?;
        self.bytes = self.bytes.saturating_sub(first.bytes());
        Some((arrival, first))
    }
}

impl Waiting {
    /// Drops the oldest line of the lane that is longest by this measure.
    fn drop_one(&mut self, measure: impl Fn(&Lane) -> usize) {
        let longest = self
            .lanes
            .values_mut()
            .filter(|lane| !lane.lines.is_empty())
            .max_by_key(|lane| measure(lane));
        let Some((lane, (arrival, item))) = longest.and_then(|lane| {
            let first = lane.shift()?;
            Some((lane, first))
        }) else {
            return;
        };
        let at = item.text().timestamp.unwrap_or(now_nanos() / 1_000_000);
        // A notice says that lines are missing, so that it counts as one.
        let (_, lines, _) = lane.dropped.get_or_insert((arrival, 0, at));
        *lines += 1;
        self.count_out(&item);
    }

    fn take(&mut self) -> Option<Taken> {
        let oldest = self
            .lanes
            .iter_mut()
            .filter_map(|(service, lane)| Some((lane.arrival()?, service, lane)))
            .min_by_key(|(arrival, ..)| *arrival);
        let Some((_, service, lane)) = oldest else {
            self.hopeless = false;
            return None;
        };
        let (taken, item) = match lane.dropped.take() {
            Some((_, lines, at)) => {
                let service = service.clone();
                (Some(Taken::Dropped(Dropped { service, lines, at })), None)
            }
            None => (None, lane.shift()),
        };
        if lane.arrival().is_none() {
            let service = service.clone();
            self.lanes.remove(&service);
        }
        let Some((_, item)) = item else {
            return taken;
        };
        self.count_out(&item);
        Some(match item {
            Item::Line(text) => Taken::Line(text),
            Item::Notice(notice) => Taken::Notice(notice),
        })
    }

    /// It does not wait any more.
    fn count_out(&mut self, item: &Item) {
        self.bytes = self.bytes.saturating_sub(item.bytes());
        self.lines = self.lines.saturating_sub(1);
    }
}

impl Queue {
    pub(super) fn new(wanted: Wanted) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Takes a line in if it is wanted.
    pub(super) fn push(&self, new: &Arc<Line>) {
        if self.wanted.wants(new) {
            let service = new.text.service_name.as_deref().unwrap_or_default();
            self.add(service, Item::Line(Arc::clone(new)));
        }
    }

    /// Takes in what is said about a service's lines, if these are wanted.
    pub(super) fn push_notice(&self, service: &str, notice: &Arc<LogLine>) {
        if self.wanted.wants_service(service) {
            self.add(service, Item::Notice(Arc::clone(notice)));
        }
    }

    fn add(&self, service: &str, new: Item) {
        let mut waiting = self.lock();
        let bytes = new.bytes();
        while waiting.lines >= MAX_LINES {
            waiting.drop_one(|lane| lane.lines.len());
        }
        while waiting.bytes + bytes > MAX_BYTES && waiting.lines > 0 {
            waiting.drop_one(|lane| lane.bytes);
        }
        let arrival = waiting.arrival;
        waiting.arrival += 1;
        waiting.lines += 1;
        waiting.bytes += bytes;
        if let Some(lane) = waiting.lanes.get_mut(service) {
            lane.push(arrival, new);
        } else {
            let lane = waiting.lanes.entry(service.to_owned()).or_default();
            lane.push(arrival, new);
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    pub(super) fn try_next(&self) -> Option<Taken> {
        let mut waiting = self.lock();
        let lanes = waiting.lanes.len();
        let taken = waiting.take();
        let emptied = waiting.lanes.len() < lanes;
        drop(waiting);
        if emptied {
            self.emptied.notify_waiters();
        }
        taken
    }

    pub(super) async fn next(&self) -> Taken {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.arrived.notified().await;
        }
    }

    /// Whether something was lost and not yet told.
    pub(super) fn has_dropped(&self) -> bool {
        self.lock()
            .lanes
            .values()
            .any(|lane| lane.dropped.is_some())
    }

    /// Whether a service's lane has more than its part of half the room, and the client is worth waiting for.
    pub(super) fn is_behind(&self, service: &str) -> bool {
        let waiting = self.lock();
        let part = 2 * waiting.lanes.len();
        !waiting.hopeless
            && waiting.lanes.get(service).is_some_and(|lane| {
                lane.lines.len() * part > MAX_LINES || lane.bytes * part > MAX_BYTES
            })
    }

    /// Waits until a service's lane is empty.
    pub(super) async fn until_empty(&self, service: &str) {
        loop {
            let emptied = self.emptied.notified();
            if !self.lock().lanes.contains_key(service) {
                return;
            }
            emptied.await;
        }
    }

    /// Lines and bytes that wait.
    #[cfg(test)]
    pub(super) fn size(&self) -> (usize, usize) {
        let waiting = self.lock();
        (waiting.lines, waiting.bytes)
    }

    /// The client was waited for in vain.
    pub(super) fn give_up(&self) {
        self.lock().hopeless = true;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
