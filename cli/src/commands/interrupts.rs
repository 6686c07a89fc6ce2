//! Ctrl-C, SIGTERM and a terminal that is closed: the first one lets a verb clean up, the second one ends the process.

use std::{
    future::pending,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::{failure::Kind, ui::terminal};

/// The second of them, for a verb that has to end something even then. A third one ends the process.
#[derive(Debug, Clone, Default)]
pub struct Insisted {
    token: CancellationToken,
    is_awaited: Arc<AtomicBool>,
}

impl Insisted {
    /// Returns when the person insists, who is heard by the verb from now on.
    pub(super) async fn heard(&self) {
        self.is_awaited.store(true, Ordering::Relaxed);
        self.token.cancelled().await;
    }

    /// Whether the verb takes care of it.
    fn is_taken(&self) -> bool {
        let is_taken = self.is_awaited.load(Ordering::Relaxed) && !self.token.is_cancelled();
        self.token.cancel();
        is_taken
    }
}

/// Cancels `token` at the first of them, and ends the process at the second, unless a verb awaits that: the person insists.
#[expect(
    clippy::exit,
    clippy::disallowed_methods,
    reason = "the second interrupt must not wait for clean-up"
)]
pub(super) async fn watch(token: CancellationToken, insisted: Insisted) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else {
        return;
    };
    let mut hangup = hangup();
    loop {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
            () = hung_up(hangup.as_mut()) => {}
        }
        if token.is_cancelled() && !insisted.is_taken() {
            terminal::restore();
            std::process::exit(Kind::Interrupted.exit_code().into());
        }
        token.cancel();
    }
}

/// `None` where it is none of our business: under `nohup`, and where that cannot be known.
fn hangup() -> Option<Signal> {
    let status = fs_err::read_to_string("/proc/self/status").ok()?;
    if is_ignored(&status, SignalKind::hangup().as_raw_value())? {
        return None;
    }
    signal(SignalKind::hangup()).ok()
}

async fn hung_up(hangup: Option<&mut Signal>) {
    match hangup {
        Some(hangup) => {
            hangup.recv().await;
        }
        None => pending().await,
    }
}

/// Whether a process ignores a signal, from its status as the kernel tells it: a number of 64 bits, the first signal in the lowest.
fn is_ignored(status: &str, signal: i32) -> Option<bool> {
    let ignored = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))?;
    let ignored = u64::from_str_radix(ignored.trim(), 16).ok()?;
    let place = u32::try_from(signal).ok()?.checked_sub(1)?;
    Some(ignored.checked_shr(place)? & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hangup_is_ignored_where_whoever_started_us_said_so() {
        let status =
            |bits: &str| format!("Name:\tos\nSigBlk:\t0000000000000000\nSigIgn:\t{bits}\n");
        assert_eq!(is_ignored(&status("0000000000000001"), 1), Some(true));
        assert_eq!(is_ignored(&status("0000000000001000"), 1), Some(false));
        assert_eq!(is_ignored(&status("0000000000001000"), 13), Some(true));
        assert_eq!(is_ignored(&status("x"), 1), None);
        assert_eq!(is_ignored("", 1), None);
        assert_eq!(is_ignored(&status("0000000000000001"), 0), None);
    }
}
