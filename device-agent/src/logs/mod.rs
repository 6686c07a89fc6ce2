//! Log lines: from containers and from the agent itself, to every client that listens.
//!
//! In: the engine's log streams, which are read only while somebody listens, and system lines. Out: a bounded queue per
//! client. A client that stalls loses its own lines and costs the others nothing. Must not know HTTP.

pub(crate) mod fuzz;
pub(crate) mod history;
mod lifecycle;
mod lines;
mod queue;
mod reader;
mod source;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use agent_api::log::LogLine;
use tokio::sync::watch;

use crate::host::now_nanos;
pub(crate) use lifecycle::narrate;
pub(crate) use queue::Delivery;
use queue::Queue;
pub(crate) use reader::run;

/// System lines that are kept for `?tail=N`.
const KEPT_SYSTEM_LINES: usize = 200;
/// Lines that a client may ask back for.
pub(crate) const MAX_TAIL: usize = 10_000;

/// A line with what is needed to tell whether it was seen before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// What clients get.
    pub(crate) text: LogLine,
    /// Engine id of the container; `None` for lines of the agent itself.
    pub(crate) container: Option<Arc<str>>,
    /// Nanoseconds since the Unix epoch.
    pub(crate) nanos: i64,
}

/// Who listens, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Listening {
    clients: usize,
    /// When the first of them came, in nanoseconds since the Unix epoch: their lines begin here.
    since: i64,
}

/// Where lines come in and clients subscribe. Cheap to clone; all clones are one hub.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    shared: Arc<Mutex<Shared>>,
    listening: Arc<watch::Sender<Listening>>,
}

#[derive(Debug, Default)]
struct Shared {
    clients: Vec<Weak<Queue>>,
    system: VecDeque<Arc<Line>>,
}

/// One client's place. Its lines begin when it is made; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Subscription {
    queue: Arc<Queue>,
    listening: Arc<watch::Sender<Listening>>,
}

impl Hub {
    pub(crate) fn new() -> Self {
        Self {
            shared: Arc::default(),
            listening: Arc::new(watch::Sender::new(Listening::default())),
        }
    }

    pub(crate) fn subscribe(&self) -> Subscription {
        let queue = Arc::new(Queue::default());
        let mut shared = self.lock();
        // Those that are gone are not kept until the next line.
        shared.clients.retain(|client| client.strong_count() > 0);
        shared.clients.push(Arc::downgrade(&queue));
        drop(shared);
        self.listening.send_modify(|listening| {
            if listening.clients == 0 {
                listening.since = now_nanos();
            }
            listening.clients += 1;
        });
        Subscription {
            queue,
            listening: Arc::clone(&self.listening),
        }
    }

    /// Gives a line to every client.
    pub(crate) fn publish(&self, line: Line) {
        let line = Arc::new(line);
        let mut shared = self.lock();
        shared.clients.retain(|client| {
            let client = client.upgrade();
            if let Some(client) = &client {
                client.push(Arc::clone(&line));
            }
            client.is_some()
        });
        if line.container.is_none() {
            if shared.system.len() == KEPT_SYSTEM_LINES {
                shared.system.pop_front();
            }
            shared.system.push_back(line);
        }
    }

    /// Publishes a line of the agent itself.
    pub(crate) fn system(&self, message: impl Into<String>) {
        self.publish_system(message.into(), None);
    }

    /// Publishes a line of the agent itself that tells of a failure.
    pub(crate) fn system_error(&self, message: impl Into<String>) {
        self.publish_system(message.into(), Some(true));
    }

    fn publish_system(&self, message: String, is_std_err: Option<bool>) {
        let nanos = now_nanos();
        if is_std_err.is_some() {
            tracing::warn!("{message}");
        } else {
            tracing::info!("{message}");
        }
        self.publish(Line {
            text: LogLine {
                is_std_err,
                ..LogLine::system(message, nanos / 1_000_000)
            },
            container: None,
            nanos,
        });
    }

    /// The last lines of the agent itself.
    fn system_lines(&self) -> Vec<Arc<Line>> {
        self.lock().system.iter().map(Arc::clone).collect()
    }

    fn listening(&self) -> watch::Receiver<Listening> {
        self.listening.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Subscription {
    /// The next line, or how many were lost.
    pub(crate) async fn next(&mut self) -> Delivery {
        self.queue.next().await
    }

    /// The next line if there is one now.
    pub(crate) fn try_next(&mut self) -> Option<Delivery> {
        self.queue.try_next()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listening
            .send_modify(|listening| listening.clients = listening.clients.saturating_sub(1));
    }
}
