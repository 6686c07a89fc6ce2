//! One application and its services.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::problem::{Problems, join};
use super::value::{
    NAME_RULE, id, id_key, is_label, is_name, is_variable, object, required, short_text,
    snake_case, string_map,
};
use super::{MAX_PORTS, compose, contract, order, resource};
use crate::model::{API_NETWORK, App, AppClass, Service, names};

/// Keys of a service that are no part of its composition. `serviceId` is ignored: the key under which a service stands
/// is its id.
const OWN_KEYS: &[&str] = &[
    "imageId",
    "serviceName",
    "serviceId",
    "image",
    "running",
    "environment",
    "labels",
    "contract",
    "releaseId",
    "commit",
];

/// Reads an app; `None` when it has no usable id. `ports` counts those that the whole target publishes.
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
    let name = required(map, "name", path, problems, short_text)
        .unwrap_or_default()
        .to_owned();
    let mut app = App {
        id,
        uuid: id.to_string(),
        name,
        commit: None,
        release_id: 0,
        services: BTreeMap::new(),
        networks: BTreeMap::new(),
        volumes: BTreeMap::new(),
        class: AppClass::Fleet,
    };
    // An app without a commit has nothing to run, whatever else is written there.
    if matches!(map.get("commit"), None | Some(Value::Null)) {
        return Some(app);
    }
    app.commit = required(map, "commit", path, problems, commit).map(ToOwned::to_owned);
    app.release_id = required(map, "releaseId", path, problems, id_value).unwrap_or_default();
    app.networks = members(map, "networks", path, problems, resource::network);
    app.volumes = members(map, "volumes", path, problems, resource::volume);
    let at = join(path, "services");
    let empty = Value::Object(Map::new());
    let sent = map.get("services").filter(|v| !v.is_null());
    let services = object(Some(sent.unwrap_or(&empty)), &at, problems);
    for (key, sent) in services.into_iter().flatten() {
        let at = join(&at, key);
        if let Some(service) = service(key, sent, &at, problems) {
            *ports += compose::read(&service.composition).0.ports.len();
            if *ports > MAX_PORTS {
                let message = format!("the target publishes more than {MAX_PORTS} ports");
                problems.add(&join(&at, "ports"), &message);
                // Nor is the rest looked at, which costs as much.
                return Some(app);
            }
            check_references(&app, &service, &at, problems);
            if let Some(other) = app.services.insert(service.name.clone(), service) {
                problems.add(&at, &format!("there are two services named {}", other.name));
            }
        }
    }
    for service in app.services.values() {
        if let Some(name) = network_owner(service).filter(|n| !app.services.contains_key(n)) {
            let message = format!(
                "there is no service {name} whose network {} could share",
                service.name
            );
            problems.add(&at, &message);
        }
    }
    if let Some(cycle) = order::cycle(&app.services) {
        let cycle = cycle.join(" → ");
        problems.add(&at, &format!("services wait for each other: {cycle}"));
    }
    Some(app)
}

/// Containers of different apps must have different names.
pub(super) fn check_names<'a>(apps: impl Iterator<Item = &'a App>, problems: &mut Problems) {
    let mut taken = BTreeSet::new();
    for app in apps {
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
                let path = join(&join("apps", &app.id.to_string()), "services");
                problems.add(
                    &path,
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

fn id_value(value: &Value) -> Result<u32, &'static str> {
    id(value)
}

/// The last part of a container's name, so of the characters that the engine takes; without `_`, which separates.
fn commit(value: &Value) -> Result<&str, &'static str> {
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

fn service(key: &str, sent: &Value, path: &str, problems: &mut Problems) -> Option<Service> {
    let map = object(Some(sent), path, problems)?;
    let id = id_key(key).map_err(|message| problems.add(path, message));
    let name = required(map, "serviceName", path, problems, |value| {
        short_text(value).and_then(|n| is_name(n).then_some(n).ok_or(NAME_RULE))
    });
    let image_id = required(map, "imageId", path, problems, id_value);
    let image = required(map, "image", path, problems, short_text)
        .and_then(|image| reference(image, &join(path, "image"), problems));
    let running = match map.get("running") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(running)) => *running,
        Some(_) => {
            problems.add(&join(path, "running"), "must be true or false");
            true
        }
    };
    let at = join(path, "environment");
    let environment = object(map.get("environment"), &at, problems);
    let environment = string_map(
        environment.into_iter().flatten(),
        &at,
        problems,
        is_variable,
    );
    let at = join(path, "labels");
    let labels = object(map.get("labels"), &at, problems);
    let labels = string_map(labels.into_iter().flatten(), &at, problems, is_label);
    let composition: Map<String, Value> = map
        .iter()
        .filter(|(key, _)| !OWN_KEYS.contains(&key.as_str()))
        .map(|(key, value)| (snake_case(key), value.clone()))
        .collect();
    for fault in compose::read(&composition).1 {
        problems.add(&join(path, &fault.at), &fault.message);
    }
    let contract = map.get("contract").filter(|sent| !sent.is_null());
    for problem in contract
        .map(contract::read)
        .and_then(Result::err)
        .into_iter()
        .flatten()
    {
        let at = join(path, "contract");
        let at = if problem.path.is_empty() {
            at
        } else {
            format!("{at}.{}", problem.path)
        };
        problems.add(&at, &problem.message);
    }
    Some(Service {
        name: name?.to_owned(),
        id: id.ok()?,
        image_id: image_id?,
        image: image?,
        running,
        environment,
        labels,
        composition,
        contract: contract.cloned(),
    })
}

/// An image reference; without tag or digest it gets `:latest`, as the engine would read it.
fn reference(image: &str, path: &str, problems: &mut Problems) -> Option<String> {
    if image.contains(char::is_whitespace) {
        problems.add(path, "an image reference has no spaces");
        return None;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let named = image.contains('@') || last.contains(':') || image.starts_with("sha256:");
    Some(if named {
        image.to_owned()
    } else {
        format!("{image}:latest")
    })
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
