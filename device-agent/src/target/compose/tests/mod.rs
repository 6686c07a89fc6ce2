//! Single keys of a composition.

use serde_json::{Value, json};

use super::{Composition, HealthcheckChange, read};

mod networks;
mod volumes;

fn one(key: &str, value: Value) -> Composition {
    let map = [(key.to_owned(), value)].into_iter().collect();
    let (composition, faults) = read(&map);
    assert_eq!(faults, []);
    composition
}

/// Paths and messages of what is wrong.
fn wrong(key: &str, value: Value) -> Vec<(String, String)> {
    let map = [(key.to_owned(), value)].into_iter().collect();
    let (_, faults) = read(&map);
    faults.into_iter().map(|f| (f.at, f.message)).collect()
}

#[test]
fn what_is_no_value_at_all_is_refused() {
    for (key, bad) in [
        ("pid", json!("moon")),
        ("ipc", json!("service:web")),
        ("userns_mode", json!("remap")),
        ("stop_signal", json!("SIGMOON")),
        ("stop_signal", json!(65)),
        ("mac_address", json!("02:42:ac")),
        ("oom_score_adj", json!(1001)),
        ("cpu_shares", json!(-1)),
        ("tty", json!("maybe")),
    ] {
        assert_eq!(wrong(key, bad.clone())[0].0, key, "{bad}");
    }
    for (key, bad, at) in [
        ("cap_add", json!(["NET_ADMIN", "MOON"]), "cap_add.1"),
        ("devices", json!(["/dev/null:/dev/x:rwx"]), "devices.0"),
        ("devices", json!(["null"]), "devices.0"),
        ("ulimits", json!({"moon": 1}), "ulimits.moon"),
        (
            "ulimits",
            json!({"core": {"soft": 2, "hard": 1}}),
            "ulimits.core",
        ),
        ("ulimits", json!({"core": {"soft": 2}}), "ulimits.core"),
        ("extra_hosts", json!(["a:moon"]), "extra_hosts.0"),
        (
            "networks",
            json!({"a": {"ipv4_address": "1.2.3"}}),
            "networks.a.ipv4_address",
        ),
        (
            "networks",
            json!({"a": {"link_local_ips": ["x"]}}),
            "networks.a.link_local_ips.0",
        ),
        (
            "healthcheck",
            json!({"interval": "1ns"}),
            "healthcheck.interval",
        ),
        ("healthcheck", json!({"retries": -1}), "healthcheck.retries"),
    ] {
        assert_eq!(wrong(key, bad.clone())[0].0, at, "{bad}");
    }
    let both = [
        ("cpus".to_owned(), json!("0.5")),
        ("cpu_quota".to_owned(), json!(50_000)),
    ];
    let (_, faults) = read(&both.into_iter().collect());
    assert_eq!(faults[0].at, "cpu_quota");
}

#[test]
fn what_workstations_send_has_its_effect() {
    // serde_json writes it with an exponent.
    assert_eq!(one("cpus", json!(0.000_001)).nano_cpus, Some(1_000));
    let ports: Vec<String> = (1..=4096).map(|port| format!("{port}:{port}")).collect();
    assert_eq!(one("ports", json!(ports)).ports.len(), 4096);
    // Whether the device can do it is asked by the service's contract.
    let shared = one("pid", json!("service:web"));
    assert_eq!((shared.pid, shared.warnings.len()), (None, 1));
}

#[test]
fn what_the_reference_passes_over_is_passed_over() {
    for (key, odd) in [
        ("cpus", json!("many")),
        ("cpu_shares", json!("many")),
        ("cpu_quota", json!("1.5")),
        ("oom_score_adj", json!("high")),
        ("mem_reservation", json!("lots")),
        ("shm_size", json!("1.5g")),
        ("storage_opt", json!({"size": "1g"})),
        ("networks", json!({"a": {"priority": 5}})),
        ("healthcheck", json!({"startInterval": "1s"})),
        ("network_mode", json!("container:x")),
    ] {
        let read = one(key, odd);
        assert_eq!(read.warnings.len(), 1, "{key}: {:?}", read.warnings);
    }
}

#[test]
fn words_are_split_without_expansion() {
    let command = |value| one("command", value).command.unwrap();
    assert_eq!(
        command(json!("sh -c 'echo $HOME \"x y\"'")),
        ["sh", "-c", "echo $HOME \"x y\""]
    );
    assert_eq!(command(json!(["a", 1])), ["a", "1"]);
    assert_eq!(wrong("command", json!("a 'b")).len(), 1);
    assert_eq!(one("command", json!(null)).command, None);
}

