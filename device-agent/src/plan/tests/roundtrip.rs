//! A container that was created from a configuration reads back as that configuration, whatever its image adds.

use proptest::collection::{btree_map, btree_set, vec};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::engine::created;
use super::{device, target};
use crate::engine::decode;
use crate::model::{CloudAccess, DeviceFacts, Healthcheck, HostFacts, ImageFacts, Secret};
use crate::plan::desired::{self, Context};

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9]{0,5}"
}

fn maybe<S: Strategy<Value = Value> + 'static>(strategy: S) -> BoxedStrategy<Value> {
    prop::option::of(strategy)
        .prop_map(|v| v.unwrap_or(Value::Null))
        .boxed()
}

/// Values of compose keys, right in form.
fn keys() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let text = || word().prop_map(Value::from);
    let texts = || vec(word(), 0..3).prop_map(Value::from);
    let number = || (0..5000_i64).prop_map(Value::from);
    let flag = || any::<bool>().prop_map(Value::from);
    let mut keys = vec![
        ("command", maybe(texts())),
        ("entrypoint", maybe(prop_oneof![texts(), Just(json!([""]))])),
        ("user", maybe(text())),
        ("working_dir", maybe("/[a-z]{0,3}/?".prop_map(Value::from))),
        ("tty", maybe(flag())),
        ("init", maybe(flag())),
        (
            "restart",
            maybe(
                prop::sample::select(vec!["no", "always", "on-failure", "x"]).prop_map(Value::from),
            ),
        ),
        (
            "stop_signal",
            maybe(prop::sample::select(vec!["SIGINT", "usr1", "9"]).prop_map(Value::from)),
        ),
        ("stop_grace_period", maybe(number())),
        ("hostname", maybe(text())),
        ("domainname", maybe(text())),
        ("healthcheck", maybe(health())),
        (
            "network_mode",
            maybe(
                prop::sample::select(vec!["host", "none", "bridge", "front"]).prop_map(Value::from),
            ),
        ),
        ("networks", maybe(networks())),
        (
            "ports",
            maybe(vec("(80[0-9][0-9]:)?8[0-9]{3}(/udp)?", 0..3).prop_map(Value::from)),
        ),
        ("dns", maybe(texts())),
        ("dns_opt", maybe(texts())),
        ("dns_search", maybe(texts())),
    ];
    keys.extend(more_keys());
    keys
}

fn more_keys() -> Vec<(&'static str, BoxedStrategy<Value>)> {
    let text = || word().prop_map(Value::from);
    let texts = || vec(word(), 0..3).prop_map(Value::from);
    let number = || (0..5000_i64).prop_map(Value::from);
    let flag = || any::<bool>().prop_map(Value::from);
    vec![
        (
            "extra_hosts",
            maybe(vec("[a-z]{1,3}[=:]10\\.0\\.0\\.[1-9]", 0..3).prop_map(Value::from)),
        ),
        ("volumes", maybe(volumes())),
        (
            "tmpfs",
            maybe(vec("/t/[a-z]{1,2}(:size=1k)?", 0..2).prop_map(one_per_path)),
        ),
        (
            "devices",
            maybe(vec("/dev/[a-z]{1,2}(:/dev/x(:r)?)?", 0..2).prop_map(Value::from)),
        ),
        ("mac_address", maybe(Just(json!("02:42:AC:11:00:02")))),
        ("read_only", maybe(flag())),
        ("shm_size", maybe(number())),
        ("privileged", maybe(flag())),
        (
            "cap_add",
            maybe(
                prop::sample::subsequence(vec!["NET_ADMIN", "cap_sys_time", "ALL"], 0..3)
                    .prop_map(Value::from),
            ),
        ),
        (
            "cap_drop",
            maybe(prop::sample::subsequence(vec!["CAP_CHOWN", "ALL"], 0..2).prop_map(Value::from)),
        ),
        (
            "security_opt",
            maybe(
                prop::sample::subsequence(vec!["label=disable", "no-new-privileges"], 0..2)
                    .prop_map(Value::from),
            ),
        ),
        ("group_add", maybe(texts())),
        (
            "sysctls",
            maybe(btree_map(word(), word(), 0..2).prop_map(|m| json!(m))),
        ),
        (
            "ulimits",
            maybe(
                btree_map(
                    prop::sample::select(vec!["core", "nofile"]),
                    0..99_i64,
                    0..2,
                )
                .prop_map(|m| json!(m)),
            ),
        ),
        ("cgroup_parent", maybe(text())),
        ("pid", maybe(Just(json!("host")))),
        (
            "ipc",
            maybe(prop::sample::select(vec!["host", "private"]).prop_map(Value::from)),
        ),
        ("userns_mode", maybe(Just(json!("host")))),
        ("pids_limit", maybe((-1..50_i64).prop_map(Value::from))),
        (
            "mem_limit",
            maybe("[0-9]{1,3}[kmg]?b?".prop_map(Value::from)),
        ),
        ("mem_reservation", maybe(number())),
        ("oom_kill_disable", maybe(flag())),
        (
            "oom_score_adj",
            maybe((-1000..1000_i64).prop_map(Value::from)),
        ),
        ("cpu_shares", maybe(number())),
        // Either of the two alone.
        ("cpu_quota", maybe(Just(json!(0)))),
        ("cpus", maybe("[0-9]\\.[0-9]{1,3}".prop_map(Value::from))),
        ("cpuset", maybe("[0-3]".prop_map(Value::from))),
    ]
}

