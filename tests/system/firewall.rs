//! Who reaches which port of a device from its network, by both versions of the protocol.

use serde_json::{Value, json};
use testkit::{LightDevice, until};

use crate::access::load_image;
use crate::beside::NameServer;

/// A port of somebody on the device.
const OTHER: u16 = 9999;
/// SSH and the engine of development mode.
const MANAGEMENT: [u16; 2] = [2375, 22222];
const SOCKET: &str = "curl --silent --show-error --fail --unix-socket /run/os-agent/agent.sock --header 'Content-Type: application/json'";

/// A device of a fleet in development mode, with [`OTHER`] open.
fn device_of_a_fleet() -> LightDevice {
    let mut device = LightDevice::boot(&json!({
        "developmentMode": true,
        "apiEndpoint": "http://10.77.0.1:9",
        "deviceApiKey": "0123456789abcdef0123456789abcdef",
    }));
    device.spend();
    device.sh(&format!(
        "systemd-run --quiet --unit=probe systemd-socket-activate --accept --inetd --listen={OTHER} cat"
    ));
    device
}

/// Says with which mode the rules are made, perhaps with a service, as the fleet or a workstation would.
fn set(device: &LightDevice, path: &str, mode: &str, network: Option<&str>) {
    let service = |network: &str| {
        json!({"imageId": 1, "serviceName": "a", "image": "os-test/busybox", "environment": {}, "labels": {},
               "command": ["sleep", "1000000"], "network_mode": network})
    };
    let services: Value = network.map_or(json!({}), |network| json!({"1": service(network)}));
    let apps = json!({"1": {"name": "a", "commit": "c", "releaseId": 1, "services": services}});
    let target = json!({"local": {"config": {"HOST_FIREWALL_MODE": mode}, "apps": apps}});
    device.sh(&format!(
        "{SOCKET} --data '{target}' http://device{path} >/dev/null"
    ));
}

fn set_local(device: &LightDevice, is_on: bool) {
    let body = json!({"enabled": is_on, "discard": true});
    device.sh(&format!(
        "{SOCKET} --request PUT --data '{body}' http://device/os/v1/local-mode >/dev/null"
    ));
}

/// Waits until a port is open or shut, and looks at all the others then.
async fn becomes(device: &LightDevice, what: &str, open: &[u16]) {
    let looked_at = [OTHER, 48484];
    // The rules of one version are put in place after those of the other.
    until(what, async || {
        let fits = |port: &u16| {
            [device.accepts(*port), device.accepts_v6(*port)] == [open.contains(port); 2]
        };
        looked_at.iter().all(fits).then_some(())
    })
    .await;
    assert_eq!(device.open_ports(false), open, "{what}");
    // Of what is refused by the sixth version only a few are told in a second: no scan of all ports would end.
    for port in MANAGEMENT.into_iter().chain(looked_at) {
        assert_eq!(
            device.accepts_v6(port),
            open.contains(&port),
            "{what}, v6: {port}"
        );
    }
}

#[tokio::test]
async fn each_mode_opens_and_shuts_what_the_reference_does() {
    let [engine, ssh] = MANAGEMENT;
    let fleet = "/os/v1/fleet/target-state";
    let local = "/os/v1/target-state";
    let device = device_of_a_fleet();
    load_image(&device);
    becomes(&device, "a device of a fleet", &[engine, OTHER, ssh]).await;
    device.sh("curl --silent --fail http://127.0.0.1:48484/ping");
    // Containers ask from the agent's network, and from no other.
    device.sh("docker network inspect supervisor0 >/dev/null 2>&1 || docker network create --subnet 10.114.104.0/25 \
               --gateway 10.114.104.1 --opt com.docker.network.bridge.name=supervisor0 supervisor0");
    let reaches = |network: &str| {
        device.holds(&format!(
            "docker run --rm --network {network} os-test/busybox busybox nc -w 5 10.114.104.1 48484 </dev/null"
        ))
    };
    assert!(reaches("supervisor0") && !reaches("bridge"));

    set(&device, fleet, "on", None);
    becomes(&device, "on", &MANAGEMENT).await;
    assert!(reaches("supervisor0"));
    let server = NameServer::start(&device, 0);
    device.configure(|config| config["dnsServers"] = json!(format!("10.77.0.1#{}", server.port())));
    device
        .until(
            "containers are told names",
            "docker run --rm os-test/busybox nslookup kitchen.example | grep -q 192.0.2.7",
        )
        .await;
    set(&device, fleet, "ON", None);
    becomes(&device, "no mode", &[engine, OTHER, ssh]).await;
    set(&device, fleet, "auto", Some("bridge"));
    becomes(&device, "auto without a reason", &[engine, OTHER, ssh]).await;
    set(&device, fleet, "auto", Some("host"));
    becomes(&device, "auto with a reason", &MANAGEMENT).await;

    set_local(&device, true);
    let all = [engine, OTHER, ssh, 48484];
    becomes(&device, "the fleet's service gives way", &all).await;
    set(&device, local, "on", None);
    becomes(&device, "local and on", &[engine, ssh, 48484]).await;
    set_local(&device, false);
    becomes(&device, "as the fleet has it again", &MANAGEMENT).await;
}

