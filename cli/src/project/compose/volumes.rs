//! `volumes` and `tmpfs` of a service → what a device can mount.
//!
//! In: the lists as written. Out: named, anonymous and memory mounts in short form; what becomes of paths of the device is
//! said in `binds`.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::compose::mounts as paths;
use serde_json::{Map, Value as Json, json};

use super::{
    binds::{self, Bind},
    merge,
    report::Report,
    spelling, typed,
};
use crate::project::yaml::{Entry, Node, Place, Value};

/// What a service's mounts say.
#[derive(Debug, Default)]
pub(super) struct Mounts {
    pub(super) volumes: Vec<Json>,
    pub(super) tmpfs: Vec<String>,
    pub(super) labels: Vec<&'static str>,
    /// Named volumes that must be declared.
    pub(super) named: Vec<(String, Place)>,
}

pub(super) fn read(report: &mut Report, path: &str, node: &Node) -> Option<Mounts> {
    let mut mounts = Mounts::default();
    let before = report.count();
    let items = typed::list(report, path, node)?;
    for item in items {
        if matches!(item.value, Value::Map(_)) {
            long(report, path, item, &mut mounts);
        } else if let Some(text) = typed::text(report, path, item) {
            short(report, path, &text, item.at, &mut mounts);
        }
    }
    if report.count() == before {
        rival_targets(report, path, items);
    }
    Some(mounts)
}

/// Mounts in memory at places where the service mounts something else.
pub(super) fn rivals_in_memory(
    report: &mut Report,
    path: &str,
    entries: &[Entry],
    composition: &Map<String, Json>,
) {
    let list = |key: &str| composition.get(key).and_then(Json::as_array);
    let target = |volume: &Json| match volume.as_str() {
        // A volume without a name gives way.
        Some(short) => short.split(':').nth(1).map(paths::clean),
        None => volume.get("target")?.as_str().map(paths::clean),
    };
    let volumes = list("volumes").into_iter().flatten();
    let taken: BTreeSet<String> = volumes.filter_map(target).collect();
    let memory = list("tmpfs").into_iter().flatten().filter_map(Json::as_str);
    let rival = memory
        .map(|entry| paths::clean(paths::of_tmpfs(entry)))
        .find(|target| taken.contains(target));
    let entry = entries.iter().find(|entry| entry.key == "tmpfs");
    let entry = entry.or_else(|| entries.iter().find(|entry| entry.key == "volumes"));
    if let Some((target, entry)) = rival.zip(entry) {
        let message = format!("{path}: there is both a volume and memory at {target}");
        report.error_with(entry.at, message, "mount each at a path of its own");
    }
}

/// Two mounts at one place of the container.
fn rival_targets(report: &mut Report, path: &str, items: &[Node]) {
    let mut targets: BTreeMap<String, usize> = BTreeMap::new();
    for item in items {
        if let Some(target) = merge::mount_target(item)
            && let Some(line) = targets.insert(paths::clean(&target), item.at.line)
        {
            let message = format!("{path}: there is already a mount at {target} (line {line})");
            report.error_with(item.at, message, "mount each at a path of its own");
        }
    }
}

/// `[source:]target[:mode]`
fn short(report: &mut Report, path: &str, text: &str, at: Place, mounts: &mut Mounts) {
    let parts: Vec<&str> = text.split(':').collect();
    let (source, target, mode) = match parts.as_slice() {
        [target] => (None, *target, ""),
        [source, target] => (Some(*source), *target, ""),
        [source, target, mode] => (Some(*source), *target, *mode),
        _ => {
            report.error(
                at,
                format!("{path}: {text:?} is not name:/path or name:/path:ro"),
            );
            return;
        }
    };
    if let Some(source) = source.filter(|source| is_path(source)) {
        let bind = Bind { source, target, at };
        binds::short(report, path, bind, mode, mounts);
        return;
    }
    let Some(mode) = mode_of(report, path, mode, at) else {
        return;
    };
    volume(
        report,
        path,
        &Volume {
            source,
            target,
            mode,
        },
        at,
        mounts,
    );
}

