use serde_json::json;

use super::super::ssh_key::ED25519;
use super::*;

fn read(keys: &Value) -> (Config, Vec<String>) {
    let (config, complaints) = understand(keys.as_object().unwrap());
    let keys = complaints.into_iter();
    let told = keys.map(|told| format!("{}{}", told.key, if told.is_unusable { "!" } else { "" }));
    (config, told.collect())
}

#[test]
fn every_key_is_read() {
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let (config, told) = read(&json!({
        "uuid": "0123456789ABCDEF0123456789abcdef",
        "hostname": "kitchen",
        "initialDeviceName": "The kitchen's",
        "developmentMode": true,
        "persistentLogging": "true",
        "dnsServers": "9.9.9.9 2620:fe::fe 10.0.0.1#5353",
        "ntpServers": "time.example 10.0.0.2",
        "country": "de",
        "listenPort": "4848",
        "balenaRootCA": STANDARD.encode(pem),
        "apiEndpoint": "https://api.example",
        "apiKey": "provisioning",
        "deviceApiKey": "device",
        "registered_at": 1_700_000_000_000_u64,
        "os": {
            "sshKeys": [ED25519],
            "udevRules": {"10-usb": "SUBSYSTEM==\"usb\"", "20.rules": "x"},
            "network": {
                "connectivity": {"uri": "http://check.example/x", "interval": "60", "response": "ok"},
                "wifi": {"randomMacAddressScan": false}
            },
            "fan": {"profile": "quiet"},
            "power": {"mode": "mid"},
            "kernel": {"extraFirmwareVol": "drivers"},
            "journal": {"memory": "16M", "disk": "1G"}
        },
        "theirs": {"a": [1]}
    }));
    assert!(told.is_empty(), "{told:?}");
    insta::assert_debug_snapshot!(config);
}

#[test]
fn nothing_asks_for_nothing() {
    for nothing in [
        json!({}),
        json!({"os": null, "hostname": null, "dnsServers": "", "apiEndpoint": "", "deviceApiKey": ""}),
        json!({"os": {"sshKeys": [], "udevRules": {}, "network": {}, "kernel": {"extraFirmwareVol": false}}}),
        json!({"registered_at": 0}),
    ] {
        assert_eq!(read(&nothing), (Config::default(), Vec::new()), "{nothing}");
    }
    let servers = read(&json!({"dnsServers": "null"})).0.name_servers;
    assert_eq!(servers, NameServers::None);
    let volume = read(&json!({"os": {"kernel": {"extraFirmwareVol": true}}})).0;
    assert_eq!(
        volume.board.firmware_volume.as_deref(),
        Some("extra-firmware")
    );
}

#[test]
fn what_cannot_be_used_is_told_and_asks_for_nothing() {
    for (keys, key) in [
        (json!({"hostname": "two words"}), "hostname!"),
        (json!({"hostname": "-x"}), "hostname!"),
        (json!({"hostname": 7}), "hostname!"),
        (json!({"uuid": "0123"}), "uuid!"),
        (json!({"initialDeviceName": 7}), "initialDeviceName!"),
        (json!({"developmentMode": "on"}), "developmentMode!"),
        (json!({"persistentLogging": 1}), "persistentLogging!"),
        (json!({"dnsServers": "one.one.one.one"}), "dnsServers!"),
        (json!({"dnsServers": "1.1.1.1#+53"}), "dnsServers!"),
        (json!({"dnsServers": ["8.8.8.8"]}), "dnsServers!"),
        (json!({"dnsServers": "10.0.0.1#0"}), "dnsServers!"),
        (json!({"ntpServers": "a;b -x $(reboot)"}), "ntpServers!"),
        (json!({"country": "Germany"}), "country!"),
        (json!({"listenPort": 0}), "listenPort!"),
        (json!({"listenPort": 65536}), "listenPort!"),
        (json!({"listenPort": 80.5}), "listenPort!"),
        (
            json!({"balenaRootCA": "-----BEGIN CERTIFICATE-----"}),
            "balenaRootCA!",
        ),
        (
            json!({"balenaRootCA": STANDARD.encode("no certificate")}),
            "balenaRootCA!",
        ),
        (json!({"apiEndpoint": "api.example"}), "apiEndpoint!"),
        (json!({"apiEndpoint": "https://a\nb"}), "apiEndpoint!"),
        (json!({"deviceApiKey": "a\nb"}), "deviceApiKey!"),
        (json!({"os": []}), "os!"),
        (json!({"os": {"sshKeys": ED25519}}), "os.sshKeys!"),
        (json!({"os": {"sshKeys": ["no key", 7]}}), "os.sshKeys!"),
        (json!({"os": {"udevRules": []}}), "os.udevRules!"),
        (
            json!({"os": {"udevRules": {"../../etc/passwd": "x"}}}),
            "os.udevRules",
        ),
        (
            json!({"os": {"udevRules": {"$(reboot)": "x"}}}),
            "os.udevRules",
        ),
        (
            json!({"os": {"udevRules": {".hidden": "x", "": "x", "a/b": "x", "a": 7}}}),
            "os.udevRules",
        ),
        (
            json!({"os": {"network": {"connectivity": {"uri": "x\n[main]"}}}}),
            "os.network.connectivity.uri!",
        ),
        (
            json!({"os": {"network": {"connectivity": {"response": "x\n[main]"}}}}),
            "os.network.connectivity.response!",
        ),
        (
            json!({"os": {"fan": {"profile": "a b"}}}),
            "os.fan.profile!",
        ),
        (
            json!({"os": {"power": {"mode": ["low"]}}}),
            "os.power.mode!",
        ),
        (
            json!({"os": {"kernel": {"extraFirmwareVol": "../etc"}}}),
            "os.kernel.extraFirmwareVol!",
        ),
        (
            json!({"os": {"journal": {"memory": "8M\nStorage=none"}}}),
            "os.journal.memory!",
        ),
        (
            json!({"os": {"journal": {"disk": "0M"}}}),
            "os.journal.disk!",
        ),
    ] {
        assert_eq!(
            read(&keys),
            (Config::default(), vec![key.to_owned()]),
            "{keys}"
        );
    }
}

#[test]
fn of_lists_what_can_be_used_stays() {
    let (config, told) = read(&json!({
        "dnsServers": "9.9.9.9, dns.example",
        "ntpServers": "a.example $(b)",
        "os": {"sshKeys": ["no key", format!(" {ED25519} me "), null], "udevRules": {"a": "A", "b/": "B"}},
    }));
    let mut told = told;
    told.sort();
    assert_eq!(
        told,
        ["dnsServers", "ntpServers", "os.sshKeys", "os.udevRules"]
    );
    assert_eq!(
        config.name_servers,
        NameServers::These(vec!["9.9.9.9".to_owned()])
    );
    assert_eq!(config.time_servers, ["a.example"]);
    assert_eq!(config.ssh_keys, [format!("{ED25519} me")]);
    assert_eq!(config.udev_rules.len(), 1);
}
