//! Compose files → services, networks and volumes as they go to the device.
//!
//! In: the texts of the files in merge order, the environment, the active profiles. Out: a [`Composition`], or every mistake
//! with its line. The steps: read and put variables in place → `extends` → merge → leave out by profile → read each service →
//! check them together. Beside the given texts only files that those name are read.

mod binds;
mod bounds;
mod build;
mod checks;
mod contract;
mod document;
mod environment;
mod extends;
mod keys;
mod limits;
mod merge;
mod networks;
mod ports;
mod report;
mod scope;
mod service;
pub(crate) mod spelling;
#[cfg(test)]
mod tests;
mod typed;
pub(crate) mod units;
mod volumes;
mod words;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    io::Read,
    path::{Path, PathBuf},
};

pub(super) use build::inside;
pub(super) use environment::is_variable_name;
use report::Report;
use scope::Scope;
use serde_json::{Map, Value as Json};
use service::Service;
pub(crate) use spelling::distance;

use super::{
    Problems, ServiceSpec, Warning,
    yaml::{self, Entry, Node, Value},
};

/// What to read.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The project's folder, absolute: contexts and extended files must lie in it.
    pub root: &'a Path,
    /// Path and text of each file, in merge order. Relative paths count from the folder of the first.
    pub files: &'a [(PathBuf, String)],
    /// Values for variables.
    pub environment: &'a BTreeMap<String, String>,
    /// Active profiles; `*` means all.
    pub profiles: &'a [String],
}

/// What the files say.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Composition {
    /// The services that are left after profiles, in the order of the files.
    pub services: Vec<ServiceSpec>,
    /// Top-level volumes.
    pub volumes: Map<String, Json>,
    /// Top-level networks.
    pub networks: Map<String, Json>,
    /// What does not stop a push.
    pub warnings: Vec<Warning>,
}

/// Longest name that a device takes.
const LONGEST_NAME: usize = 255;
/// Longest name of a service: its image's and its container's names hold it and more.
const LONGEST_SERVICE: usize = 200;

/// Keys of the top level that a device has no use for, and what to do instead.
const REJECTED: &[(&str, &str)] = &[
    (
        "configs",
        "copy the files into the image, or pass their content in environment",
    ),
    ("include", "name the files with -f, or use extends"),
    ("models", "remove it: a device runs no models"),
    (
        "secrets",
        "build secrets belong in .balena/secrets, those of a running service in environment",
    ),
];

/// Reads the files.
///
/// # Errors
/// All mistakes that were found, with their places.
pub fn read(request: &Request<'_>) -> Result<Composition, Problems> {
    let mut report = Report::new(request.root);
    let Some(merged) = merged(&mut report, request) else {
        return report.finish().map(|warnings| Composition {
            warnings,
            ..Composition::default()
        });
    };
    top_level(&mut report, &merged);
    let mut networks = section(&mut report, &merged, "networks", networks::network);
    let volumes = section(&mut report, &merged, "volumes", networks::volume);
    let services = services(&mut report, request, &merged, &mut networks, &volumes);
    bounds::services(&mut report, merged.get("services"), &services);
    for (key, section) in [("networks", &networks), ("volumes", &volumes)] {
        let at = merged.get(key).map_or(merged.at, |node| node.at);
        bounds::section(&mut report, key, at, section);
    }
    let services = services.into_iter().map(|service| service.spec).collect();
    report.finish().map(|warnings| Composition {
        services,
        volumes,
        networks,
        warnings,
    })
}

/// The contract file of a context, for a project without compose file.
///
/// # Errors
/// Mistakes in that file.
pub(super) fn context_contract(
    root: &Path,
    context: &Path,
) -> Result<(Option<Json>, Vec<Warning>), Problems> {
    let mut report = Report::new(root);
    let contract = contract::from_context(&mut report, context);
    report.finish().map(|warnings| (contract, warnings))
}

/// All files as one tree; nothing where a file has mistakes of form, which would only breed others.
fn merged(report: &mut Report, request: &Request<'_>) -> Option<Node> {
    let folder = folder(request);
    let mut extends = extends::Extends {
        root: request.root,
        environment: request.environment,
        documents: HashMap::new(),
        circles: BTreeSet::new(),
    };
    let mut merged: Option<Node> = None;
    for (path, text) in request.files {
        let Some(document) = document::read(report, path, text, request.environment) else {
            continue;
        };
        let document = extends.resolve(report, document, path, folder);
        merged = Some(match merged {
            Some(base) => merge::documents(report, base, document),
            None => document,
        });
    }
    let mut merged = merged.filter(|_| report.count() == 0)?;
    merge::without_resets(&mut merged);
    Some(merged)
}

fn folder<'a>(request: &Request<'a>) -> &'a Path {
    request
        .files
        .first()
        .and_then(|(path, _)| path.parent())
        .unwrap_or(request.root)
}