/// Whether a source is a path of some machine and not a volume's name.
fn is_path(source: &str) -> bool {
    source.starts_with(['/', '.', '~', '\\']) || source.contains('/')
}

/// The part of the mode that a device heeds.
fn mode_of(report: &mut Report, path: &str, mode: &str, at: Place) -> Option<&'static str> {
    let mut kept = "";
    for option in mode.split(',') {
        match option {
            "ro" => kept = ":ro",
            "nocopy" if kept.is_empty() => kept = ":nocopy",
            "" | "rw" | "z" | "Z" | "cached" | "delegated" | "consistent" | "nocopy" => {}
            other => {
                report.error(
                    at,
                    format!("{path}: {other:?} is not a mode of a volume (ro, rw, nocopy)"),
                );
                return None;
            }
        }
    }
    Some(kept)
}

/// A mount of a named or anonymous volume.
struct Volume<'a> {
    source: Option<&'a str>,
    target: &'a str,
    mode: &'static str,
}

fn volume(report: &mut Report, path: &str, volume: &Volume<'_>, at: Place, mounts: &mut Mounts) {
    let Volume {
        source,
        target,
        mode,
    } = volume;
    if !is_free(report, path, target, at) {
        return;
    }
    if has_colon(report, path, target, at) {
        return;
    }
    match source {
        Some(name) => {
            if is_devices_own(report, path, target, at) {
                return;
            }
            mounts.named.push(((*name).to_owned(), at));
            mounts
                .volumes
                .push(Json::from(format!("{name}:{target}{mode}")));
        }
        None => mounts.volumes.push(Json::from(*target)),
    }
}

/// `{type: volume|tmpfs|bind, source, target, …}`
fn long(report: &mut Report, path: &str, node: &Node, mounts: &mut Mounts) {
    let Some(entries) = typed::map(report, path, node) else {
        return;
    };
    let known = [
        "type",
        "source",
        "target",
        "read_only",
        "volume",
        "tmpfs",
        "bind",
        "consistency",
        "image",
    ];
    spelling::only(report, path, entries, &known);
    let mut part = |key: &str| match node.get(key).filter(|value| !value.is_null()) {
        Some(value) => typed::text(report, &format!("{path}.{key}"), value).map(Some),
        None => Some(None),
    };
    let Some((kind, source, target)) = part("type")
        .zip(part("source"))
        .zip(part("target"))
        .map(|((a, b), c)| (a, b, c))
    else {
        return;
    };
    let Some(target) = target else {
        report.error(
            node.at,
            format!("{path}: the key target (the path in the container) is missing"),
        );
        return;
    };
    let read_only = match node.get("read_only") {
        Some(value) => {
            typed::boolean(report, &format!("{path}.read_only"), value).unwrap_or_default()
        }
        None => false,
    };
    match kind.as_deref().unwrap_or("volume") {
        "volume" => {
            let Some(nocopy) = volume_options(report, path, node) else {
                return;
            };
            let mode = match (read_only, nocopy) {
                (true, _) => ":ro",
                (false, true) => ":nocopy",
                (false, false) => "",
            };
            let source = source.as_deref();
            volume(
                report,
                path,
                &Volume {
                    source,
                    target: &target,
                    mode,
                },
                node.at,
                mounts,
            );
        }
        "tmpfs" => tmpfs(report, path, node, target, mounts),
        "bind" => match source {
            Some(source) => {
                let bind = Bind {
                    source: &source,
                    target: &target,
                    at: node.at,
                };
                binds::long(report, path, bind, (node, read_only), mounts);
            }
            None => report.error(node.at, format!("{path}: the key source is missing")),
        },
        other => {
            let message = format!("{path}: a mount of type {other} is not supported");
            report.error_with(node.at, message, "use volume or tmpfs");
        }
    }
}

