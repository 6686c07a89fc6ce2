use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde_json::{Value, json};

use super::super::ssh_key::ED25519;
use super::{Device, UUID};

#[test]
fn a_second_run_writes_nothing_and_a_change_only_what_it_concerns() {
    let device = Device::new(&json!({"uuid": UUID}));
    device.configure();
    assert_eq!(device.text("run/os/hostname"), "0123456\n");
    assert_eq!(device.standing()["source"], "file");
    let before = device.files();
    device.configure();
    assert_eq!(device.files(), before);
    device.write(
        &json!({"uuid": UUID, "hostname": "kitchen", "os": {"udevRules": {"10-a": "A"}}})
            .to_string(),
    );
    device.configure();
    assert_eq!(device.text("run/os/hostname"), "kitchen\n");
    assert_eq!(device.text("run/udev/rules.d/10-a.rules"), "A\n");
    let after = device.files();
    let changed: Vec<&PathBuf> = after
        .iter()
        .filter(|file| !before.contains(file))
        .map(|(path, _)| path)
        .collect();
    assert_eq!(
        changed,
        [
            &device.path("mnt/boot/config.json"),
            &device.path("mnt/state/os/config.json"),
            &device.path("run/os/configured.json"),
            &device.path("run/os/hostname"),
            &device.path("run/udev/rules.d/10-a.rules"),
        ]
    );
    // What is not asked for any more goes, what others put there stays.
    fs::write(device.path("run/udev/rules.d/99-theirs.rules"), "T").unwrap();
    device.write(&json!({"uuid": UUID}).to_string());
    device.configure();
    assert!(!device.path("run/udev/rules.d/10-a.rules").exists());
    assert!(device.path("run/udev/rules.d/99-theirs.rules").exists());
}

#[test]
fn what_somebody_changed_or_took_away_comes_back() {
    let device = Device::new(&json!({"uuid": UUID}));
    device.configure();
    fs::write(
        device.path("run/os/ssh.env"),
        "SSHD_OPTS=-o PermitEmptyPasswords=yes",
    )
    .unwrap();
    fs::remove_file(device.path("run/os/hostname")).unwrap();
    fs::write(device.path("run/os/configured.json"), "\0\0").unwrap();
    device.configure();
    assert!(
        device
            .text("run/os/ssh.env")
            .contains("PermitEmptyPasswords=no")
    );
    assert_eq!(device.text("run/os/hostname"), "0123456\n");
}

#[test]
fn a_broken_config_json_leaves_the_device_as_it_is_and_says_so() {
    let device = Device::new(
        &json!({"uuid": UUID, "hostname": "kitchen", "developmentMode": true, "os": {"sshKeys": [ED25519]}}),
    );
    device.configure();
    let of_device = |device: &Device| {
        let is_it =
            |path: &Path| path.starts_with(device.path("run")) && !path.ends_with("configure.json");
        device
            .files()
            .into_iter()
            .filter(|(path, _)| is_it(path))
            .collect::<Vec<_>>()
    };
    let before = of_device(&device);
    let large = format!(
        "{{\"hostname\":\"attic\",\"a\":\"{}\"}}",
        "x".repeat(5 * 1024 * 1024)
    );
    for broken in [
        "",
        "{",
        "[]",
        "\0\0\0\0",
        "{\"uuid\":\"0123456789ab",
        "nonsense",
        &large,
        "{\"hostname\":\"attic\",}",
    ] {
        device.write(broken);
        device.configure();
        assert_eq!(of_device(&device), before, "{broken:.20}");
        let standing = device.standing();
        assert_eq!(standing["source"], "last-good", "{broken:.20}");
        assert!(standing["because"].is_string(), "{broken:.20}");
        assert_eq!(
            device.text("mnt/boot/config.json"),
            broken,
            "it is not ours to replace"
        );
    }
    fs::remove_dir_all(device.path("mnt/boot")).unwrap();
    device.configure();
    assert_eq!(of_device(&device), before);
    // Also after a start: what was below /run is gone.
    fs::remove_dir_all(device.path("run")).unwrap();
    device.configure();
    assert_eq!(device.text("run/os/hostname"), "kitchen\n");
    fs::create_dir_all(device.path("mnt/boot")).unwrap();
    device.write(&json!({"uuid": UUID, "hostname": "attic"}).to_string());
    device.configure();
    assert_eq!(
        (
            device.standing()["source"].clone(),
            device.text("run/os/hostname")
        ),
        (json!("file"), "attic\n".to_owned())
    );
}

