//! Entries of `volumes`: `[source:]/path[:mode]`, or an object ([`long`]).
//!
//! What mounts a folder of the device is left out with a warning, but for what is below its `/tmp`. Where links there
//! lead is looked at when a container is made and started, not here.

mod long;

use std::collections::BTreeMap;

use agent_api::compose::mounts::{OWN_DIRECTORIES, clean, is_mode, is_mount_point};
use agent_api::folders::{SHARED, is_shared};
use serde_json::Value;

use super::scalar::{text, under};
use super::{Fault, Read, quoted};
use crate::target::MAX_ITEMS;
use crate::target::value::is_name;

/// One entry of `volumes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VolumeUse {
    /// A new volume of the container.
    Anonymous {
        /// Path in the container.
        target: String,
    },
    /// A volume of the application, in the short form.
    Named {
        /// Name in the application.
        name: String,
        /// Path in the container, and the mode after a colon, as it was sent.
        target: String,
    },
    /// A volume of the application, in the long form.
    Mounted {
        /// Name in the application; `None` is a new one.
        name: Option<String>,
        /// Path in the container.
        target: String,
        /// Not writable.
        read_only: bool,
        /// Whether the image's content is left out.
        no_copy: bool,
    },
    /// Memory, in the long form.
    Tmpfs {
        /// Path in the container.
        target: String,
        /// Not writable.
        read_only: bool,
        /// Limit in bytes; 0 is none.
        size: i64,
    },
    /// A folder below the device's `/tmp`, in the short form.
    Bound {
        /// Path on the device.
        source: String,
        /// Path in the container, and the mode after a colon, as it was sent.
        target: String,
    },
    /// A folder below the device's `/tmp`, in the long form: it must be there.
    BoundMount {
        /// Path on the device.
        source: String,
        /// Path in the container.
        target: String,
        /// Not writable.
        read_only: bool,
        /// How mounts below it are passed on.
        propagation: Option<String>,
    },
}

impl VolumeUse {
    /// Name of the volume of the application that is used.
    #[must_use]
    pub fn volume_name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Mounted { name, .. } => name.as_deref(),
            _ => None,
        }
    }

    /// Whether it reaches the device's own files.
    #[must_use]
    pub fn is_bind(&self) -> bool {
        matches!(self, Self::Bound { .. } | Self::BoundMount { .. })
    }

    /// Path in the container, cleaned, which no other mount may share; anonymous volumes give way to others.
    pub(crate) fn mount_point(&self) -> Option<String> {
        match self {
            Self::Anonymous { .. } => None,
            Self::Named { target, .. } | Self::Bound { target, .. } => {
                target.split(':').next().map(clean)
            }
            Self::Mounted { target, .. }
            | Self::Tmpfs { target, .. }
            | Self::BoundMount { target, .. } => Some(clean(target)),
        }
    }
}

/// The key `volumes`. An entry that is there twice counts once.
pub(super) fn read(value: &Value, warnings: &mut Vec<String>) -> Read<Vec<VolumeUse>> {
    let list = value
        .as_array()
        .filter(|list| list.len() <= MAX_ITEMS)
        .ok_or_else(|| Fault::new(format!("must be a list of up to {MAX_ITEMS} entries")))?;
    let mut out: Vec<VolumeUse> = Vec::new();
    let mut taken: BTreeMap<String, usize> = BTreeMap::new();
    let mut faults = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let outcome = match entry {
            Value::Object(map) => long::read(map, warnings),
            _ => text(entry).and_then(|entry| short(&entry, warnings)),
        };
        let outcome = outcome.and_then(|volume| match volume {
            Some(volume) if out.contains(&volume) => Ok(None),
            Some(volume) => alone(volume, index, &mut taken).map(Some),
            None => Ok(None),
        });
        match outcome {
            Ok(volume) => out.extend(volume),
            Err(found) => faults.extend(under(found, &index.to_string())),
        }
    }
    if faults.is_empty() {
        Ok(out)
    } else {
        Err(faults)
    }
}

/// The engine refuses two mounts at one path, and the device has mounts of its own.
fn alone(volume: VolumeUse, index: usize, taken: &mut BTreeMap<String, usize>) -> Read<VolumeUse> {
    let Some(path) = volume.mount_point() else {
        return Ok(volume);
    };
    if OWN_DIRECTORIES.contains(&path.as_str()) {
        return Err(Fault::new(format!(
            "the device itself mounts a folder at {}",
            quoted(&path)
        )));
    }
    match taken.insert(path.clone(), index) {
        Some(other) => Err(Fault::new(format!(
            "entry {other} is mounted at {}, too",
            quoted(&path)
        ))),
        None => Ok(volume),
    }
}

fn short(entry: &str, warnings: &mut Vec<String>) -> Read<Option<VolumeUse>> {
    let mut parts = entry.split(':').map(str::trim);
    let (Some(source), Some(target)) = (parts.next(), parts.next()) else {
        if is_mount_point(entry) {
            return Ok(Some(VolumeUse::Anonymous {
                target: entry.to_owned(),
            }));
        }
        return Err(Fault::new(format!(
            "{} is no path to mount at",
            quoted(entry)
        )));
    };
    let mode = parts.next();
    let is_bind = is_path(source);
    let written = match mode {
        Some(mode) => format!("{target}:{mode}"),
        None => target.to_owned(),
    };
    if is_bind && !is_shared(source) {
        warnings.push(bind_dropped(entry));
        return Ok(None);
    }
    if parts.next().is_some() || !is_mount_point(target) || !(is_bind || is_name(source)) {
        return Err(Fault::new(format!(
            "{} is not `name:/path[:mode]`",
            quoted(entry)
        )));
    }
    if let Some(mode) = mode.filter(|mode| !is_mode(mode, is_bind)) {
        return Err(Fault::new(format!("{} is no mode", quoted(mode))));
    }
    Ok(Some(if is_bind {
        VolumeUse::Bound {
            source: source.to_owned(),
            target: written,
        }
    } else {
        VolumeUse::Named {
            name: source.to_owned(),
            target: written,
        }
    }))
}

/// Whether a source is a path of some machine, and no volume's name.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~'])
}

fn bind_dropped(entry: &str) -> String {
    format!(
        "the bind mount {} is left out: of the device's folders, services may mount those below {SHARED} only, and not the agent's",
        quoted(entry)
    )
}
