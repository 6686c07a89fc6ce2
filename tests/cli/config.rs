//! `os config` on images, and without one: types, keys and secrets.

use std::os::unix::fs::PermissionsExt;

use testkit::Workstation;

use crate::{
    USAGE,
    disks::{Disk, Layout, SYSTEMS},
    value,
};

#[tokio::test]
async fn a_configuration_keeps_its_types_and_its_secrets() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    let write = async |key: &str, typed: &str| {
        workstation
            .os(&["config", "write", key, typed, "-d", &image])
            .await
    };
    for (key, typed) in [
        ("developmentMode", "true"),
        ("hostname", "007"),
        ("appUpdatePollInterval", "900000"),
        ("os.udevRules.56.own", "ENV{A}=\"1\""),
        ("os.network.connectivity.uri", "https://example.com/check"),
    ] {
        write(key, typed).await.success();
    }
    let read = workstation.os(&["config", "read", "-d", &image]).await;
    read.success();
    let expected = serde_json::json!({
        "developmentMode": true, "hostname": "007", "appUpdatePollInterval": 900_000,
        "os": { "udevRules": { "56.own": "ENV{A}=\"1\"" }, "network": { "connectivity": { "uri": "https://example.com/check" } } },
    });
    assert_eq!(value(&read.stdout), expected);
    for (key, typed, words) in [
        (
            "persistantLogging",
            "true",
            "did you mean persistentLogging?",
        ),
        ("nothingLikeIt", "true", "--any-key"),
        (
            "developmentMode",
            "yes",
            "`developmentMode` wants true or false",
        ),
        ("apiKey", "geheim", "--value-file"),
    ] {
        let before = disk.bytes();
        let refused = write(key, typed).await;
        assert_eq!(refused.code, USAGE, "{refused}");
        assert!(
            refused.stderr.contains(words) && !refused.stderr.contains("geheim"),
            "{refused}"
        );
        assert!(disk.bytes() == before);
    }
    workstation.write("secret", "geheim\n");
    let secret = [
        "config",
        "write",
        "apiKey",
        "--value-file",
        "secret",
        "-d",
        &image,
    ];
    workstation.os(&secret).await.success();
    // A pipe takes it all; a terminal shows no secret unasked.
    let read = workstation
        .os(&["config", "read", "apiKey", "-d", &image])
        .await;
    assert_eq!(read.stdout, "geheim\n");
    let shown = workstation
        .start_in_terminal(&["config", "read", "-d", &image])
        .output()
        .await;
    assert!(
        shown.stdout.contains("(hidden)") && !shown.stdout.contains("geheim"),
        "{shown}"
    );
    let asked = ["config", "read", "-d", &image, "--show-secrets"];
    let shown = workstation.start_in_terminal(&asked).output().await;
    assert!(shown.stdout.contains("geheim"), "{shown}");
    let gone = ["config", "write", "apiKey", "--remove", "-d", &image];
    workstation.os(&gone).await.success();
    let nothing = workstation
        .os(&["config", "read", "apiKey", "-d", &image])
        .await;
    assert_eq!(nothing.code, 1, "{nothing}");
}

#[tokio::test]
async fn a_configuration_is_made_without_an_image() {
    let workstation = Workstation::new(None);
    let made = workstation
        .os(&[
            "config",
            "generate",
            "--device-type",
            "board",
            "--hostname",
            "kitchen",
            "--dev",
        ])
        .await;
    made.success();
    let expected =
        serde_json::json!({"deviceType": "board", "developmentMode": true, "hostname": "kitchen"});
    assert_eq!(value(&made.stdout), expected);
    let written = [
        "config",
        "generate",
        "--device-type",
        "board",
        "-o",
        "made.json",
    ];
    workstation.os(&written).await.success();
    let path = workstation.home().join("made.json");
    assert_eq!(
        fs_err::read_to_string(&path).unwrap(),
        r#"{"deviceType":"board"}"#
    );
    let metadata = fs_err::metadata(&path).unwrap();
    let bits = PermissionsExt::mode(&metadata.permissions());
    assert_eq!(bits & 0o777, 0o600);
    let missing = workstation.os(&["config", "generate"]).await;
    assert_eq!(missing.code, USAGE, "{missing}");
    let keys = workstation.os(&["config", "keys"]).await;
    assert!(keys.stdout.lines().any(|key| key == "os.sshKeys"), "{keys}");
}

#[tokio::test]
async fn what_is_named_as_a_pin_of_a_board_may_be_typed() {
    let workstation = Workstation::new(None);
    let disk = Disk::new(Layout::Mbr, SYSTEMS[1]);
    let image = disk.name();
    for key in ["gpioPin", "buttonPin", "hotkey"] {
        let write = ["config", "write", "--any-key", key, "4", "-d", &image];
        workstation.os(&write).await.success();
    }
}
