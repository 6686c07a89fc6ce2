//! `build` of a service → [`BuildSpec`].
//!
//! In: the node. Out: absolute context and options of the build. The context must be a folder of the project; which
//! Dockerfile is taken where none is named is decided later, when the device is known.

use std::path::{Component, Path, PathBuf};

use super::{limits, report::Report, scope::Scope, spelling, typed};
use crate::project::{
    BuildSpec,
    yaml::{Entry, Node, Place, Value},
};

/// Keys that cannot be kept, and what to do instead.
const REJECTED: &[(&str, &str)] = &[
    ("additional_contexts", "copy the files into the context"),
    (
        "cache_to",
        "remove it: the device keeps its own build cache",
    ),
    ("dockerfile_inline", "put it into a Dockerfile"),
    ("entitlements", "remove it"),
    ("isolation", "remove it: it is for Windows containers only"),
    ("network", "remove it"),
    ("no_cache", "use os push --nocache"),
    (
        "platforms",
        "remove it: images are built for the device's own architecture",
    ),
    ("privileged", "remove it"),
    ("pull", "use os push --pull"),
    ("secrets", "describe build secrets in .balena/balena.yml"),
    ("ssh", "remove it"),
    ("tags", "remove it: the device names its images itself"),
    ("ulimits", "remove it"),
];

const KNOWN: &[&str] = &[
    "context",
    "dockerfile",
    "args",
    "labels",
    "target",
    "shm_size",
    "extra_hosts",
    "cache_from",
];

pub(super) fn read(
    report: &mut Report,
    scope: &Scope<'_>,
    path: &str,
    entry: &Entry,
) -> Option<BuildSpec> {
    let node = &entry.value;
    let Value::Map(entries) = &node.value else {
        let context = typed::text(report, path, node)?;
        return Some(BuildSpec {
            context: folder(report, scope, &context, node.at)?,
            ..BuildSpec::default()
        });
    };
    let context = match node.get("context") {
        Some(context) => {
            let text = typed::text(report, &format!("{path}.context"), context)?;
            folder(report, scope, &text, context.at)?
        }
        None => folder(report, scope, ".", entry.at)?,
    };
    let mut build = BuildSpec {
        context,
        ..BuildSpec::default()
    };
    for entry in entries {
        option(
            report,
            scope,
            &format!("{path}.{}", entry.key),
            path,
            entry,
            &mut build,
        );
    }
    Some(build)
}

fn option(
    report: &mut Report,
    scope: &Scope<'_>,
    path: &str,
    parent: &str,
    entry: &Entry,
    build: &mut BuildSpec,
) {
    let node = &entry.value;
    if let Some((_, hint)) = REJECTED.iter().find(|(key, _)| *key == entry.key) {
        report.error_with(entry.at, format!("{path} is not supported"), *hint);
        return;
    }
    if node.is_null() {
        return;
    }
    match entry.key.as_str() {
        "context" => {}
        "dockerfile" => build.dockerfile = dockerfile(report, path, node, &build.context),
        "target" => build.target = typed::text(report, path, node),
        "shm_size" => build.shm_size = typed::bytes(report, path, node),
        "cache_from" => build.cache_from = typed::texts(report, path, node).unwrap_or_default(),
        "args" => {
            for pair in typed::pairs(report, path, node).unwrap_or_default() {
                match pair
                    .value
                    .or_else(|| scope.environment.get(&pair.name).cloned())
                {
                    Some(value) => drop(build.args.insert(pair.name, value)),
                    None => report.warn(
                        pair.at,
                        format!("{path}.{} has no value and is left out", pair.name),
                    ),
                }
            }
        }
        "labels" => {
            let pairs = typed::pairs(report, path, node).unwrap_or_default();
            build.labels.extend(
                pairs
                    .into_iter()
                    .map(|pair| (pair.name, pair.value.unwrap_or_default())),
            );
        }
        "extra_hosts" => {
            let hosts = limits::extra_hosts(report, path, node);
            let hosts = hosts.and_then(|hosts| serde_json::from_value(hosts).ok());
            build.extra_hosts = hosts.unwrap_or_default();
        }
        "provenance" | "sbom" | "attest" => report.warn(entry.at, format!("{path} is left out")),
        key if key.starts_with("x-") => {}
        _ => spelling::unknown(
            report,
            parent,
            entry,
            KNOWN
                .iter()
                .chain(REJECTED.iter().map(|(key, _)| key))
                .copied(),
        ),
    }
}

/// The absolute folder of a context.
fn folder(report: &mut Report, scope: &Scope<'_>, context: &str, at: Place) -> Option<PathBuf> {
    let is_repository = Path::new(context)
        .extension()
        .is_some_and(|extension| extension == "git");
    if is_repository || context.contains("://") || context.starts_with("git@") {
        let message = format!("the build context {context} is not a folder of the project");
        report.error_with(at, message, "clone it into the project and name the folder");
        return None;
    }
    match fs_err::canonicalize(scope.folder.join(context)) {
        Ok(path) if !path.is_dir() => {
            report.error(at, format!("the build context {context} is not a folder"));
        }
        Ok(path) if path.starts_with(scope.root) => return Some(path),
        Ok(_) => {
            let message = format!("the build context {context} lies outside the project's folder");
            report.error_with(
                at,
                message,
                format!(
                    "push from a folder that holds it; now it is {}",
                    scope.root.display()
                ),
            );
        }
        Err(_) => report.error(at, format!("the build context {context} does not exist")),
    }
    None
}

/// The Dockerfile, relative to the context.
fn dockerfile(report: &mut Report, path: &str, node: &Node, context: &Path) -> Option<String> {
    let given = typed::text(report, path, node)?;
    let Some(relative) = inside(context, &given) else {
        let hint = "move it into the context, or make the context larger";
        report.error_with(
            node.at,
            format!("{path}: {given} lies outside the build context"),
            hint,
        );
        return None;
    };
    if !context.join(&relative).is_file() {
        report.error(
            node.at,
            format!("{path}: there is no {given} in {}", context.display()),
        );
        return None;
    }
    Some(relative)
}

/// A path as written → relative to `base`, with `/`; nothing where it leads outside or is not UTF-8.
pub(in crate::project) fn inside(base: &Path, given: &str) -> Option<String> {
    let given = Path::new(given);
    let relative = if given.is_absolute() {
        given.strip_prefix(base).ok()?
    } else {
        given
    };
    let mut parts = Vec::new();
    for component in relative.components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::CurDir => {}
            Component::ParentDir => drop(parts.pop()?),
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}
