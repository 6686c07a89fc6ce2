//! One service of the merged file → [`ServiceSpec`] and what it asks of its neighbours.
//!
//! In: the service's node. Out: a [`Service`]; mistakes go to the report and never stop the reading of the rest.

use serde_json::{Map, Value as Json, json};

use super::{
    bounds, build, contract, environment,
    keys::{self, Key},
    networks,
    ports::{self, Published},
    report::Report,
    scope::Scope,
    spelling, typed, volumes,
};
use crate::project::{
    ServiceSpec, Source,
    yaml::{Entry, Node, Place, Value},
};

/// Longest name of an image: a device takes 255 characters, with the tag that is added where there is none.
const LONGEST_IMAGE: usize = 248;

/// A service and its ties.
#[derive(Debug)]
pub(super) struct Service {
    pub(super) spec: ServiceSpec,
    pub(super) at: Place,
    pub(super) depends_on: Vec<Dependency>,
    pub(super) networks: Option<Vec<(String, Place)>>,
    pub(super) network_mode: Option<(String, Place)>,
    pub(super) named_volumes: Vec<(String, Place)>,
    pub(super) published: Vec<Published>,
}

/// Another service that must have been started.
#[derive(Debug)]
pub(super) struct Dependency {
    pub(super) name: String,
    pub(super) at: Place,
    /// It may be missing.
    pub(super) optional: bool,
}

/// Reads a service. Nothing where it is no map or has no image at all.
pub(super) fn read(report: &mut Report, scope: &Scope<'_>, entry: &Entry) -> Option<Service> {
    let path = format!("services.{}", entry.key);
    let node = &entry.value;
    if node.is_null() {
        no_image(report, entry);
        return None;
    }
    let entries = typed::map(report, &path, node)?;
    let labels = environment::labels(report, scope, &path, node);
    let mut requires = contract::requirements(report, &labels);
    let spec = ServiceSpec {
        name: entry.key.clone(),
        source: Source::Image(String::new()),
        environment: environment::environment(report, scope, &path, node),
        labels: labels
            .into_iter()
            .map(|(name, (value, _))| (name, value))
            .collect(),
        composition: Map::new(),
        contract: None,
    };
    let mut service = Service {
        spec,
        at: entry.at,
        depends_on: Vec::new(),
        networks: None,
        network_mode: None,
        named_volumes: Vec::new(),
        published: Vec::new(),
    };
    for entry in entries {
        key(report, &path, entry, &mut service);
    }
    processor_limits(report, &path, entries, &service.spec.composition);
    volumes::rivals_in_memory(report, &path, entries, &service.spec.composition);
    bounds::service(report, &path, entries, &service);
    if let Some(new) = entries.iter().find(|entry| is_new(entry)) {
        let name = &entry.key;
        let message = format!(
            "{path}.{} is new: devices that do not know it refuse the service {name}",
            new.key
        );
        report.warn(new.at, message);
        requires.push(json!({ "type": "sw.spec", "slug": "compose", "version": ">=2" }));
    }
    if !service.spec.composition.contains_key("command") {
        service
            .spec
            .composition
            .insert("command".to_owned(), Json::Null);
    }
    service.spec.composition.sort_keys();
    service.spec.source = source(report, scope, &path, entry)?;
    let context = match &service.spec.source {
        Source::Build(build) => Some(build.context.clone()),
        Source::Image(_) => None,
    };
    service.spec.contract = contract::contract(report, entry, context.as_deref(), requires);
    Some(service)
}

/// Both ways to say how much of a processor a service gets: engines take one of them.
fn processor_limits(
    report: &mut Report,
    path: &str,
    entries: &[Entry],
    composition: &Map<String, Json>,
) {
    let limits = |key: &str| {
        let limit = composition.get(key).and_then(Json::as_f64);
        limit.is_some_and(|limit| limit > 0.0)
    };
    let quota = entries.iter().find(|entry| entry.key == "cpu_quota");
    if let Some(quota) = quota.filter(|_| limits("cpus") && limits("cpu_quota")) {
        let message = format!(
            "{path}.cpu_quota cannot stand beside `cpus`: both limit the processor; keep one of them"
        );
        report.error(quota.at, message);
    }
}

