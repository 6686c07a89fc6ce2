//! What happens in a tunnel.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Sender, error::TrySendError};

use super::Forward;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Connections are taken from now on.
    Listening {
        /// Which forward it is.
        forward: Forward,
        /// Addresses with ports, or a path.
        at: Vec<String>,
    },
    /// A connection, or a flow of datagrams, has begun.
    Opened {
        /// Counted from 1.
        connection: u64,
        /// Of which forward.
        forward: Forward,
        /// Who has begun it.
        from: From,
    },
    /// It is over.
    Closed {
        /// Which one.
        connection: u64,
        /// Of which forward.
        forward: Forward,
        /// What passed.
        ending: Ending,
    },
    /// Something that a person may want to mend; all else goes on.
    Trouble {
        /// Of which forward.
        forward: Forward,
        /// What it is.
        why: String,
    },
    /// The connection to the device is gone.
    Lost {
        /// How it ended.
        why: String,
    },
    /// The device is not there yet.
    StillAway {
        /// Why.
        why: String,
        /// How long until it is tried again.
        pause: Duration,
    },
    /// Nobody has taken some of what happened, and it was dropped.
    Missed {
        /// How many events.
        count: u64,
    },
    /// It is there again.
    Back {
        /// Name and address.
        peer: String,
    },
}

/// Who has begun a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum From {
    /// An address here.
    Address(std::net::SocketAddr),
    /// Somebody here, through a unix socket.
    Here,
    /// Somebody on the device.
    Device,
}

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ending {
    /// Bytes that went to the device.
    pub to_device: u64,
    /// Bytes that came from it.
    pub from_device: u64,
    /// How long it was open.
    pub lasted: Duration,
    /// How it came about.
    pub outcome: Outcome,
}

/// How an end came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Both sides had said all.
    Done,
    /// The tunnel was ended.
    Stopped,
    /// What went wrong.
    Failed(String),
}

impl std::convert::From<Result<(), String>> for Outcome {
    fn from(ended: Result<(), String>) -> Self {
        match ended {
            Ok(()) => Self::Done,
            Err(why) => Self::Failed(why),
        }
    }
}

/// Bytes that have passed.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) to_device: AtomicU64,
    pub(super) from_device: AtomicU64,
}

impl Counts {
    pub(super) fn ending(&self, begun: Instant, outcome: Outcome) -> Ending {
        Ending {
            to_device: self.to_device.load(Ordering::Relaxed),
            from_device: self.from_device.load(Ordering::Relaxed),
            lasted: begun.elapsed(),
            outcome,
        }
    }
}

/// Where events go.
#[derive(Debug, Clone)]
pub(super) struct Reports {
    events: Sender<Event>,
    missed: Arc<AtomicU64>,
    next: Arc<AtomicU64>,
}

impl Reports {
    pub(super) fn new(events: Sender<Event>) -> Self {
        Self {
            events,
            missed: Arc::default(),
            next: Arc::new(AtomicU64::new(1)),
        }
    }

    /// Never waits: who does not keep up is told how much has been missed.
    pub(super) fn tell(&self, event: Event) {
        let missed = self.missed.swap(0, Ordering::Relaxed);
        if missed > 0 && self.is_full(Event::Missed { count: missed }) {
            self.missed.fetch_add(missed + 1, Ordering::Relaxed);
        } else if self.is_full(event) {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether there was no room for it. Who does not listen any more wants the tunnel's end, too.
    fn is_full(&self, event: Event) -> bool {
        matches!(self.events.try_send(event), Err(TrySendError::Full(_)))
    }

    /// Begins the report of a connection.
    pub(super) fn opened(&self, forward: &Forward, from: From) -> Open {
        let connection = self.next.fetch_add(1, Ordering::Relaxed);
        self.tell(Event::Opened {
            connection,
            forward: forward.clone(),
            from,
        });
        Open {
            reports: self.clone(),
            connection,
            forward: forward.clone(),
            begun: Instant::now(),
            counts: Arc::default(),
        }
    }
}

/// A connection whose end will be reported.
#[derive(Debug)]
pub(super) struct Open {
    reports: Reports,
    connection: u64,
    forward: Forward,
    begun: Instant,
    pub(super) counts: Arc<Counts>,
}

impl Open {
    pub(super) fn close(self, outcome: Outcome) {
        self.reports.tell(Event::Closed {
            connection: self.connection,
            forward: self.forward,
            ending: self.counts.ending(self.begun, outcome),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_does_not_keep_up_is_told_how_much_was_missed() {
        let (events, mut happening) = tokio::sync::mpsc::channel(2);
        let reports = Reports::new(events);
        let lost = |number: u32| Event::Lost {
            why: number.to_string(),
        };
        for number in 0..5 {
            reports.tell(lost(number));
        }
        assert_eq!(happening.recv().await, Some(lost(0)));
        // There is room for one only, and it is more than that by now.
        reports.tell(lost(5));
        assert_eq!(happening.recv().await, Some(lost(1)));
        assert_eq!(happening.recv().await, Some(Event::Missed { count: 3 }));
        reports.tell(lost(6));
        assert_eq!(happening.recv().await, Some(Event::Missed { count: 1 }));
        assert_eq!(happening.recv().await, Some(lost(6)));
    }
}
