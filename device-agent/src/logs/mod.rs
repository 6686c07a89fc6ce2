//! Log lines: from containers and from the agent itself, to every client that listens.
//!
//! In: the engine's log streams, which are read only while somebody listens; the journal, for containers that are gone and for the
//! system; the agent's own lines.
//! Out: a [`Replay`] per client, first the past it asked for, then a bounded queue of its own. A client that stalls loses its own
//! lines and costs the others nothing. Every line has a place, so that a client that comes back misses and repeats none. Must not
//! know HTTP.

mod assembler;
mod attempts;
mod beside;
mod containers;
mod departed;
mod following;
pub(crate) mod fuzz;
mod growing;
mod joints;
mod journal;
mod journal_field;
mod journalctl;
mod kept;
mod kept_file;
mod level;
mod lifecycle;
mod line;
mod lines;
mod past;
mod places;
mod queue;
mod reader;
mod reading;
mod replay;
mod silence;
mod source;
mod splitter;
mod system;
mod system_row;
mod tail;
#[cfg(test)]
mod tests;
mod turns;
mod wanted;

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use agent_api::cursor::Cursor;
use agent_api::log::LogLine;
use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use crate::host::{now_nanos, random_hex};
pub(crate) use beside::Beside;
use kept::Kept;
pub(crate) use lifecycle::narrate;
pub(crate) use line::Line;
use queue::{Queue, Taken};
pub(crate) use reader::run;
pub(crate) use replay::{Delivery, Replay};
pub(crate) use system::{SystemLog, SystemWish};
use turns::Turns;
pub(crate) use wanted::{Asked, Wanted};

/// Lines that a client may ask back for.
pub(crate) const MAX_TAIL: usize = 100_000;
/// For clients that read, so that they need not lose lines of a burst; who is not done by then is not waited for.
const PATIENCE: Duration = Duration::from_millis(100);
/// For the last lines of a container that is about to be removed.
const LAST_LINES: Duration = Duration::from_secs(2);

/// Who listens, and since when.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Listening {
    clients: usize,
    /// When the first of them came, in nanoseconds since the Unix epoch: their lines begin here.
    since: i64,
}

/// Asks for a container to be read to its end; answered when it has been.
#[derive(Debug)]
struct Drain {
    id: String,
    done: oneshot::Sender<()>,
}

/// Where lines come in and clients subscribe. Cheap to clone; all clones are one hub.
#[derive(Debug, Clone)]
pub(crate) struct Hub {
    shared: Arc<Mutex<Shared>>,
    listening: Arc<watch::Sender<Listening>>,
    drains: mpsc::UnboundedSender<Drain>,
    /// Of clients that are told the past.
    turns: Turns,
}

#[derive(Debug)]
struct Shared {
    clients: Vec<Weak<Queue>>,
    kept: Kept,
    /// Taken by the reader.
    drains: Option<mpsc::UnboundedReceiver<Drain>>,
}

/// One client's place. Its lines begin when it is made; dropping it ends it.
#[derive(Debug)]
pub(crate) struct Subscription {
    queue: Arc<Queue>,
    listening: Arc<watch::Sender<Listening>>,
}

impl Hub {
    /// A hub whose own lines outlast the agent in `file`, which lies where nothing outlasts the system. What cannot be
    /// kept there is kept in memory.
    pub(crate) fn new(file: Option<&Path>) -> Self {
        let (drains, asked) = mpsc::unbounded_channel();
        Self {
            shared: Arc::new(Mutex::new(Shared {
                clients: Vec::new(),
                kept: Kept::open(file, run_id()),
                drains: Some(asked),
            })),
            listening: Arc::new(watch::Sender::new(Listening::default())),
            drains,
            turns: Turns::default(),
        }
    }

    pub(crate) fn subscribe(&self, wanted: Wanted) -> Subscription {
        let queue = Arc::new(Queue::new(wanted));
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

    /// Gives a line to every client that wants it.
    fn publish(&self, line: Line) {
        self.lock().publish(&Arc::new(line));
    }

    /// Tells every client that wants a service's lines something about those that come next.
    fn notice(&self, service: &str, text: String) {
        tracing::warn!(service, "{text}");
        let notice = Arc::new(LogLine::notice(text, now_nanos() / 1_000_000));
        self.lock()
            .each_client(|client| client.push_notice(service, &notice));
    }

    /// Waits for the clients that have much of this service before them: a burst must not cost lines of who reads.
    async fn make_way(&self, service: &str) {
        let behind: Vec<_> = {
            let shared = self.lock();
            let clients = shared.clients.iter().filter_map(Weak::upgrade);
            clients.filter(|queue| queue.is_behind(service)).collect()
        };
        if behind.is_empty() {
            return;
        }
        let emptied = join_all(behind.iter().map(|queue| queue.until_empty(service)));
        if tokio::time::timeout(PATIENCE, emptied).await.is_err() {
            for queue in behind.iter().filter(|queue| queue.is_behind(service)) {
                queue.give_up();
            }
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
        let mut shared = self.lock();
        let line = shared.kept.add(message, is_std_err, nanos);
        shared.publish(&line);
    }

    /// Returns when everything has been read that a container has written, or after [`LAST_LINES`]; at once when nobody
    /// listens. The container must not run any more.
    pub(crate) async fn drained(&self, id: &str) {
        if self.listening.borrow().clients == 0 {
            return;
        }
        let (done, read) = oneshot::channel();
        let drain = Drain {
            id: id.to_owned(),
            done,
        };
        if self.drains.send(drain).is_err() {
            return;
        }
        if tokio::time::timeout(LAST_LINES, read).await.is_err() {
            tracing::warn!("the last lines of container {id} were not read in time");
        }
    }

    /// The greeting of an answer that begins now.
    pub(crate) fn greeting(&self) -> LogLine {
        let place = Cursor {
            nanos: now_nanos(),
            ..self.lock().kept.last()
        };
        LogLine {
            cursor: Some(place.to_string()),
            ..LogLine::greeting()
        }
    }

    fn listening(&self) -> watch::Receiver<Listening> {
        self.listening.subscribe()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn publish(&mut self, line: &Arc<Line>) {
        self.each_client(|client| client.push(line));
    }

    /// For those that are still there; the others are forgotten.
    fn each_client(&mut self, give: impl Fn(&Queue)) {
        self.clients.retain(|client| {
            let client = client.upgrade();
            if let Some(client) = &client {
                give(client);
            }
            client.is_some()
        });
    }
}

/// A number for this run of the agent.
fn run_id() -> u32 {
    let drawn: io::Result<u32> = random_hex().map(|digits| {
        let digits = digits.get(..8).unwrap_or_default();
        u32::from_str_radix(digits, 16).unwrap_or_default()
    });
    // Without random numbers two runs differ at least in when they began.
    drawn.unwrap_or_else(|_| u32::try_from(now_nanos() / 1_000_000_000).unwrap_or_default())
}

impl Subscription {
    /// The next line, or how many were lost.
    async fn next(&mut self) -> Taken {
        self.queue.next().await
    }

    /// The next line if there is one now.
    fn try_next(&mut self) -> Option<Taken> {
        self.queue.try_next()
    }

    /// Whether lines were lost and not yet told.
    fn has_dropped(&self) -> bool {
        self.queue.has_dropped()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.listening
            .send_modify(|listening| listening.clients = listening.clients.saturating_sub(1));
    }
}
