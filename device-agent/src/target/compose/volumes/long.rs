//! The long form of a volume: `{type, source, target, read_only, …}`.

use agent_api::compose::mounts::{PROPAGATION, is_mount_point};
use agent_api::folders::is_shared;
use serde_json::{Map, Value};

use super::super::scalar::{bytes, flag, object, text};
use super::super::{Fault, Read, quoted, unused};
use super::{VolumeUse, bind_dropped, is_path};
use crate::target::value::{field, is_name};

/// Kinds that exist elsewhere and that this device passes over.
const FOREIGN_KINDS: [&str; 3] = ["npipe", "cluster", "image"];

/// What every kind has.
struct Entry {
    source: Option<String>,
    target: String,
    read_only: bool,
}

/// One entry; `None` where it is left out, with a warning.
pub(super) fn read(
    map: &Map<String, Value>,
    warnings: &mut Vec<String>,
) -> Read<Option<VolumeUse>> {
    let one = |name: &str| field(map, name).map(text).transpose();
    let kind = one("type")?.unwrap_or_else(|| "volume".to_owned());
    if FOREIGN_KINDS.contains(&kind.as_str()) {
        warnings.push(format!("a volume of the type {kind} is left out"));
        return Ok(None);
    }
    let entry = Entry {
        target: one("target")?
            .filter(|target| is_mount_point(target))
            .ok_or_else(|| Fault::new("has no absolute `target`"))?,
        source: one("source")?.filter(|source| !source.is_empty()),
        read_only: field(map, "read_only")
            .map(flag)
            .transpose()?
            .unwrap_or(false),
    };
    // The options of a kind stand under its name.
    let known = ["type", "source", "target", "read_only", kind.as_str()];
    let options = field(map, &kind).map(object).transpose();
    let read = match kind.as_str() {
        "volume" => volume(entry, options?, warnings),
        "tmpfs" => tmpfs(entry, options?, warnings),
        "bind" => bind(entry, options?, warnings),
        other => return Err(Fault::new(format!("there is no type {}", quoted(other)))),
    };
    if matches!(read, Ok(Some(_))) {
        unused("volumes", map, &known, warnings);
    }
    read
}

type Options<'a> = Option<&'a Map<String, Value>>;

fn volume(
    entry: Entry,
    options: Options<'_>,
    warnings: &mut Vec<String>,
) -> Read<Option<VolumeUse>> {
    let Entry {
        source,
        target,
        read_only,
    } = entry;
    if let Some(path) = source.as_deref().filter(|source| is_path(source)) {
        warnings.push(format!(
            "the volume {} is left out: a folder is no volume",
            quoted(&format!("{path}:{target}"))
        ));
        return Ok(None);
    }
    if let Some(name) = source.as_deref().filter(|name| !is_name(name)) {
        return Err(Fault::new(format!("{} is no volume", quoted(name))));
    }
    let mut no_copy = false;
    if let Some(options) = options {
        unused("volumes.volume", options, &["nocopy"], warnings);
        no_copy = field(options, "nocopy")
            .map(flag)
            .transpose()?
            .unwrap_or(false);
    }
    Ok(Some(VolumeUse::Mounted {
        name: source,
        target,
        read_only,
        no_copy,
    }))
}

fn tmpfs(
    entry: Entry,
    options: Options<'_>,
    warnings: &mut Vec<String>,
) -> Read<Option<VolumeUse>> {
    if let Some(source) = &entry.source {
        warnings.push(format!(
            "the mount at {} is left out: memory has no source such as {}",
            quoted(&entry.target),
            quoted(source)
        ));
        return Ok(None);
    }
    let mut size = 0;
    if let Some(options) = options {
        unused("volumes.tmpfs", options, &["size"], warnings);
        if let Some(sent) = field(options, "size") {
            size = bytes(sent).ok_or_else(|| Fault::new("`size` is no size"))?;
        }
    }
    Ok(Some(VolumeUse::Tmpfs {
        target: entry.target,
        read_only: entry.read_only,
        size,
    }))
}

fn bind(entry: Entry, options: Options<'_>, warnings: &mut Vec<String>) -> Read<Option<VolumeUse>> {
    let source = entry.source.unwrap_or_default();
    let target = entry.target;
    if !is_shared(&source) {
        warnings.push(bind_dropped(&format!("{source}:{target}")));
        return Ok(None);
    }
    let mut propagation = None;
    if let Some(options) = options {
        unused("volumes.bind", options, &["propagation"], warnings);
        propagation = field(options, "propagation")
            .map(text)
            .transpose()?
            .filter(|word| !word.is_empty());
    }
    if let Some(word) = propagation.as_deref().filter(|p| !PROPAGATION.contains(p)) {
        return Err(Fault::new(format!("{} is no propagation", quoted(word))));
    }
    Ok(Some(VolumeUse::BoundMount {
        source,
        target,
        read_only: entry.read_only,
        propagation,
    }))
}
