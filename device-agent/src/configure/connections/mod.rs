//! Connections of `NetworkManager` that people put on the boot partition, copied to where it looks for them.
//!
//! In: `system-connections/` beside config.json. Out: files below `etc/NetworkManager/system-connections`, for root alone, and
//! `NetworkManager` told, if it runs. Which were copied is kept in the state folder.

mod decide;
pub(crate) mod keyfile;

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use fs_err as fs;

use decide::{Deeds, Found, Ours, decide, digest};

use super::files::{self, CLOSED};
use super::reader::Complaint;
use crate::daemon::chain;
use crate::host::bus::BusError;
use crate::host::services;
use crate::store::disk::{Disk, PERMISSIONS};

/// On the boot partition.
const SOURCE: &str = "system-connections";
/// Below the root; a bind of the state partition.
const PLACE: &str = "etc/NetworkManager/system-connections";
/// In the state folder.
const OURS: &str = "connections.json";
/// Of that file.
const MAX_OURS: u64 = 1024 * 1024;
/// Files that are looked at.
const MAX_FILES: usize = 256;
/// Bytes of a name.
const MAX_NAME: usize = 200;
/// Files that are there for people.
const IGNORED: &str = ".ignore";

/// Where everything is.
#[derive(Debug, Clone, Copy)]
pub(super) struct ConnectionPlaces<'a> {
    pub(super) root: &'a Path,
    pub(super) boot: &'a Path,
    pub(super) state_dir: &'a Path,
}

/// What came of it.
#[derive(Debug, Default)]
pub(super) struct Copied {
    /// Of files that are no connections.
    pub(super) complaints: Vec<Complaint>,
    pub(super) failures: Vec<String>,
    /// The same while the device's connections are the same.
    pub(super) digest: String,
}

/// Copies and takes away. The boot partition has to be there: else all of its connections would seem to be gone.
pub(super) fn copy(places: &ConnectionPlaces<'_>, disk: &dyn Disk, is_start: bool) -> Copied {
    let mut copied = Copied::default();
    match find(places, disk, is_start, &mut copied.complaints) {
        Ok(found) => {
            let deeds = decide(&found);
            carry_out(places, disk, &found.ours, &deeds, &mut copied.failures);
        }
        Err(error) => copied
            .failures
            .push(format!("connections are not copied: {error}")),
    }
    let present = present(places.root).unwrap_or_default();
    copied.digest = digest(format!("{present:?}").as_bytes());
    copied
}

