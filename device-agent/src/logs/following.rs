//! Reading one container's lines, as they are written, to its end.
//!
//! In: how far it was read. Out: lines for the hub, behind those that were told, and how it ended. What to do then is not decided
//! here. A stream from the journal that is silent for too long, or ends, is asked for anew ([`super::silence`] says why).

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Hub;
use super::containers::{cannot_be_read, manner};
use super::joints::{self, Joints};
use super::lines::{Decoder, Text};
use super::places::{Counter, Places};
use super::silence::Silence;
use super::source::Source;
use crate::engine::stream::{LogStream, Range};
use crate::engine::{Connected, EngineError};
use crate::host::now_nanos;

/// Bytes of a container's output that are taken apart at a time: so few short lines that a hundred services which begin at once
/// do not fill a client's queue before its turn, and enough to be worth that turn, since the engine sends each line on its own.
const PIECE: usize = 1024;

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

/// How one stream of a container's lines ended.
enum Stopped {
    /// With the container's run.
    Whole {
        /// It came from the journal and had lines: further ones may have been kept back.
        is_doubted: bool,
    },
    /// In the middle, for the reason that the engine gave.
    Failed(String),
    /// It was silent for longer than is believed.
    Silent {
        /// Whether it had begun with lines that the stream before it had kept back.
        had_kept_back: bool,
    },
}

/// Reads one container's lines until it ends.
pub(super) async fn follow(
    connected: &Connected,
    source: &Source,
    told: &Mutex<Places>,
    hub: &Hub,
    mut silence: Silence,
) -> Ended {
    let (mut was_whole, mut goes_on) = (false, false);
    loop {
        let how = (silence.believed(), goes_on);
        let stopped = read(connected, source, (told, how), hub).await;
        goes_on = true;
        match stopped {
            Ok(Stopped::Whole { is_doubted: true }) => was_whole = true,
            Ok(Stopped::Whole { is_doubted: false }) => return Ended::Whole,
            Ok(Stopped::Failed(reason)) => return Ended::Failed(reason),
            Ok(Stopped::Silent { had_kept_back }) => {
                if had_kept_back {
                    tracing::debug!(service = %source.service, "the engine had kept lines back");
                }
                silence.asked_anew(had_kept_back);
                // It runs again.
                was_whole = false;
            }
            Err(EngineError::NotFound(_) | EngineError::Conflict(_)) if was_whole => {
                return Ended::Whole;
            }
            Err(EngineError::NotFound(_) | EngineError::Conflict(_)) => return Ended::Gone,
            Err(error) if cannot_be_read(&error) => return Ended::Refused(error.to_string()),
            Err(error) => {
                tracing::debug!(service = %source.service, %error, "a log stream broke");
                return Ended::Broken;
            }
        }
    }
}

/// One stream. Where it `goes_on`, the one before it was read until now, and what the journal gave up of it was told.
async fn read(
    connected: &Connected,
    source: &Source,
    (told, (believed, goes_on)): (&Mutex<Places>, (Duration, bool)),
    hub: &Hub,
) -> Result<Stopped, EngineError> {
    let manner = manner(connected, &source.id).await?;
    let begun = now_nanos();
    let mut resumed = {
        let mut told = lock(told);
        if told.clock_was_set_back(begun) {
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
    let mut decoder = Decoder::new(manner.tty);
    let mut counter = Counter::new(source.container());
    let mut joints = if goes_on {
        Joints::default()
    } else {
        Joints::new(&resumed)
    };
    let (mut had_lines, mut had_kept_back) = (false, false);
    let mut give = |text: Text| {
        let place = counter.place(text.is_std_err, text.nanos);
        if joints.breaks_at(&place) {
            hub.notice(&source.service, joints::words(&source.service));
        }
        if resumed.is_new(&place) {
            had_lines = true;
            had_kept_back |= place.nanos < begun;
            // What comes behind a new line is new, whatever its clock says.
            resumed.leave_behind(place.origin);
            lock(told).note(&place);
            let is_withheld = manner.level.withholds(text.is_std_err);
            hub.publish(source.line(text, place).withheld(is_withheld));
        }
    };
    let mut since_turn = 0;
    loop {
        let bytes = if manner.is_journal {
            match tokio::time::timeout(believed, stream.next()).await {
                Ok(bytes) => bytes?,
                // A line under way is read anew, as a whole.
                Err(_) => return Ok(Stopped::Silent { had_kept_back }),
            }
        } else {
            stream.next().await?
        };
        let Some(bytes) = bytes else { break };
        for piece in bytes.chunks(PIECE) {
            decoder.feed(piece, &mut give);
            since_turn += piece.len();
            if since_turn < PIECE {
                // They get their turn as well when there is nothing more to read.
                continue;
            }
            since_turn = 0;
            // Clients that read all the while get their turn before their queue is full.
            tokio::task::yield_now().await;
            hub.make_way(&source.service).await;
        }
        // Here too.
        if let Some(words) = decoder.failure() {
            return Ok(Stopped::Failed(words.to_owned()));
        }
    }
    decoder.finish(&mut give);
    Ok(match decoder.failure() {
        Some(words) => Stopped::Failed(words.to_owned()),
        None => Stopped::Whole {
            is_doubted: manner.is_journal && had_lines,
        },
    })
}

fn lock(told: &Mutex<Places>) -> MutexGuard<'_, Places> {
    told.lock().unwrap_or_else(PoisonError::into_inner)
}
