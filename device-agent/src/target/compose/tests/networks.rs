//! Networks, ports and addresses.

use serde_json::json;

use super::{super::NetworkMode, one, wrong};

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
}

#[test]
fn addresses_of_hardware_are_those_that_engines_take() {
    let address = |sent: &str| one("mac_address", json!(sent)).mac_address.unwrap();
    for sent in ["02:42:ac:11:00:02", "02-42-AC-11-00-02", "0242.AC11.0002"] {
        assert_eq!(address(sent), "02:42:ac:11:00:02", "{sent}");
    }
    assert_eq!(address(""), "");
    for bad in [
        "02:42:ac",
        "02:42-ac:11:00:02",
        "0242ac110002",
        "0242.ac11",
        "0242.ac11.00g2",
        "02.42.ac.11.00.02",
        "0242:ac11:0002",
        "é242.ac11.002",
    ] {
        assert_eq!(
            wrong("mac_address", json!(bad))[0].0,
            "mac_address",
            "{bad}"
        );
    }
}
