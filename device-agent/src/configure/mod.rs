//! `os-agent configure`: config.json → what every part of the system should be → applied, and only what changed.
//!
//! ```text
//!  config.json, last good copy ─► decide ─► Config ─► plan ─┐
//!  disk, what units know of  ──────────────────────► seen ──┴─► changes ─► files, host name, units      (all the writing)
//! ```
//!
//! In: config.json, its last good copy and the uuid in the state folder. Out: the files of [`parts`], the kernel's host name, units
//! that are told, and [`standing`]'s file. A config.json that cannot be used changes nothing: the last good one stands, which is
//! said. Everything but this file is pure, or decides nothing.

mod apply;
mod config;
mod connections;
mod decide;
pub(crate) mod files;
pub(crate) mod fuzz;
mod parts;
mod plan;
mod reader;
mod remembered;
mod ssh_key;
mod standing;
#[cfg(test)]
mod tests;
mod watch;

use std::path::{Path, PathBuf};

use fs_err as fs;
use rustix::fs::FlockOperation;
use serde_json::{Map, Value};
use thiserror::Error;

use apply::Applied;
pub(crate) use config::{Config, certificates, understand};
use decide::{Decision, Found};
pub(crate) use decide::{InForce, Source};
use files::CLOSED;
use remembered::{Memory, Remembered};
pub(crate) use watch::watch;

use crate::daemon::chain;
use crate::host;
use crate::os_config;
use crate::settings::config_file;
use crate::store::disk::{Disk, OwnDisk};

/// In the state folder: the copy of the last config.json that could be used.
pub(crate) const LAST_GOOD: &str = "config.json";
/// In the state folder: the device's uuid.
const UUID: &str = "uuid";
/// Held while one of us works, below the root.
const LOCK: &str = "run/os/configure.lock";
/// What is said then.
const NO_BUS: &str = "not every unit could be told of what changed: it is tried again";
/// Times that config.json is applied in one call, however often it is changed.
const ROUNDS: usize = 8;

/// Where everything is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurePlaces {
    /// The root of the system that is configured.
    pub root: PathBuf,
    /// Its config.json.
    pub config_json: PathBuf,
    /// The folder on its state partition that holds the last good copy.
    pub state_dir: PathBuf,
    /// The system bus, where units are to be told.
    pub bus: Option<PathBuf>,
}

