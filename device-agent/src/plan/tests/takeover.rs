//! Containers that another agent made, or another version of this one: what counts is what they are.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::engine::created;
use super::{device, empty, target};
use crate::engine::decode;
use crate::model::{ImageFacts, Limit, Observed, ObservedContainer, ServiceConfig};
use crate::plan::compare::{self, Scope};
use crate::plan::desired::{self, Context};
use crate::plan::found_api_keys;

fn configured(keys: &Value) -> ServiceConfig {
    let mut service = json!({
        "serviceName": "web", "imageId": 1, "image": "web", "environment": {}, "labels": {},
    });
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    let target = target(&json!({"apps": {"1": {
        "name": "app", "commit": "c", "releaseId": 1, "services": {"1": service},
    }}}));
    let (device, app) = (device(), &target.apps[&1]);
    let context = Context {
        device: &device,
        app,
        api_key: Some("key"),
        network_container: None,
    };
    desired::service(context, &app.services["web"], &image()).0
}

fn image() -> ImageFacts {
    ImageFacts {
        id: "sha256:1234".to_owned(),
        command: vec!["run".to_owned()],
        ..ImageFacts::default()
    }
}

/// A container of this configuration with the digest of another version.
fn container(config: &ServiceConfig) -> ObservedContainer {
    let answer = created(config, "web_1_1_c", ("name", "new"), &image(), 7);
    let container = decode::container(&answer, None).unwrap();
    ObservedContainer {
        created_from: Some("0".repeat(32)),
        ..container
    }
}

fn differences(
    container: &ObservedContainer,
    desired: &ServiceConfig,
    cannot: &[Limit],
) -> Vec<String> {
    let scope = Scope {
        supervised_networks: &BTreeSet::from(["1_default"]),
        confinement: None,
        host_name_is_devices: false,
        cannot_limit: &cannot.iter().copied().collect(),
    };
    compare::service(container, desired, scope)
}

const NONE: [&str; 0] = [];

#[test]
fn the_digest_of_another_version_is_no_reason_to_recreate() {
    let config = configured(&json!({
        "mem_limit": "64m", "volumes": [{"type": "tmpfs", "target": "/t"}], "ports": ["80"],
    }));
    assert_eq!(differences(&container(&config), &config, &[]), NONE);
    let other = configured(&json!({"mem_limit": "64m", "ports": ["81"]}));
    assert_eq!(
        differences(&container(&config), &other, &[]),
        ["mounts", "ports"]
    );
}

#[test]
fn a_container_that_nothing_restarts_any_more_is_made_anew() {
    let config = configured(&json!({}));
    let mut found = container(&config);
    found.created_from = Some(config.digest());
    assert_eq!(differences(&found, &config, &[]), NONE);
    // A hand-over began, and the target became what it was before.
    "no".clone_into(&mut found.config.restart);
    assert_eq!(differences(&found, &config, &[]), ["restart"]);
}

#[test]
fn limits_that_the_kernel_cannot_keep_are_no_reason_either() {
    let config = configured(&json!({
        "mem_limit": "64m", "mem_reservation": "32m", "pids_limit": 5, "cpu_shares": 2, "cpu_quota": 5000, "cpuset": "0",
        "oom_kill_disable": true,
    }));
    let mut found = container(&config);
    // What the engine makes of it without the control groups.
    let made = &mut found.config;
    (made.mem_limit, made.mem_reservation, made.pids_limit) = (0, 0, 0);
    (made.cpu_shares, made.cpu_quota) = (0, 0);
    made.cpuset.clear();
    made.oom_kill_disable = None;
    let told = [
        "mem_limit",
        "mem_reservation",
        "pids_limit",
        "cpu_shares",
        "cpu_quota",
        "cpuset",
    ];
    assert_eq!(differences(&found, &config, &[]), told);
    let all = [
        Limit::Memory,
        Limit::Pids,
        Limit::CpuShares,
        Limit::CpuQuota,
        Limit::Cpuset,
    ];
    assert_eq!(differences(&found, &config, &all), NONE);
    found.config.oom_kill_disable = Some(false);
    assert_eq!(differences(&found, &config, &all), ["oom_kill_disable"]);
}

