//! Mounts of the device's own paths.
//!
//! In: source and target as written. Out: for a path that stands for a feature its label; for a folder that the device
//! shares with its services the mount itself; for any other path of the device or the workstation a mistake.

use agent_api::compose::mounts::{PROPAGATION, is_mode};
use agent_api::folders::{SHARED, is_shared};
use serde_json::{Map, Value as Json};

use super::{
    report::Report,
    typed,
    volumes::{self, Mounts},
};
use crate::project::yaml::{Node, Place};

/// The engine is at several places in the container, and `DOCKER_HOST` names it.
const SOCKET: &str = "io.balena.features.balena-socket";

/// Paths of the device that stand for a feature: path, label, where the device mounts it in the container.
const FEATURES: &[(&str, &str, &str)] = &[
    ("/var/run/docker.sock", SOCKET, "/var/run/balena.sock"),
    ("/run/docker.sock", SOCKET, "/var/run/balena.sock"),
    (
        "/var/run/balena-engine.sock",
        SOCKET,
        "/var/run/balena.sock",
    ),
    ("/run/balena-engine.sock", SOCKET, "/var/run/balena.sock"),
    ("/var/run/balena.sock", SOCKET, "/var/run/balena.sock"),
    ("/run/balena.sock", SOCKET, "/var/run/balena.sock"),
    ("/run/dbus", "io.balena.features.dbus", "/host/run/dbus"),
    ("/sys", "io.balena.features.sysfs", "/sys"),
    ("/proc", "io.balena.features.procfs", "/proc"),
    (
        "/lib/modules",
        "io.balena.features.kernel-modules",
        "/lib/modules",
    ),
    (
        "/lib/firmware",
        "io.balena.features.firmware",
        "/lib/firmware",
    ),
    (
        "/var/log/journal",
        "io.balena.features.journal-logs",
        "/var/log/journal",
    ),
    (
        "/run/log/journal",
        "io.balena.features.journal-logs",
        "/run/log/journal",
    ),
    (
        "/etc/machine-id",
        "io.balena.features.journal-logs",
        "/etc/machine-id",
    ),
];

/// A path of the device and where it is to appear.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bind<'a> {
    pub(super) source: &'a str,
    pub(super) target: &'a str,
    pub(super) at: Place,
}

/// `source:target[:mode]`
pub(super) fn short(
    report: &mut Report,
    path: &str,
    bind: Bind<'_>,
    mode: &str,
    mounts: &mut Mounts,
) {
    if !is_shared(bind.source) {
        feature(report, path, bind, mounts);
        return;
    }
    let is_of_volume = |mode: &str| mode.split(',').any(|word| word == "nocopy");
    if !mode.is_empty() && (!is_mode(mode, true) || is_of_volume(mode)) {
        let message = format!("{path}: {mode:?} is not a mode of a folder (ro, rw, rshared)");
        report.error(bind.at, message);
        return;
    }
    if is_free(report, path, bind) {
        let Bind { source, target, .. } = bind;
        let mode = if mode.is_empty() {
            String::new()
        } else {
            format!(":{mode}")
        };
        let mount = format!("{source}:{target}{mode}");
        mounts.volumes.push(Json::from(mount));
    }
}

/// `{type: bind, source, target, read_only, bind: {propagation}}`
pub(super) fn long(
    report: &mut Report,
    path: &str,
    bind: Bind<'_>,
    (node, read_only): (&Node, bool),
    mounts: &mut Mounts,
) {
    if !is_shared(bind.source) {
        feature(report, path, bind, mounts);
        return;
    }
    let mut mount = Map::new();
    for (key, value) in [
        ("type", "bind"),
        ("source", bind.source),
        ("target", bind.target),
    ] {
        mount.insert(key.to_owned(), Json::from(value));
    }
    if read_only {
        mount.insert("read_only".to_owned(), Json::from(true));
    }
    if let Some(options) = node.get("bind").filter(|options| !options.is_null()) {
        let Some(options) = options_of(report, &format!("{path}.bind"), options) else {
            return;
        };
        mount.insert("bind".to_owned(), Json::Object(options));
    }
    if is_free(report, path, bind) {
        mounts.volumes.push(Json::Object(mount));
    }
}

/// The options of a folder that a device heeds.
fn options_of(report: &mut Report, path: &str, node: &Node) -> Option<Map<String, Json>> {
    let mut out = Map::new();
    for entry in typed::map(report, path, node)? {
        if entry.key != "propagation" {
            report.warn(
                entry.at,
                format!("{path}.{} has no effect on devices", entry.key),
            );
            continue;
        }
        let word = typed::text(report, &format!("{path}.propagation"), &entry.value)?;
        if !PROPAGATION.contains(&word.as_str()) {
            let words = PROPAGATION.join(", ");
            let message = format!("{path}.propagation cannot be {word:?}");
            report.error_with(entry.at, message, format!("use one of {words}"));
            return None;
        }
        out.insert("propagation".to_owned(), Json::from(word));
    }
    Some(out)
}

/// Whether a folder can be mounted where it shall be.
fn is_free(report: &mut Report, path: &str, bind: Bind<'_>) -> bool {
    let Bind { target, at, .. } = bind;
    volumes::is_free(report, path, target, at) && !volumes::is_devices_own(report, path, target, at)
}

/// The label that stands for a path.
fn feature(report: &mut Report, path: &str, bind: Bind<'_>, mounts: &mut Mounts) {
    let Bind { source, target, at } = bind;
    let plain = source.trim_end_matches('/');
    let Some((_, label, mounted)) = FEATURES.iter().find(|(known, ..)| *known == plain) else {
        let hint = if source.starts_with('/') {
            format!(
                "a device shares only folders below {SHARED}, /run/dbus, /sys, /proc, /lib/modules, /lib/firmware, its \
                 journal and the engine's socket; use a named volume for data that shall stay"
            )
        } else {
            "copy the files into the image with COPY, or use a named volume for data that shall stay"
                .to_owned()
        };
        report.error_with(
            at,
            format!("{path}: {source} cannot be mounted from the device"),
            hint,
        );
        return;
    };
    let target = target.trim_end_matches('/');
    let at_known_place = target == *mounted || (*label == SOCKET);
    if !at_known_place {
        report.warn(
            at,
            format!(
                "{path}: the device mounts {plain} at {mounted}, not at {target} (label {label})"
            ),
        );
    }
    if !mounts.labels.contains(label) {
        mounts.labels.push(label);
    }
}
