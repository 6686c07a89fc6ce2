//! Following a device's log: over lost connections, without a line twice.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use agent_api::log::LogLine;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use crate::agent::{Agent, AgentError, Kind, LogItem, LogQuery, LogStream};

/// Delay before the first new attempt; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Past lines that our agent is asked to repeat after a gap: as many as it gives at most.
const REPEATED: u32 = 10_000;

/// Lines that wait for a slow terminal; the device is read no faster.
const WAITING: usize = 256;

/// What is followed.
#[derive(Debug)]
pub struct Follow {
    /// What our agent is asked for; a reference device tells all.
    pub query: LogQuery,
    /// A stream that is open already.
    pub open: Option<LogStream>,
}

/// Something that happened to the log.
#[derive(Debug)]
pub enum LogEvent {
    /// A line.
    Line(LogLine),
    /// The beginning of a line that was too long, and the bytes that are missing.
    Cut(LogLine, usize),
    /// Something in the stream is not a log line.
    Unreadable(String),
    /// The connection was lost; a new one is tried after the delay.
    Lost {
        /// Why, where that is known.
        reason: Option<AgentError>,
        /// Until the next attempt.
        retry: Duration,
    },
    /// The log is followed again.
    Back {
        /// Whether the lines of the gap are told, too.
        gapless: bool,
    },
    /// More was written in the gap than the device kept: lines between the last one and the next one are missing.
    Missing,
}

/// Follows the log until the receiver is dropped, or until the past lines are told where only these are wanted.
///
/// # Errors
/// Only when the log could not be opened the first time.
pub async fn follow(
    agent: &Agent,
    kind: &Kind,
    follow: Follow,
    events: mpsc::Sender<LogEvent>,
) -> Result<(), AgentError> {
    let ours = matches!(kind, Kind::Ours(_));
    let mut seen = Seen::default();
    let mut stream = match follow.open {
        Some(stream) => stream,
        None => open(agent, ours, &follow.query).await?,
    };
    let mut delay = FIRST_DELAY;
    loop {
        let opened = Instant::now();
        let reason = loop {
            let item = tokio::select! {
                item = stream.next() => item,
                () = events.closed() => return Ok(()),
            };
            let event = match item {
                Ok(Some(LogItem::Line(line))) if seen.is_new(&line) => LogEvent::Line(line),
                Ok(Some(LogItem::Cut { line, dropped })) if seen.is_new(&line) => {
                    LogEvent::Cut(line, dropped)
                }
                Ok(Some(LogItem::Line(_) | LogItem::Cut { .. })) => continue,
                Ok(Some(LogItem::Unreadable(problem))) => LogEvent::Unreadable(problem),
                Ok(None) => break None,
                Err(error) => break Some(error),
            };
            if ours && seen.hole() && events.send(LogEvent::Missing).await.is_err() {
                return Ok(());
            }
            if events.send(event).await.is_err() {
                return Ok(());
            }
        };
        if follow.query.once {
            return reason.map_or(Ok(()), Err);
        }
        if opened.elapsed() > LONGEST_DELAY {
            delay = FIRST_DELAY;
        }
        let query = LogQuery {
            tail: seen.repeated(),
            ..follow.query.clone()
        };
        let again = reopen(agent, (ours, &query), (reason, &mut delay), &events).await;
        let Some(again) = again else {
            return Ok(());
        };
        seen.gap();
        stream = again;
    }
}

/// Tries until the log is open again; `None` when nobody listens any more.
async fn reopen(
    agent: &Agent,
    (ours, query): (bool, &LogQuery),
    (mut reason, delay): (Option<AgentError>, &mut Duration),
    events: &mpsc::Sender<LogEvent>,
) -> Option<LogStream> {
    loop {
        let retry = *delay;
        events.send(LogEvent::Lost { reason, retry }).await.ok()?;
        tokio::select! {
            // Nothing announces that a device is back.
            () = sleep(retry) => {}
            () = events.closed() => return None,
        }
        *delay = (*delay * 2).min(LONGEST_DELAY);
        match open(agent, ours, query).await {
            Ok(stream) => {
                events
                    .send(LogEvent::Back {
                        gapless: ours && query.tail.is_some(),
                    })
                    .await
                    .ok()?;
                return Some(stream);
            }
            Err(error) => reason = Some(error),
        }
    }
}

/// A channel for the events of [`follow`].
#[must_use]
pub fn channel() -> (mpsc::Sender<LogEvent>, mpsc::Receiver<LogEvent>) {
    mpsc::channel(WAITING)
}

async fn open(agent: &Agent, ours: bool, query: &LogQuery) -> Result<LogStream, AgentError> {
    if ours {
        agent.logs(query).await
    } else {
        agent.reference_logs().await
    }
}

/// Tells lines that are repeated after a gap from new ones: for each service, nothing older than its last line is new, and of
/// the same millisecond only what was not there. Of a service that had said nothing, nothing is new that is older than the first
/// line of all: it was written before the log was followed.
#[derive(Debug, Default)]
struct Seen {
    first: Option<i64>,
    gaps: bool,
    /// There was a gap, and nothing that was repeated since is known from before it.
    open: bool,
    /// A new line came while that was so.
    hole: bool,
    last: BTreeMap<Option<String>, Last>,
    /// Lines up to these may be repeated.
    before_gap: BTreeMap<Option<String>, Last>,
}

