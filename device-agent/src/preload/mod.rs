//! What an image brought along: applications that start on a device that has never seen a network.
//!
//! ```text
//!  data partition: preload/*.tar ─► POST /images/load ─► removed
//!                  apps.json ─► decide ─► store (only the first target) ─► apps.json.preloaded, and `{}` in its place
//! ```
//! In: the data partition, as `os preload` and the reference's tools fill it. Out: images in the engine, and then the target that names
//! them, so that nothing is asked of a registry. Each step finds done what was done: after a cut of power the next start goes on.
//! An archive that cannot be loaded stays for the next start, and its images are tried as any others are.

mod decide;
pub(crate) mod fuzz;
mod load;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::watch;

use crate::daemon::chain;
use crate::engine::Link;
use crate::model::Target;
use crate::store::disk::Disk;
use crate::store::{SharedStore, Store};
use decide::{Device, Found};

/// The reference's file, on the data partition.
const APPS: &str = "apps.json";
/// What its name becomes once it has been taken.
const TAKEN: &str = "apps.json.preloaded";
/// What its name becomes if it cannot be.
const UNREADABLE: &str = "apps.json.unreadable";
/// What then stands in its place.
const NOTHING: &[u8] = b"{}\n";
/// The folder of archives.
const ARCHIVES: &str = "preload";

/// What is preloaded, and for whom.
#[derive(Debug)]
pub(crate) struct Preload {
    /// The data partition.
    pub(crate) data: PathBuf,
    /// The device's uuid.
    pub(crate) uuid: String,
    /// Its name, unless a target says another.
    pub(crate) name: String,
    /// The data partition's disk.
    pub(crate) disk: Arc<dyn Disk>,
}

/// Gives the engine what is on the data partition, and then the store the target. Ends when that is done.
pub(crate) async fn run(preload: Preload, store: SharedStore, link: watch::Receiver<Link>) {
    // Another program's folder of the same name would have none beside it.
    let Some(text) = apps(&preload) else {
        return;
    };
    for archive in load::archives(&preload.data.join(ARCHIVES)) {
        let loaded = load::archive(&archive, link.clone()).await;
        if loaded && let Err(error) = remove(preload.disk.as_ref(), &archive) {
            tracing::warn!(%error, "a preloaded archive could not be removed");
        }
    }
    take(&preload, &store, &text).await;
}

/// The text of apps.json, if there is one.
fn apps(preload: &Preload) -> Option<Vec<u8>> {
    match preload
        .disk
        .read(&preload.data.join(APPS), decide::MAX_BYTES)
    {
        Ok(text) => text,
        Err(error) => {
            tracing::error!(%error, "the preloaded {APPS} could not be read");
            None
        }
    }
}

/// An archive goes, and with the last one their folder.
fn remove(disk: &dyn Disk, archive: &Path) -> io::Result<()> {
    disk.remove(archive)?;
    let Some(folder) = archive.parent() else {
        return Ok(());
    };
    disk.flush_dir(folder)?;
    match fs_err::remove_dir(folder) {
        Err(error) if error.kind() != io::ErrorKind::DirectoryNotEmpty => Err(error),
        _ => Ok(()),
    }
}

async fn take(preload: &Preload, store: &SharedStore, text: &[u8]) {
    let device = Device {
        uuid: &preload.uuid,
        name: &preload.name,
    };
    match decide::understand(text, device) {
        Ok(Found::Nothing) => {}
        Ok(Found::Target(target)) => {
            if accept(store, *target).await {
                set_aside(preload, TAKEN);
            }
        }
        Err(reason) => {
            tracing::error!(
                "the preloaded {APPS} cannot be used, and is called {UNREADABLE} now: {reason}"
            );
            set_aside(preload, UNREADABLE);
        }
    }
}

/// Whether the target is not needed any more: it is stored, or the device has been told another one.
async fn accept(store: &SharedStore, target: Target) -> bool {
    let is_told = store.look(Store::is_told);
    let (apps, services) = (
        target.apps.len(),
        target
            .apps
            .values()
            .map(|app| app.services.len())
            .sum::<usize>(),
    );
    let stored = store.change(move |store| store.put_preloaded(target)).await;
    match stored {
        Ok(_) if is_told => {
            tracing::info!("the preloaded {APPS} is not used: this device was told what to run");
            true
        }
        Ok(accepted) => {
            tracing::info!(
                generation = accepted.generation,
                apps,
                services,
                "the preloaded target counts"
            );
            true
        }
        Err(error) => {
            let error = chain(&error);
            tracing::error!(%error, "the preloaded target could not be stored; the next start tries again");
            false
        }
    }
}

/// Gives apps.json another name. What tools look for stays: an empty one.
fn set_aside(preload: &Preload, name: &str) {
    let (disk, file) = (preload.disk.as_ref(), preload.data.join(APPS));
    let renamed = disk.rename(&file, &preload.data.join(name));
    let emptied = renamed.and_then(|()| {
        disk.write_flushed(&file, NOTHING)?;
        disk.flush_dir(&preload.data)
    });
    if let Err(error) = emptied {
        tracing::warn!(%error, "the preloaded {APPS} could not be set aside");
    }
}
