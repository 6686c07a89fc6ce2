//! Reading one container's lines, as they are written, to its end.
//!
//! In: how far it was read. Out: lines for the hub, behind those that were told, and how it ended. What to do then is not decided here.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Hub;
use super::containers::{cannot_be_read, has_tty};
use super::joints::{self, Joints};
use super::lines::{Decoder, Text};
use super::places::{Counter, Places};
use super::source::Source;
use crate::engine::stream::{LogStream, Range};
use crate::engine::{Connected, EngineError};
use crate::host::now_nanos;

/// Bytes of a container's output that are taken apart at a time: far fewer short lines than a client's queue holds.
const PIECE: usize = 8 * 1024;

/// How reading a container ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    /// With the container's run.
    Whole,
    /// There is no such container any more.
    Gone,
    /// The engine does not give its lines at all, for this reason.
    Refused(String),
    /// In the middle, for the reason that the engine gave.
    Failed(String),
    /// For another reason, which may pass.
    Broken,
}

/// Reads one container's lines until it ends.
pub(super) async fn follow(
    connected: &Connected,
    source: &Source,
    told: &Mutex<Places>,
    hub: &Hub,
) -> Ended {
    match read(connected, source, told, hub).await {
        Ok(None) => Ended::Whole,
        Ok(Some(failure)) => Ended::Failed(failure),
        Err(EngineError::NotFound(_) | EngineError::Conflict(_)) => Ended::Gone,
        Err(error) if cannot_be_read(&error) => Ended::Refused(error.to_string()),
        Err(error) => {
            tracing::debug!(service = %source.service, %error, "a log stream broke");
            Ended::Broken
        }
    }
}

/// The engine's words where it could not read on.
async fn read(
    connected: &Connected,
    source: &Source,
    told: &Mutex<Places>,
    hub: &Hub,
) -> Result<Option<String>, EngineError> {
    let tty = has_tty(connected, &source.id).await?;
    let mut resumed = {
        let mut told = lock(told);
        if told.clock_was_set_back(now_nanos()) {
            hub.notice(&source.service, joints::clock_words(&source.service));
        }
        told.clone()
    };
    let range = Range {
        since: Some(resumed.begin_of(source.container())),
        follow: true,
        ..Range::default()
    };
    let mut stream = LogStream::open(connected, &source.id, &range).await?;
    let mut decoder = Decoder::new(tty);
    let mut counter = Counter::new(source.container());
    let mut joints = Joints::new(&resumed);
    let mut give = |text: Text| {
        let place = counter.place(text.is_std_err, text.nanos);
        if joints.breaks_at(&place) {
            hub.notice(&source.service, joints::words(&source.service));
        }
        if resumed.is_new(&place) {
            // What comes behind a new line is new, whatever its clock says.
            resumed.leave_behind(place.origin);
            lock(told).note(&place);
            hub.publish(source.line(text, place));
        }
    };
    while let Some(bytes) = stream.next().await? {
        for piece in bytes.chunks(PIECE) {
            decoder.feed(piece, &mut give);
            // Clients that read all the while get their turn before their queue is full.
            tokio::task::yield_now().await;
            hub.make_way(&source.service).await;
        }
        // A line under way is read anew, as a whole.
        if let Some(words) = decoder.failure() {
            return Ok(Some(words.to_owned()));
        }
    }
    decoder.finish(&mut give);
    Ok(decoder.failure().map(str::to_owned))
}

fn lock(told: &Mutex<Places>) -> MutexGuard<'_, Places> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
