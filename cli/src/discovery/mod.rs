//! Finding devices: mDNS queries, simulated devices of this machine, devices that were seen before.
//!
//! What comes in: a [`Selector`] that a person typed, the [`Places`] where this machine keeps what it knows, packets from
//! the local network (hostile until proven otherwise). What goes out: [`Device`]s, and [`Seen`] events while a scan runs.
//! It must not print, ask the user, talk HTTP to a device, or believe an answer more than the address it came from.

mod device;
mod error;
pub(crate) mod fuzz;
pub mod machines;
mod picture;
mod querier;
pub mod record_file;
pub mod remembered;
mod resolve;
mod scan;
mod schedule;
pub mod selector;
pub mod simulated;
mod sockets;
mod variant;
mod wire;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

pub use device::{Address, Device, Origin};
pub use error::DiscoveryError;
pub use resolve::resolve;
pub use scan::{Ended, scan};
pub use selector::Selector;
pub use variant::{LONGEST_CONNECT, Learnt, Variants};

/// Where this machine keeps what it knows about devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// File of the devices that were seen before.
    pub remembered: PathBuf,
    /// Folder with one record for every simulated device of this machine.
    pub simulated: PathBuf,
    /// Folder with one record for every virtual machine of this machine.
    pub machines: PathBuf,
}

impl Places {
    /// The places below the state folder of the program.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        Self {
            remembered: state.join("devices.json"),
            simulated: state.join("simulated"),
            machines: state.join("machines"),
        }
    }
}

/// What a scan reports, in the order in which it becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Identity of the device within this scan.
    pub id: u32,
    /// What happened.
    pub change: Change,
    /// The device as it is known now; for one that is gone, as it was.
    pub device: Device,
}

/// What happened to a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was not known to this scan.
    Found,
    /// More is known about it, or something else than before.
    Updated,
    /// It said goodbye, fell silent, or turned out to be the same as another one.
    Gone,
}

/// How long a scan goes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ScanOptions {
    /// Go on until the receiver is dropped, and report devices that come and go.
    pub watch: bool,
    /// End after this time even when answers still arrive.
    pub at_most: Option<Duration>,
}

/// Whether devices that were seen before may answer for themselves at the address they had.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// Try the remembered address while the query is under way.
    Use,
    /// Ask the network only: what was remembered turned out to be another device.
    Ignore,
}

/// All devices that a command without a device argument could mean: those of this machine and those that answer.
///
/// # Errors
/// As [`scan`].
pub async fn only_device(places: &Places) -> Result<Vec<Device>, DiscoveryError> {
    let (found, mut seen) = mpsc::channel::<Seen>(16);
    let collected = async {
        let mut devices = BTreeMap::new();
        while let Some(event) = seen.recv().await {
            match event.change {
                Change::Found | Change::Updated => devices.insert(event.id, event.device),
                Change::Gone => devices.remove(&event.id),
            };
        }
        devices.into_values().collect()
    };
    let (scanned, devices) = tokio::join!(scan(places, ScanOptions::default(), found), collected);
    scanned?;
    Ok(devices)
}

#[cfg(test)]
mod tests;