/// Volumes in both forms, each at a path of its own.
fn volumes() -> impl Strategy<Value = Value> {
    let at = |form: Value| {
        move |path: String| {
            let mut form = form.clone();
            match &mut form {
                Value::String(text) => *text = text.replace('@', &path),
                form => form["target"] = json!(path),
            }
            form
        }
    };
    let forms = vec![
        json!("@"),
        json!("data:@"),
        json!("data:@:ro,z"),
        json!("/tmp/a:@"),
        json!("/tmp/b:@:rshared"),
        json!({"type": "volume"}),
        json!({"type": "volume", "source": "data", "read_only": true}),
        json!({"type": "volume", "source": "data", "volume": {"nocopy": true}}),
        json!({"type": "tmpfs", "tmpfs": {"size": 4096}}),
        json!({"type": "tmpfs", "read_only": true}),
        json!({"type": "bind", "source": "/tmp/a"}),
        json!({"type": "bind", "source": "/tmp/a", "read_only": true, "bind": {"propagation": "rslave"}}),
        json!({"type": "bind", "source": "/etc"}),
    ];
    let entry = (prop::sample::select(forms), "/[a-z]{1,2}");
    vec(entry, 0..4).prop_map(move |entries| {
        let mut seen = std::collections::BTreeSet::new();
        let entries = entries
            .into_iter()
            .filter(|(_, path)| seen.insert(path.clone()));
        entries.map(|(form, path)| at(form)(path)).collect()
    })
}

/// A path is mounted once only.
fn one_per_path(list: Vec<String>) -> Value {
    let mut seen = std::collections::BTreeSet::new();
    let path = |mount: &String| mount.split(':').next().unwrap_or_default().to_owned();
    list.into_iter().filter(|m| seen.insert(path(m))).collect()
}

fn networks() -> impl Strategy<Value = Value> {
    let endpoint = prop_oneof![
        Just(Value::Null),
        vec(word(), 0..2)
            .prop_map(|aliases| json!({"aliases": aliases, "ipv4_address": "10.1.2.3"})),
    ];
    let names = prop::sample::select(vec!["front", "back", "default"]);
    btree_map(names, endpoint, 0..3).prop_map(|m| json!(m))
}

fn health() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(json!({"disable": true})),
        Just(json!({"interval": "1m30s"})),
        Just(json!({"test": "true", "retries": 3, "start_period": "0s"})),
        Just(json!({"test": ["CMD", "true"], "timeout": "500ms"})),
        Just(json!({"test": ["NONE"]})),
    ]
}

