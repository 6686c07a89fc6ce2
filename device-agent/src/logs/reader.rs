//! One task per running container reads its lines, while at least one client listens.
//!
//! In: who listens, the engine's events. Out: lines for the hub. A stream that ends is taken up again where it stopped
//! when its container starts again or the engine comes back: nothing is repeated, nothing is lost that the engine kept.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agent_api::log::LogLine;
use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;

use super::lines::{Decoder, Text};
use super::source::Source;
use super::{Hub, Line};
use crate::engine::events::{Action, Happened, SUPERVISED};
use crate::engine::stream::{Lines, LogStream};
use crate::engine::{Connected, EngineError, Link, QUICK, bounded};
use crate::model::Confinement;

/// Between a stream that broke and the next try.
const RETRY: Duration = Duration::from_secs(1);
/// Bytes of a container's output that are taken apart at a time: far fewer short lines than a client's queue holds.
const PIECE: usize = 16 * 1024;

/// How reading a container ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// With the container's run, or the container.
    Whole,
    /// In the middle.
    Broken,
}

/// Where a container's lines were last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cursor {
    /// Time of the last line.
    nanos: i64,
    /// Lines seen with that time.
    seen: u32,
}

impl Cursor {
    pub(super) fn new(since: i64) -> Self {
        Self {
            nanos: since,
            seen: 0,
        }
    }

    /// Whether a line is new, when reading began at this cursor's time again. `again` counts lines with that time.
    pub(super) fn advance(&mut self, nanos: i64, resumed: Self, again: &mut u32) -> bool {
        if nanos < resumed.nanos {
            return false;
        }
        if nanos == resumed.nanos && *again < resumed.seen {
            *again += 1;
            return false;
        }
        if nanos > self.nanos {
            *self = Self { nanos, seen: 1 };
        } else if nanos == self.nanos {
            self.seen += 1;
        }
        true
    }
}

/// A line as clients get it.
pub(super) fn line_of(source: &Source, text: Text) -> Line {
    Line {
        text: LogLine {
            service_name: Some(source.service.clone()),
            message: text.message,
            is_system: None,
            is_std_err: Some(text.is_std_err),
            timestamp: Some(text.nanos / 1_000_000),
            service_id: source.service_id,
        },
        container: Some(Arc::clone(&source.id)),
        nanos: text.nanos,
    }
}

/// Reads while somebody listens, until the engine's events end.
pub(crate) async fn run(
    hub: Hub,
    confinement: Option<Confinement>,
    link: watch::Receiver<Link>,
    happened: broadcast::Sender<Happened>,
) {
    let mut listening = hub.listening();
    loop {
        let since = match listening.wait_for(|listening| listening.clients > 0).await {
            Ok(listening) => listening.since,
            Err(_) => return,
        };
        let mut session = Session {
            hub: hub.clone(),
            confinement: confinement.clone(),
            link: link.clone(),
            since,
            cursors: HashMap::new(),
            again: HashSet::new(),
            active: HashSet::new(),
            readers: JoinSet::new(),
        };
        let mut events = happened.subscribe();
        session.find_all().await;
        tokio::select! {
            _ = listening.wait_for(|listening| listening.clients == 0) => {}
            () = session.follow(&mut events) => return,
        }
    }
}

/// From the first client's coming to the last one's going.
struct Session {
    hub: Hub,
    confinement: Option<Confinement>,
    link: watch::Receiver<Link>,
    /// In nanoseconds; lines before are nobody's.
    since: i64,
    cursors: HashMap<Arc<str>, Arc<Mutex<Cursor>>>,
    /// Containers that are being read.
    active: HashSet<Arc<str>>,
    /// Containers that started again while they were still being read.
    again: HashSet<Source>,
    readers: JoinSet<(Source, Ended)>,
}

