//! Fetching an image, with its progress.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use super::Executor;
use crate::engine::EngineError;

/// Without a word from the engine for this long, the pull has failed.
const SILENCE: Duration = Duration::from_mins(5);

impl Executor<'_> {
    /// Fetches an image; one that is there already is only checked.
    pub(super) async fn pull(&self, image: &str) -> Result<(), EngineError> {
        self.pulls.send_modify(|pulls| {
            pulls.insert(image.to_owned(), 0);
        });
        let outcome = self.pull_layers(image).await;
        self.pulls.send_modify(|pulls| {
            pulls.remove(image);
        });
        outcome
    }

    async fn pull_layers(&self, image: &str) -> Result<(), EngineError> {
        let options = CreateImageOptionsBuilder::default()
            .from_image(image)
            .build();
        let mut messages = pin!(
            self.connected
                .docker
                .create_image(Some(options), None, None)
        );
        let mut layers = Layers::default();
        loop {
            let message = match tokio::time::timeout(SILENCE, messages.next()).await {
                Err(_) => return Err(EngineError::Hanging(SILENCE)),
                Ok(None) => return Ok(()),
                Ok(Some(message)) => message?,
            };
            if let Some(problem) = message.error_detail.and_then(|detail| detail.message) {
                return Err(EngineError::Refused {
                    status: 500,
                    message: problem,
                });
            }
            if let (Some(layer), Some(detail)) = (message.id, message.progress_detail) {
                let percent = layers.note(
                    layer,
                    detail.current.unwrap_or_default(),
                    detail.total.unwrap_or_default(),
                );
                self.pulls.send_if_modified(|pulls| {
                    pulls.insert(image.to_owned(), percent) != Some(percent)
                });
            }
        }
    }
}

/// Bytes here and bytes in all, by layer.
#[derive(Debug, Default)]
struct Layers(HashMap<String, (i64, i64)>);

impl Layers {
    /// Percent of all layers that are known so far.
    fn note(&mut self, layer: String, current: i64, total: i64) -> u8 {
        if total > 0 {
            self.0.insert(layer, (current.clamp(0, total), total));
        }
        let here: i64 = self.0.values().map(|(current, _)| current).sum();
        let all: i64 = self.0.values().map(|(_, total)| total).sum();
        let percent = here
            .checked_mul(100)
            .and_then(|here| here.checked_div(all))
            .unwrap_or_default();
        u8::try_from(percent).unwrap_or(100)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_over_all_layers() {
        let mut layers = Layers::default();
        assert_eq!(layers.note("a".to_owned(), 0, 0), 0);
        assert_eq!(layers.note("a".to_owned(), 50, 100), 50);
        assert_eq!(layers.note("b".to_owned(), 0, 100), 25);
        assert_eq!(layers.note("b".to_owned(), 900, 100), 75);
        assert_eq!(layers.note("a".to_owned(), 100, 100), 100);
    }
}
