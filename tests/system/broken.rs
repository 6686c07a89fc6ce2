//! A config.json that cannot be used keeps the device reachable on the last good one, and says so.

use serde_json::{Value, json};
use testkit::{LightDevice, until};

/// Waits until the device says what it thinks of its config.json.
async fn says(device: &LightDevice, what: &str, fits: impl Fn(&Value) -> bool) {
    until(what, async || fits(&device.standing()).then_some(())).await;
}

#[tokio::test]
async fn a_broken_config_json_changes_nothing_and_is_told() {
    let mut device = LightDevice::development();
    device.configure(|config| config["hostname"] = json!("pantry"));
    device
        .until("it has its name", "test \"$(hostname)\" = pantry")
        .await;
    let good = serde_json::to_vec(&device.config()).unwrap();
    let mut utf16 = b"\xFF\xFE".to_vec();
    utf16.extend(good.iter().flat_map(|byte| [*byte, 0]));
    let five_megabytes = vec![b' '; 5 * 1024 * 1024];
    let cases: [(&str, &[u8], &str); 7] = [
        ("empty", b"", "empty"),
        ("zeros, as FAT leaves it", &[0; 512], "empty"),
        ("5 MB", &five_megabytes, "larger"),
        ("half of it", &good[..good.len() / 2], "JSON"),
        ("of another kind", b"[1]", "object"),
        ("no text", b"\x00\xff\xfe", "JSON"),
        ("of an editor", &utf16, "UTF-16"),
    ];
    for (what, bytes, words) in cases {
        device.write_config(bytes);
        says(&device, what, |standing| {
            standing["source"] == "last-good"
                && standing["because"]
                    .as_str()
                    .is_some_and(|because| because.contains(words))
        })
        .await;
        assert!(device.lets_in(&[]) && device.accepts(2375), "{what}");
        assert_eq!(device.sh("hostname"), "pantry", "{what}");
        let kept = fs_err::read(device.partition("boot").join("config.json")).unwrap();
        assert_eq!(kept, bytes, "{what}: it is not ours to replace");
    }
    assert!(
        device
            .sh("journalctl --unit os-configure --boot --output cat")
            .contains("the last good one stands")
    );
    // Nothing of it is forgotten by a restart.
    device.stop();
    device.try_start().success();
    assert!(device.lets_in(&[]));
    assert_eq!(device.sh("hostname"), "pantry");
    // Nor where there is no file at all, as without the boot partition.
    fs_err::remove_file(device.partition("boot").join("config.json")).unwrap();
    device.stop();
    device.try_start().success();
    assert!(device.lets_in(&[]));
    assert!(
        device.standing()["because"]
            .as_str()
            .unwrap()
            .contains("boot partition")
    );
    // A mark before the text is an editor's, too, and does no harm.
    device.write_config([b"\xEF\xBB\xBF".as_slice(), &good].concat());
    says(&device, "it is good again", |standing| {
        standing["source"] == "file"
    })
    .await;
}

#[tokio::test]
async fn a_key_that_cannot_be_used_stays_as_it_was_and_the_others_count() {
    let device = LightDevice::development();
    device.configure(|config| {
        config["hostname"] = json!("two words");
        config["listenPort"] = json!("high");
        config["persistentLogging"] = json!(3);
        config["dnsServers"] = json!({"a": 1});
        config["ntpServers"] = json!("10.77.0.9");
        config["os"] = json!([]);
        config["of others"] = json!({"z": 1, "a": [2]});
    });
    says(&device, "all that is wrong is told", |standing| {
        let complaints = standing["complaints"].to_string();
        [
            "hostname",
            "listenPort",
            "persistentLogging",
            "dnsServers",
            "\"os\"",
        ]
        .iter()
        .all(|key| complaints.contains(key))
    })
    .await;
    device
        .until(
            "the rest counts",
            "grep 10.77.0.9 /run/os/chrony/config.sources",
        )
        .await;
    assert_eq!(device.sh("hostname"), device.uuid()[..7]);
    assert!(device.lets_in(&[]) && device.accepts(48484));
}

#[tokio::test]
async fn a_uuid_is_made_or_mended_and_keys_of_others_survive_that() {
    let device =
        LightDevice::boot(&json!({"developmentMode": true, "z": {"theirs": [2, 1]}, "a": null}));
    let text = fs_err::read_to_string(device.partition("boot").join("config.json")).unwrap();
    let keys: Vec<_> = device
        .config()
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    assert_eq!(keys, ["developmentMode", "z", "a", "uuid"], "{text}");
    assert_eq!(device.config()["z"], json!({"theirs": [2, 1]}));
    let uuid = device.uuid().to_owned();
    assert_eq!(uuid.len(), 32);
    for wrong in [json!("of another kind"), json!(7), json!(null), json!("")] {
        device.configure(|config| config["uuid"] = wrong.clone());
        until("the uuid is back", async || {
            (device.config()["uuid"] == uuid).then_some(())
        })
        .await;
        assert_eq!(device.config()["z"], json!({"theirs": [2, 1]}), "{wrong}");
    }
    let file = device.partition("boot").join("config.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&fs_err::metadata(file).unwrap().permissions());
    assert_eq!(
        mode & 0o077,
        0,
        "a provisioning key in it is for root alone"
    );
}

#[tokio::test]
async fn a_state_partition_that_is_full_or_read_only_is_told_and_no_hindrance() {
    let mut device = LightDevice::development();
    device.spend();
    for (name, mount) in [
        (
            "larder",
            "mount -t tmpfs -o size=16k tmpfs /mnt/state && head -c 64k /dev/zero >/mnt/state/full || :",
        ),
        ("cellar", "mount -o remount,ro /mnt/state"),
    ] {
        device.sh(mount);
        device.configure(|config| config["hostname"] = json!(name));
        device
            .until(
                "it is configured",
                &format!("test \"$(hostname)\" = {name}"),
            )
            .await;
        says(&device, "it is told", |standing| {
            standing["failures"]
                .to_string()
                .contains("last good config.json is not kept")
        })
        .await;
        assert!(device.lets_in(&[]));
    }
}
