//! Joining a fleet and leaving it, over Debian's `ssh` as the reference client does it, against a small API that answers as the
//! recorded one.

use serde_json::{Value, json};
use testkit::{LightDevice, until, wire};

use crate::access::run_container;
use crate::beside::{Reply, Web, base64};

/// An API with the recorded answer.
fn api(device: &LightDevice) -> Web {
    let answer = wire::body("113.os-v1-config.json");
    Web::start(device, move |head| {
        if head.starts_with("GET /os/v1/config ") {
            Reply::ok(answer.clone())
        } else {
            Reply::status("401 Unauthorized")
        }
    })
}

/// What the reference client sends: the recorded answer of the cloud, with this API in it and without its certificate, whose end
/// the recording leaves out.
fn configuration(api: &Web) -> Value {
    let mut config = wire::json("158.download-config.json");
    let keys = config.as_object_mut().unwrap();
    keys.remove("balenaRootCA");
    keys.insert(
        "apiEndpoint".to_owned(),
        json!(api.url("").trim_end_matches('/')),
    );
    keys.insert("deviceType".to_owned(), json!("generic-amd64"));
    config
}

/// The commands of the client, one session each.
fn os_config(device: &LightDevice, arguments: &str) -> testkit::workstation::Output {
    for question in ["exit 0", "os-config --version"] {
        device.ssh(&[], &[question]).success();
    }
    let release = device.ssh(&[], &["cat /etc/os-release"]);
    for line in ["SLUG=\"generic-amd64\"", "VERSION_ID=\""] {
        assert!(
            release
                .stdout
                .lines()
                .any(|found| found.trim_end().starts_with(line)),
            "{release}"
        );
    }
    device.ssh(&[], &[&format!("os-config {arguments}")])
}

fn join(device: &LightDevice, config: &Value) -> testkit::workstation::Output {
    let encoded = base64(&config.to_string());
    os_config(device, &format!("join \"$(base64 -d <<< {encoded})\""))
}

/// All that joining changes.
fn traces(device: &LightDevice) -> (Value, String) {
    let files = device.sh("find /etc/openvpn -type f -exec sha256sum {} + | sort; test ! -e /var/volatile/vpn-auth || cat /var/volatile/vpn-auth");
    (device.config(), files)
}

/// What the agent answers to somebody without a key.
fn answers(device: &LightDevice) -> String {
    device.sh("curl --silent --output /dev/null --write-out '%{http_code}' http://127.0.0.1:48484/v1/device || :")
}

