//! What is told while something is copied.

use tokio::sync::mpsc;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So much is to be done: bytes if they are known, files, and files that are there already.
    Planned {
        /// Bytes to send.
        bytes: Option<u64>,
        /// Files to send.
        files: u64,
        /// Files that need not be sent.
        same: u64,
    },
    /// So many bytes more.
    Moved(u64),
    /// A file has its name.
    Done {
        /// Its bytes.
        size: u64,
    },
    /// A file is gone on with.
    Resumed {
        /// Which one, as its system has it.
        path: Vec<u8>,
        /// From which byte on.
        from: u64,
    },
    /// Something is not copied.
    Left {
        /// What, as its system has it.
        path: Vec<u8>,
        /// Why.
        why: String,
    },
    /// The connection is gone, and why.
    Lost(String),
    /// There is another one.
    Back,
}

/// Where events go.
pub type Events = mpsc::UnboundedSender<Event>;

/// How it ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files that were sent.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Files that were there already.
    pub same: u64,
    /// What was not copied.
    pub left: u64,
}

impl Summary {
    /// Counts one event more.
    pub fn note(&mut self, event: &Event) {
        match event {
            Event::Planned { same, .. } => self.same += same,
            Event::Done { size } => {
                self.files += 1;
                self.bytes = self.bytes.saturating_add(*size);
            }
            Event::Left { .. } => self.left += 1,
            Event::Moved(_) | Event::Resumed { .. } | Event::Lost(_) | Event::Back => {}
        }
    }
}

/// Tells it. Whoever listened may be gone.
pub(super) fn tell(events: &Events, event: Event) {
    drop(events.send(event));
}

/// Tells that something is left out.
pub(super) fn left(events: &Events, path: &[u8], why: impl Into<String>) {
    let path = path.to_vec();
    let why = why.into();
    tell(events, Event::Left { path, why });
}
