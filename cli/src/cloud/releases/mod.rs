//! The fleets of a cloud, their releases, and what a release runs on devices.

mod answers;
mod choose;
mod state;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use super::{Cloud, CloudError};
use crate::transport::Limits;

pub use answers::{Fleet, Release, fleets, releases, sizes};
pub use choose::{InvalidWanted, NoRelease, Wanted};
pub use state::{Image, InvalidState, ReleaseState, Service, state};

/// What an answer about fleets and releases may take, and how large it may be.
const LIST: Limits = Limits {
    headers: Duration::from_secs(30),
    stall: Duration::from_secs(10),
    body: 1 << 20,
};
/// The same for a state: a device takes none that is larger.
const STATE: Limits = Limits {
    headers: Duration::from_mins(1),
    stall: Duration::from_secs(10),
    body: 10_000_000,
};

impl Cloud<'_> {
    /// The fleet of this slug, uuid or name.
    ///
    /// # Errors
    /// [`CloudError`], also when there is none, or more than one of that name.
    pub async fn fleet(&self, word: &str) -> Result<Fleet, CloudError> {
        let answer = self.get_within(&answers::fleet_path(word), LIST).await?;
        let found = fleets(&answer.body).ok_or_else(|| self.unusable("fleets"))?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (Some(fleet), None) => Ok(fleet),
            (None, _) => Err(CloudError::NoFleet {
                cloud: self.domain.to_string(),
                word: word.to_owned(),
                was_known: self.token.is_some(),
            }),
            (Some(one), Some(other)) => {
                let slugs = [one, other].into_iter().chain(found);
                Err(CloudError::SeveralFleets {
                    cloud: self.domain.to_string(),
                    word: word.to_owned(),
                    slugs: slugs.map(|fleet| fleet.slug).collect(),
                })
            }
        }
    }

    /// The release of a fleet that is wanted.
    ///
    /// # Errors
    /// [`CloudError`], with the releases that there are when it is none of them.
    pub async fn release(&self, fleet: &Fleet, wanted: &Wanted) -> Result<Release, CloudError> {
        let wanted = wanted.of(fleet);
        let found = self.releases_at(&choose::path(fleet, &wanted)).await?;
        let why = match choose::choose(&wanted, found) {
            Ok(release) => return Ok(release),
            Err(why) => why,
        };
        let others = match &why {
            NoRelease::None { .. } => self.releases_at(&choose::newest_path(fleet)).await?,
            NoRelease::Several { .. } => Vec::new(),
        };
        Err(CloudError::NoRelease {
            cloud: self.domain.to_string(),
            fleet: fleet.slug.clone(),
            others: others.iter().map(Release::name).collect(),
            source: why,
        })
    }

    /// What a release runs on a device of its fleet.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn state(
        &self,
        fleet: &Fleet,
        release: &Release,
    ) -> Result<ReleaseState, CloudError> {
        let path = format!(
            "/device/v3/fleet/{}/state?releaseUuid={}",
            fleet.uuid, release.commit
        );
        let answer = self.get_within(&path, STATE).await?;
        state(&answer.body, &fleet.uuid, &release.commit).map_err(|source| CloudError::State {
            cloud: self.domain.to_string(),
            fleet: fleet.slug.clone(),
            source,
        })
    }

    /// Bytes of images, by their ids, as far as the cloud knows them.
    ///
    /// # Errors
    /// [`CloudError`].
    pub async fn image_sizes(&self, ids: &[u64]) -> Result<BTreeMap<u64, u64>, CloudError> {
        let answer = self.get_within(&answers::sizes_path(ids), LIST).await?;
        sizes(&answer.body).ok_or_else(|| self.unusable("sizes of images"))
    }

    async fn releases_at(&self, path: &str) -> Result<Vec<Release>, CloudError> {
        let answer = self.get_within(path, LIST).await?;
        releases(&answer.body).ok_or_else(|| self.unusable("releases"))
    }
}
