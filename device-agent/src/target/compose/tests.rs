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
    // As the reference has it: a port alone is the host's, too.
    assert_eq!(ports("80"), ["|80|80/tcp"]);
    assert_eq!(ports("8081:8080"), ["|8081|8080/tcp"]);
    assert_eq!(ports("53:53/udp"), ["|53|53/udp"]);
    assert_eq!(ports("127.0.0.1:1:2"), ["127.0.0.1|1|2/tcp"]);
    assert_eq!(ports("127.0.0.1::2"), ["127.0.0.1|any|2/tcp"]);
    assert_eq!(ports("[::1]:1:2"), ["::1|1|2/tcp"]);
    assert_eq!(ports("5-6:7-8"), ["|5|7/tcp", "|6|8/tcp"]);
    assert_eq!(ports("::1:1:2/sctp"), ["::1|1|2/sctp"]);
    assert_eq!(ports("7-8"), ["|7|7/tcp", "|8|8/tcp"]);
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
                read_only: false,
                size: 1 << 20
            },
        ]
    );
    assert_eq!(read.warnings.len(), 3);
    assert_eq!(wrong("volumes", json!(["a/b:/c"]))[0].0, "volumes.0");
    assert_eq!(wrong("volumes", json!(["data:c"]))[0].0, "volumes.0");
}

#[test]
fn folders_below_the_devices_tmp_may_be_mounted() {
    let volumes = |value| one("volumes", value);
    let read = volumes(json!([
        "/tmp/a:/a:ro,rshared", " /tmp/b/c : /b ",
        {"type": "bind", "source": "/tmp/d", "target": "/d", "read_only": true, "bind": {"propagation": "rslave"}},
    ]));
    let bound = |source: &str, target: &str| VolumeUse::Bound {
        source: source.to_owned(),
        target: target.to_owned(),
    };
    let mounted = VolumeUse::BoundMount {
        source: "/tmp/d".to_owned(),
        target: "/d".to_owned(),
        read_only: true,
        propagation: Some("rslave".to_owned()),
    };
    assert_eq!(
        read.volumes,
        [
            bound("/tmp/a", "/a:ro,rshared"),
            bound("/tmp/b/c", "/b"),
            mounted
        ]
    );
    assert_eq!(read.warnings, [""; 0]);
    for outside in [
        "/tmp:/a",
        "/tmp/:/a",
        "/tmp/../etc:/a",
        "/tmp/a/../../etc:/a",
        "/tmp/./a:/a",
        "/tmpfoo/a:/a",
        "/tmp/balena-supervisor/services:/a",
        "/tmp//resin-supervisor:/a",
        "tmp/a:/a",
    ] {
        if outside.starts_with('/') {
            let read = volumes(json!([outside]));
            assert!(read.volumes.is_empty(), "{outside}");
            assert_eq!(read.warnings.len(), 1, "{outside}");
        } else {
            assert_eq!(wrong("volumes", json!([outside])).len(), 1);
        }
    }
    for source in ["/tmp/../etc", "/tmp/balena-supervisor/services/1/web"] {
        let long = json!([{"type": "bind", "source": source, "target": "/a"}]);
        assert!(volumes(long).volumes.is_empty(), "{source}");
    }
    let wrong_word =
        json!([{"type": "bind", "source": "/tmp/a", "target": "/a", "bind": {"propagation": "x"}}]);
    assert_eq!(wrong("volumes", wrong_word)[0].0, "volumes.0");
}