#[test]
fn durations_and_sizes() {
    let seconds = |value| one("stop_grace_period", value).stop_grace_period.unwrap();
    assert_eq!(seconds(json!("1m30s")), 90);
    assert_eq!(seconds(json!("1.5s")), 2);
    assert_eq!(seconds(json!("500ms")), 1);
    assert_eq!(seconds(json!(7)), 7);
    assert_eq!(wrong("stop_grace_period", json!("soon")).len(), 1);
    let bytes = |value| one("mem_limit", value).mem_limit;
    assert_eq!(bytes(json!("64m")), Some(64 << 20));
    assert_eq!(bytes(json!("1GB")), Some(1 << 30));
    assert_eq!(bytes(json!(5)), Some(5));
    let odd = one("mem_limit", json!("1.5g"));
    assert_eq!((odd.mem_limit, odd.warnings.len()), (None, 1));
    assert_eq!(one("cpus", json!("0.25")).nano_cpus, Some(250_000_000));
    assert_eq!(one("cpus", json!(2)).nano_cpus, Some(2_000_000_000));
    let cpus = |text: &str| one("cpus", json!(text)).nano_cpus;
    assert_eq!(cpus("0.1234567894"), Some(123_456_789));
    assert_eq!(cpus("0.9999999995"), Some(1_000_000_000));
    assert_eq!(wrong("cpus", json!("-1")).len(), 1);
}

#[test]
fn health_checks() {
    let check = |value| one("healthcheck", value).healthcheck.unwrap();
    assert_eq!(
        check(json!({"disable": true, "test": "x"})).test.unwrap(),
        ["NONE"]
    );
    assert_eq!(
        check(json!({"test": "curl x", "interval": "1m", "startPeriod": "2s", "retries": 3})),
        HealthcheckChange {
            test: Some(vec!["CMD-SHELL".to_owned(), "curl x".to_owned()]),
            interval: Some(60_000_000_000),
            timeout: None,
            start_period: Some(2_000_000_000),
            retries: Some(3),
        }
    );
    assert_eq!(
        wrong("healthcheck", json!({"test": ["curl"]}))[0].0,
        "healthcheck.test"
    );
}

#[test]
fn odd_spellings() {
    for (sent, policy) in [
        (json!("no"), "no"),
        (json!(" On-Failure "), "on-failure"),
        (json!("UNLESS-STOPPED"), "unless-stopped"),
        (json!("always"), "always"),
    ] {
        let read = one("restart", sent);
        assert_eq!(read.restart.as_deref(), Some(policy));
        assert_eq!(read.warnings, [""; 0]);
    }
    for sent in [
        json!(false),
        json!(" On-Failure:3 "),
        json!("no:5"),
        json!("never"),
        json!(""),
        json!(1),
        json!(["no"]),
    ] {
        let read = one("restart", sent.clone());
        assert_eq!(read.restart.as_deref(), Some("always"), "{sent}");
        assert_eq!(read.warnings.len(), 1, "{sent}");
    }
    for (sent, read) in [
        (json!("Yes"), true),
        (json!(1), true),
        (json!("off"), false),
        (json!(0), false),
    ] {
        assert_eq!(one("tty", sent).tty, Some(read));
    }
    for signal in ["SIGINT", "usr1", "RTMIN+3", "SIGRTMAX-14", "9", ""] {
        let read = one("stop_signal", json!(signal)).stop_signal;
        assert_eq!(read.as_deref(), Some(signal));
    }
    assert_eq!(one("sysctls", json!(["a=1"])).sysctls["a"], "1");
    assert_eq!(
        one(
            "ulimits",
            json!({"nofile": {"soft": 1, "hard": 2}, "core": "3"})
        )
        .ulimits["core"],
        (3, 3)
    );
    assert_eq!(
        one("devices", json!(["/dev/a"])).devices.first().unwrap(),
        "/dev/a:/dev/a:rwm"
    );
    let options = one("security_opt", json!(["label:x", "seccomp=y"])).security_opt;
    assert_eq!(options.into_iter().collect::<Vec<_>>(), ["seccomp=y"]);
    assert_eq!(
        one("cap_add", json!(["cap_net_admin"]))
            .cap_add
            .first()
            .unwrap(),
        "NET_ADMIN"
    );
    assert_eq!(
        one("links", json!([])).warnings,
        ["the compose key `links` has no effect"]
    );
}