#[test]
fn a_mac_address_counts_as_it_was_asked_for() {
    let address = |last: &str| json!({"mac_address": format!("02:42:ac:11:00:{last}")});
    let (asked, other) = (configured(&address("02")), configured(&address("03")));
    let none = configured(&json!({}));
    let mut found = container(&asked);
    assert_eq!(found.config, asked);
    assert_eq!(differences(&found, &asked, &[]), NONE);
    assert_eq!(differences(&found, &other, &[]), ["mac_address"]);
    assert_eq!(differences(&found, &none, &[]), ["mac_address"]);
    // Another agent has not left word of what was asked for: the engine's choice looks the same.
    found.asked_mac_address = None;
    assert_eq!(differences(&found, &asked, &[]), NONE);
    assert_eq!(differences(&found, &other, &[]), ["mac_address"]);
    assert_eq!(differences(&found, &none, &[]), NONE);
    found.config.mac_address.clear();
    assert_eq!(differences(&found, &other, &[]), NONE);
    // Nothing was asked for.
    assert_eq!(container(&none).asked_mac_address, None);
    assert_eq!(differences(&container(&none), &none, &[]), NONE);
}

/// Containers that have a key: service, key, when they were created.
fn with_keys(containers: &[(&str, &str, i64)]) -> Observed {
    let config = configured(&json!({"labels": {"io.balena.features.supervisor-api": "1"}}));
    let mut world = empty();
    for (service, key, created) in containers {
        let mut container = container(&config);
        container.service_name = (*service).to_owned();
        container.created = *created;
        let variables = &mut container.config.environment;
        variables.insert(KEY.to_owned(), (*key).to_owned());
        world.containers.push(container);
    }
    world
}

const KEY: &str = "BALENA_SUPERVISOR_API_KEY";
const OLD: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "fedcba9876543210fedcba9876543210";

/// Keys by service, where the target asks for `web` with these keys.
fn found(world: &Observed, keys: &Value) -> Vec<(String, String)> {
    let mut service = json!({"serviceName": "web", "imageId": 1, "image": "web", "environment": {}, "labels": {}});
    for (key, value) in keys.as_object().unwrap() {
        service[key] = value.clone();
    }
    let target = target(&json!({"apps": {"1": {
        "name": "app", "commit": "c", "releaseId": 1, "services": {"1": service},
    }}}));
    let found = found_api_keys(world, &target).into_iter();
    found
        .map(|((_, service), key)| (service, key.reveal().to_owned()))
        .collect()
}

#[test]
fn a_service_keeps_the_key_of_its_newest_container() {
    let world = with_keys(&[("web", NEW, 2), ("web", OLD, 1), ("web", "", 3)]);
    assert_eq!(
        found(&world, &json!({})),
        [("web".to_owned(), NEW.to_owned())]
    );
}

#[test]
fn what_is_no_key_of_an_agents_making_is_not_kept() {
    for text in [
        "",
        "secret",
        "0123456789ABCDEF0123456789ABCDEF",
        "0123456789abcdef0123456789abcde",
        "0123456789abcdef0123456789abcdef0",
        "0123456789abcdeg0123456789abcdef",
    ] {
        assert_eq!(
            found(&with_keys(&[("web", text, 1)]), &json!({})),
            [],
            "{text}"
        );
    }
    // Two services that have it, or one that was not to have any.
    let shared = with_keys(&[("web", OLD, 1), ("worker", OLD, 2), ("other", NEW, 3)]);
    assert_eq!(
        found(&shared, &json!({})),
        [("other".to_owned(), NEW.to_owned())]
    );
    let mut declined = with_keys(&[("web", OLD, 1)]);
    let labels = &mut declined.containers[0].config.labels;
    labels.insert(
        "io.balena.features.supervisor-api".to_owned(),
        "0".to_owned(),
    );
    assert_eq!(found(&declined, &json!({})), []);
    // One that the service or its image wrote down.
    let mut world = with_keys(&[("web", OLD, 1)]);
    assert_eq!(found(&world, &json!({"environment": {KEY: NEW}})).len(), 1);
    assert_eq!(found(&world, &json!({"environment": {KEY: OLD}})), []);
    let image = ImageFacts {
        environment: [(KEY.to_owned(), OLD.to_owned())].into(),
        ..image()
    };
    world.images.insert("web:latest".to_owned(), image);
    assert_eq!(found(&world, &json!({})), []);
}
