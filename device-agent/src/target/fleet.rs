//! A fleet's target state, version 3 of the reference's: apps by their uuids, releases by their commits, services by their
//! names.
//!
//! ```json
//! {"<device uuid>": {"name": "device", "config": {}, "apps": {"<app uuid>": {
//!     "id": 12, "name": "fleet", "class": "fleet", "is_host": false,
//!     "releases": {"<commit>": {"id": 7,
//!         "services": {"web": {"id": 3, "image_id": 9, "image": "…", "environment": {}, "labels": {}, "composition": {}}},
//!         "volumes": {}, "networks": {}}}}}}}
//! ```
//! What stands under the uuids of other devices is passed over.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problem::{Invalid, Problems, join};
use super::service::{At, Form};
use super::value::{config, id, object, required, short_text};
use super::{DEVICE_NAME_RULE, MAX_APPS, app, is_device_name};
use crate::model::{App, AppClass, Service, Target};

/// On services of the host's own app: what kind of image theirs is.
const IMAGE_CLASS: &str = "io.balena.image.class";
/// On services of the host's own app: where their images are kept.
const IMAGE_STORE: &str = "io.balena.image.store";

/// Reads the target of the device with this uuid. `present_name` is kept when the target names none.
///
/// # Errors
/// Everything that is wrong, with its place. A target without the device's own uuid is another device's; one without `apps`
/// or `config` is no target, for it would empty the device.
pub fn parse_fleet(
    body: &Map<String, Value>,
    device_uuid: &str,
    present_name: &str,
) -> Result<Target, Invalid> {
    let mut problems = Problems::default();
    let Some(sent) = body.get(device_uuid) else {
        let message = "is missing: the target of this device stands under its uuid";
        problems.add(device_uuid, message);
        return problems.or(Target::default());
    };
    let at = |key: &str| join(device_uuid, key);
    let Some(map) = object(Some(sent), device_uuid, &mut problems) else {
        return problems.or(Target::default());
    };
    let name = match map.get("name") {
        None | Some(Value::Null) => present_name,
        Some(name) => name.as_str().unwrap_or_default(),
    };
    if !is_device_name(name) {
        problems.add(&at("name"), DEVICE_NAME_RULE);
    }
    let variables = object(map.get("config"), &at("config"), &mut problems);
    let variables = config(
        variables.into_iter().flatten(),
        &at("config"),
        &mut problems,
    );
    let sent = object(map.get("apps"), &at("apps"), &mut problems);
    if sent.is_some_and(|sent| sent.len() > MAX_APPS) {
        problems.add(&at("apps"), &format!("there are more than {MAX_APPS} apps"));
    }
    let mut apps: BTreeMap<u32, App> = BTreeMap::new();
    let mut ports = 0;
    for (uuid, sent) in sent.into_iter().flatten().take(MAX_APPS) {
        let path = join(&at("apps"), uuid);
        let Some(app) = read(uuid, sent, &path, &mut ports, &mut problems) else {
            continue;
        };
        if let Some(other) = apps.get(&app.id) {
            let message = format!("{} is the id of the app {}, too", app.id, other.uuid);
            problems.add(&join(&path, "id"), &message);
            continue;
        }
        apps.insert(app.id, app);
    }
    let placed = apps.values();
    let placed = placed.map(|app| (join(&at("apps"), &app.uuid), app));
    app::check_names(placed, &mut problems);
    problems.or(Target {
        name: name.to_owned(),
        config: without_prefixes(variables),
        apps,
        ..Target::default()
    })
}

/// Configuration variables by the names by which a device knows them. A cloud writes its prefix before them: the newer one, the
/// older one, or none; of several the first of these counts.
fn without_prefixes(sent: BTreeMap<String, String>) -> BTreeMap<String, String> {
    const NEWER: &str = "BALENA_";
    const OLDER: &str = "RESIN_";
    let rank = |name: &str| (name.starts_with(NEWER), name.starts_with(OLDER));
    let mut sent: Vec<_> = sent.into_iter().collect();
    sent.sort_by_key(|(name, _)| rank(name));
    let own = sent.into_iter().map(|(name, value)| {
        let own = name
            .strip_prefix(NEWER)
            .or_else(|| name.strip_prefix(OLDER));
        (
            own.filter(|own| !own.is_empty())
                .unwrap_or(&name)
                .to_owned(),
            value,
        )
    });
    own.collect()
}