/// Whether `volume.nocopy` is set; nothing where there is an option that cannot be kept.
fn volume_options(report: &mut Report, path: &str, node: &Node) -> Option<bool> {
    let Some(options) = node.get("volume").filter(|options| !options.is_null()) else {
        return Some(false);
    };
    let path = format!("{path}.volume");
    let before = report.count();
    for entry in typed::map(report, &path, options)? {
        if entry.key != "nocopy" {
            report.error(
                entry.at,
                format!("{path}.{} is not supported by devices", entry.key),
            );
        }
    }
    let nocopy = match options.get("nocopy") {
        Some(value) => typed::boolean(report, &format!("{path}.nocopy"), value)?,
        None => false,
    };
    (report.count() == before).then_some(nocopy)
}

/// The service's own key `tmpfs`: paths, each with options behind a colon or without.
pub(super) fn tmpfs_paths(report: &mut Report, path: &str, node: &Node) -> Vec<String> {
    let paths = typed::text_or_texts(report, path, node).unwrap_or_default();
    let places = match &node.value {
        Value::List(items) => items.iter().map(|item| item.at).collect(),
        Value::Scalar(_) | Value::Map(_) => vec![node.at],
    };
    for (target, at) in paths.iter().zip(places) {
        let target = paths::of_tmpfs(target);
        if is_free(report, path, target, at) {
            is_devices_own(report, path, target, at);
        }
    }
    paths
}

/// Whether something can be mounted at a path at all.
pub(super) fn is_free(report: &mut Report, path: &str, target: &str, at: Place) -> bool {
    if !target.starts_with('/') {
        let message = format!("{path}: {target:?} is not an absolute path in the container");
        report.error_with(at, message, "write a path that begins with /");
        return false;
    }
    let is_free = paths::is_mount_point(target);
    if !is_free {
        let message = format!("{path}: {target:?} is the root of the container");
        report.error_with(at, message, "name a folder below it");
    }
    is_free
}

/// Whether a path would be another one, with a mode, in the form in which it is sent.
fn has_colon(report: &mut Report, path: &str, target: &str, at: Place) -> bool {
    let has_colon = target.contains(':');
    if has_colon {
        let message = format!("{path}: the path {target:?} has a colon");
        report.error_with(at, message, "mount it at a path without one");
    }
    has_colon
}

/// Whether the device has a mount of its own at a path.
pub(super) fn is_devices_own(report: &mut Report, path: &str, target: &str, at: Place) -> bool {
    let is_own = paths::OWN_DIRECTORIES.contains(&paths::clean(target).as_str());
    if is_own {
        let message = format!("{path}: the device itself mounts a folder at {target:?}");
        report.error_with(at, message, "mount yours at another path");
    }
    is_own
}

/// A mount in memory; with options it keeps the long form, which has a place for them.
fn tmpfs(report: &mut Report, path: &str, node: &Node, target: String, mounts: &mut Mounts) {
    if !is_free(report, path, &target, node.at) || is_devices_own(report, path, &target, node.at) {
        return;
    }
    if has_colon(report, path, &target, node.at) {
        return;
    }
    let Some(options) = node.get("tmpfs").filter(|options| !options.is_null()) else {
        mounts.tmpfs.push(target);
        return;
    };
    let path = format!("{path}.tmpfs");
    let Some(entries) = typed::map(report, &path, options) else {
        return;
    };
    spelling::only(report, &path, entries, &["size", "mode"]);
    let mut out = Map::new();
    if let Some(size) = options
        .get("size")
        .and_then(|node| typed::bytes(report, &format!("{path}.size"), node))
    {
        out.insert("size".to_owned(), Json::from(size));
    }
    if let Some(mode) = options
        .get("mode")
        .and_then(|node| typed::integer(report, &format!("{path}.mode"), node))
    {
        out.insert("mode".to_owned(), Json::from(mode));
    }
    mounts
        .volumes
        .push(json!({ "type": "tmpfs", "target": target, "tmpfs": out }));
}
