//! Does what [`super::plan`] found: files, the kernel's host name, units. Decides nothing.
//!
//! What fails is told and does not keep the rest from being done: a device with one part as it was is better than one with none.

use std::collections::BTreeSet;
use std::path::Path;

use super::files;
use super::plan::{Changes, Deed, Plan};
use super::remembered::Undone;
use crate::daemon::chain;
use crate::host::bus::BusError;
use crate::host::services;
use crate::store::disk::Disk;

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Sentences about what failed.
    pub(super) failures: Vec<String>,
    pub(super) undone: Undone,
}

/// Of the files of the plan, those that are as planned.
pub(super) fn as_planned(root: &Path, plan: &Plan) -> BTreeSet<String> {
    let files = plan.parts.iter().flat_map(|part| &part.files);
    files
        .filter(|file| files::is_as_planned(root, file))
        .map(|file| file.path.clone())
        .collect()
}

/// Writes and takes away.
pub(super) fn files(disk: &dyn Disk, root: &Path, changes: &Changes<'_>, applied: &mut Applied) {
    for file in &changes.write {
        match files::put(disk, root, &file.path, file.mode, &file.content) {
            Ok(()) => tracing::info!("/{} is written", file.path),
            Err(error) => {
                let failure = format!("/{} is not written: {error}", file.path);
                applied.failures.push(failure);
                applied.undone.unwritten.insert(file.path.clone());
            }
        }
    }
    for path in &changes.remove {
        match files::remove(disk, root, path) {
            Ok(()) => tracing::info!("/{path} is taken away"),
            Err(error) => {
                let failure = format!("/{path} is not taken away: {error}");
                applied.failures.push(failure);
                applied.undone.left.insert(path.clone());
            }
        }
    }
}

/// Gives the kernel its name, where the root is the kernel's.
pub(super) fn hostname(root: &Path, hostname: &str, applied: &mut Applied) {
    let present = rustix::system::uname();
    if root != Path::new("/") || present.nodename().to_bytes() == hostname.as_bytes() {
        return;
    }
    match rustix::system::sethostname(hostname.as_bytes()) {
        Ok(()) => tracing::info!("the host name is {hostname}"),
        Err(error) => {
            let failure = format!("the host name is not set: {error}");
            applied.failures.push(failure);
        }
    }
}

/// Tells the units. Without a bus nobody is there to be told, and the next call tries again.
pub(super) async fn units(bus: &Path, changes: &Changes<'_>, applied: &mut Applied) {
    for (wish, keys) in &changes.units(&applied.undone.unwritten) {
        let member = match wish.deed {
            Deed::Reload => "ReloadOrTryRestartUnit",
            Deed::Restart => "TryRestartUnit",
            Deed::Run => "RestartUnit",
        };
        let because = keys.join("; ");
        let parts = changes.parts().filter(|part| keys.contains(&part.keys));
        let untold = parts.map(|part| (part.name.to_owned(), wish.unit.to_owned()));
        match services::job(bus, member, wish.unit).await {
            Ok(true) => tracing::info!("{member} {}: {because}", wish.unit),
            Ok(false) => tracing::debug!("there is no {}", wish.unit),
            Err(error @ BusError::Absent { .. }) => {
                tracing::debug!("{} is not told: {}", wish.unit, chain(&error));
                applied.undone.untold.extend(untold);
            }
            Err(error) => {
                let failure = format!("{} is not told of {because}: {}", wish.unit, chain(&error));
                applied.failures.push(failure);
                applied.undone.untold.extend(untold);
            }
        }
    }
}