impl Session {
    /// Follows the engine's events; ends with them.
    async fn follow(&mut self, events: &mut broadcast::Receiver<Happened>) {
        loop {
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Happened::Container(event)) => self.note(&event),
                    Ok(Happened::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.find_all().await;
                    }
                    Ok(Happened::Other) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(ended) = self.readers.join_next() => {
                    if let Ok((source, how)) = ended {
                        self.active.remove(&source.id);
                        if self.again.remove(&source) || how == Ended::Broken {
                            self.read(source);
                        }
                    }
                }
            }
        }
    }

    fn note(&mut self, event: &crate::engine::events::ContainerEvent) {
        let Some(source) =
            Source::from_labels(&event.id, &event.attributes, self.confinement.as_ref())
        else {
            return;
        };
        match event.action {
            Action::Start => self.read(source),
            Action::Destroy => {
                self.cursors.remove(&source.id);
            }
            Action::Die | Action::Changed => {}
        }
    }

    /// Reads every container that runs now. Those that ended since this session began are read too: their last lines
    /// may not have been.
    async fn find_all(&mut self) {
        let Link::Up(connected) = self.link.borrow().clone() else {
            return;
        };
        match supervised(&connected, self.confinement.as_ref()).await {
            Ok(found) => {
                // Of what went away unseen, nothing will be read any more.
                let there: HashSet<_> = found
                    .iter()
                    .map(|(source, _)| Arc::clone(&source.id))
                    .collect();
                self.cursors
                    .retain(|id, _| there.contains(id) || self.active.contains(id));
                for (source, runs) in found {
                    if runs || self.cursors.contains_key(&source.id) {
                        self.read(source);
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "containers could not be listed for their logs"),
        }
    }

    fn read(&mut self, source: Source) {
        let Link::Up(connected) = self.link.borrow().clone() else {
            // The link's return is told as a gap.
            return;
        };
        if !self.active.insert(Arc::clone(&source.id)) {
            self.again.insert(source);
            return;
        }
        let since = self.since;
        let cursor = Arc::clone(
            self.cursors
                .entry(Arc::clone(&source.id))
                .or_insert_with(|| Arc::new(Mutex::new(Cursor::new(since)))),
        );
        let hub = self.hub.clone();
        self.readers.spawn(async move {
            let how = match follow(&connected, &source, &cursor, &hub).await {
                // A container that is gone has no more lines.
                Ok(()) | Err(EngineError::NotFound(_)) => Ended::Whole,
                Err(error) => {
                    tracing::debug!(service = %source.service, %error, "a log stream broke");
                    tokio::time::sleep(RETRY).await;
                    Ended::Broken
                }
            };
            (source, how)
        });
    }
}

/// Our containers, and whether each runs.
pub(super) async fn supervised(
    connected: &Connected,
    confinement: Option<&Confinement>,
) -> Result<Vec<(Source, bool)>, EngineError> {
    let mut found: HashMap<Arc<str>, (Source, bool)> = HashMap::new();
    for label in SUPERVISED {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = bounded(QUICK, connected.docker.list_containers(Some(options))).await?;
        for container in listed {
            let labels = container.labels.unwrap_or_default();
            let id = container.id.unwrap_or_default();
            if let Some(source) = Source::from_labels(&id, &labels, confinement) {
                let runs = container
                    .state
                    .is_some_and(|state| state.to_string() == "running");
                found.insert(Arc::clone(&source.id), (source, runs));
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Whether a container has a terminal.
pub(super) async fn has_tty(connected: &Connected, id: &str) -> Result<bool, EngineError> {
    let call = connected
        .docker
        .inspect_container(id, None::<InspectContainerOptions>);
    let container = bounded(QUICK, call).await?;
    Ok(container
        .config
        .and_then(|config| config.tty)
        .unwrap_or(false))
}

/// Reads one container's lines until it ends.
async fn follow(
    connected: &Connected,
    source: &Source,
    cursor: &Mutex<Cursor>,
    hub: &Hub,
) -> Result<(), EngineError> {
    let tty = has_tty(connected, &source.id).await?;
    let resumed = *cursor.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = Lines::Follow {
        since: resumed.nanos,
    };
    let mut stream = LogStream::open(connected, &source.id, &lines).await?;
    let mut decoder = Decoder::new(tty);
    let mut again = 0;
    let mut give = |text: Text| {
        let is_new = cursor
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .advance(text.nanos, resumed, &mut again);
        if is_new {
            hub.publish(line_of(source, text));
        }
    };
    while let Some(bytes) = stream.next().await? {
        for piece in bytes.chunks(PIECE) {
            decoder.feed(piece, &mut give);
            // Clients that read all the while get their turn before their queue is full.
            tokio::task::yield_now().await;
        }
    }
    decoder.finish(&mut give);
    Ok(())
}
