//! The keys of config.json, each by what it changes in the system. Who may enter is in `modes`.

use serde_json::{Value, json};
use testkit::{LightDevice, until, wire};

use crate::beside;

/// Says that a part of the device is as it should be when a script succeeds.
async fn becomes(device: &LightDevice, key: &str, script: &str) {
    device.until(&format!("{key} has its effect"), script).await;
}

fn set(device: &LightDevice, key: &str, value: Value) {
    device.configure(|config| config[key] = value);
}

#[tokio::test]
async fn hostname_is_the_kernels_name_and_the_one_in_the_network() {
    let device = LightDevice::development();
    let short = device.uuid()[..7].to_owned();
    assert_eq!(device.sh("hostname"), short);
    let found = async |name: &str| {
        until("os scan finds it", async || {
            beside::scan(&device)
                .iter()
                .any(|found| found["name"] == name)
                .then_some(())
        })
        .await;
    };
    found(&short).await;
    set(&device, "hostname", json!("galley"));
    becomes(
        &device,
        "hostname",
        "test \"$(hostname)\" = galley && test \"$(cat /etc/hostname)\" = galley",
    )
    .await;
    found("galley").await;
    device.configure(|config| drop(config.as_object_mut().map(|keys| keys.remove("hostname"))));
    becomes(
        &device,
        "hostname",
        &format!("test \"$(hostname)\" = {short}"),
    )
    .await;
    found(&short).await;
}

#[tokio::test]
async fn persistent_logging_moves_the_journal_and_sizes_are_those_of_the_configuration() {
    let mut device = LightDevice::development();
    let in_memory = |size: &str| {
        format!(
            "journalctl --sync; journalctl --boot --unit systemd-journald --output cat | grep 'Runtime Journal.* max {size},'"
        )
    };
    becomes(&device, "nothing", &in_memory("8.0M")).await;
    device.configure(|config| config["os"]["journal"] = json!({"memory": "16M", "disk": "64M"}));
    becomes(&device, "os.journal.memory", &in_memory("16.0M")).await;
    device.sh("echo said before | systemd-cat -t probe");
    set(&device, "persistentLogging", json!(true));
    becomes(&device, "persistentLogging", "journalctl --sync; journalctl --directory /mnt/data/var/log/journal -t probe | grep 'said before'").await;
    assert!(
        device
            .sh("findmnt --noheadings --output SOURCE /var/log/journal")
            .contains("/data/var/log/journal")
    );
    let on_disk = "journalctl --boot --unit systemd-journald --output cat | grep 'System Journal.* max 64.0M,'";
    becomes(&device, "persistentLogging", on_disk).await;
    device.stop();
    device.start_again();
    device.sh("journalctl -t probe --output cat | grep -x 'said before'");
    let size = device.sh("du -sm /mnt/data/var/log/journal | cut -f1");
    assert!(size.parse::<u32>().unwrap() <= 64, "{size}");
    // Through the agent, as tools read it.
    let journal = device.sh(
        "curl --silent --fail --header 'Content-Type: application/json' --data '{\"all\":true,\"count\":10000}' \
         http://127.0.0.1:48484/v2/journal-logs",
    );
    assert!(journal.contains("said before"));
}

#[tokio::test]
async fn dns_servers_are_asked_by_the_device_and_by_containers() {
    let device = LightDevice::development();
    let server = beside::NameServer::start(&device, 0);
    set(
        &device,
        "dnsServers",
        json!(format!("10.77.0.1#{}", server.port())),
    );
    becomes(
        &device,
        "dnsServers",
        "getent ahostsv4 kitchen.example | grep -q 192.0.2.7",
    )
    .await;
    crate::access::load_image(&device);
    let answer = device.sh("docker run --rm os-test/busybox nslookup kitchen.example");
    assert!(
        answer.contains("10.114.102.1") && answer.contains("192.0.2.7"),
        "{answer}"
    );
    set(&device, "dnsServers", json!("null"));
    becomes(&device, "dnsServers", "test ! -s /run/dnsmasq.servers").await;
    device.configure(|config| drop(config.as_object_mut().map(|keys| keys.remove("dnsServers"))));
    becomes(
        &device,
        "dnsServers",
        "grep -x server=8.8.8.8 /run/dnsmasq.servers",
    )
    .await;
}

#[tokio::test]
async fn ntp_servers_are_asked_beside_the_usual_ones() {
    let device = LightDevice::development();
    set(&device, "ntpServers", json!("10.77.0.1 10.77.0.254"));
    becomes(
        &device,
        "ntpServers",
        "chronyc -n sources | grep -q 10.77.0.1 && chronyc -n sources | grep -q 10.77.0.254",
    )
    .await;
    set(&device, "ntpServers", json!(""));
    becomes(
        &device,
        "ntpServers",
        "! chronyc -n sources | grep -q 10.77.0.254",
    )
    .await;
}

