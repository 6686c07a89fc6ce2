//! What is not certain of a file that has come.

use std::io;

use tokio::task::spawn_blocking;

use super::{DownloadError, Task, wanted};
use crate::download::{
    cache::{About, End},
    unpack,
};

/// Why nobody can be sure of what has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Doubt {
    /// It came in parts, and nothing proves that they are of one file.
    Parts,
    /// Its server did not tell how long it is.
    End {
        /// Whether what it is packed in tells that it is whole.
        is_whole: bool,
    },
    /// A former version has fetched it, and nobody knows whether its server told how long it is.
    Former,
}

impl Task<'_> {
    /// Why nobody can be sure of a file, where no checksum tells.
    pub(super) async fn doubts(&self, about: &About) -> Result<Vec<Doubt>, DownloadError> {
        if !about.checked.is_empty() {
            return Ok(Vec::new());
        }
        let end = match about.end {
            End::Told => None,
            End::Packing => Some(Doubt::End { is_whole: true }),
            End::Untold => Some(Doubt::End { is_whole: false }),
            End::Unknown => Some(Doubt::Former),
        };
        let own = wanted(self.want, self.room.image(), about.coding);
        let is_joined = about.is_unproven;
        let proving = spawn_blocking(move || is_joined && !unpack::has_own_sum(&own));
        let is_unproven = proving.await.map_err(io::Error::other)?;
        let parts = is_unproven.then_some(Doubt::Parts);
        Ok(end.into_iter().chain(parts).collect())
    }
}