fn image() -> impl Strategy<Value = ImageFacts> {
    let labels = btree_map("(io\\.resin\\.|io\\.balena\\.|)[a-c]", word(), 0..4);
    let health = prop_oneof![
        Just(None),
        Just(Some(Healthcheck::none())),
        Just(Some(Healthcheck {
            test: vec!["CMD-SHELL".to_owned(), "test".to_owned()],
            interval: Some(7),
            retries: Some(2),
            ..Healthcheck::default()
        })),
    ];
    (
        vec(word(), 1..3),
        vec(word(), 0..2),
        btree_map("[A-C]|USER|BALENA", word(), 0..4),
        labels,
        prop::sample::select(vec!["", "/", "/srv", "/srv/"]),
        prop::sample::select(vec!["", "app"]),
        prop::sample::select(vec!["", "SIGINT"]),
        btree_set("/[a-z]", 0..2),
        health,
    )
        .prop_map(
            |(
                command,
                entrypoint,
                environment,
                labels,
                dir,
                user,
                signal,
                volumes,
                healthcheck,
            )| {
                ImageFacts {
                    id: "sha256:1234".to_owned(),
                    command,
                    entrypoint,
                    environment,
                    labels,
                    working_dir: dir.to_owned(),
                    user: user.to_owned(),
                    stop_signal: signal.to_owned(),
                    volumes: volumes.into_iter().collect(),
                    exposed_ports: Vec::new(),
                    healthcheck,
                }
            },
        )
}

const FEATURES: [&str; 11] = [
    "supervisor-api",
    "balena-api",
    "dbus",
    "journal-logs",
    "sysfs",
    "procfs",
    "balena-socket",
    "gpu",
    "host-os.board-rev",
    "extra-firmware",
    "kernel-modules",
];

fn service() -> impl Strategy<Value = Value> {
    let labels = btree_map("(io\\.resin\\.|io\\.balena\\.|)[a-c]", word(), 0..4);
    let environment = btree_map("[A-C]|USER|BALENA_DEVICE_NAME_AT_INIT", word(), 0..4);
    let (names, values): (Vec<_>, Vec<_>) = keys().into_iter().unzip();
    (values, labels, environment, any::<bool>()).prop_map(move |(values, labels, environment, api)| {
        let mut service = json!({
            "serviceName": "web", "imageId": 1, "image": "web", "environment": environment, "labels": labels,
        });
        for (name, value) in names.iter().zip(values) {
            service[*name] = value;
        }
        if api {
            for feature in FEATURES {
                service["labels"][format!("io.balena.features.{feature}")] = json!("on");
            }
        }
        service
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_created_reads_back_equal(service in service(), image in image()) {
        let target = target(&json!({"apps": {"1": {
            "name": "app", "commit": "c", "releaseId": 1, "services": {"1": service},
            "volumes": {"data": {}}, "networks": {"front": {}, "back": {}},
        }}}));
        let device = DeviceFacts {
            host: HostFacts {
                engine_socket: "/var/run/balena-engine.sock".to_owned(),
                board_rev: Some("abc".to_owned()),
                ..HostFacts::default()
            },
            cloud: Some(CloudAccess {
                api_url: Some("https://api.example".to_owned()),
                registry: None,
                key: Some(Secret::new("key".to_owned())),
            }),
            ..device()
        };
        let app = &target.apps[&1];
        let context = Context { device: &device, app, api_key: Some("key"), network_container: None };
        let (config, _) = desired::service(context, &app.services["web"], &image);
        let answer = created(&config, "web_1_1_c", ("name", "new"), &image, 77);
        // Over the wire, as the engine would send it.
        let answer = serde_json::from_str(&serde_json::to_string(&answer).unwrap()).unwrap();
        let container = decode::container(&answer, None).unwrap();
        prop_assert_eq!(container.created_from, Some(config.digest()));
        prop_assert_eq!(container.config, config);
    }
}
