//! What the service manager is told: ready, stopping, still alive. Without one, nothing happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// The API answers.
pub(crate) fn ready() {
    tell(&[NotifyState::Ready]);
}

/// The agent ends.
pub(crate) fn stopping() {
    tell(&[NotifyState::Stopping]);
}

/// Says that the agent is alive, twice in each interval that the service manager allows. Runs on the agent's only
/// thread, so that a loop that never yields is noticed. Returns at once where there is no watchdog.
pub(crate) async fn watchdog() {
    let Some(limit) = sd_notify::watchdog_enabled() else {
        return;
    };
    let mut beat = tokio::time::interval((limit / 2).max(Duration::from_millis(1)));
    loop {
        beat.tick().await;
        tell(&[NotifyState::Watchdog]);
    }
}

fn tell(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::debug!(%error, "the service manager was not told");
    }
}
