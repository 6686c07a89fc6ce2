//! Connections and dispatcher scripts of `NetworkManager` that people put on the boot partition, copied to where it looks for them.
//!
//! In: `system-connections/` and `dispatcher.d/` beside config.json. Out: files below `etc/NetworkManager`, and `NetworkManager` told of
//! its connections, if it runs; scripts it looks for whenever something happens. Which were copied is kept in the state folder.

mod decide;
pub(crate) mod keyfile;
pub(crate) mod script;

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

/// A folder of the boot partition, and what becomes of its files.
#[derive(Debug)]
struct Folder {
    /// On the boot partition.
    source: &'static str,
    /// Below the root; a bind of the state partition.
    place: &'static str,
    /// In the state folder: which were copied.
    ours: &'static str,
    /// Of the copies. `NetworkManager` wants them to be so.
    mode: u32,
    /// One of its files, in sentences.
    what: &'static str,
    /// What is copied of a file, or why nothing is.
    read: fn(&[u8]) -> Result<&[u8], String>,
}

const CONNECTIONS: Folder = Folder {
    source: "system-connections",
    place: "etc/NetworkManager/system-connections",
    ours: "connections.json",
    mode: CLOSED,
    what: "connection",
    read: |bytes| keyfile::read(bytes).map_err(|no| no.to_string()),
};
const SCRIPTS: Folder = Folder {
    source: "dispatcher.d",
    place: "etc/NetworkManager/dispatcher.d",
    ours: "dispatcher-scripts.json",
    mode: 0o755,
    what: "dispatcher script",
    read: |bytes| script::read(bytes).map_err(|no| no.to_string()),
};
/// Of that file.
const MAX_OURS: u64 = 1024 * 1024;
/// Files that are looked at.
const MAX_FILES: usize = 256;
/// Bytes of one: certificates may be in it.
const MAX_BYTES: usize = 256 * 1024;
/// What some editors put before a text: `NetworkManager` takes it for a line that is none, and the kernel for no script.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";
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

/// Copies and takes away. The boot partition has to be there: else all of its files would seem to be gone.
pub(super) fn copy(places: &ConnectionPlaces<'_>, disk: &dyn Disk, is_start: bool) -> Copied {
    let mut copied = Copied::default();
    for folder in [&CONNECTIONS, &SCRIPTS] {
        match find(folder, places, disk, is_start, &mut copied.complaints) {
            Ok(found) => {
                let deeds = decide(&found);
                carry_out(
                    folder,
                    places,
                    disk,
                    &found.ours,
                    &deeds,
                    &mut copied.failures,
                );
            }
            Err(error) => copied
                .failures
                .push(format!("{}s are not copied: {error}", folder.what)),
        }
    }
    let present = present(&CONNECTIONS, places.root).unwrap_or_default();
    copied.digest = digest(format!("{present:?}").as_bytes());
    copied
}

fn find(
    folder: &Folder,
    places: &ConnectionPlaces<'_>,
    disk: &dyn Disk,
    is_start: bool,
    complaints: &mut Vec<Complaint>,
) -> std::io::Result<Found> {
    let kept = disk.read(&places.state_dir.join(folder.ours), MAX_OURS);
    // What cannot be read is as if nothing were ours: then nothing is taken away.
    let ours: Ours = kept
        .ok()
        .flatten()
        .and_then(|text| serde_json::from_slice(&text).ok())
        .unwrap_or_default();
    let mut found = Found {
        present: present(folder, places.root)?,
        ours,
        is_start,
        ..Found::default()
    };
    found.ours.0.retain(|name, _| is_name(name));
    let mut complain = |name: &str, words: String| {
        complaints.push(Complaint {
            key: format!("{}/{}", folder.source, shown(name)),
            words,
            is_unusable: false,
            instead: None,
            is_file: true,
        });
    };
    let source = places.boot.join(folder.source);
    if !source.exists() {
        return Ok(found);
    }
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(&source)? {
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
        match wanted(folder, &source.join(name)) {
            Ok(content) => drop(found.wanted.insert(name.to_owned(), content)),
            Err(words) => {
                complain(name, words);
                found.unusable.insert(name.to_owned());
            }
        }
    }
    Ok(found)
}

/// Reads a file of the boot partition.
fn wanted(folder: &Folder, file: &Path) -> Result<Vec<u8>, String> {
    if !fs::symlink_metadata(file).is_ok_and(|meta| meta.is_file()) {
        return Err("it is no file".to_owned());
    }
    let bytes = files::read_some(file, MAX_BYTES).map_err(|error| error.to_string())?;
    (folder.read)(&bytes).map(<[u8]>::to_vec)
}

/// What the device has: of those that whoever may read and write that is to, the digests.
fn present(folder: &Folder, root: &Path) -> std::io::Result<BTreeMap<String, Option<String>>> {
    let place = files::place(root, folder.place)?;
    let mut present = BTreeMap::new();
    if !place.is_dir() {
        return Ok(present);
    }
    for entry in fs::read_dir(&place)? {
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
        let has_mode = meta.permissions().mode() & PERMISSIONS == folder.mode;
        let content = files::read_some(&entry.path(), MAX_BYTES);
        present.insert(
            name,
            content
                .ok()
                .filter(|_| has_mode)
                .map(|content| digest(&content)),
        );
    }
    Ok(present)
}

fn carry_out(
    folder: &Folder,
    places: &ConnectionPlaces<'_>,
    disk: &dyn Disk,
    kept: &Ours,
    deeds: &Deeds,
    failures: &mut Vec<String>,
) {
    let what = folder.what;
    let path = |name: &str| format!("{}/{name}", folder.place);
    let mut keep = |ours: &Ours| {
        let text = serde_json::to_vec(ours).unwrap_or_default();
        let done = files::replace(disk, &places.state_dir.join(folder.ours), CLOSED, &text);
        let done = done.map_err(|error| format!("which {what}s were copied is not kept: {error}"));
        failures.extend(done.err());
    };
    // Before the files: what is copied is ours, even if power is cut in between.
    if deeds.during != *kept {
        keep(&deeds.during);
    }
    let mut failed = Vec::new();
    for (name, content) in &deeds.write {
        match files::put(disk, places.root, &path(name), folder.mode, content) {
            Ok(()) => tracing::info!("the {what} {name} is copied"),
            Err(error) => failed.push(format!("the {what} {name} is not copied: {error}")),
        }
    }
    for name in &deeds.remove {
        match files::remove(disk, places.root, &path(name)) {
            Ok(()) => tracing::info!("the {what} {name} is taken away"),
            Err(error) => failed.push(format!("the {what} {name} is not taken away: {error}")),
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
