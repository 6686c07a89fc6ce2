//! Following a device's log: over lost connections, without a line lost or told twice.
//!
//! Where the device gives lines their places it is asked for what follows the last ones; an older agent repeats its last lines, of
//! which those that are known are left out.

use std::time::Duration;

use agent_api::log::LogLine;
use jiff::Timestamp;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep},
};

use super::repeated::Seen;
use crate::agent::{Agent, AgentError, Kind, LogItem, LogQuery, LogStream, Position};

/// What an agent promises that gives lines their places.
const PLACES: &str = "log-cursor";

/// Delay before the first new attempt; it doubles up to the longest.
const FIRST_DELAY: Duration = Duration::from_millis(250);
const LONGEST_DELAY: Duration = Duration::from_secs(15);

/// Lines that wait for a slow terminal; the device is read no faster.
const WAITING: usize = 256;

/// What is followed.
#[derive(Debug)]
pub struct Follow {
    /// What our agent is asked for; a reference device tells all.
    pub query: LogQuery,
    /// A stream that is open already.
    pub open: Option<LogStream>,
    /// How far the log was read before; of no meaning beside a stream that is open.
    pub position: Position,
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

/// Follows the log until the receiver is dropped, or until everything is told that was asked for.
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
    let mut seen = (!kind.can(PLACES)).then(Seen::default);
    let mut stream = if let Some(stream) = follow.open {
        stream
    } else {
        let query = follow.query.behind(&follow.position);
        open(agent, ours, &query).await?.from(follow.position)
    };
    let mut delay = FIRST_DELAY;
    loop {
        let opened = Instant::now();
        let reason = match read(&mut stream, (ours, seen.as_mut()), &events).await {
            Ended::Unheard => return Ok(()),
            Ended::Lost(reason) => reason,
        };
        if follow.query.once || is_over(&follow.query, reason.as_ref(), stream.position()) {
            return reason.map_or(Ok(()), Err);
        }
        if opened.elapsed() > LONGEST_DELAY {
            delay = FIRST_DELAY;
        }
        let query = match &seen {
            None => follow.query.behind(stream.position()),
            Some(seen) => LogQuery {
                tail: seen.repeated(),
                ..follow.query.clone()
            },
        };
        let gapless = ours && (seen.is_none() || query.tail.is_some());
        let again = reopen(agent, (ours, &query), (reason, &mut delay), &events).await;
        let Some(again) = again else {
            return Ok(());
        };
        if events.send(LogEvent::Back { gapless }).await.is_err() {
            return Ok(());
        }
        if let Some(seen) = &mut seen {
            seen.gap();
        }
        stream = again.from(stream.position().clone());
    }
}

/// How reading a stream ended.
enum Ended {
    /// Nobody listens any more.
    Unheard,
    /// With the connection, for this reason where it is known.
    Lost(Option<AgentError>),
}

/// Tells the lines of a stream until it ends.
async fn read(
    stream: &mut LogStream,
    (ours, mut seen): (bool, Option<&mut Seen>),
    events: &mpsc::Sender<LogEvent>,
) -> Ended {
    loop {
        let item = tokio::select! {
            item = stream.next() => item,
            () = events.closed() => return Ended::Unheard,
        };
        let item = match item {
            Ok(Some(item)) => item,
            Ok(None) => return Ended::Lost(None),
            Err(error) => return Ended::Lost(Some(error)),
        };
        if let (LogItem::Line(line) | LogItem::Cut { line, .. }, Some(seen)) = (&item, &mut seen)
            && !seen.is_new(line)
        {
            continue;
        }
        let event = match item {
            LogItem::Line(line) => LogEvent::Line(line),
            LogItem::Cut { line, dropped } => LogEvent::Cut(line, dropped),
            LogItem::Unreadable(problem) => LogEvent::Unreadable(problem),
        };
        let hole = ours && seen.as_mut().is_some_and(|seen| seen.hole());
        if hole && events.send(LogEvent::Missing).await.is_err() {
            return Ended::Unheard;
        }
        if events.send(event).await.is_err() {
            return Ended::Unheard;
        }
    }
}

/// Whether the time is over that was asked for: by the device's clock, which its greeting tells, or by ours.
fn is_over(query: &LogQuery, reason: Option<&AgentError>, position: &Position) -> bool {
    let Some(until) = query.until else {
        return false;
    };
    let greeted = position
        .greeted()
        .and_then(|nanos| Timestamp::from_nanosecond(i128::from(nanos)).ok());
    reason.is_none() && (greeted.is_some_and(|time| time >= until) || Timestamp::now() >= until)
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
            Ok(stream) => return Some(stream),
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