/// One key of a service.
fn key(report: &mut Report, service_path: &str, entry: &Entry, service: &mut Service) {
    let path = format!("{service_path}.{}", entry.key);
    if entry.key.starts_with("x-") {
        return;
    }
    match keys::service(&entry.key) {
        None => spelling::unknown(
            report,
            service_path,
            entry,
            keys::SERVICE.iter().map(|(key, _)| *key),
        ),
        Some(Key::Rejected(hint)) => report.error_with(
            entry.at,
            format!("{path} is not supported by devices"),
            hint,
        ),
        Some(Key::Dropped(why)) => report.warn(entry.at, format!("{path} is left out: {why}")),
        Some(_) if entry.value.is_null() => {}
        Some(Key::Read(read) | Key::New(read)) => {
            if let Some(value) = read(report, &path, &entry.value) {
                service.spec.composition.insert(entry.key.clone(), value);
            }
        }
        Some(Key::Own) => own_key(report, &path, entry, service),
    }
}

/// A key that has ties to others.
fn own_key(report: &mut Report, path: &str, entry: &Entry, service: &mut Service) {
    let node = &entry.value;
    let composition = &mut service.spec.composition;
    match entry.key.as_str() {
        "ports" => {
            if let Some(ports) = ports::read(report, path, node) {
                if !ports.short.is_empty() {
                    composition.insert(entry.key.clone(), Json::from(ports.short));
                }
                service.published = ports.published;
            }
        }
        "volumes" => {
            if let Some(mounts) = volumes::read(report, path, node) {
                if !mounts.volumes.is_empty() {
                    composition.insert(entry.key.clone(), Json::from(mounts.volumes));
                }
                add_tmpfs(composition, mounts.tmpfs);
                for label in mounts.labels {
                    service
                        .spec
                        .labels
                        .entry(label.to_owned())
                        .or_insert_with(|| "1".to_owned());
                }
                service.named_volumes = mounts.named;
            }
        }
        "tmpfs" => {
            add_tmpfs(composition, volumes::tmpfs_paths(report, path, node));
        }
        "networks" => {
            if let Some((value, names)) = networks::of_service(report, path, node)
                && !names.is_empty()
            {
                composition.insert(entry.key.clone(), value);
                service.networks = Some(names);
            }
        }
        "network_mode" => {
            if let Some(mode) = network_mode(report, path, node) {
                composition.insert(entry.key.clone(), Json::from(mode.clone()));
                service.network_mode = Some((mode, entry.at));
            }
        }
        "depends_on" => service.depends_on = depends_on(report, path, node),
        _ => {}
    }
}

fn add_tmpfs(composition: &mut Map<String, Json>, paths: Vec<String>) {
    if paths.is_empty() {
        return;
    }
    let list = composition.entry("tmpfs").or_insert_with(|| json!([]));
    if let Some(list) = list.as_array_mut() {
        list.extend(paths.into_iter().map(Json::from));
    }
}

fn network_mode(report: &mut Report, path: &str, node: &Node) -> Option<String> {
    let mode = typed::text(report, path, node)?;
    if mode.starts_with("container:") {
        let hint = "use service:<name> for the network of another service of this project";
        report.error_with(node.at, format!("{path} cannot name a container"), hint);
        return None;
    }
    Some(mode)
}

