//! Past lines of one origin as they are read: one container's, the journal's, or the agent's own.
//!
//! In: an open stream. Out: lines with their places, in the order of the origin; never more of them at a time than one piece of
//! the stream holds.

use std::collections::VecDeque;
use std::sync::Arc;

use thiserror::Error;

use super::Line;
use super::attempts::{Broken, Part};
use super::containers::manner;
use super::journalctl::{Journal, JournalError};
use super::level::Level;
use super::lines::{Decoder, Text};
use super::places::Counter;
use super::source::Source;
use crate::engine::stream::{LogStream, Range};
use crate::engine::{Connected, EngineError, QUICK};

/// Why lines could not be read.
#[derive(Debug, Error)]
enum ReadError {
    /// By the engine.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// From the journal.
    #[error("{0}")]
    Journal(#[from] JournalError),
}

/// See the module.
#[derive(Debug)]
pub(super) struct Reading {
    /// Whose lines, for people.
    name: String,
    part: Part,
    feed: Feed,
    pending: VecDeque<Arc<Line>>,
    is_short: bool,
}

#[derive(Debug)]
enum Feed {
    Container(Box<Container>),
    Journal(Box<Journal>),
    /// Nothing more comes.
    Ended,
    /// Nothing more can be read; what was read before is told first.
    Failed(ReadError),
}

/// One container's lines, from the engine.
#[derive(Debug)]
struct Container {
    source: Source,
    stream: LogStream,
    decoder: Decoder,
    counter: Counter,
    tail: Option<usize>,
    lines: usize,
}

impl Reading {
    /// Lines of the agent itself, which are there.
    pub(super) fn of(lines: impl IntoIterator<Item = Arc<Line>>) -> Self {
        Self {
            name: "the device itself".to_owned(),
            part: Part::Engine,
            feed: Feed::Ended,
            pending: lines.into_iter().collect(),
            is_short: false,
        }
    }

    /// What the engine kept of a container and its service wants to be told; all of it where the service `is_named`. `None`:
    /// nothing.
    pub(super) async fn container(
        connected: &Connected,
        source: &Source,
        range: Range,
        is_named: bool,
    ) -> Result<Option<Self>, EngineError> {
        let manner = manner(connected, &source.id).await?;
        let level = if is_named {
            Level::Everything
        } else {
            manner.level
        };
        let Some(range) = level.narrow(range) else {
            return Ok(None);
        };
        let stream = LogStream::open(connected, &source.id, &range).await?;
        Ok(Some(Self {
            name: source.service.clone(),
            part: Part::Container(source.container()),
            feed: Feed::Container(Box::new(Container {
                counter: Counter::new(source.container()),
                source: source.clone(),
                stream,
                decoder: Decoder::new(manner.tty),
                tail: range.tail,
                lines: 0,
            })),
            pending: VecDeque::new(),
            is_short: false,
        }))
    }

    /// What the journal kept of containers that are gone.
    pub(super) fn journal(journal: Journal) -> Self {
        Self {
            name: "containers that are gone".to_owned(),
            part: Part::Journal,
            feed: Feed::Journal(Box::new(journal)),
            pending: VecDeque::new(),
            is_short: false,
        }
    }

    /// The next line, once [`Self::fill`] has found one.
    pub(super) fn head(&self) -> Option<&Arc<Line>> {
        self.pending.front()
    }

    /// Takes the next line.
    pub(super) fn take(&mut self) -> Option<Arc<Line>> {
        self.pending.pop_front()
    }

    /// Whether there is a next line or an end, without reading.
    pub(super) fn is_ready(&self) -> bool {
        !self.pending.is_empty() || matches!(self.feed, Feed::Ended)
    }

    /// Reads until there is a next line, or no more of them.
    pub(super) async fn fill(&mut self) -> Result<(), Broken> {
        while !self.is_ready() {
            if let Feed::Failed(error) = &self.feed {
                return Err(Broken {
                    part: self.part,
                    reason: format!("{}: {error}", self.name),
                });
            }
            self.read().await;
        }
        Ok(())
    }

    /// Whether as many messages came as were asked for, but fewer lines: there may be more of them than were told.
    pub(super) fn is_short(&self) -> bool {
        self.is_short
    }

    async fn read(&mut self) {
        let Self { feed, pending, .. } = self;
        let read = match feed {
            Feed::Container(container) => container.read(pending).await.map_err(ReadError::from),
            Feed::Journal(journal) => journal.read(pending).await.map_err(ReadError::from),
            Feed::Ended | Feed::Failed(_) => return,
        };
        match read {
            Ok(true) => {}
            Ok(false) => {
                self.is_short = match feed {
                    Feed::Container(container) => container.is_short(),
                    Feed::Journal(journal) => journal.is_short(),
                    Feed::Ended | Feed::Failed(_) => false,
                };
                *feed = Feed::Ended;
            }
            Err(error) => *feed = Feed::Failed(error),
        }
    }
}

impl Container {
    async fn read(&mut self, lines: &mut VecDeque<Arc<Line>>) -> Result<bool, EngineError> {
        let bytes = match tokio::time::timeout(QUICK, self.stream.next()).await {
            Ok(bytes) => bytes?,
            Err(_) => return Err(EngineError::Hanging(QUICK)),
        };
        let (source, counter, count) = (&self.source, &mut self.counter, &mut self.lines);
        let mut give = |text: Text| {
            *count += 1;
            let place = counter.place(text.is_std_err, text.nanos);
            lines.push_back(Arc::new(source.line(text, place)));
        };
        match &bytes {
            Some(bytes) => self.decoder.feed(bytes, &mut give),
            None => self.decoder.finish(&mut give),
        }
        match self.decoder.failure() {
            Some(words) => Err(EngineError::Refused {
                status: 500,
                message: words.to_owned(),
            }),
            None => Ok(bytes.is_some()),
        }
    }

    fn is_short(&self) -> bool {
        self.tail
            .is_some_and(|tail| self.decoder.messages() >= tail && self.lines < tail)
    }
}
