//! Finding devices: mDNS queries, simulated devices of this machine, devices that were seen before.
//!
//! What comes in: a [`Selector`] that a person typed, the [`Places`] where this machine keeps what it knows, packets from
//! the local network (hostile until proven otherwise). What goes out: [`Device`]s, and [`Seen`] events while a scan runs.
//! It must not print, ask the user, talk HTTP to a device, or believe an answer more than the address it came from.

mod device;
mod error;
mod record_file;
pub mod remembered;
pub mod selector;
pub mod simulated;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::sync::mpsc;

pub use device::{Address, Device, Origin};
pub use error::DiscoveryError;
pub use selector::Selector;

/// Where this machine keeps what it knows about devices.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Places {
    /// File of the devices that were seen before.
    pub remembered: PathBuf,
    /// Folder with one record for every simulated device of this machine.
    pub simulated: PathBuf,
}

impl Places {
    /// The places below the state folder of the program.
    #[must_use]
    pub fn below(state: &Path) -> Self {
        Self {
            remembered: state.join("devices.json"),
            simulated: state.join("simulated"),
        }
    }
}

/// What a scan reports, in the order in which it becomes known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// A device that was not known to this scan.
    Found(Device),
    /// More is known about a device that was found.
    Updated(Device),
    /// A device said goodbye; only while watching.
    Gone(Device),
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

/// Asks the local network and reports each device as it answers; returns when the answers have dried up.
///
/// What was found is remembered. Ends early when the receiver is dropped.
///
/// # Errors
/// [`DiscoveryError::Interfaces`] and [`DiscoveryError::NoSocket`].
pub async fn scan(
    places: &Places,
    options: ScanOptions,
    found: mpsc::Sender<Seen>,
) -> Result<(), DiscoveryError> {
    // Filled in by the querier.
    let (_, _, _) = (places, options, found);
    Ok(())
}

/// Finds the one device that a selector means.
///
/// # Errors
/// [`DiscoveryError::NotFound`] after one to three seconds; [`DiscoveryError::Ambiguous`] when several devices answer to the name.
pub async fn resolve(
    places: &Places,
    selector: &Selector,
    memory: Memory,
) -> Result<Device, DiscoveryError> {
    let (_, _) = (places, memory);
    Err(DiscoveryError::NotFound {
        selector: selector.to_string(),
    })
}

/// All devices that a command without a device argument could mean: those of this machine and those that answer.
///
/// # Errors
/// As [`scan`].
pub async fn only_device(places: &Places) -> Result<Vec<Device>, DiscoveryError> {
    let (found, mut seen) = mpsc::channel(16);
    scan(places, ScanOptions::default(), found).await?;
    let mut devices = Vec::new();
    while let Some(event) = seen.recv().await {
        if let Seen::Found(device) = event {
            devices.push(device);
        }
    }
    Ok(devices)
}
