//! Development mode, production mode, and the way from one to the other while the device runs.

use serde_json::{Value, json};
use testkit::{LightDevice, until};

use crate::access::Key;
use crate::beside::{Reply, Web};

/// SSH and the agent, which a device without a fleet answers from its network.
const PRODUCTION: [u16; 2] = [22222, 48484];
/// The engine too.
const DEVELOPMENT: [u16; 3] = [2375, 22222, 48484];

fn set_mode(device: &LightDevice, is_development: bool) {
    device.configure(|config| config["developmentMode"] = Value::from(is_development));
}

/// What may be typed into, seen from the device.
fn gettys(device: &LightDevice) -> String {
    device.sh(
        "systemctl list-units --plain --no-legend --state=active '*getty*.service' | cut -d' ' -f1",
    )
}

#[tokio::test]
async fn the_mode_is_switched_while_containers_run() {
    let device = LightDevice::development();
    assert_eq!(device.open_ports(false), DEVELOPMENT);
    assert_eq!(device.open_ports(true), DEVELOPMENT);
    assert!(device.lets_in(&[]), "development mode wants no password");
    assert_eq!(gettys(&device), "console-getty.service");
    assert_eq!(device.http(2375, "/_ping"), "OK");
    crate::access::run_container(&device, "lasting");
    let started = "docker inspect lasting --format '{{.State.Running}} {{.State.StartedAt}}'";
    let before = (device.sh(started), device.sh("cut -d' ' -f22 /proc/1/stat"));

    set_mode(&device, false);
    until("the engine's port is closed", async || {
        (!device.accepts(2375)).then_some(())
    })
    .await;
    device
        .until("the engine answers again", "docker version")
        .await;
    until("SSH wants a key", async || {
        (!device.lets_in(&[])).then_some(())
    })
    .await;
    until("nobody can log in at the console", async || {
        gettys(&device).is_empty().then_some(())
    })
    .await;
    device.settle();
    assert_eq!(device.open_ports(false), PRODUCTION);
    assert_eq!(device.open_ports(true), PRODUCTION);
    let after = (device.sh(started), device.sh("cut -d' ' -f22 /proc/1/stat"));
    assert_eq!(
        after, before,
        "neither the machine nor a container was restarted"
    );

    set_mode(&device, true);
    until("the engine's port is open", async || {
        device.accepts(2375).then_some(())
    })
    .await;
    until("SSH is open", async || device.lets_in(&[]).then_some(())).await;
    until("the console is back", async || {
        (gettys(&device) == "console-getty.service").then_some(())
    })
    .await;
    device.settle();
    assert_eq!(device.open_ports(false), DEVELOPMENT);
    device.sh("docker rm --force lasting");
}

#[tokio::test]
async fn a_device_booted_in_production_mode_is_closed_from_the_start() {
    let key = Key::new("ed25519");
    let config = json!({"os": {"sshKeys": [key.line()]}});
    let device = LightDevice::boot(&config);
    assert_eq!(device.open_ports(false), PRODUCTION);
    assert_eq!(device.open_ports(true), PRODUCTION);
    assert_eq!(gettys(&device), "");
    assert!(!device.lets_in(&[]));
    assert!(device.lets_in(&key.options()));
    assert!(
        !device.lets_in(&Key::new("ed25519").options()),
        "another's key"
    );
}

#[tokio::test]
async fn keys_open_and_nothing_else_does_in_either_mode() {
    let device = LightDevice::development();
    for kind in ["rsa", "ecdsa"] {
        let key = Key::new(kind);
        device.configure(|config| config["os"]["sshKeys"] = json!([key.line(), "not a key"]));
        until("a password is not enough", async || {
            (!device.lets_in(&[])).then_some(())
        })
        .await;
        assert!(device.lets_in(&key.options()), "{kind}");
    }
    let standing = device.standing();
    let complaint = &standing["complaints"][0];
    assert_eq!(complaint["key"], "os.sshKeys", "{standing}");
    // None can be used: what was usable before stands, and nobody is locked out by a mistake.
    let key = Key::new("ed25519");
    device.configure(|config| config["os"]["sshKeys"] = json!([key.line()]));
    until("the key opens", async || {
        device.lets_in(&key.options()).then_some(())
    })
    .await;
    device.configure(|config| config["os"]["sshKeys"] = json!(["-----BEGIN", ""]));
    until("it is said", async || {
        let words = device.standing()["complaints"].to_string();
        words.contains("os.sshKeys").then_some(())
    })
    .await;
    assert!(device.lets_in(&key.options()) && !device.lets_in(&[]));
    // An empty list asks for no keys.
    device.configure(|config| config["os"]["sshKeys"] = json!([]));
    until("a password is enough again", async || {
        device.lets_in(&[]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn local_mode_is_switched_by_config_json_and_over_ssh() {
    let device = LightDevice::development();
    let api = Web::start(&device, |_| Reply::status("503 Service Unavailable"));
    // What may be asked without a key in local mode alone.
    let is_local = async |wanted: bool| {
        let url = "http://127.0.0.1:48484/v2/local/target-state";
        let script =
            format!("curl --silent --output /dev/null --write-out '%{{http_code}}' {url} || :");
        let status = if wanted { "200" } else { "401" };
        until(&format!("the agent answers {status}"), async || {
            (device.sh(&script) == status).then_some(())
        })
        .await;
    };
    let switch = |body: &str| {
        let command = format!(
            "curl --silent --show-error --fail --unix-socket /run/os-agent/agent.sock --request PUT \
             --header 'Content-Type: application/json' --data '{body}' http://device/os/v1/local-mode"
        );
        device.ssh(&[], &[&command]).success();
    };
    is_local(true).await;
    device.configure(|config| {
        config["apiEndpoint"] = json!(api.url("").trim_end_matches('/'));
        config["deviceApiKey"] = json!("0123456789abcdef0123456789abcdef");
    });
    is_local(false).await;
    switch("{\"enabled\":true}");
    is_local(true).await;
    // What the session brings goes with it, what was there before stays.
    device.sh("docker volume create of-session >/dev/null");
    switch("{\"enabled\":false,\"discard\":true}");
    is_local(false).await;
    device
        .until(
            "the session is cleared up",
            "! docker volume inspect of-session",
        )
        .await;
    device.configure(|config| config["apiEndpoint"] = json!(""));
    is_local(true).await;
}
