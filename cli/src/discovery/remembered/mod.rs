//! Devices that were seen before, so that a name works at once and is completed without asking the network.
//!
//! The file is a cache: one that cannot be understood is set aside and begun anew. It holds no simulated devices (their
//! records live with their processes) and no secrets.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use super::record_file::FileError;
use super::{Device, Origin, record_file};

/// More devices than this are not remembered; the ones that were learnt first go first.
const MOST: usize = 512;
/// Format of the file; a higher one is from a newer program.
const VERSION: u32 = 1;

/// The devices of the file, the one learnt last first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remembered {
    version: u32,
    devices: Vec<Device>,
}

impl Default for Remembered {
    fn default() -> Self {
        Self {
            version: VERSION,
            devices: Vec::new(),
        }
    }
}

/// A file that could not be used and what became of it.
#[derive(Debug)]
pub struct SetAside {
    /// Where the unusable file is now; `None` when it could not be moved.
    pub moved_to: Option<PathBuf>,
    /// Why it was of no use.
    pub because: FileError,
}

impl Remembered {
    /// What the file holds; nothing when there is no file or it is of no use. Changes nothing.
    #[must_use]
    pub fn peek(path: &Path) -> Self {
        read_current(path).unwrap_or_default()
    }

    /// What the file holds. A file that cannot be understood is moved beside itself (`….unreadable`), which the second value tells.
    #[must_use]
    pub fn load(path: &Path) -> (Self, Option<SetAside>) {
        match read_current(path) {
            Ok(remembered) => (remembered, None),
            Err(because) => {
                let aside = record_file::suffixed(path, ".unreadable");
                let moved_to = match &because {
                    FileError::Io { .. } => None,
                    FileError::Content { .. } | FileError::TooLarge { .. } => {
                        fs_err::rename(path, &aside).is_ok().then_some(aside)
                    }
                };
                (Self::default(), Some(SetAside { moved_to, because }))
            }
        }
    }

    /// The devices, the one learnt last first.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }

    /// Takes over what is known about a device; `true` when that changed anything. Devices that were only given by address and
    /// told no uuid, and simulated ones, are not remembered.
    pub fn learn(&mut self, device: &Device) -> bool {
        let worth_it = match device.origin {
            Origin::Network => !device.addresses.is_empty(),
            Origin::Given => device.uuid.is_some(),
            Origin::Cloud | Origin::Machine | Origin::Simulated { .. } => false,
        };
        if !worth_it {
            return false;
        }
        let known = self.devices.iter().position(|old| is_same(old, device));
        let old = known.map(|index| self.devices.remove(index));
        let merged = match &old {
            Some(old) => filled_up(device, old),
            None => device.clone(),
        };
        if let (Some(index), Some(old)) = (known, old)
            && old == merged
        {
            self.devices.insert(index, old);
            return false;
        }
        self.devices.insert(0, merged);
        self.devices.truncate(MOST);
        true
    }

    /// Replaces the file.
    ///
    /// # Errors
    /// [`FileError`] when the folder or the file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), FileError> {
        record_file::replace(path, self)
    }
}

/// Takes over what is known about some devices; writes the file only when that changed something.
///
/// # Errors
/// [`FileError`] when the file cannot be written. One that cannot be read is set aside, which the value tells.
pub fn learn<'a>(
    path: &Path,
    devices: impl IntoIterator<Item = &'a Device>,
) -> Result<Option<SetAside>, FileError> {
    let (mut remembered, aside) = Remembered::load(path);
    let mut changed = false;
    for device in devices {
        changed |= remembered.learn(device);
    }
    if changed {
        remembered.save(path)?;
    }
    Ok(aside)
}

fn read_current(path: &Path) -> Result<Remembered, FileError> {
    let mut remembered: Remembered = match record_file::read(path)? {
        Some(remembered) => remembered,
        None => return Ok(Remembered::default()),
    };
    if remembered.version > VERSION {
        return Err(FileError::Content {
            path: path.to_owned(),
            source: serde::de::Error::custom(format!(
                "version {} is newer than this program",
                remembered.version
            )),
        });
    }
    remembered
        .devices
        .retain(|device| matches!(device.origin, Origin::Network | Origin::Given));
    remembered.devices.truncate(MOST);
    Ok(remembered)
}

fn is_same(old: &Device, new: &Device) -> bool {
    match (&old.uuid, &new.uuid) {
        (Some(old), Some(new)) => old == new,
        (None, None) => old.name == new.name && shares_address(old, new),
        (Some(_), None) | (None, Some(_)) => old.name == new.name,
    }
}

/// Two devices of one name that never told a uuid are told apart by their addresses.
fn shares_address(old: &Device, new: &Device) -> bool {
    old.addresses
        .iter()
        .any(|known| new.addresses.iter().any(|address| address.ip == known.ip))
}

/// The new facts, and the old ones where there is no new one.
fn filled_up(new: &Device, old: &Device) -> Device {
    let or = |new: &Option<String>, old: &Option<String>| new.clone().or_else(|| old.clone());
    let mut merged = new.clone();
    if matches!(new.origin, Origin::Given) {
        // The address was typed, so it is right; the name it was given is only that address.
        merged.name.clone_from(&old.name);
        merged.origin = old.origin.clone();
    }
    merged.uuid = or(&new.uuid, &old.uuid);
    merged.device_type = or(&new.device_type, &old.device_type);
    merged.os_version = or(&new.os_version, &old.os_version);
    merged.agent_version = or(&new.agent_version, &old.agent_version);
    merged.variant = or(&new.variant, &old.variant);
    merged
}

#[cfg(test)]
mod tests;
