//! One application and what its release consists of.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::problem::{Problems, join};
use super::service::{self, At, Form};
use super::value::{NAME_RULE, id_key, is_name, object, required, short_text};
use super::{MAX_PORTS, compose, order, resource};
use crate::model::{API_NETWORK, App, AppClass, Service, names};

/// Reads an app of a local target; `None` when it has no usable id. `ports` counts those that the whole target publishes.
pub(super) fn read(
    key: &str,
    sent: &Value,
    path: &str,
    ports: &mut usize,
    problems: &mut Problems,
) -> Option<App> {
    let id = id_key(key)
        .map_err(|message| problems.add(path, message))
        .ok()?;
    let map = object(Some(sent), path, problems)?;
    let name = required(map, "name", path, problems, short_text);
    let mut app = empty(id, id.to_string(), name.unwrap_or_default());
    // An app without a commit has nothing to run, whatever else is written there.
    if matches!(map.get("commit"), None | Some(Value::Null)) {
        return Some(app);
    }
    app.commit = required(map, "commit", path, problems, name_part).map(ToOwned::to_owned);
    app.release_id =
        required(map, "releaseId", path, problems, super::value::id).unwrap_or_default();
    let at = At {
        path,
        form: Form::Local,
    };
    release(&mut app, map, at, ports, problems);
    Some(app)
}

/// An app that has nothing to run.
pub(super) fn empty(id: u32, uuid: String, name: &str) -> App {
    App {
        id,
        uuid,
        name: name.to_owned(),
        commit: None,
        release_id: 0,
        services: BTreeMap::new(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        discard_volumes: BTreeSet::new(),
        class: AppClass::Fleet,
    }
}

/// Reads what a release consists of: services, networks and volumes.
pub(super) fn release(
    app: &mut App,
    map: &Map<String, Value>,
    at: At<'_>,
    ports: &mut usize,
    problems: &mut Problems,
) {
    app.networks = members(map, "networks", at.path, problems, resource::network);
    app.volumes = members(map, "volumes", at.path, problems, resource::volume);
    let services_at = join(at.path, "services");
    let empty = Value::Object(Map::new());
    let sent = map.get("services").filter(|v| !v.is_null());
    let services = object(Some(sent.unwrap_or(&empty)), &services_at, problems);
    for (key, sent) in services.into_iter().flatten() {
        let path = join(&services_at, key);
        let at = At { path: &path, ..at };
        if let Some(service) = service::read(key, sent, at, problems) {
            *ports += compose::read(&service.composition).0.ports.len();
            if *ports > MAX_PORTS {
                let message = format!("the target publishes more than {MAX_PORTS} ports");
                problems.add(&join(&at.composition(), "ports"), &message);
                // Nor is the rest looked at, which costs as much.
                return;
            }
            check_references(app, &service, &at.composition(), problems);
            if let Some(other) = app.services.insert(service.name.clone(), service) {
                problems.add(
                    &path,
                    &format!("there are two services named {}", other.name),
                );
            }
        }
    }
    check_order(app, &services_at, problems);
}

/// What services need of each other.
fn check_order(app: &App, path: &str, problems: &mut Problems) {
    for service in app.services.values() {
        if let Some(name) = network_owner(service).filter(|n| !app.services.contains_key(n)) {
            let message = format!(
                "there is no service {name} whose network {} could share",
                service.name
            );
            problems.add(path, &message);
        }
    }
    if let Some(cycle) = order::cycle(&app.services) {
        let cycle = cycle.join(" → ");
        problems.add(path, &format!("services wait for each other: {cycle}"));
    }
}

/// Containers of different apps must have different names. Apps stand under the keys with which they were sent.
pub(super) fn check_names<'a>(
    apps: impl Iterator<Item = (String, &'a App)>,
    problems: &mut Problems,
) {
    let mut taken = BTreeSet::new();
    for (path, app) in apps {
        for service in app.services.values() {
            let name = names::container(
                &service.name,
                &names::ContainerName {
                    image_id: service.image_id,
                    release_id: app.release_id,
                    commit: app.commit.clone().unwrap_or_default(),
                },
                None,
            );
            if let Some(name) = taken.replace(name) {
                problems.add(
                    &join(&path, "services"),
                    &format!("another app has a container named {name}, too"),
                );
            }
        }
    }
}

/// The service in whose network this one runs.
fn network_owner(service: &Service) -> Option<String> {
    match compose::read(&service.composition).0.network_mode {
        Some(compose::NetworkMode::Service(name)) => Some(name),
        _ => None,
    }
}

/// A part of an engine's name, as a commit or an app's uuid, so of the characters that the engine takes; without `_`, which
/// separates.
pub(super) fn name_part(value: &Value) -> Result<&str, &'static str> {
    short_text(value).and_then(|text| {
        (is_name(text) && !text.contains('_'))
            .then_some(text)
            .ok_or("must be of letters, digits, `.` and `-`")
    })
}

fn members<T>(
    app: &Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
    read: impl Fn(&Value, &str, &mut Problems) -> T,
) -> BTreeMap<String, T> {
    let path = join(path, key);
    let Some(sent) = app.get(key).filter(|v| !v.is_null()) else {
        return BTreeMap::new();
    };
    let mut out = BTreeMap::new();
    for (name, sent) in object(Some(sent), &path, problems).into_iter().flatten() {
        let at = join(&path, name);
        if is_name(name) {
            out.insert(name.clone(), read(sent, &at, problems));
        } else {
            problems.add(&at, NAME_RULE);
        }
    }
    out
}

/// What a service uses must be declared in its app, else it would wait for ever.
fn check_references(app: &App, service: &Service, path: &str, problems: &mut Problems) {
    let (composition, _) = compose::read(&service.composition);
    for name in composition.volume_names() {
        if !app.volumes.contains_key(name) {
            let message = format!("volume {name} is not declared in the app");
            problems.add(&join(path, "volumes"), &message);
        }
    }
    for name in composition.network_names() {
        // The device's own network is declared by nobody; a label asks for it.
        let is_devices = ["default", API_NETWORK].contains(&name);
        if !is_devices && !app.networks.contains_key(name) {
            let message = format!("network {name} is not declared in the app");
            problems.add(&join(path, "networks"), &message);
        }
    }
}
