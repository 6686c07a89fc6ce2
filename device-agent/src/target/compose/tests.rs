//! Single keys of a composition.

use serde_json::{Value, json};

use super::{Composition, HealthcheckChange, NetworkMode, VolumeUse, read};

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

fn ports(text: &str) -> Vec<String> {
    let bindings = one("ports", json!([text])).ports;
    let told = |p: &crate::model::PortBinding| {
        let host = p.host.map_or("any".to_owned(), |h| h.to_string());
        format!("{}|{host}|{}/{}", p.host_ip, p.container, p.protocol)
    };
    bindings.iter().map(told).collect()
}

#[test]
fn ports_are_taken_apart() {
    assert_eq!(ports("80"), ["|any|80/tcp"]);
    assert_eq!(ports("8081:8080"), ["|8081|8080/tcp"]);
    assert_eq!(ports("53:53/udp"), ["|53|53/udp"]);
    assert_eq!(ports("127.0.0.1:1:2"), ["127.0.0.1|1|2/tcp"]);
    assert_eq!(ports("127.0.0.1::2"), ["127.0.0.1|any|2/tcp"]);
    assert_eq!(ports("[::1]:1:2"), ["::1|1|2/tcp"]);
    assert_eq!(ports("5-6:7-8"), ["|5|7/tcp", "|6|8/tcp"]);
    assert_eq!(ports("7-8"), ["|any|7/tcp", "|any|8/tcp"]);
    let long = one(
        "ports",
        json!([{"target": 80, "published": "8080", "host_ip": "::1", "protocol": "udp"}]),
    );
    assert_eq!(long.ports.len(), 1);
    for bad in [
        "",
        "x",
        "0",
        "1:70000",
        "1-3:1-2",
        "3-1",
        "1/icmp",
        "999.1.1.1:1:1",
        "1:2:3:4",
    ] {
        assert_eq!(wrong("ports", json!(["80", bad]))[0].0, "ports.1", "{bad}");
    }
}

#[test]
fn volumes_are_named_or_left_out() {
    let read = one(
        "volumes",
        json!([
            "data:/data:ro", "/cache", "/etc:/x", "./src:/y",
            {"type": "volume", "source": "data", "target": "/z", "readOnly": true, "volume": {"nocopy": true}},
            {"type": "tmpfs", "target": "/t", "tmpfs": {"size": "1m"}},
            {"type": "bind", "source": "/a", "target": "/b"},
        ]),
    );
    assert_eq!(
        read.volumes,
        [
            VolumeUse::Named {
                name: "data".to_owned(),
                target: "/data:ro".to_owned()
            },
            VolumeUse::Anonymous {
                target: "/cache".to_owned()
            },
            VolumeUse::Mounted {
                name: Some("data".to_owned()),
                target: "/z".to_owned(),
                read_only: true,
                no_copy: true
            },
            VolumeUse::Tmpfs {
                target: "/t".to_owned(),
                size: 1 << 20
            },
        ]
    );
    assert_eq!(read.warnings.len(), 3);
    assert_eq!(wrong("volumes", json!(["a/b:/c"]))[0].0, "volumes.0");
    assert_eq!(wrong("volumes", json!(["data:c"]))[0].0, "volumes.0");
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
fn network_modes() {
    let mode = |text: &str| one("network_mode", json!(text)).network_mode;
    assert_eq!(mode("host"), Some(NetworkMode::Host));
    assert_eq!(
        mode("service:a"),
        Some(NetworkMode::Service("a".to_owned()))
    );
    assert_eq!(mode("back"), Some(NetworkMode::Named("back".to_owned())));
    let container = one("network_mode", json!("container:x"));
    assert_eq!(
        (container.network_mode, container.warnings.len()),
        (None, 1)
    );
    let names = one("networks", json!(["b", "a"])).networks;
    assert_eq!(
        names.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
        ["b", "a"]
    );
    let hosts = one("extra_hosts", json!(["a=1.2.3.4", "b:::1"])).extra_hosts;
    assert_eq!(
        hosts.into_iter().collect::<Vec<_>>(),
        ["a:1.2.3.4", "b:::1"]
    );
}

#[test]
fn odd_spellings() {
    assert_eq!(one("restart", json!(false)).restart.unwrap(), "no");
    assert_eq!(
        one("restart", json!(" On-Failure:3 ")).restart.unwrap(),
        "on-failure"
    );
    assert_eq!(one("restart", json!("never")).restart.unwrap(), "always");
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
