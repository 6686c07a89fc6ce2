//! Volumes, memory mounts and devices.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::scalar::{bytes, flag, object, pairs, text, text_or_list, text_set};
use super::{Composition, Fault, Read, put, put_some, quoted};
use crate::target::MAX_ITEMS;
use crate::target::value::{field, is_name};

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
        /// Limit in bytes; 0 is none.
        size: i64,
    },
}

impl VolumeUse {
    /// Name of the volume of the application that is used.
    #[must_use]
    pub fn volume_name(&self) -> Option<&str> {
        match self {
            Self::Named { name, .. } => Some(name),
            Self::Mounted { name, .. } => name.as_deref(),
            Self::Anonymous { .. } | Self::Tmpfs { .. } => None,
        }
    }
}

/// Reads one key; `None` when it is of another kind.
pub(super) fn key(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    Some(match key {
        "volumes" => volumes(value, out),
        "tmpfs" => put(&mut out.tmpfs, tmpfs(value)),
        "devices" => put(&mut out.devices, devices(value)),
        "read_only" => put_some(&mut out.read_only, flag(value)),
        "storage_opt" => put(&mut out.storage_opt, pairs(value)),
        "shm_size" => super::resources::size(value, "shm_size", &mut out.warnings)
            .map(|size| out.shm_size = size),
        _ => return None,
    })
}

fn volumes(value: &Value, out: &mut Composition) -> Read<()> {
    let list = value
        .as_array()
        .filter(|list| list.len() <= MAX_ITEMS)
        .ok_or_else(|| Fault::new(format!("must be a list of up to {MAX_ITEMS} entries")))?;
    let mut faults = Vec::new();
    for (index, entry) in list.iter().enumerate() {
        let outcome = match entry {
            Value::Object(map) => long(map, &mut out.warnings),
            _ => text(entry).and_then(|entry| short(&entry, &mut out.warnings)),
        };
        match outcome {
            Ok(volume) => out.volumes.extend(volume),
            Err(found) => faults.extend(found.into_iter().map(|f| f.under(&index.to_string()))),
        }
    }
    if faults.is_empty() {
        Ok(())
    } else {
        Err(faults)
    }
}

fn short(entry: &str, warnings: &mut Vec<String>) -> Read<Option<VolumeUse>> {
    let Some((source, target)) = entry.split_once(':') else {
        if entry.starts_with('/') {
            return Ok(Some(VolumeUse::Anonymous {
                target: entry.to_owned(),
            }));
        }
        return Err(Fault::new(format!("{} is no path", quoted(entry))));
    };
    if source.starts_with(['/', '.', '~']) {
        warnings.push(bind_dropped(entry));
        return Ok(None);
    }
    if !is_name(source) || !target.starts_with('/') {
        return Err(Fault::new(format!(
            "{} is not `name:/path[:mode]`",
            quoted(entry)
        )));
    }
    Ok(Some(VolumeUse::Named {
        name: source.to_owned(),
        target: target.to_owned(),
    }))
}

fn long(map: &Map<String, Value>, warnings: &mut Vec<String>) -> Read<Option<VolumeUse>> {
    let one = |name: &str| field(map, name).map(text).transpose();
    let kind = one("type")?.unwrap_or_else(|| "volume".to_owned());
    let target = one("target")?
        .filter(|target| target.starts_with('/'))
        .ok_or_else(|| Fault::new("has no absolute `target`"))?;
    let nested = |name: &str| field(map, name).map(object).transpose();
    match kind.as_str() {
        "volume" => {
            let name = one("source")?.filter(|name| !name.is_empty());
            if let Some(name) = name.as_deref().filter(|name| !is_name(name)) {
                return Err(Fault::new(format!("{} is no volume", quoted(name))));
            }
            let read_only = field(map, "read_only").map(flag).transpose()?;
            let no_copy = nested("volume")?
                .and_then(|options| field(options, "nocopy"))
                .map(flag)
                .transpose()?;
            Ok(Some(VolumeUse::Mounted {
                name,
                target,
                read_only: read_only.unwrap_or(false),
                no_copy: no_copy.unwrap_or(false),
            }))
        }
        "tmpfs" => {
            let size = nested("tmpfs")?.and_then(|options| field(options, "size"));
            let size = match size {
                None => 0,
                Some(size) => bytes(size).ok_or_else(|| Fault::new("`size` is no size"))?,
            };
            Ok(Some(VolumeUse::Tmpfs { target, size }))
        }
        "bind" => {
            let source = one("source")?.unwrap_or_default();
            warnings.push(bind_dropped(&format!("{source}:{target}")));
            Ok(None)
        }
        other => Err(Fault::new(format!("there is no type {}", quoted(other)))),
    }
}

fn bind_dropped(entry: &str) -> String {
    format!(
        "the bind mount {} is left out: services may not mount folders of the device",
        quoted(entry)
    )
}

fn tmpfs(value: &Value) -> Read<BTreeSet<String>> {
    let list = text_or_list(value)?;
    match list.iter().find(|path| !path.starts_with('/')) {
        Some(path) => Err(Fault::new(format!("{} is no path", quoted(path)))),
        None => Ok(list.into_iter().collect()),
    }
}

/// `host[:container[:permissions]]`, filled up to all three parts.
fn devices(value: &Value) -> Read<BTreeSet<String>> {
    let list = text_set(value)?;
    list.iter()
        .map(|device| {
            let parts: Vec<_> = device.split(':').collect();
            match parts.as_slice() {
                [path] => Ok(format!("{path}:{path}:rwm")),
                [host, inside] => Ok(format!("{host}:{inside}:rwm")),
                [_, _, _] => Ok(device.clone()),
                _ => Err(Fault::new(format!("{} is no device", quoted(device)))),
            }
        })
        .collect()
}