#[tokio::test]
async fn rules_outlast_the_agent_and_come_back_after_a_flush() {
    let device = device_of_a_fleet();
    set(&device, "/os/v1/fleet/target-state", "on", None);
    becomes(&device, "on", &MANAGEMENT).await;
    device.sh("systemctl stop os-agent");
    assert!(!device.accepts(OTHER), "the agent is gone");
    device.sh("systemctl start os-agent");
    assert!(!device.accepts(OTHER), "the agent is back");

    // Somebody makes a hole on purpose, and somebody else flushes.
    device.sh(&format!(
        "iptables -I INPUT -p tcp --dport {OTHER} -j ACCEPT"
    ));
    assert!(device.accepts(OTHER));
    // The agent looks every minute by itself: its look may come between the flush and ours.
    until("a flush opens the device", async || {
        device.sh(
            "iptables -F BALENA-FIREWALL && ip6tables -F INPUT && ip6tables -F BALENA-FIREWALL",
        );
        device.accepts(48484).then_some(())
    })
    .await;
    device.sh("systemctl restart balena");
    until("the rules are back", async || {
        (!device.accepts(48484)).then_some(())
    })
    .await;
    assert!(device.accepts(OTHER), "the hole is its maker's");
    device.sh(&format!(
        "iptables -D INPUT -p tcp --dport {OTHER} -j ACCEPT"
    ));
    becomes(&device, "by both versions", &MANAGEMENT).await;
    let jumps =
        "for t in iptables ip6tables; do $t -S INPUT | grep -c -- '-j BALENA-FIREWALL'; done";
    assert_eq!(device.sh(jumps), "1\n1");
}

#[tokio::test]
async fn nftables_does_where_there_is_nothing_else() {
    let device = device_of_a_fleet();
    set(&device, "/os/v1/fleet/target-state", "on", None);
    becomes(&device, "by iptables", &MANAGEMENT).await;
    let without_iptables = "systemctl stop os-agent; nft flush ruleset; mount --bind /dev/null /usr/sbin/xtables-nft-multi";
    device.sh(without_iptables);
    assert!(device.accepts(OTHER));
    device.sh("systemctl start os-agent");
    becomes(&device, "by nft", &MANAGEMENT).await;
    set(&device, "/os/v1/fleet/target-state", "off", None);
    let [engine, ssh] = MANAGEMENT;
    becomes(&device, "off", &[engine, OTHER, ssh]).await;
    set(&device, "/os/v1/fleet/target-state", "on", None);
    becomes(&device, "on", &MANAGEMENT).await;
    // What it has made is gone when the other program does it again.
    device.sh(
        "systemctl stop os-agent; umount /usr/sbin/xtables-nft-multi; systemctl start os-agent",
    );
    until("one of them does it", async || {
        let tables = device.sh("nft list tables");
        (!tables.contains("os-agent") && tables.contains("filter")).then_some(())
    })
    .await;
    becomes(&device, "by iptables again", &MANAGEMENT).await;

    device.sh("systemctl stop os-agent; mount --bind /dev/null /usr/sbin/xtables-nft-multi; mount --bind /dev/null /usr/sbin/nft");
    device.sh("systemctl start os-agent && curl --silent --fail http://127.0.0.1:48484/ping");
    device
        .until(
            "it is said",
            "test $(journalctl --unit os-agent --output cat | grep -c 'rules for ip are not in place') -eq 1",
        )
        .await;
}
