//! One client's lines, bounded by number and by bytes. When it is full the newest are dropped and counted, and the
//! count takes their place in the order.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::{Line, now_nanos};

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
    lines: VecDeque<Delivery>,
    bytes: usize,
}

impl Queue {
    pub(super) fn push(&self, line: Arc<Line>) {
        let mut waiting = self.lock();
        let bytes = line.text.message.len();
        if waiting.lines.len() >= MAX_LINES || waiting.bytes + bytes > MAX_BYTES {
            if let Some(Delivery::Dropped { lines, .. }) = waiting.lines.back_mut() {
                *lines += 1;
            } else {
                let at = now_nanos() / 1_000_000;
                waiting.lines.push_back(Delivery::Dropped { lines: 1, at });
            }
        } else {
            waiting.bytes += bytes;
            waiting.lines.push_back(Delivery::Line(line));
        }
        drop(waiting);
        self.arrived.notify_one();
    }

    pub(super) fn try_next(&self) -> Option<Delivery> {
        let mut waiting = self.lock();
        let next = waiting.lines.pop_front()?;
        if let Delivery::Line(line) = &next {
            waiting.bytes = waiting.bytes.saturating_sub(line.text.message.len());
        }
        Some(next)
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
