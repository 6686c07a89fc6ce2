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
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::daemon::chain;
use crate::engine::Link;
use crate::model::Target;
use crate::store::disk::{Disk, replace};
use crate::store::{SharedStore, Store};
use decide::Device;

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
    let Some(asked) = asked(&preload) else {
        return;
    };
    let is_late = matches!(&asked, Ok(Some(target)) if is_told_another(&store, target));
    for archive in load::archives(&preload.data.join(ARCHIVES)) {
        // The images of a target that never counts would stay in the engine for ever.
        let is_done = is_late || load::archive(&archive, link.clone()).await;
        if is_done && let Err(error) = remove(preload.disk.as_ref(), &archive) {
            tracing::warn!(%error, "a preloaded archive could not be removed");
        }
    }
    take(&preload, &store, asked).await;
}

/// What apps.json asks for, or why it cannot be used. `None`: there is none, or it cannot be read now. Another program's folder of
/// archives would have none beside it.
fn asked(preload: &Preload) -> Option<Result<Option<Target>, String>> {
    let device = Device {
        uuid: &preload.uuid,
        name: &preload.name,
    };
    let file = preload.data.join(APPS);
    match preload.disk.read(&file, decide::MAX_BYTES) {
        Ok(text) => {
            let text = text?;
            if decide::pins(&text) {
                tracing::warn!(
                    "the preloaded {APPS} pins the release, which this agent does not do"
                );
            }
            Some(decide::understand(&text, device))
        }
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
            let most = decide::MAX_BYTES;
            Some(Err(format!("it has more than {most} bytes")))
        }
        Err(error) => {
            tracing::error!(%error, "the preloaded {APPS} could not be read");
            None
        }
    }
}

/// Whether the device was told what to run, and not this. What was stored before a cut is not another one.
fn is_told_another(store: &SharedStore, target: &Target) -> bool {
    store.look(|store| store.is_told() && !store.has(target))
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

async fn take(preload: &Preload, store: &SharedStore, asked: Result<Option<Target>, String>) {
    match asked {
        Ok(None) => {}
        Ok(Some(target)) => {
            if accept(store, target).await {
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
    let (apps, services) = (
        target.apps.len(),
        target
            .apps
            .values()
            .map(|app| app.services.len())
            .sum::<usize>(),
    );
    // Decided where nobody else can tell the device anything meanwhile.
    let used = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&used);
    let change = move |store: &mut Store| {
        if store.is_told() {
            return Ok(store.accepted().clone());
        }
        told.store(true, Ordering::Relaxed);
        store.put_preloaded(target)
    };
    match store.change(change).await {
        Ok(accepted) if used.load(Ordering::Relaxed) => {
            tracing::info!(
                generation = accepted.generation,
                apps,
                services,
                "the preloaded target counts"
            );
            true
        }
        Ok(_) => {
            tracing::info!("the preloaded {APPS} is not used: this device was told what to run");
            true
        }
        Err(error) => {
            let error = chain(&error);
            tracing::error!(%error, "the preloaded target could not be stored; the next start tries again");
            false
        }
    }
}

/// Gives apps.json another name. What tools look for stays, and so it does at every moment: an empty one.
fn set_aside(preload: &Preload, name: &str) {
    let (disk, file) = (preload.disk.as_ref(), preload.data.join(APPS));
    let aside = preload.data.join(name);
    let linked = disk
        .remove(&aside)
        .and_then(|()| disk.hard_link(&file, &aside));
    let emptied = linked.and_then(|()| replace(disk, &file, NOTHING));
    if let Err(error) = emptied {
        tracing::warn!(%error, "the preloaded {APPS} could not be set aside");
    }
}