#[tokio::test]
async fn rules_of_a_country_and_of_udev_are_where_their_units_look() {
    let device = LightDevice::development();
    device.configure(|config| {
        config["country"] = json!("de");
        config["os"] = json!({
            "udevRules": {"80-probe": "SUBSYSTEM==\"tty\", SYMLINK+=\"probe\""},
            "fan": {"profile": "quiet"}, "power": {"mode": "low"}, "kernel": {"extraFirmwareVol": true}
        });
    });
    becomes(
        &device,
        "os.udevRules",
        "grep -q SYMLINK /run/udev/rules.d/80-probe.rules",
    )
    .await;
    // There is no radio here: that the unit was run with it is what can be seen.
    becomes(
        &device,
        "country",
        "grep -x COUNTRY=DE /run/os/country.env && journalctl --unit os-country --boot | grep -q .",
    )
    .await;
    for (file, line) in [
        ("fan-profile", "FAN_PROFILE=quiet"),
        ("power-mode", "POWER_MODE=low"),
        ("firmware", "EXTRA_FIRMWARE_VOLUME=extra-firmware"),
    ] {
        becomes(&device, file, &format!("grep -x {line} /run/os/{file}.env")).await;
    }
    device.configure(|config| drop(config.as_object_mut().map(|keys| keys.remove("os"))));
    becomes(
        &device,
        "os.udevRules",
        "test ! -e /run/udev/rules.d/80-probe.rules",
    )
    .await;
}

#[tokio::test]
async fn network_manager_asks_whom_config_json_names() {
    let device = LightDevice::development();
    assert!(
        device
            .sh("NetworkManager --print-config")
            .contains("enabled=false"),
        "nobody is asked unless somebody is named"
    );
    let web = beside::Web::start(&device, |_| beside::Reply::ok("here"));
    device.configure(|config| {
        config["os"] = json!({"network": {
            "connectivity": {"uri": web.url("/probe"), "response": "here", "interval": 300},
            "wifi": {"randomMacAddressScan": false},
        }});
    });
    // NetworkManager says "full" of itself, too, while it asks nobody.
    until("NetworkManager asks the server", async || {
        web.requests()
            .iter()
            .any(|request| request.starts_with("GET /probe "))
            .then_some(())
    })
    .await;
    becomes(
        &device,
        "os.network.connectivity",
        "nmcli networking connectivity check | grep -x full",
    )
    .await;
    let config = device.sh("NetworkManager --print-config");
    assert!(
        config.contains("interval=300") && config.contains("wifi.scan-rand-mac-address=no"),
        "{config}"
    );
    device.configure(|config| {
        config["os"]["network"]["connectivity"]["response"] = json!("elsewhere");
    });
    becomes(
        &device,
        "os.network.connectivity.response",
        "nmcli networking connectivity check | grep -qv full",
    )
    .await;
}

#[tokio::test]
async fn listen_port_moves_the_agent() {
    let device = LightDevice::development();
    set(&device, "listenPort", json!(41234));
    until("the agent is at its new port", async || {
        device.accepts(41234).then_some(())
    })
    .await;
    assert!(!device.accepts(48484));
    assert_eq!(device.http(41234, "/ping"), "OK");
}

#[tokio::test]
async fn a_root_certificate_is_the_engines_and_the_agents() {
    let device = LightDevice::development();
    let answer = wire::json("113.os-v1-config.json");
    let pem = answer["services"]["openvpn"]["ca"]
        .as_str()
        .unwrap()
        .to_owned();
    let main_pid = "systemctl show balena --property MainPID --value";
    let before = device.sh(main_pid);
    set(&device, "balenaRootCA", json!(beside::base64(&pem)));
    becomes(
        &device,
        "balenaRootCA",
        "test -s /run/os/certificates/balenaRootCA.crt",
    )
    .await;
    assert_eq!(
        device.sh("cat /run/os/certificates/balenaRootCA.crt"),
        pem.trim_end()
    );
    becomes(
        &device,
        "balenaRootCA",
        &format!("test \"$({main_pid})\" != {before} && docker version"),
    )
    .await;
    set(&device, "balenaRootCA", json!(""));
    becomes(
        &device,
        "balenaRootCA",
        "test ! -e /run/os/certificates/balenaRootCA.crt",
    )
    .await;
}