#[test]
fn a_device_without_a_uuid_gets_one_and_keeps_it() {
    let device = Device::new(&json!({"z": 1, "a": {"theirs": []}}));
    device.configure();
    let config: Value = serde_json::from_str(&device.text("mnt/boot/config.json")).unwrap();
    let uuid = config["uuid"].as_str().unwrap().to_owned();
    assert_eq!(uuid.len(), 32);
    assert_eq!(config, json!({"z": 1, "a": {"theirs": []}, "uuid": uuid}));
    assert_eq!(device.text("mnt/state/os/uuid"), format!("{uuid}\n"));
    let mode = fs::metadata(device.path("mnt/boot/config.json"))
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600, "there are keys in it");
    for without in [json!({}), json!({"uuid": "short"}), json!({"uuid": null})] {
        device.write(&without.to_string());
        device.configure();
        let config: Value = serde_json::from_str(&device.text("mnt/boot/config.json")).unwrap();
        assert_eq!(config["uuid"], json!(uuid), "{without}");
    }
}

#[test]
fn without_boot_and_state_partitions_the_device_has_a_name_all_the_same() {
    let dir = tempfile::tempdir().unwrap();
    // Where the folder would be, a file is: nothing can be kept.
    fs::create_dir_all(dir.path().join("mnt")).unwrap();
    fs::write(dir.path().join("mnt/state"), "").unwrap();
    let device = Device::at(dir);
    let error = device.try_configure().unwrap_err().to_string();
    assert!(error.contains("the uuid is not kept"), "{error}");
    assert_eq!(device.text("run/os/hostname").len(), 8);
    assert!(
        device
            .text("run/os/ssh.env")
            .contains("PermitEmptyPasswords=no"),
        "nobody is let in"
    );
    assert_eq!(device.standing()["source"], "defaults");
}

#[test]
fn one_file_that_cannot_be_written_keeps_no_other_from_it_and_is_tried_again() {
    let device = Device::new(&json!({"uuid": UUID, "hostname": "kitchen"}));
    fs::create_dir_all(device.path("run/dnsmasq.servers/in-the-way")).unwrap();
    let error = device.try_configure().unwrap_err().to_string();
    assert!(
        error.contains("/run/dnsmasq.servers is not written"),
        "{error}"
    );
    assert_eq!(device.text("run/os/hostname"), "kitchen\n");
    assert_eq!(device.standing()["failures"].as_array().unwrap().len(), 1);
    fs::remove_dir_all(device.path("run/dnsmasq.servers")).unwrap();
    device.configure();
    assert_eq!(device.text("run/dnsmasq.servers"), "server=8.8.8.8\n");
    assert_eq!(device.standing()["failures"], json!([]));
}

#[test]
fn keys_that_are_nobodys_here_survive_a_rewrite_in_their_order() {
    let text = r#"{"version":"6.1.0","deviceApiKeys":{"b.example":"1","a.example":"2"},"deviceId":7,"applicationId":"12","applicationName":"kitchens","userId":3,"username":"me","deviceType":"qemu","vpnEndpoint":"vpn.example","vpnPort":443,"deltaEndpoint":"https://delta.example","logsEndpoint":"","mixpanelToken":"t","apiTimeout":900000,"appUpdatePollInterval":"600000","bootstrapRetryDelay":30000,"installer":{"secureboot":false,"migrate":{"force":true},"target_devices":"sda"},"wifiSsid":"s","wifiKey":"k","ip":"","gateway":null,"netmask":0,"connectivity":"connman","files":{},"debug":[],"// a comment":"stays","os":{"theirs":1}}"#;
    let device = Device::new(&json!({}));
    device.write(text);
    device.configure();
    let written: Value = serde_json::from_str(&device.text("mnt/boot/config.json")).unwrap();
    let uuid = written["uuid"].as_str().unwrap();
    let end = format!(r#","uuid":"{uuid}"}}"#);
    assert_eq!(
        written.to_string(),
        format!("{}{end}", text.strip_suffix('}').unwrap())
    );
    assert_eq!(device.standing()["complaints"], json!([]));
}
