//! Waiting, bounded, for something that announces itself by no event.
//!
//! Only for what a test observes from outside (a socket that begins to answer, a process that is gone). Where there is
//! an event (a stream, a line, an exit), wait for that.

use std::time::{Duration, Instant};

/// How long anything may take on a slow, busy machine before a test gives up.
pub const PATIENCE: Duration = Duration::from_mins(3);

/// Asks `probe` again and again until it has an answer. Panics after [`PATIENCE`], naming `what` was waited for.
pub async fn until<T>(what: &str, mut probe: impl AsyncFnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = probe().await {
            return answer;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited {PATIENCE:?} in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
