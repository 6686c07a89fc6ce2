//! The device's log while a deployment runs: shown as it comes, and its last lines kept for the case of a failure.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use agent_api::log::LogLine;
use tokio::time::timeout;

use super::{Event, Events};
use crate::agent::{Agent, AgentError, Kind, LogItem, LogQuery, LogStream};

/// Lines that are kept of each service.
const KEPT: usize = 20;

/// Services of which lines are kept; a device may name any number.
const MOST_SERVICES: usize = 200;

/// How long the log of a service that has failed may still be on its way.
const STRAGGLERS: Duration = Duration::from_millis(300);

/// An open log stream.
#[derive(Debug)]
pub(super) struct LogTap {
    stream: Option<LogStream>,
    kept: BTreeMap<String, VecDeque<String>>,
}

impl LogTap {
    /// Opens the stream before the device is told anything, so that no line is missed. A device whose log cannot be read can
    /// still be deployed to.
    pub(super) async fn open(agent: &Agent, kind: &Kind) -> Self {
        let stream: Result<LogStream, AgentError> = match kind {
            Kind::Ours(_) => agent.logs(&LogQuery::default()).await,
            Kind::Reference { .. } => agent.reference_logs().await,
        };
        Self {
            stream: stream.ok(),
            kept: BTreeMap::new(),
        }
    }

    /// The next line; never returns once the stream is over. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> LogLine {
        while let Some(stream) = &mut self.stream {
            match stream.next().await {
                Ok(Some(LogItem::Line(line) | LogItem::Cut { line, .. })) => return line,
                Ok(Some(LogItem::Unreadable(_))) => {}
                Ok(None) | Err(_) => self.stream = None,
            }
        }
        std::future::pending().await
    }

    /// Keeps a line and tells it.
    pub(super) fn note(&mut self, line: LogLine, events: &Events) {
        if let Some(service) = &line.service_name
            && (self.kept.len() < MOST_SERVICES || self.kept.contains_key(service))
        {
            let kept = self.kept.entry(service.clone()).or_default();
            if kept.len() >= KEPT {
                kept.pop_front();
            }
            kept.push_back(line.message.chars().take(1000).collect());
        }
        events.send(Event::Log(line));
    }

    /// Waits for the lines that are still on their way.
    pub(super) async fn drain(&mut self, events: &Events) {
        while let Ok(line) = timeout(STRAGGLERS, self.next()).await {
            self.note(line, events);
        }
    }

    /// The last lines of a service.
    pub(super) fn last_lines(&self, service: &str) -> Vec<String> {
        let kept = self.kept.get(service);
        kept.into_iter().flatten().cloned().collect()
    }

    /// The stream, to be read on.
    pub(super) fn into_stream(self) -> Option<LogStream> {
        self.stream
    }
}
