//! What a deployment tells while it runs. The renderer draws these; nothing else is shown.

use agent_api::log::LogLine;
use tokio::sync::mpsc;

use crate::project::Warning;

/// Something that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The services that are dealt with, in order; comes first.
    Services(Vec<String>),
    /// Something that a person should know and that stops nothing.
    Warning(Warning),
    /// A service made a step.
    Service {
        /// Its name.
        service: String,
        /// The step.
        step: Step,
    },
    /// All images are there; the device is given its target state.
    Sending,
    /// The device has accepted it and works.
    Applying,
    /// What the device waits for, if it waits.
    Waiting(String),
    /// The connection to the device broke and is made again.
    Reconnecting(String),
    /// A line of a service or of the device itself, while it is brought up.
    Log(LogLine),
}

/// What was decided for a service's image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It is built.
    Build,
    /// It is pulled from its registry.
    Pull,
    /// The device has it as it should be.
    Keep,
}

/// A step of one service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Its context is known.
    Prepared {
        /// Files.
        files: usize,
        /// Bytes, uncompressed.
        bytes: u64,
    },
    /// What was decided.
    Decided(Action),
    /// So much of the context was sent.
    Sent {
        /// Bytes so far.
        bytes: u64,
        /// Bytes in all, about.
        total: u64,
    },
    /// A build step began.
    Instruction {
        /// Counted from 1.
        number: u32,
        /// How many there are.
        of: u32,
        /// The instruction.
        text: String,
    },
    /// The step that began last was in the cache.
    Cached,
    /// A line of the build.
    Output(String),
    /// A line of the builder's own bookkeeping.
    Note(String),
    /// Layers are being pulled.
    Pulled {
        /// Bytes so far.
        bytes: u64,
        /// Bytes of the layers known so far.
        total: u64,
    },
    /// The image is there.
    Ready {
        /// Its id.
        image: String,
    },
    /// It could not be built or pulled; the last lines of its build follow in the error.
    Failed,
    /// The device's word about it: `Installing`, `Running`…
    Status(String),
}

/// Where events go. Sending never waits; when nobody listens any more, they are dropped.
#[derive(Debug, Clone)]
pub struct Events(mpsc::UnboundedSender<Event>);

impl Events {
    /// A sender and its receiver.
    #[must_use]
    pub fn channel() -> (Self, mpsc::UnboundedReceiver<Event>) {
        let (sender, receiver) = mpsc::unbounded_channel();
        (Self(sender), receiver)
    }

    /// Tells something.
    pub fn send(&self, event: Event) {
        // Without a listener there is nothing to tell.
        drop(self.0.send(event));
    }

    /// Tells a step of a service.
    pub fn step(&self, service: &str, step: Step) {
        self.send(Event::Service {
            service: service.to_owned(),
            step,
        });
    }
}
