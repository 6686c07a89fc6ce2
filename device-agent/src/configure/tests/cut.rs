//! Power is cut at every single write, and the device is started again; or somebody writes config.json in between.

use std::path::Path;

use fs_err as fs;
use serde_json::{Value, json};

use super::super::ssh_key::ED25519;
use super::{Device, UUID};
use crate::store::fused::Fused;

const WIFI: &str = "[connection]\nid=home\ntype=wifi\n";

fn boot(device: &Device, config: &str, connection: Option<&str>) {
    let folder = device.path("mnt/boot/system-connections");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    device.write(config);
    if let Some(text) = connection {
        fs::write(folder.join("home"), text).unwrap();
    }
}

/// Every file by its path below the device, but for what names a moment.
fn contents(device: &Device) -> Vec<(String, Vec<u8>)> {
    let files = device.files().into_iter().map(|(path, _)| path);
    files
        .map(|path| {
            let name = path.strip_prefix(device.path("")).unwrap();
            (name.display().to_string(), fs::read(&path).unwrap())
        })
        .filter(|(name, _)| name != "run/os/configure.lock")
        .collect()
}

/// Calls `check` with a device for each moment at which power can be lost while `prepare`d work is done.
fn at_every_moment(prepare: impl Fn() -> Device, check: impl Fn(&Device, &str)) {
    let mut moments = 0;
    for is_last_done in [false, true] {
        for operation in 1.. {
            let device = prepare();
            let disk = Fused::new(operation, is_last_done);
            let outcome = device.configure_on(&disk);
            if !disk.is_blown() {
                outcome.unwrap();
                break;
            }
            check(
                &device,
                &format!("in operation {operation}, done: {is_last_done}"),
            );
            moments += 1;
        }
    }
    assert!(moments > 60, "{moments}");
}

fn start(device: &Device) {
    drop(fs::remove_dir_all(device.path("run")));
    device.configure();
}

fn is_whole(path: &Path) -> bool {
    let text = fs::read(path).unwrap();
    serde_json::from_slice::<Value>(&text).is_ok()
}

#[test]
fn a_first_start_ends_in_one_uuid_whenever_power_is_cut() {
    at_every_moment(
        || {
            let device = Device::new(&json!({}));
            boot(
                &device,
                r#"{"z":1,"hostname":"kitchen","theirs":[2]}"#,
                Some(WIFI),
            );
            device
        },
        |device, moment| {
            assert!(is_whole(&device.path("mnt/boot/config.json")), "{moment}");
            let kept = fs::read_to_string(device.path("mnt/state/os/uuid")).ok();
            start(device);
            let config: Value = serde_json::from_str(&device.text("mnt/boot/config.json")).unwrap();
            let uuid = config["uuid"].as_str().unwrap();
            assert_eq!(
                config,
                json!({"z": 1, "hostname": "kitchen", "theirs": [2], "uuid": uuid})
            );
            assert_eq!(device.text("mnt/state/os/uuid").trim(), uuid, "{moment}");
            if let Some(kept) = kept {
                assert_eq!(kept.trim(), uuid, "{moment}");
            }
            // The last good one is as good as the file.
            device.write("");
            start(device);
            assert_eq!(device.standing()["source"], "last-good", "{moment}");
            assert_eq!(device.text("run/os/hostname"), "kitchen\n", "{moment}");
            let leftovers = contents(device)
                .into_iter()
                .filter(|(name, _)| Path::new(name).extension().is_some_and(|end| end == "new"));
            assert_eq!(leftovers.count(), 0, "{moment}");
        },
    );
}

#[test]
fn a_change_is_whole_after_the_next_start_whenever_power_is_cut() {
    let old = json!({"uuid": UUID, "hostname": "kitchen", "developmentMode": true, "os": {"udevRules": {"10-a": "A"}}});
    let new = json!({"uuid": UUID, "hostname": "attic", "os": {"udevRules": {"20-b": "B"}, "sshKeys": [ED25519]}});
    let prepare = || {
        let device = Device::new(&json!({}));
        boot(&device, &old.to_string(), Some(WIFI));
        device.configure();
        boot(&device, &new.to_string(), None);
        device
    };
    let uncut = prepare();
    uncut.configure();
    let uncut = contents(&uncut);
    at_every_moment(prepare, |device, moment| {
        assert!(
            is_whole(&device.path("mnt/state/os/config.json")),
            "{moment}"
        );
        // The program is ended, and called again; or the device is.
        if moment.ends_with("true") {
            device.configure();
        } else {
            start(device);
        }
        assert_eq!(contents(device), uncut, "{moment}");
    });
}

#[test]
fn a_config_json_that_changes_meanwhile_is_applied_too() {
    let mut moments = 0;
    for operation in 1.. {
        let device = Device::new(&json!({"uuid": UUID, "hostname": "kitchen"}));
        let file = device.path("mnt/boot/config.json");
        let disk = Fused::meddled(operation, move || {
            fs::write(
                &file,
                json!({"uuid": UUID, "hostname": "attic"}).to_string(),
            )
            .unwrap();
        });
        device.configure_on(&disk).unwrap();
        if !disk.is_blown() {
            break;
        }
        moments += 1;
        assert_eq!(
            device.text("run/os/hostname"),
            "attic\n",
            "after {operation}"
        );
        assert!(
            device.text("mnt/state/os/config.json").contains("attic"),
            "after {operation}"
        );
    }
    assert!(moments > 40, "{moments}");
}