/// Reads an app; `None` when it has no usable identity.
fn read(
    uuid: &str,
    sent: &Value,
    path: &str,
    ports: &mut usize,
    problems: &mut Problems,
) -> Option<App> {
    let map = object(Some(sent), path, problems)?;
    // Networks are named after it.
    let named = app::name_part(&Value::from(uuid)).map(drop);
    let named = named.map_err(|_| "a uuid is of letters, digits, `.` and `-`");
    let is_named = named.map_err(|message| problems.add(path, message)).is_ok();
    let own = required(map, "id", path, problems, id);
    let name = required(map, "name", path, problems, short_text);
    let class = class(map, path, problems);
    let is_host = match map.get("is_host") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_host)) => *is_host,
        Some(_) => {
            problems.add(&join(path, "is_host"), "must be true or false");
            false
        }
    };
    let mut app = app::empty(own?, uuid.to_owned(), name.unwrap_or_default());
    app.class = class;
    let releases_at = join(path, "releases");
    let releases = map.get("releases").filter(|sent| !sent.is_null());
    let releases = releases.and_then(|sent| object(Some(sent), &releases_at, problems));
    // One release is run, of several the first.
    if let Some((commit, sent)) = releases.and_then(|releases| releases.iter().next()) {
        let path = join(&releases_at, commit);
        let map = object(Some(sent), &path, problems)?;
        match app::name_part(&Value::from(commit.as_str())) {
            Ok(commit) => app.commit = Some(commit.to_owned()),
            Err(message) => problems.add(&path, message),
        }
        app.release_id = required(map, "id", &path, problems, id).unwrap_or_default();
        let at = At {
            path: &path,
            form: Form::Fleet,
        };
        app::release(&mut app, map, at, ports, problems);
    }
    if is_host {
        app.services.retain(|_, service| is_container(service));
    }
    is_named.then_some(app)
}

fn class(map: &Map<String, Value>, path: &str, problems: &mut Problems) -> AppClass {
    match map.get("class") {
        None | Some(Value::Null) => AppClass::Fleet,
        Some(Value::String(class)) if class == "fleet" => AppClass::Fleet,
        Some(Value::String(class)) if class == "app" => AppClass::App,
        Some(Value::String(class)) if class == "block" => AppClass::Block,
        Some(_) => {
            problems.add(&join(path, "class"), "must be `fleet`, `app` or `block`");
            AppClass::Fleet
        }
    }
}