#[derive(Debug, Default, Clone)]
struct Last {
    timestamp: i64,
    messages: BTreeSet<u64>,
}

/// Services that are kept apart; a device may name any number.
const MOST_SERVICES: usize = 1000;

/// Messages of one millisecond that are kept.
const MOST_MESSAGES: usize = 1000;

impl Seen {
    /// The connection was lost: from now on lines may come again.
    fn gap(&mut self) {
        self.gaps = true;
        self.open = self.first.is_some();
        self.before_gap.clone_from(&self.last);
    }

    /// Whether lines are missing before the new one. Says so once for each gap.
    fn hole(&mut self) -> bool {
        std::mem::take(&mut self.hole)
    }

    /// How many past lines of each service fill a gap. Without a line that was seen there is nothing to count from.
    fn repeated(&self) -> Option<u32> {
        self.first.map(|_| REPEATED)
    }

    fn is_new(&mut self, line: &LogLine) -> bool {
        let Some(timestamp) = line.timestamp else {
            // The greeting is the only line without a time.
            return true;
        };
        let service = &line.service_name;
        let message = fingerprint(&line.message);
        if let Some(last) = self.before_gap.get(service) {
            let known = timestamp == last.timestamp && last.messages.contains(&message);
            if timestamp < last.timestamp || known {
                self.open = false;
                return false;
            }
        } else if self.gaps && self.first.is_some_and(|first| timestamp < first) {
            self.open = false;
            return false;
        }
        self.hole |= std::mem::take(&mut self.open);
        let first = self.first.map_or(timestamp, |first| first.min(timestamp));
        self.first = Some(first);
        if self.last.len() < MOST_SERVICES || self.last.contains_key(service) {
            let last = self.last.entry(service.clone()).or_default();
            if timestamp > last.timestamp {
                last.timestamp = timestamp;
                last.messages.clear();
            }
            if timestamp == last.timestamp && last.messages.len() < MOST_MESSAGES {
                last.messages.insert(message);
            }
        }
        true
    }
}

fn fingerprint(message: &str) -> u64 {
    let hash = blake3::hash(message.as_bytes());
    let mut bytes = [0; 8];
    bytes
        .iter_mut()
        .zip(hash.as_bytes())
        .for_each(|(to, from)| *to = *from);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(service: &str, message: &str, timestamp: i64) -> LogLine {
        LogLine {
            service_name: Some(service.to_owned()),
            message: message.to_owned(),
            is_system: None,
            is_std_err: Some(false),
            timestamp: Some(timestamp),
            service_id: Some(1),
        }
    }

    #[test]
    fn without_a_gap_every_line_is_new() {
        let mut seen = Seen::default();
        for _ in 0..3 {
            assert!(seen.is_new(&line("web", "same", 5)));
        }
        assert!(seen.is_new(&line("web", "late", 4)));
    }

    #[test]
    fn after_a_gap_only_what_was_missed_is_new() {
        let mut seen = Seen::default();
        for (message, at) in [("a", 1), ("b", 2), ("c", 2)] {
            assert!(seen.is_new(&line("web", message, at)));
        }
        assert!(seen.is_new(&line("db", "x", 9)));
        seen.gap();
        assert!(seen.is_new(&LogLine::greeting()));
        for (service, message, at, new) in [
            ("web", "a", 1, false),
            ("web", "b", 2, false),
            ("web", "c", 2, false),
            ("web", "d", 2, true),
            ("web", "e", 3, true),
            ("db", "x", 9, false),
            ("db", "y", 10, true),
            ("new", "y", 0, false),
            ("new", "z", 1, true),
        ] {
            assert_eq!(
                seen.is_new(&line(service, message, at)),
                new,
                "{service} {message}"
            );
        }
        assert!(!seen.hole());
        assert_eq!(Seen::default().repeated(), None);
        assert_eq!(seen.repeated(), Some(REPEATED));
        // A second gap counts from what was seen after the first.
        seen.gap();
        assert!(!seen.is_new(&line("web", "e", 3)));
        assert!(seen.is_new(&line("web", "f", 3)));
    }

    #[test]
    fn a_gap_that_the_device_cannot_fill_is_a_hole_and_told_once() {
        let mut seen = Seen::default();
        assert!(seen.is_new(&line("web", "a", 1)));
        assert!(!seen.hole());
        seen.gap();
        assert!(seen.is_new(&LogLine::greeting()));
        assert!(!seen.hole());
        assert!(seen.is_new(&line("web", "x", 90)));
        assert!(seen.hole());
        assert!(seen.is_new(&line("web", "y", 91)));
        assert!(!seen.hole());
        // Nothing was seen before this one, so nothing can be missing.
        let mut seen = Seen::default();
        seen.gap();
        assert!(seen.is_new(&line("web", "a", 1)));
        assert!(!seen.hole());
    }
}
