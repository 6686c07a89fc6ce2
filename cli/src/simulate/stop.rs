//! Stopping simulated devices, and removing everything that they left.

use std::{
    io,
    path::{Path, PathBuf},
};

use tokio::sync::mpsc::UnboundedSender;

use super::{
    Event, SimulateError, engine, identity,
    identity::Identity,
    leftovers::{self, Leftover, Removed},
    lock::Lock,
    process,
};
use crate::discovery::{Selector, simulated};

/// Which devices to stop.
#[derive(Debug, Clone)]
pub enum Which {
    /// All of this user.
    All,
    /// Those that these selectors mean.
    Named(Vec<Selector>),
}

/// Stops devices and removes what is left of them. None at all is no error.
///
/// `engine` is asked where a device does not say which engine it used; `kept` are folders in which other commands keep files whose
/// names tell the device by its uuid. A device of which something cannot be removed stays known, so that the next call finishes what this one could not.
///
/// # Errors
/// [`SimulateError::Unknown`] before anything is done; [`SimulateError::Incomplete`] after everything that could be done was.
pub async fn stop(
    folder: &Path,
    which: &Which,
    engine: Option<&Path>,
    kept: &[PathBuf],
    events: &UnboundedSender<Event>,
) -> Result<Vec<Identity>, SimulateError> {
    // Nothing was ever started: leave no folder behind.
    if !folder.exists() {
        return match which {
            Which::All => Ok(Vec::new()),
            Which::Named(selectors) => Err(unknown(selectors.first(), &[])),
        };
    }
    let lock = Lock::take(folder, || drop(events.send(Event::Waiting))).await?;
    let mut devices = select(folder, which)?;
    let mut incomplete = Vec::new();
    let mut no_engine = None;
    for device in &mut devices {
        if device.engine_socket.as_os_str().is_empty()
            && let Some(engine) = engine
        {
            device.engine_socket = engine.to_path_buf();
        }
    }
    for device in &devices {
        drop(events.send(Event::Stopping(device.clone())));
        let event = match remove(folder, device).await {
            Ok(removed) => {
                forget(kept, &device.uuid);
                Event::Stopped(device.clone(), removed)
            }
            Err(failed) => {
                incomplete.push(device.name.clone());
                no_engine = no_engine.or(failed.engine);
                Event::Left(device.clone(), failed.left)
            }
        };
        drop(events.send(event));
    }
    lock.release_and_tidy();
    if incomplete.is_empty() {
        return Ok(devices);
    }
    Err(SimulateError::Incomplete {
        names: incomplete,
        engine: no_engine,
    })
}

/// Removes what other commands remembered about a device. It is of no use any more, and of no harm where it cannot be removed.
fn forget(kept: &[PathBuf], uuid: &str) {
    let entries = kept
        .iter()
        .filter_map(|folder| fs_err::read_dir(folder).ok())
        .flat_map(|entries| entries.filter_map(Result::ok));
    for entry in entries {
        if entry.file_name().to_string_lossy().contains(uuid) {
            drop(fs_err::remove_file(entry.path()));
        }
    }
}

fn select(folder: &Path, which: &Which) -> Result<Vec<Identity>, SimulateError> {
    let known = identity::load_all(folder)?;
    let Which::Named(selectors) = which else {
        return Ok(known);
    };
    let means =
        |selector: &Selector, identity: &Identity| selector.matches(&identity.device(folder));
    for selector in selectors {
        if !known.iter().any(|identity| means(selector, identity)) {
            return Err(unknown(Some(selector), &known));
        }
    }
    Ok(known
        .into_iter()
        .filter(|identity| selectors.iter().any(|selector| means(selector, identity)))
        .collect())
}

fn unknown(selector: Option<&Selector>, known: &[Identity]) -> SimulateError {
    SimulateError::Unknown {
        name: selector.map(ToString::to_string).unwrap_or_default(),
        known: known.iter().map(|device| device.name.clone()).collect(),
    }
}

/// Why something of a device is left.
#[derive(Debug, Default)]
pub(super) struct Failed {
    left: Vec<Leftover>,
    engine: Option<engine::EngineError>,
}

/// Stops one device and removes all of it; what cannot be removed is told.
pub(super) async fn remove(folder: &Path, identity: &Identity) -> Result<Removed, Failed> {
    let mut failed = Failed {
        left: halt(folder, identity).await,
        engine: None,
    };
    if !failed.left.is_empty() {
        // A running agent would bring back what is removed now.
        return Err(failed);
    }
    let removed = match engine::connect(&identity.engine_socket).await {
        Ok(engine) => {
            let (removed, left) = leftovers::remove(&engine, &identity.namespace).await;
            failed.left.extend(left);
            removed
        }
        Err(error) => {
            failed.left.push(Leftover::new(
                "engine",
                &identity.engine_socket.to_string_lossy(),
                &"its containers, networks, volumes and images could not be looked at",
            ));
            failed.engine = Some(error);
            Removed::default()
        }
    };
    if !failed.left.is_empty() {
        return Err(failed);
    }
    let files = identity.folder(folder);
    match remove_folder(files.path()) {
        Ok(()) => Ok(removed),
        Err(error) => {
            failed.left.push(Leftover::new(
                "folder",
                &files.path().to_string_lossy(),
                &error,
            ));
            Err(failed)
        }
    }
}

/// Ends the agent of a device and withdraws its record. Its containers and files stay.
pub(super) async fn halt(folder: &Path, identity: &Identity) -> Vec<Leftover> {
    let mut left = Vec::new();
    for agent in process::find(&identity.folder(folder).state()) {
        let pid = agent.pid.to_string();
        if let Err(error) = agent.stop().await {
            left.push(Leftover::new("process", &pid, &error));
        }
    }
    if !left.is_empty() {
        return left;
    }
    // By what it says, not by its file's name: the identity may be unreadable.
    if let Some(record) = identity.record(folder)
        && let Err(error) = simulated::remove(folder, &record.device.name)
    {
        left.push(Leftover::new("record", &record.device.name, &error));
    }
    left
}

/// Removes a folder, its identity last: until then the device is known, and the rest can be removed by the next call.
fn remove_folder(folder: &Path) -> io::Result<()> {
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut first = None;
    for entry in entries {
        let entry = entry?;
        if entry.file_name() == "identity.json" {
            continue;
        }
        let result = if entry.file_type()?.is_dir() {
            fs_err::remove_dir_all(entry.path())
        } else {
            fs_err::remove_file(entry.path())
        };
        first = first.or(result.err());
    }
    match first {
        Some(error) => Err(error),
        None => fs_err::remove_dir_all(folder),
    }
}