fn top_level(report: &mut Report, merged: &Node) {
    let Value::Map(entries) = &merged.value else {
        return;
    };
    for entry in entries {
        match entry.key.as_str() {
            "services" | "networks" | "volumes" | "version" | "name" => {}
            key if key.starts_with("x-") => {}
            key => match REJECTED.iter().find(|(rejected, _)| *rejected == key) {
                Some((_, hint)) => {
                    report.error_with(entry.at, format!("the key {key} is not supported"), *hint);
                }
                None => spelling::unknown(
                    report,
                    "",
                    entry,
                    ["services", "networks", "volumes", "version", "name"],
                ),
            },
        }
    }
}

/// The entries of a top-level map, each read by `read`.
fn section(
    report: &mut Report,
    merged: &Node,
    key: &str,
    read: fn(&mut Report, &Entry) -> Json,
) -> Map<String, Json> {
    let mut out = Map::new();
    let Some(node) = merged.get(key).filter(|node| !node.is_null()) else {
        return out;
    };
    for entry in typed::map(report, key, node).unwrap_or_default() {
        name(report, key.trim_end_matches('s'), entry);
        let value = read(report, entry);
        out.insert(entry.key.clone(), value);
    }
    out
}

fn services(
    report: &mut Report,
    request: &Request<'_>,
    merged: &Node,
    networks: &mut Map<String, Json>,
    volumes: &Map<String, Json>,
) -> Vec<Service> {
    let node = merged.get("services").filter(|node| !node.is_null());
    let entries = match node {
        Some(node) => typed::map(report, "services", node).unwrap_or_default(),
        None => &[],
    };
    let before = report.count();
    let scope = Scope {
        root: request.root,
        folder: folder(request),
        environment: request.environment,
    };
    let (mut out, mut by_profile, mut broken) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
    for entry in entries {
        name(report, "service", entry);
        if !is_active(report, entry, request.profiles) {
            by_profile.insert(entry.key.clone());
            continue;
        }
        match service::read(report, &scope, entry) {
            Some(service) => out.push(service),
            None => drop(broken.insert(entry.key.clone())),
        }
    }
    if out.is_empty() && report.count() == before {
        let at = node.map_or(merged.at, |node| node.at);
        if by_profile.is_empty() {
            report.error_with(at, "there is no service", "add one under services:");
        } else {
            let names: Vec<_> = by_profile.iter().map(String::as_str).collect();
            let message = format!(
                "there is no service: no profile is active, which leaves out {}",
                names.join(", ")
            );
            report.error_with(at, message, "name profiles in COMPOSE_PROFILES");
        }
    }
    checks::all(
        report,
        &mut out,
        &checks::Absent {
            by_profile: &by_profile,
            broken: &broken,
        },
        networks,
        volumes,
    );
    out
}

/// Whether a service belongs to this push.
fn is_active(report: &mut Report, entry: &Entry, active: &[String]) -> bool {
    let Some(profiles) = entry.value.get("profiles").filter(|node| !node.is_null()) else {
        return true;
    };
    let path = format!("services.{}.profiles", entry.key);
    let Some(profiles) = typed::texts(report, &path, profiles) else {
        return true;
    };
    profiles.is_empty()
        || active
            .iter()
            .any(|name| name == "*" || profiles.contains(name))
}

/// A name that a device accepts.
fn name(report: &mut Report, what: &str, entry: &Entry) {
    let mut characters = entry.key.chars();
    let first = characters.next().is_some_and(|c| c.is_ascii_alphanumeric());
    let rest = characters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'));
    let longest = if what == "service" {
        LONGEST_SERVICE
    } else {
        LONGEST_NAME
    };
    if !(first && rest && entry.key.len() <= longest) {
        let message = format!(
            "{:?} cannot be the name of a {what}",
            entry.key.chars().take(60).collect::<String>()
        );
        report.error_with(
            entry.at,
            message,
            format!(
                "names begin with a letter or digit and go on with those and _ . -, up to {longest} in all"
            ),
        );
    }
}

/// A whole text file of bounded size, or what is wrong with it, to follow its name.
pub(super) fn read_text(path: &Path) -> Result<String, String> {
    let io = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "does not exist".to_owned(),
        std::io::ErrorKind::PermissionDenied => "may not be read".to_owned(),
        kind => format!("cannot be read: {kind}"),
    };
    let metadata = fs_err::metadata(path).map_err(io)?;
    if !metadata.is_file() {
        // Opening a pipe would wait for its writer.
        return Err("is a pipe, a socket or a device, not a regular file".to_owned());
    }
    let limit = u64::try_from(yaml::MAX_BYTES).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    fs_err::File::open(path)
        .and_then(|file| file.take(limit + 1).read_to_end(&mut bytes))
        .map_err(io)?;
    if bytes.len() > yaml::MAX_BYTES {
        return Err(format!("is larger than {} KiB", yaml::MAX_BYTES >> 10));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8 text".to_owned())
}
