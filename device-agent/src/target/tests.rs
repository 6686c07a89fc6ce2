//! What is taken and what is refused.

use agent_api::reference::LocalTarget;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Invalid, parse};
use crate::model::Target;

fn read(local: &Value) -> Result<Target, Invalid> {
    let local: LocalTarget = serde_json::from_value(local.clone()).unwrap();
    parse(&local, "present")
}

/// A target of one app with one service, changed by `change`.
fn with(change: impl FnOnce(&mut Value)) -> Value {
    let mut local = json!({"apps": {"1": {"name": "localapp", "commit": "10ca12e1ea5e", "releaseId": "1",
        "services": {"1": {"imageId": 1, "serviceName": "main", "serviceId": 9, "image": "local_image_main:latest",
            "running": true, "environment": {}, "labels": {}}},
        "volumes": {"data": {}}, "networks": {}}}});
    change(&mut local);
    local
}

/// The service of [`with`].
fn service(change: impl FnOnce(&mut Value)) -> Value {
    with(|local| change(&mut local["apps"]["1"]["services"]["1"]))
}

fn paths(local: &Value) -> Vec<String> {
    let invalid = read(local).expect_err("it must be refused");
    invalid.problems.into_iter().map(|p| p.path).collect()
}

#[test]
fn an_empty_target_empties_the_device() {
    for local in [json!({}), json!({"apps": null}), json!({"apps": {}})] {
        let target = read(&local).unwrap();
        assert!(target.apps.is_empty());
        assert_eq!(target.name, "present");
    }
}

#[test]
fn ids_are_numbers_or_digits_and_the_key_is_the_id_of_a_service() {
    let target = read(&service(|s| s["imageId"] = json!("12"))).unwrap();
    let app = &target.apps[&1];
    assert_eq!((app.release_id, app.uuid.as_str()), (1, "1"));
    let main = &app.services["main"];
    assert_eq!((main.id, main.image_id), (1, 12));
    for bad in [
        json!(0),
        json!(-1),
        json!(1.5),
        json!("1a"),
        json!(""),
        json!(true),
        json!("99999999999"),
    ] {
        let at = "apps.1.services.1.imageId";
        assert_eq!(paths(&service(|s| s["imageId"] = bad)), [at]);
    }
}

#[test]
fn an_app_without_a_commit_has_nothing_to_run() {
    for commit in [json!(null), json!("")] {
        let local = with(|l| l["apps"]["1"]["commit"] = commit.clone());
        match read(&local) {
            Ok(target) => assert!(target.apps[&1].services.is_empty() && commit.is_null()),
            Err(_) => assert!(!commit.is_null()),
        }
    }
}

#[test]
fn every_problem_is_told_with_its_path() {
    let local = service(|s| {
        *s = json!({"imageId": 1, "serviceName": "ma/in", "environment": {"A": 1, "B": true, "C": null, "9": "x", "ok": "y"},
            "labels": {"a b": "c"}, "running": "yes", "ports": ["80", "0:1", "x"], "healthcheck": {"interval": "soon"}});
    });
    let mut found = paths(&local);
    found.sort();
    let at = |key: &str| format!("apps.1.services.1.{key}");
    let mut wanted: Vec<_> = [
        "serviceName",
        "image",
        "environment.A",
        "environment.B",
        "environment.C",
        "environment.9",
        "labels.a b",
        "running",
        "ports.1",
        "ports.2",
        "healthcheck.interval",
    ]
    .map(at)
    .into();
    wanted.sort();
    assert_eq!(found, wanted);
    let text = read(&local).unwrap_err().to_string();
    assert!(
        text.contains("apps.1.services.1.environment.A: must be a string"),
        "{text}"
    );
}

#[test]
fn environment_and_labels_are_mandatory() {
    for key in ["environment", "labels", "image", "imageId", "serviceName"] {
        let local = service(|s| drop(s.as_object_mut().unwrap().remove(key)));
        assert_eq!(paths(&local), [format!("apps.1.services.1.{key}")]);
    }
}

#[test]
fn both_spellings_and_null_are_read() {
    let target = read(&service(|s| {
        s["stopGracePeriod"] = json!("1m");
        s["network_mode"] = json!("host");
        s["command"] = json!(null);
    }))
    .unwrap();
    let composition = &target.apps[&1].services["main"].composition;
    assert_eq!(composition["stop_grace_period"], "1m");
    let keys: Vec<_> = composition.keys().map(String::as_str).collect();
    assert_eq!(keys, ["stop_grace_period", "network_mode", "command"]);
}

#[test]
fn an_image_without_tag_is_the_latest() {
    for (sent, kept) in [
        ("web", "web:latest"),
        ("host:5000/web", "host:5000/web:latest"),
        ("host:5000/web:1", "host:5000/web:1"),
        ("web@sha256:1", "web@sha256:1"),
    ] {
        let target = read(&service(|s| s["image"] = json!(sent))).unwrap();
        assert_eq!(target.apps[&1].services["main"].image, kept);
    }
}

#[test]
fn what_is_used_must_be_declared() {
    let at = "apps.1.services.1.";
    for (key, value, path) in [
        ("volumes", json!(["other:/x"]), "volumes"),
        ("networks", json!({"back": null}), "networks"),
        ("network_mode", json!("back"), "networks"),
    ] {
        assert_eq!(paths(&service(|s| s[key] = value)), [format!("{at}{path}")]);
    }
    assert_eq!(
        paths(&service(|s| s["network_mode"] = json!("service:x"))),
        ["apps.1.services"]
    );
    assert!(read(&service(|s| s["networks"] = json!({"default": null}))).is_ok());
}