/// Whether a service of the host's own app is one that runs in a container. The others are parts of the system, which its
/// updater installs in ways of its own.
fn is_container(service: &Service) -> bool {
    let says = |label: &str, word: &str| {
        let value = service.labels.get(label);
        value.is_none_or(|value| value == word)
    };
    says(IMAGE_CLASS, "service") && says(IMAGE_STORE, "data")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const DEVICE: &str = "5eee5eee5eee5eee5eee5eee5eee5eee";
    const FLEET: &str = "0f1ee7000f1ee7000f1ee7000f1ee700";
    const BLOCK: &str = "b10cb10cb10cb10cb10cb10cb10cb10c";

    /// A target of two apps, changed by `change`.
    fn with(change: impl FnOnce(&mut Value)) -> Value {
        let service = |id: u32| {
            json!({"id": id, "image_id": id + 10, "image": "registry2.example.com/v2/abc@sha256:00",
                "environment": {"A": "b"}, "labels": {}, "composition": {"restart": "no", "environment": ["A=c"], "build": "."}})
        };
        let mut device = json!({"name": "device", "config": {"SUPERVISOR_X": "1"}, "apps": {
            FLEET: {"id": 12, "name": "fleet", "class": "fleet", "releases": {"c0ffee": {"id": 7,
                "services": {"web": service(3)}, "volumes": {"data": {}}, "networks": {"back": {}}}}},
            BLOCK: {"id": 13, "name": "block", "class": "block", "parent_app": FLEET,
                "releases": {"beef": {"id": "8", "services": {"side": service(4)}}}},
        }});
        change(&mut device);
        json!({"another": 1, DEVICE: device})
    }

    fn parse(body: &Value) -> Result<Target, Invalid> {
        parse_fleet(body.as_object().unwrap(), DEVICE, "present")
    }

    /// Where something is wrong, behind the device's uuid.
    fn paths(body: &Value) -> Vec<String> {
        let found = parse(body).expect_err("it must be refused").problems;
        let own = format!("{DEVICE}.");
        let path = |path: &str| path.strip_prefix(&own).unwrap_or(path).to_owned();
        found.iter().map(|problem| path(&problem.path)).collect()
    }

    #[test]
    fn apps_are_what_the_fleet_says_they_are() {
        let target = parse(&with(|_| {})).unwrap();
        assert_eq!(target.name, "device");
        assert_eq!(target.config["SUPERVISOR_X"], "1");
        let fleet = &target.apps[&12];
        assert_eq!((fleet.uuid.as_str(), fleet.class), (FLEET, AppClass::Fleet));
        assert_eq!(
            (fleet.commit.as_deref(), fleet.release_id),
            (Some("c0ffee"), 7)
        );
        assert!(fleet.volumes.contains_key("data") && fleet.networks.contains_key("back"));
        let web = &fleet.services["web"];
        assert_eq!((web.id, web.image_id, web.running), (3, 13, true));
        // What stands beside the composition counts.
        assert_eq!(web.environment["A"], "b");
        let keys: Vec<_> = web.composition.keys().map(String::as_str).collect();
        assert_eq!(keys, ["restart"]);
        let block = &target.apps[&13];
        assert_eq!((block.uuid.as_str(), block.class), (BLOCK, AppClass::Block));
        assert_eq!(block.release_id, 8);
    }

    #[test]
    fn variables_are_known_without_the_prefix_of_their_cloud() {
        let target = parse(&with(|device| {
            device["config"] = json!({
                "BALENA_SUPERVISOR_OVERRIDE_LOCK": "1", "SUPERVISOR_OVERRIDE_LOCK": "2", "RESIN_SUPERVISOR_OVERRIDE_LOCK": "3",
                "RESIN_HOST_CONFIG_x": "4", "SUPERVISOR_DELTA": "5", "BALENA_": "6",
                "SUPERVISOR_LOG_CONTROL": "7", "RESIN_SUPERVISOR_LOG_CONTROL": "8",
            });
        }));
        let config = target.unwrap().config;
        let config: Vec<_> = config
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        let known = [
            ("BALENA_", "6"),
            ("HOST_CONFIG_x", "4"),
            ("SUPERVISOR_DELTA", "5"),
            ("SUPERVISOR_LOG_CONTROL", "8"),
            ("SUPERVISOR_OVERRIDE_LOCK", "1"),
        ];
        assert_eq!(config, known);
    }

    #[test]
    fn a_target_says_whose_it_is_and_what_it_is() {
        let other = json!({"ffff": {"config": {}, "apps": {}}});
        let refused = parse(&other).unwrap_err().to_string();
        assert!(
            refused.contains(&format!("{DEVICE}: is missing")),
            "{refused}"
        );
        assert_eq!(paths(&json!({DEVICE: {}})), ["config", "apps"]);
        assert_eq!(paths(&json!({DEVICE: []})), [DEVICE]);
        let emptied = parse(&json!({DEVICE: {"config": {}, "apps": {}}})).unwrap();
        assert_eq!((emptied.name.as_str(), emptied.apps.len()), ("present", 0));
    }

    #[test]
    fn lies_about_an_app_are_told_with_their_place() {
        let app = |key: &str, value: Value| with(|device| device["apps"][FLEET][key] = value);
        let at = |path: &str| vec![format!("apps.{FLEET}.{path}")];
        assert_eq!(paths(&app("class", json!("fleets"))), at("class"));
        assert_eq!(paths(&app("class", json!(1))), at("class"));
        assert_eq!(paths(&app("is_host", json!("yes"))), at("is_host"));
        assert_eq!(paths(&app("id", json!(0))), at("id"));
        assert_eq!(paths(&app("name", json!(""))), at("name"));
        assert_eq!(paths(&app("releases", json!([]))), at("releases"));
        let twice = with(|device| device["apps"][BLOCK]["id"] = json!(12));
        assert_eq!(paths(&twice), [format!("apps.{BLOCK}.id")]);
        for uuid in ["", "under_score", "a b", "-a"] {
            let named = with(|device| device["apps"][uuid] = json!({"id": 14, "name": "x"}));
            assert_eq!(paths(&named), [format!("apps.{uuid}")], "{uuid}");
        }
        let unnamed = with(|device| {
            let release = &mut device["apps"][FLEET]["releases"]["c0ffee"];
            release["services"]["web"]["composition"] =
                json!({"ports": ["x"], "volumes": ["other:/x"]});
            release["services"]["web"]["image_id"] = Value::Null;
        });
        let service = format!("apps.{FLEET}.releases.c0ffee.services.web");
        let mut found = paths(&unnamed);
        found.sort();
        let wanted = [
            format!("{service}.composition.ports.0"),
            format!("{service}.image_id"),
        ];
        assert_eq!(found, wanted);
    }

    #[test]
    fn an_app_without_a_release_has_nothing_to_run_and_of_several_the_first_is() {
        let none = parse(&with(|device| {
            device["apps"][FLEET]["releases"] = json!({});
        }))
        .unwrap();
        assert_eq!(none.apps[&12].commit, None);
        let two = parse(&with(|device| {
            let releases = &mut device["apps"][FLEET]["releases"];
            releases["decaf"] = json!({"id": 9});
        }));
        assert_eq!(two.unwrap().apps[&12].commit.as_deref(), Some("c0ffee"));
    }

    #[test]
    fn of_the_hosts_own_app_only_services_in_containers_are_ours() {
        let labelled = |is_host: bool, label: &str, value: &str| {
            let body = with(|device| {
                let app = &mut device["apps"][BLOCK];
                app["is_host"] = json!(is_host);
                app["releases"]["beef"]["services"]["side"]["labels"] = json!({label: value});
            });
            parse(&body).unwrap().apps[&13]
                .services
                .contains_key("side")
        };
        assert!(labelled(true, "x", "y"));
        assert!(labelled(true, IMAGE_STORE, "data") && labelled(true, IMAGE_CLASS, "service"));
        assert!(!labelled(true, IMAGE_STORE, "root"));
        assert!(!labelled(true, IMAGE_CLASS, "hostapp"));
        assert!(labelled(false, IMAGE_CLASS, "hostapp"));
    }
}
