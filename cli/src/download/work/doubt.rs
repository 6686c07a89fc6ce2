//! What is not certain of a file that has come.

use std::io;

use tokio::task::spawn_blocking;

use super::{DownloadError, Event, Task, wanted};
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
    End,
}

impl Task<'_> {
    /// Why nobody can be sure of a file, where no checksum tells.
    pub(super) async fn doubt(&self, about: &About) -> Result<Option<Doubt>, DownloadError> {
        if !about.checked.is_empty() {
            return Ok(None);
        }
        if about.end != End::Told {
            let is_whole = about.end == End::Packing;
            drop(self.want.events.send(Event::NoLength { is_whole }));
        }
        let own = wanted(self.want, self.room.image(), about.coding);
        let is_joined = about.is_unproven;
        let proving = spawn_blocking(move || is_joined && !unpack::has_own_sum(&own));
        let is_unproven = proving.await.map_err(io::Error::other)?;
        Ok(match about.end {
            _ if is_unproven => Some(Doubt::Parts),
            End::Told => None,
            End::Packing | End::Untold => Some(Doubt::End),
        })
    }
}