#[tokio::test]
async fn a_fleet_is_joined_and_left_over_ssh() {
    let mut device = LightDevice::development();
    device.spend();
    device.configure(|config| {
        config["hostname"] = json!("guest");
        config["of others"] = json!([1]);
    });
    device
        .until("it has its name", "test \"$(hostname)\" = guest")
        .await;
    assert!(
        !device.holds("systemctl is-active openvpn"),
        "without a configuration there is no tunnel"
    );
    let api = api(&device);
    let asked = configuration(&api);
    let before = traces(&device);

    let joined = join(&device, &asked);
    joined.success();
    for line in [
        "Fetching service configuration",
        "Service configuration retrieved",
        "/etc/openvpn/openvpn.conf updated",
        "Starting",
    ] {
        assert!(joined.stdout.contains(line), "{joined}");
    }
    let config = device.config();
    for (key, value) in asked.as_object().unwrap() {
        assert_eq!(config[key], *value, "{key}");
    }
    assert_eq!(
        (&config["hostname"], &config["of others"]),
        (&json!("guest"), &json!([1]))
    );
    assert_eq!(config["uuid"], device.uuid());
    let key = config["deviceApiKey"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 32);
    // The tunnel has what it needs, and is tried.
    let recorded = wire::json("113.os-v1-config.json");
    let tunnel = recorded["services"]["openvpn"]["config"].as_str().unwrap();
    assert_eq!(device.run(&["cat", "/etc/openvpn/openvpn.conf"]), tunnel);
    device
        .until("the tunnel is tried", "systemctl is-active openvpn")
        .await;
    let credentials =
        device.sh("stat --format %a /var/volatile/vpn-auth && cat /var/volatile/vpn-auth");
    let provisioning = asked["apiKey"].as_str().unwrap();
    assert_eq!(
        credentials,
        format!("600\n{}\n{provisioning}", device.uuid())
    );
    // The agent belongs to the fleet now.
    until("the agent wants a key", async || {
        let status = answers(&device);
        (status == "401").then_some(())
    })
    .await;

    let left = os_config(&device, "leave");
    left.success();
    until("all is as before", async || {
        let (mut config, files) = traces(&device);
        // The reference keeps the key for the day when the device comes back.
        let kept = config.as_object_mut().unwrap().remove("deviceApiKeys");
        let rest = (kept?.to_string().contains(&key)).then_some((config, files))?;
        (rest.1 == before.1
            && rest.0["of others"] == before.0["of others"]
            && rest.0.get("apiEndpoint").is_none())
        .then_some(())
    })
    .await;
    device
        .until("the tunnel is gone", "! systemctl is-active openvpn")
        .await;
    until("the agent wants no key", async || {
        let status = answers(&device);
        (status == "200").then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_fleet_that_cannot_be_joined_changes_nothing() {
    let device = LightDevice::development();
    let broken = Web::start(&device, |_| Reply::ok("{\"error\": true}"));
    let refusing = Web::start(&device, |_| Reply::status("500 Internal Server Error"));
    let before = traces(&device);
    for web in [&broken, &refusing] {
        let refused = join(&device, &configuration(web));
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.stdout.contains("configuration failed"), "{refused}");
        assert_eq!(traces(&device), before);
    }
    for input in [
        "join '{}'",
        "join '[1]'",
        "join nothing",
        "join '{\"apiEndpoint\":\"api.example\"}'",
    ] {
        let refused = os_config(&device, input);
        assert_ne!(refused.code, 0, "{input}: {refused}");
        assert_eq!(traces(&device), before, "{input}");
    }
    let left = os_config(&device, "leave");
    left.success();
    assert!(
        left.stdout.contains("Unconfigured device. Exiting..."),
        "{left}"
    );
    assert!(device.lets_in(&[]) && device.accepts(48484));
}

#[tokio::test]
async fn power_that_is_cut_while_a_fleet_is_joined_leaves_the_old_state_or_the_new() {
    let mut device = LightDevice::development();
    device.spend();
    let api = api(&device);
    let asked = configuration(&api);
    let encoded = base64(&asked.to_string());
    let before = traces(&device);
    device.sh("sync");
    device.sh(&format!(
        "systemd-run --quiet --unit joining os-config join \"$(echo {encoded} | base64 -d)\""
    ));
    until("the API was asked", async || {
        if !api.requests().is_empty() {
            return Some(());
        }
        let has_failed = device.holds("systemctl is-failed --quiet joining");
        assert!(!has_failed, "{}", device.sh("journalctl --unit joining"));
        None
    })
    .await;
    device.cut_power();
    device.start_again();
    let (config, files) = traces(&device);
    let is_new = config.get("apiEndpoint") == asked.get("apiEndpoint");
    assert_eq!(
        files.contains("openvpn.conf"),
        is_new,
        "half of it: {config} {files}"
    );
    if !is_new {
        assert_eq!(config, before.0);
    }
    // Either way the next one goes through.
    join(&device, &asked).success();
}

#[test]
fn the_shell_of_a_service_is_reached_as_the_reference_client_reaches_it() {
    let device = LightDevice::development();
    let name = "web_1_1_10ca12e1ea5e";
    run_container(&device, name);
    // To the letter, quotation marks and all.
    let engine = "$(if [ -f /usr/bin/balena ]; then echo \"balena\"; else echo \"docker\"; fi)";
    let list = format!("\"{engine}\" ps --format \"{{{{.ID}}}} {{{{.Names}}}}\"");
    let listed = device.ssh(&[], &[&list]);
    listed.success();
    let mut ids = listed.stdout.lines();
    let id = ids.find_map(|line| line.trim_end().strip_suffix(name));
    let id = id.unwrap_or_else(|| panic!("no {name}: {listed}")).trim();
    let shell = "if [ -e /bin/bash ]; then exec /bin/bash; else exec /bin/sh; fi";
    let entered = device.ssh(
        &[],
        &[&format!("{engine} exec -i  {id} /bin/sh -c \"{shell}\"")],
    );
    entered.success();
    let inside = device.ssh(
        &[],
        &[&format!(
            "{engine} exec -i  {id} /bin/sh -c \"echo inside\""
        )],
    );
    assert_eq!(inside.stdout.trim_end(), "inside", "{inside}");
    device.sh(&format!("docker rm --force {name}"));
}
