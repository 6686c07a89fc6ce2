//! What the engine's images and its cache of builds hold on the disk.
//!
//! The client library reads only the form of newer engines; both have the fields that are looked at here.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::by_hand::get;
use super::{Connected, EngineError, QUICK, SLOW};

/// A longer answer is not read to its end.
const MAX_BYTES: usize = 16 * 1024 * 1024;

/// How long an answer is good for.
const FRESH: Duration = Duration::from_mins(5);

/// Bytes on the disk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// What images hold that no container is made from, without what they share with others.
    pub(crate) unused_images: u64,
    /// What the cache of builds holds.
    pub(crate) build_cache: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Answer {
    images: Option<Vec<Image>>,
    build_cache: Option<Vec<Entry>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Image {
    containers: i64,
    size: i64,
    shared_size: i64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "PascalCase")]
struct Entry {
    size: i64,
}

/// What could be freed, remembered for a while: the engine looks through its whole disk for it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Freeable(Arc<Mutex<Option<(Instant, u64)>>>);

impl Freeable {
    /// Bytes that unused images and the cache of builds hold, if the engine says it in time.
    pub(crate) async fn get(&self, connected: &Connected) -> Option<u64> {
        let known = *self.lock();
        if let Some((at, bytes)) = known
            && at.elapsed() < FRESH
        {
            return Some(bytes);
        }
        let usage = tokio::time::timeout(QUICK, ask(connected))
            .await
            .ok()?
            .ok()?;
        let bytes = usage.unused_images.saturating_add(usage.build_cache);
        *self.lock() = Some((Instant::now(), bytes));
        Some(bytes)
    }

    fn lock(&self) -> MutexGuard<'_, Option<(Instant, u64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks the engine, which looks through its whole disk for the answer.
pub(crate) async fn usage(connected: &Connected) -> Result<Usage, EngineError> {
    match tokio::time::timeout(SLOW, ask(connected)).await {
        Ok(answer) => answer,
        Err(_) => Err(EngineError::Hanging(SLOW)),
    }
}

async fn ask(connected: &Connected) -> Result<Usage, EngineError> {
    let path = format!("/v{}/system/df", connected.info.api_version);
    let mut stream = get(&connected.socket, &path).await?;
    let mut text = Vec::new();
    while let Some(bytes) = stream.next().await? {
        if text.len() + bytes.len() > MAX_BYTES {
            return Err(EngineError::Unusable(
                "what it says about its disk is too long".to_owned(),
            ));
        }
        text.extend_from_slice(&bytes);
    }
    understand(&text)
        .map_err(|error| EngineError::Unusable(format!("what it says about its disk: {error}")))
}

/// The numbers in an answer.
pub(crate) fn understand(text: &[u8]) -> Result<Usage, serde_json::Error> {
    let answer: Answer = serde_json::from_slice(text)?;
    let images = answer.images.unwrap_or_default();
    let unused = images.iter().filter(|image| image.containers <= 0);
    let unused = unused.map(|image| image.size.saturating_sub(image.shared_size.max(0)));
    let cache = answer.build_cache.unwrap_or_default();
    Ok(Usage {
        unused_images: sum(unused),
        build_cache: sum(cache.iter().map(|entry| entry.size)),
    })
}

fn sum(sizes: impl Iterator<Item = i64>) -> u64 {
    sizes
        .filter_map(|size| u64::try_from(size).ok())
        .fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_would_be_freed_counts() {
        let text = br#"{"LayersSize":1,"Images":[
            {"Containers":0,"Size":100,"SharedSize":40},{"Containers":2,"Size":1000,"SharedSize":0},
            {"Containers":-1,"Size":5,"SharedSize":-1}],"BuildCache":[{"Size":7},{"Size":-3}],"Volumes":null}"#;
        let usage = understand(text).unwrap();
        assert_eq!((usage.unused_images, usage.build_cache), (65, 7));
        assert_eq!(understand(b"{}").unwrap(), Usage::default());
        assert!(understand(b"[1").is_err());
    }
}
