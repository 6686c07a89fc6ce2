//! One client's lines, bounded by number and by bytes. When it is full the oldest are dropped and counted, and the
//! count is delivered in their place: who reads slowly still sees how a burst ended.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::Line;
use crate::host::now_nanos;

/// Lines that wait for one client.
pub(super) const MAX_LINES: usize = 1024;
/// Bytes of messages that wait for one client. The lines themselves are shared between clients.
pub(super) const MAX_BYTES: usize = 512 * 1024;

/// What a client gets next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// A line.
    Line(Arc<Line>),
    /// The client read too slowly.
    Dropped {
        /// How many lines were lost here.
        lines: u64,
        /// When the first of them was, in milliseconds since the Unix epoch.
        at: i64,
    },
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Arc<Line>>,
    bytes: usize,
    /// What was lost before the first of `lines`: how many, and since when.
    dropped: Option<(u64, i64)>,
}

impl Waiting {
    fn drop_oldest(&mut self) {
        let Some(line) = self.take() else { return };
        drop(line);
        let (lines, at) = self.dropped.unwrap_or((0, now_nanos() / 1_000_000));
        self.dropped = Some((lines + 1, at));
    }

    fn take(&mut self) -> Option<Arc<Line>> {
        let line = self.lines.pop_front()?;
        self.bytes = self.bytes.saturating_sub(line.text.message.len());
        Some(line)
    }
}

impl Queue {
    pub(super) fn push(&self, line: Arc<Line>) {
        let mut waiting = self.lock();
        let bytes = line.text.message.len();
        while waiting.lines.len() >= MAX_LINES
            || (waiting.bytes + bytes > MAX_BYTES && !waiting.lines.is_empty())
        {
            waiting.drop_oldest();
        }
        waiting.bytes += bytes;
        waiting.lines.push_back(line);
        drop(waiting);
        self.arrived.notify_one();
    }

    pub(super) fn try_next(&self) -> Option<Delivery> {
        let mut waiting = self.lock();
        if let Some((lines, at)) = waiting.dropped.take() {
            return Some(Delivery::Dropped { lines, at });
        }
        waiting.take().map(Delivery::Line)
    }

    pub(super) async fn next(&self) -> Delivery {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            self.arrived.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