#[test]
fn what_an_engine_would_refuse_of_volumes_is_refused() {
    for bad in [
        json!(["data:/a", "other:/a/"]),
        json!(["data:/a", {"type": "tmpfs", "target": "/a"}]),
        json!(["data:/a", "other:/b/../a/."]),
        json!(["/cache", "/"]),
        json!(["/cache", "/a/.."]),
        json!(["/cache", "data:/a/.."]),
        json!(["/cache", "data:/tmp/balena"]),
        json!(["/cache", "data:/tmp/./resin/:ro"]),
        json!(["/cache", {"type": "tmpfs", "target": "/tmp//balena"}]),
        json!(["/cache", "data:/"]),
        json!(["/cache", "data:/a:ro,rw"]),
        json!(["/cache", "data:/a:shared"]),
        json!(["/cache", "data:/a:banana"]),
        json!(["/cache", "data:/a:ro:z"]),
        json!(["/cache", {"type": "volume", "source": "data", "target": "/"}]),
        json!(["/cache", {"type": "moon", "target": "/a"}]),
    ] {
        let found = wrong("volumes", bad.clone());
        assert_eq!(found[0].0, "volumes.1", "{bad}");
    }
    let twice = one(
        "volumes",
        json!(["data:/a:rw,z,nocopy", "data:/a:rw,z,nocopy"]),
    );
    assert_eq!(twice.volumes.len(), 1);
    let foreign = one(
        "volumes",
        json!([{"type": "npipe", "source": "x", "target": "y"}]),
    );
    assert_eq!((foreign.volumes.len(), foreign.warnings.len()), (0, 1));
    let both = [
        ("volumes".to_owned(), json!(["data:/a"])),
        ("tmpfs".to_owned(), json!(["/a/:size=1m"])),
    ];
    let (_, faults) = read(&both.into_iter().collect());
    assert_eq!(faults[0].at, "tmpfs");
    for bad in ["/", "/./", "/a/..:size=1m", "a", "/tmp/balena"] {
        assert_eq!(wrong("tmpfs", json!(bad))[0].0, "tmpfs", "{bad}");
    }
    // The engine lets these be.
    for fine in [
        json!(["/a", "data:/a"]),
        json!(["data:/tmp/balena/x", "/tmp/resin"]),
    ] {
        assert_eq!(one("volumes", fine).volumes.len(), 2);
    }
}

#[test]
fn members_of_the_long_form_without_effect_are_told() {
    for (entry, warned) in [
        (
            json!({"type": "volume", "source": "data", "target": "/a", "volume": {"subpath": "b", "nocopy": true}}),
            vec!["volumes.volume: `subpath` has no effect"],
        ),
        (
            json!({"target": "/a", "consistency": "cached", "tmpfs": {"size": 1}, "readOnly": null}),
            vec![
                "volumes: `consistency` has no effect",
                "volumes: `tmpfs` has no effect",
            ],
        ),
        (
            json!({"type": "tmpfs", "target": "/a", "read_only": true, "tmpfs": {"size": "1m", "mode": 448}}),
            vec!["volumes.tmpfs: `mode` has no effect"],
        ),
        (
            json!({"type": "bind", "source": "/tmp/a", "target": "/a", "bind": {"createHostPath": true, "propagation": "shared"}}),
            vec!["volumes.bind: `createHostPath` has no effect"],
        ),
    ] {
        let read = one("volumes", json!([entry]));
        assert_eq!(read.volumes.len(), 1);
        assert_eq!(read.warnings, warned);
    }
}

#[test]
fn long_volumes_that_the_reference_leaves_out_are_left_out() {
    for entry in [
        json!({"type": "volume", "source": "/etc", "target": "/a"}),
        json!({"type": "volume", "source": "/tmp/a", "target": "/a"}),
        json!({"source": "./src", "target": "/a"}),
        json!({"type": "tmpfs", "source": "x", "target": "/a"}),
        json!({"type": "bind", "source": "/etc", "target": "/a"}),
    ] {
        let read = one("volumes", json!(["/cache", entry.clone()]));
        assert_eq!((read.volumes.len(), read.warnings.len()), (1, 1), "{entry}");
    }
    let no_name = json!([{"type": "volume", "source": "a b", "target": "/a"}]);
    assert_eq!(wrong("volumes", no_name)[0].0, "volumes.0");
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
    assert_eq!(
        mode("service: a"),
        Some(NetworkMode::Service("a".to_owned()))
    );
    let names = one("networks", json!(["b", "a"])).networks;
    assert_eq!(
        names.iter().map(|(n, _)| n.as_str()).collect::<Vec<_>>(),
        ["b", "a"]
    );
    let hosts = |value| {
        let hosts = one("extra_hosts", value).extra_hosts;
        hosts.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(
        hosts(json!(["a=1.2.3.4", "b:::1", "c:[::2]", "d : host-gateway"])),
        ["a:1.2.3.4", "b:::1", "c:::2", "d:host-gateway"]
    );
    assert_eq!(hosts(json!({"a": "1.2.3.4"})), ["a:1.2.3.4"]);
    let address = one("mac_address", json!("02-42-AC-11-00-02")).mac_address;
    assert_eq!(address.as_deref(), Some("02:42:ac:11:00:02"));
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
