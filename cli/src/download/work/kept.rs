//! The file that was fetched before.

use std::io;

use reqwest::header::{ETAG, HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
use tokio::task::spawn_blocking;

use super::{DownloadError, Event, Task, come::has_own_packing, interruptible, places, wanted};
use crate::download::{
    answer::Validator,
    cache::{About, sums_of},
    checksums::{Checksum, Sums},
    offered::OfferedError,
    unpack,
    web::WebError,
};

impl Task<'_> {
    /// The file that was fetched before, if it is still the one that is meant, and whole.
    pub(super) async fn kept(
        &self,
        offers: &Result<Vec<Checksum>, OfferedError>,
        is_fixed: bool,
    ) -> Result<Option<About>, DownloadError> {
        let (room, want) = (self.room, self.want);
        let Some(mut about) = room.about(self.identity) else {
            return Ok(None);
        };
        let sums = Sums::new(offers.as_deref().unwrap_or_default());
        let (image, own) = (room.image(), sums.clone());
        let summing = spawn_blocking(move || sums_of(fs_err::File::open(image)?, own));
        let own = interruptible(want, summing).await?;
        let own = own.map_err(io::Error::other)??;
        if own.sha256() != about.sha256 {
            drop(want.events.send(Event::Damaged));
            room.clear()?;
            room.make()?;
            return Ok(None);
        }
        if is_fixed {
            drop(want.events.send(Event::Cached));
            return Ok(Some(about));
        }
        let is_told = match offers {
            // A list says what it has to be.
            Ok(offers) if !offers.is_empty() => {
                let mut found = own;
                if has_own_packing(about.coding, &want.name) {
                    let wanted = wanted(want, room.image(), about.coding);
                    let summing =
                        spawn_blocking(move || unpack::sums_without_coding(&wanted, sums));
                    found = interruptible(want, summing)
                        .await?
                        .map_err(io::Error::other)??;
                }
                if found.wrong(offers).is_some() {
                    return Ok(None);
                }
                about.checked = places(offers);
                true
            }
            // Where nobody demands lists it is the file itself that is asked about.
            Ok(_) | Err(OfferedError::Lacking { .. }) => false,
            Err(OfferedError::Web(WebError::Cut { .. })) if want.keyring.is_none() => false,
            // It is told by the caller.
            Err(_) => return Ok(None),
        };
        if !is_told && !self.is_still(&about).await? {
            return Ok(None);
        }
        drop(want.events.send(Event::Cached));
        Ok(Some(about))
    }

    /// Whether a file is what its server has, as far as that can be asked.
    async fn is_still(&self, about: &About) -> Result<bool, DownloadError> {
        match interruptible(self.want, self.is_same(about)).await? {
            Err(WebError::Cut { peer, .. }) => {
                drop(self.want.events.send(Event::Unasked(peer)));
                Ok(true)
            }
            other => Ok(other?),
        }
    }

    /// Whether a file is what it was when it was fetched.
    async fn is_same(&self, about: &About) -> Result<bool, WebError> {
        let Some(validator) = &about.validator else {
            return Ok(false);
        };
        let name = if validator.is_strong() {
            IF_NONE_MATCH
        } else {
            IF_MODIFIED_SINCE
        };
        let value = HeaderValue::from_str(validator.text());
        let headers: HeaderMap = value.map(|value| (name, value)).into_iter().collect();
        let answered = self.web.get(self.link, &headers).await?;
        // Some say which one they have, and that they send it.
        let tag = answered.response.headers().get(ETAG);
        let tag = Validator::of(tag.and_then(|tag| tag.to_str().ok()), None);
        let has_it = validator.is_strong() && tag.as_ref() == Some(validator);
        Ok(match answered.response.status().as_u16() {
            304 => true,
            200 => has_it,
            _ => false,
        })
    }
}