/// Why not all is as config.json asks. What could be done is done.
#[derive(Debug, Error)]
pub enum ConfigureError {
    /// Another one may be at work.
    #[error("could not hold {LOCK}")]
    Lock(#[source] std::io::Error),
    /// No uuid can be made.
    #[error("could not make a uuid")]
    Uuid(#[source] std::io::Error),
    /// The first of what failed; all of it was told.
    #[error("not everything could be configured: {first}")]
    Incomplete {
        /// What failed first.
        first: String,
    },
}

/// Applies config.json, and applies it again where it was changed meanwhile: nobody else tells of that.
///
/// # Errors
/// When something could not be written, or a unit not be told. It is tried again by the next call.
pub(crate) async fn run(places: &ConfigurePlaces, disk: &dyn Disk) -> Result<(), ConfigureError> {
    run_again(places, disk, &mut Memory::default())
        .await
        .map(drop)
}

/// Who knows of what was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Whoever is to.
    All,
    /// There was no bus to tell everybody by: it is tried again by the next call.
    NoBus,
}

async fn run_again(
    places: &ConfigurePlaces,
    disk: &dyn Disk,
    memory: &mut Memory,
) -> Result<Told, ConfigureError> {
    let _held = hold(&places.root).map_err(ConfigureError::Lock)?;
    finish(places, memory);
    let mut before = glance(&places.config_json);
    for _ in 1..ROUNDS {
        let applied = apply_once(places, disk, memory).await;
        let after = glance(&places.config_json);
        if before == after {
            return applied;
        }
        before = after;
    }
    apply_once(places, disk, memory).await
}

fn glance(config_json: &Path) -> Option<Vec<u8>> {
    let most = u64::try_from(config_file::MAX_BYTES).unwrap_or(u64::MAX);
    read(config_json, most)
}

async fn apply_once(
    places: &ConfigurePlaces,
    disk: &dyn Disk,
    memory: &mut Memory,
) -> Result<Told, ConfigureError> {
    let root = &places.root;
    let found = find(places).map_err(ConfigureError::Uuid)?;
    let mut decision = decide::decide(&found);
    let mut failures = keep(places, disk, &found, &decision);
    let on_disk = || read(&root.join(remembered::FILE), remembered::MAX_BYTES);
    let recalled = memory.recall(on_disk());
    let is_start = recalled.is_none();
    let mut remembered = recalled.unwrap_or_default();
    let connections = copy_connections(places, disk, &found, is_start);
    decision.in_force.complaints.extend(connections.complaints);
    for sentence in standing::sentences(&decision.in_force) {
        if memory.is_news(&sentence) {
            tracing::warn!("{sentence}");
        }
    }
    failures.extend(connections.failures);
    let plan = plan::plan(&decision.in_force.config, &decision.uuid);
    let seen = remembered.seen(apply::as_planned(root, &plan));
    let changes = plan::changes(&plan, &seen);
    remembered.about_to(&plan, &changes);
    let mut applied = Applied::default();
    if changes.parts().next().is_some() || !changes.remove.is_empty() {
        // Before the files: what is written is ours, even if power is cut in between.
        remember(root, disk, &remembered, &mut failures);
        apply::files(disk, root, &changes, &mut applied);
    }
    apply::hostname(root, &plan.hostname, &mut applied);
    let mut told = Told::All;
    if let Some(bus) = &places.bus {
        apply::units(bus, &changes, &mut applied).await;
        if remembered.connections.as_ref() != Some(&connections.digest) {
            match connections::tell(bus).await {
                Ok(true) => remembered.connections = Some(connections.digest),
                Ok(false) => told = Told::NoBus,
                Err(words) => failures.push(words),
            }
        }
    }
    if !applied.undone.untold.is_empty() {
        told = Told::NoBus;
    }
    if places.bus.is_none() {
        // Whoever is owed word by others is owed it still.
        applied.undone.untold.clone_from(&seen.untold);
    }
    if told == Told::NoBus && memory.is_news(NO_BUS) {
        tracing::warn!("{NO_BUS}");
    }
    remembered.done(&plan, applied.undone);
    remember(root, disk, &remembered, &mut failures);
    failures.extend(applied.failures);
    let text = standing::file(&decision.in_force, &failures);
    if read(&root.join(standing::FILE), remembered::MAX_BYTES).as_ref() != Some(&text) {
        let written = files::put(disk, root, standing::FILE, 0o644, &text);
        failures.extend(written.err().map(|error| error.to_string()));
    }
    for failure in &failures {
        if memory.is_news(failure) {
            tracing::error!("{failure}");
        }
    }
    memory.keep(on_disk(), remembered);
    match failures.into_iter().next() {
        None => Ok(told),
        Some(first) => Err(ConfigureError::Incomplete { first }),
    }
}

/// Where config.json is not there, neither is the boot partition: its connections are not gone.
fn copy_connections(
    places: &ConfigurePlaces,
    disk: &dyn Disk,
    found: &Found,
    is_start: bool,
) -> connections::Copied {
    let Some(boot) = places.config_json.parent() else {
        return connections::Copied::default();
    };
    if !found.is_boot_there {
        return connections::Copied::default();
    }
    let places = connections::ConnectionPlaces {
        root: &places.root,
        boot,
        state_dir: &places.state_dir,
    };
    connections::copy(&places, disk, is_start)
}

/// Completes joining or leaving a fleet, where a cut of power interrupted it. In an image nothing was.
fn finish(places: &ConfigurePlaces, memory: &mut Memory) {
    if places.root != Path::new("/") {
        return;
    }
    match os_config::finish_unless_busy(&places.state_dir) {
        Ok(true) => tracing::warn!("an interrupted change of the fleet is completed"),
        Ok(false) => {}
        Err(error) => {
            let words = chain(&error);
            if memory.is_news(&words) {
                tracing::error!("{words}");
            }
        }
    }
}

/// Waits until nobody else is at work.
fn hold(root: &Path) -> std::io::Result<fs::File> {
    let place = files::place(root, LOCK)?;
    if let Some(folder) = place.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = fs::OpenOptions::new();
    let file = options
        .create(true)
        .truncate(false)
        .write(true)
        .open(place)?;
    rustix::fs::flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Reads what is in force of a config.json and of its last good copy, and changes nothing; and the sentences to say about it.
/// `None` where there is neither.
pub(crate) fn in_force(
    config_json: &Path,
    last_good: Option<&Path>,
) -> Option<(InForce, Vec<String>)> {
    let last_good = last_good.and_then(keys_of_last_good);
    if last_good.is_none() && !config_json.exists() {
        return None;
    }
    let in_force = decide::in_force(&keys(config_json), last_good.as_ref());
    let sentences = standing::sentences(&in_force);
    Some((in_force, sentences))
}

/// The uuid that is kept beside the last good copy.
pub(crate) fn kept_uuid(last_good: &Path) -> Option<String> {
    let text = read(&last_good.with_file_name(UUID), 1024)?;
    Some(String::from_utf8(text).ok()?.trim().to_owned())
}

fn keys(config_json: &Path) -> Result<Map<String, Value>, String> {
    match config_file::read(config_json) {
        Ok(Some(keys)) => Ok(keys),
        Ok(None) => Err("it is not there: is the boot partition mounted?".to_owned()),
        Err(broken) => Err(broken.to_string()),
    }
}

fn keys_of_last_good(last_good: &Path) -> Option<Map<String, Value>> {
    config_file::read(last_good).ok().flatten()
}

fn find(places: &ConfigurePlaces) -> std::io::Result<Found> {
    let last_good = places.state_dir.join(LAST_GOOD);
    Ok(Found {
        file: keys(&places.config_json),
        is_boot_there: places.config_json.exists(),
        last_good: keys_of_last_good(&last_good),
        kept_uuid: kept_uuid(&last_good),
        new_uuid: host::random_hex()?,
    })
}

/// Keeps the uuid and the last good copy, and writes the uuid into config.json. The state partition may be full or read-only: the
/// device is configured all the same.
fn keep(
    places: &ConfigurePlaces,
    disk: &dyn Disk,
    found: &Found,
    decision: &Decision,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut put = |file: &Path, what: &str, content: &[u8]| {
        if let Err(error) = files::replace(disk, file, CLOSED, content) {
            failures.push(format!("{what} is not kept: {error}"));
        }
    };
    if found.kept_uuid.as_ref() != Some(&decision.uuid) {
        let line = format!("{}\n", decision.uuid);
        put(&places.state_dir.join(UUID), "the uuid", line.as_bytes());
    }
    let in_force = &decision.in_force;
    if in_force.source == Source::File && found.last_good.as_ref() != Some(&in_force.keys) {
        let text = serde_json::to_vec(&in_force.keys).unwrap_or_default();
        let file = places.state_dir.join(LAST_GOOD);
        put(&file, "the last good config.json", &text);
    }
    if let Some(keys) = &decision.rewrite {
        let text = serde_json::to_vec_pretty(keys).unwrap_or_default();
        put(&places.config_json, "the uuid in config.json", &text);
    }
    failures
}

fn remember(root: &Path, disk: &dyn Disk, remembered: &Remembered, failures: &mut Vec<String>) {
    let text = serde_json::to_vec(remembered).unwrap_or_default();
    if read(&root.join(remembered::FILE), remembered::MAX_BYTES).as_ref() == Some(&text) {
        return;
    }
    if let Err(error) = files::put(disk, root, remembered::FILE, CLOSED, &text) {
        failures.push(format!("what was configured is not remembered: {error}"));
    }
}

fn read(file: &Path, most: u64) -> Option<Vec<u8>> {
    OwnDisk.read(file, most).ok().flatten()
}