fn find(
    places: &ConnectionPlaces<'_>,
    disk: &dyn Disk,
    is_start: bool,
    complaints: &mut Vec<Complaint>,
) -> std::io::Result<Found> {
    let kept = disk.read(&places.state_dir.join(OURS), MAX_OURS);
    // What cannot be read is as if nothing were ours: then nothing is taken away.
    let ours: Ours = kept
        .ok()
        .flatten()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut found = Found {
        present: present(places.root)?,
        ours,
        is_start,
        ..Found::default()
    };
    found.ours.0.retain(|name, _| is_name(name));
    let mut complain = |name: &str, words: String| {
        complaints.push(Complaint {
            key: format!("{SOURCE}/{}", shown(name)),
            words,
            is_unusable: false,
            instead: None,
            is_file: true,
        });
    };
    let folder = places.boot.join(SOURCE);
    if !folder.exists() {
        return Ok(found);
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&folder)? {
        names.insert(entry?.file_name());
    }
    for name in names {
        let Some(name) = name.to_str().filter(|name| is_name(name)) else {
            let name = name.to_string_lossy();
            if !is_hidden(&name) {
                complain(
                    &name,
                    "its name is too long, or has characters that a name does not have".to_owned(),
                );
            }
            continue;
        };
        if is_hidden(name) {
            continue;
        }
        if found.wanted.len() >= MAX_FILES {
            complain(name, format!("there are more than {MAX_FILES} files"));
            found.unusable.insert(name.to_owned());
            continue;
        }
        match connection(&folder.join(name)) {
            Ok(content) => drop(found.wanted.insert(name.to_owned(), content)),
            Err(words) => {
                complain(name, words);
                found.unusable.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}

/// Reads a connection of the boot partition.
fn connection(file: &Path) -> Result<Vec<u8>, String> {
    if !fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file()) {
        return Err("it is no file".to_owned());
    }
    let bytes = files::read_some(file, keyfile::MAX_BYTES).map_err(|error| error.to_string())?;
    let text = keyfile::read(&bytes).map_err(|no| no.to_string())?;
    Ok(text.to_vec())
}

/// The device's connections: of those that only root reads, the digests.
fn present(root: &Path) -> std::io::Result<BTreeMap<String, Option<String>>> {
    let folder = files::place(root, PLACE)?;
    let mut present = BTreeMap::new();
    if !folder.is_dir() {
        return Ok(present);
    }
    for entry in fs::read_dir(&folder)? {
        let entry = entry?;
        let (Some(name), Ok(meta)) = (
            entry.file_name().to_str().map(str::to_owned),
            entry.metadata(),
        ) else {
            continue;
        };
        if !meta.is_file() || !is_name(&name) {
            continue;
        }
        let is_closed = meta.permissions().mode() & PERMISSIONS == CLOSED;
        let content = files::read_some(&entry.path(), keyfile::MAX_BYTES);
        present.insert(
            name,
            content
                .ok()
                .filter(|_| is_closed)
                .map(|content| digest(&content)),
        );
    }
    Ok(present)
}

fn carry_out(
    places: &ConnectionPlaces<'_>,
    disk: &dyn Disk,
    kept: &Ours,
    deeds: &Deeds,
    failures: &mut Vec<String>,
) {
    let mut keep = |ours: &Ours| {
        let text = serde_json::to_vec(ours).unwrap_or_default();
        let done = files::replace(disk, &places.state_dir.join(OURS), CLOSED, &text);
        let done =
            done.map_err(|error| format!("which connections were copied is not kept: {error}"));
        failures.extend(done.err());
    };
    // Before the files: what is copied is ours, even if power is cut in between.
    if deeds.during != *kept {
        keep(&deeds.during);
    }
    let mut failed = Vec::new();
    for (name, content) in &deeds.write {
        match files::put(
            disk,
            places.root,
            &format!("{PLACE}/{name}"),
            CLOSED,
            content,
        ) {
            Ok(()) => tracing::info!("the connection {name} is copied"),
            Err(error) => failed.push(format!("the connection {name} is not copied: {error}")),
        }
    }
    for name in &deeds.remove {
        match files::remove(disk, places.root, &format!("{PLACE}/{name}")) {
            Ok(()) => tracing::info!("the connection {name} is taken away"),
            Err(error) => failed.push(format!("the connection {name} is not taken away: {error}")),
        }
    }
    // What failed is ours still, and is tried again.
    if failed.is_empty() && deeds.after != deeds.during {
        keep(&deeds.after);
    }
    failures.extend(failed);
}

/// Lets `NetworkManager` look at its connections, if it runs. One that starts later looks by itself. Returns whether there was a bus
/// to ask it by.
pub(super) async fn tell(bus: &Path) -> Result<bool, String> {
    match services::reload_connections(bus).await {
        Ok(()) => Ok(true),
        Err(BusError::Absent { .. }) => Ok(false),
        Err(error) => Err(format!(
            "NetworkManager is not told of its connections: {}",
            chain(&error)
        )),
    }
}

fn is_hidden(name: &str) -> bool {
    name.starts_with('.') || name.ends_with(IGNORED) || name.ends_with('~')
}

/// Names that are no ways to somewhere else.
fn is_name(name: &str) -> bool {
    (1..=MAX_NAME).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.contains(|c: char| c == '/' || c.is_control())
}

/// A name for people.
fn shown(name: &str) -> String {
    name.chars()
        .take(60)
        .map(|c| if c.is_control() { '\u{FFFD}' } else { c })
        .collect()
}
