//! The board's LED, with which a person finds the device among others.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::Instant;

/// How long it blinks.
const BLINKING: Duration = Duration::from_secs(15);
/// On, and off again: half a period.
const HALF: Duration = Duration::from_millis(200);

/// The LED, or none.
#[derive(Debug, Default)]
pub(crate) struct Led {
    /// The kernel's file for its brightness.
    file: Option<PathBuf>,
    blinking: Mutex<Option<AbortHandle>>,
}

impl Led {
    pub(crate) fn new(file: Option<PathBuf>) -> Self {
        Self {
            file,
            blinking: Mutex::default(),
        }
    }

    /// Begins to blink, anew where it blinks already. A board without an LED does nothing.
    pub(crate) fn blink(&self) {
        let Some(file) = self.file.clone() else {
            return;
        };
        let task = tokio::spawn(async move {
            if let Err(error) = blink(&file, BLINKING, HALF).await {
                tracing::warn!(%error, "the LED {} does not blink", file.display());
            }
        });
        let mut blinking = self.blinking.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(before) = blinking.replace(task.abort_handle()) {
            before.abort();
        }
    }
}

/// Each write is waited for, so that the last one is the one that lasts.
async fn blink(file: &Path, long: Duration, half: Duration) -> std::io::Result<()> {
    let end = Instant::now() + long;
    let mut beat = tokio::time::interval(half);
    while Instant::now() < end {
        for brightness in ["1", "0"] {
            beat.tick().await;
            tokio::fs::write(file, brightness).await?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_dark_when_it_has_blinked() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("brightness");
        fs_err::write(&file, "9").unwrap();
        let moment = Duration::from_millis(1);
        blink(&file, moment, moment).await.unwrap();
        assert_eq!(fs_err::read_to_string(&file).unwrap(), "0");
        let none = dir.path().join("none/brightness");
        assert!(blink(&none, moment, moment).await.is_err());
    }
}