fn depends_on(report: &mut Report, path: &str, node: &Node) -> Vec<Dependency> {
    let mut out = Vec::new();
    match &node.value {
        Value::List(items) => {
            for item in items {
                if let Some(name) = typed::text(report, path, item) {
                    out.push(Dependency {
                        name,
                        at: item.at,
                        optional: false,
                    });
                }
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let optional =
                    dependency_options(report, &format!("{path}.{}", entry.key), &entry.value);
                out.push(Dependency {
                    name: entry.key.clone(),
                    at: entry.at,
                    optional,
                });
            }
        }
        Value::Scalar(_) => report.error(
            node.at,
            format!("{path} must be a list or a map of services"),
        ),
    }
    out
}

/// Whether a dependency may be missing.
fn dependency_options(report: &mut Report, path: &str, node: &Node) -> bool {
    if node.is_null() {
        return false;
    }
    let Some(entries) = typed::map(report, path, node) else {
        return false;
    };
    spelling::only(report, path, entries, &["condition", "required", "restart"]);
    if let Some(condition) = node.get("condition")
        && let Some(name) = typed::text(report, path, condition)
        && name != "service_started"
    {
        let hint = "devices know only service_started: let the service itself wait until its neighbour answers";
        report.error_with(
            condition.at,
            format!("{path}.condition cannot be {name}"),
            hint,
        );
    }
    if let Some(restart) = node.entry("restart") {
        report.warn(
            restart.at,
            format!("{path}.restart is left out: devices do not restart dependants"),
        );
    }
    match node.get("required") {
        Some(required) => {
            typed::boolean(report, &format!("{path}.required"), required) == Some(false)
        }
        None => false,
    }
}

fn source(report: &mut Report, scope: &Scope<'_>, path: &str, entry: &Entry) -> Option<Source> {
    let given = |key: &str| {
        entry
            .value
            .entry(key)
            .filter(|entry| !entry.value.is_null())
    };
    let image = match given("image") {
        Some(image) => {
            let name = typed::text(report, &format!("{path}.image"), &image.value)?;
            let foreign = |c: char| c.is_whitespace() || c.is_control();
            let length = name.chars().count();
            if !(1..=LONGEST_IMAGE).contains(&length) || name.contains(foreign) {
                report.error(
                    image.value.at,
                    format!("{path}.image: {name:?} is not the name of an image"),
                );
                return None;
            }
            Some(name)
        }
        None => None,
    };
    match (given("build"), image) {
        (Some(build), tag) => {
            let build = build::read(report, scope, &format!("{path}.build"), build)?;
            Some(Source::Build(crate::project::BuildSpec { tag, ..build }))
        }
        (None, Some(image)) => Some(Source::Image(image)),
        (None, None) => {
            no_image(report, entry);
            None
        }
    }
}

fn no_image(report: &mut Report, entry: &Entry) {
    if let Value::Map(entries) = &entry.value.value {
        let all = || keys::SERVICE.iter().map(|(key, _)| *key);
        let meant = |entry: &Entry| {
            keys::service(&entry.key)
                .is_none()
                .then(|| spelling::nearest(&entry.key, all()))
                .flatten()
        };
        if entries
            .iter()
            .any(|entry| matches!(meant(entry), Some("build" | "image")))
        {
            // The misspelt key has been reported and is the better message.
            return;
        }
    }
    let message = format!("the service {} has neither build nor image", entry.key);
    report.error_with(entry.at, message, "add build: . or image: <name>");
}

/// Whether a key needs a device that knows the newer Compose keys.
fn is_new(entry: &Entry) -> bool {
    if entry.value.is_null() {
        return false;
    }
    match entry.key.as_str() {
        "pid" => entry
            .value
            .scalar()
            .is_some_and(|scalar| scalar.text.starts_with("service:")),
        "healthcheck" => entry.value.get("start_interval").is_some(),
        "networks" => match &entry.value.value {
            Value::Map(entries) => {
                let new = |network: &Entry| {
                    networks::NEW_OPTIONS
                        .iter()
                        .any(|key| network.value.get(key).is_some())
                };
                entries.iter().any(new)
            }
            Value::List(_) | Value::Scalar(_) => false,
        },
        key => matches!(keys::service(key), Some(Key::New(_))),
    }
}