#[test]
fn services_that_wait_for_each_other_are_refused() {
    let local = with(|l| {
        let services = &mut l["apps"]["1"]["services"];
        let base = services["1"].clone();
        for (id, name, key, value) in [
            ("1", "a", "depends_on", json!(["b"])),
            (
                "2",
                "b",
                "depends_on",
                json!({"c": {"condition": "service_healthy"}}),
            ),
            ("3", "c", "network_mode", json!("service:a")),
            ("4", "d", "depends_on", json!(["a"])),
        ] {
            services[id] = base.clone();
            services[id]["serviceName"] = json!(name);
            services[id][key] = value;
        }
    });
    let message = read(&local).unwrap_err().problems[0].message.clone();
    assert_eq!(message, "services wait for each other: a → b → c → a");
    let itself = service(|s| s["depends_on"] = json!(["main"]));
    assert_eq!(paths(&itself), ["apps.1.services"]);
}

#[test]
fn names_are_unique() {
    let local = with(|l| {
        let services = &mut l["apps"]["1"]["services"];
        services["2"] = services["1"].clone();
    });
    assert_eq!(paths(&local), ["apps.1.services.2"]);
    let local = with(|l| l["apps"]["2"] = l["apps"]["1"].clone());
    assert_eq!(paths(&local), ["apps.2.services"]);
}

#[test]
fn bounds_hold() {
    let many: serde_json::Map<_, _> = (1..2000).map(|n| (n.to_string(), json!({}))).collect();
    assert!(paths(&json!({"apps": many.clone()})).contains(&"apps".to_owned()));
    assert_eq!(
        paths(&with(|l| l["apps"]["1"]["volumes"] = json!(many))),
        ["apps.1.volumes"]
    );
    let long = "x".repeat(super::MAX_TEXT + 1);
    let local = service(|s| s["environment"] = json!({"A": long}));
    assert_eq!(paths(&local), ["apps.1.services.1.environment.A"]);
    let ranges: Vec<_> = (0..1024).map(|_| "1-65535:1-65535").collect();
    assert_eq!(
        paths(&service(|s| s["ports"] = json!(ranges))),
        ["apps.1.services.1.ports"]
    );
    // A second app with a service of its own.
    let shared = |second: &str| {
        let mut local = service(|s| s["ports"] = json!(["1-40000"]));
        local["apps"]["2"] = local["apps"]["1"].clone();
        let other = &mut local["apps"]["2"]["services"]["1"];
        other["serviceName"] = json!("other");
        other["ports"] = json!([second]);
        local
    };
    assert!(read(&shared("40001-65535")).is_ok());
    assert_eq!(paths(&shared("30001-65535")), ["apps.2.services.1.ports"]);
    let name = "n".repeat(300);
    assert!(read(&json!({"name": name})).is_err());
    assert!(read(&json!({"name": "two\nlines"})).is_err());
}

#[test]
fn config_values_are_strings_and_local_mode_means_nothing() {
    let local = json!({"config": {"SUPERVISOR_LOCAL_MODE": "false", "HOST_X:y": ""}});
    assert_eq!(read(&local).unwrap().config.len(), 2);
    assert_eq!(paths(&json!({"config": {"A": 1}})), ["config.A"]);
}

#[test]
fn networks_and_volumes_are_read_in_both_spellings() {
    let target = read(&with(|l| {
        l["apps"]["1"]["networks"] = json!({"back": {"enableIPv6": true, "driverOpts": {"mtu": 1400},
            "ipam": {"config": [{"subnet": "10.1.0.0/16", "ipRange": "10.1.1.0/24", "aux_addresses": {"a": "10.1.0.9"}}]}}});
        l["apps"]["1"]["volumes"] = json!({"data": null, "more": {"driver_opts": {"size": 1}}});
    }))
    .unwrap();
    let app = &target.apps[&1];
    let back = &app.networks["back"];
    assert!(back.enable_ipv6);
    assert_eq!(back.driver_opts["mtu"], "1400");
    assert_eq!(back.ipam_pools[0].ip_range.as_deref(), Some("10.1.1.0/24"));
    assert_eq!(app.volumes["more"].driver_opts["size"], "1");
    assert_eq!(
        paths(&with(|l| l["apps"]["1"]["networks"] = json!({"a/b": {}}))),
        ["apps.1.networks.a/b"]
    );
}

/// Any JSON of modest size.
fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i32>().prop_map(Value::from),
        "[a-z0-9:/\\-.]{0,8}|\\PC{0,4}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        let keys = "[a-z]{1,4}|test|interval|type|source|target|soft|hard";
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys, inner, 0..4).prop_map(|m| json!(m)),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_makes_it_panic(
        key in "[1-9]|[a-z]", app in anything(), value in anything(),
        name in prop::sample::select(vec![
            "ports", "volumes", "networks", "healthcheck", "command", "ulimits", "sysctls", "depends_on", "devices",
            "stop_grace_period", "cpus", "mem_limit", "tmpfs", "extra_hosts", "network_mode", "restart", "security_opt",
        ]),
    ) {
        drop(read(&json!({"apps": {key: app}})));
        drop(read(&service(|s| s[name] = value)));
    }
}
