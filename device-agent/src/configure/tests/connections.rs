use std::os::unix::fs::PermissionsExt;

use fs_err as fs;
use serde_json::json;

use super::{Device, UUID};

const WIFI: &str = "[connection]\nid=home\ntype=wifi\n\n[wifi]\nssid=home\n";
const ETHERNET: &str = "[connection]\nid=wire\ntype=ethernet\n";
const PLACE: &str = "etc/NetworkManager/system-connections";

/// A device whose boot partition holds these connections.
fn device(connections: &[(&str, &str)]) -> Device {
    let device = Device::new(&json!({"uuid": UUID}));
    fs::create_dir_all(device.path("mnt/boot/system-connections")).unwrap();
    for (name, text) in connections {
        put(&device, name, text);
    }
    device
}

fn put(device: &Device, name: &str, text: &str) {
    fs::write(
        device.path(&format!("mnt/boot/system-connections/{name}")),
        text,
    )
    .unwrap();
}

fn take(device: &Device, name: &str) {
    fs::remove_file(device.path(&format!("mnt/boot/system-connections/{name}"))).unwrap();
}

/// What is below `/run` is gone, and the device is configured again.
fn start(device: &Device) {
    fs::remove_dir_all(device.path("run")).unwrap();
    device.configure();
}

fn held(device: &Device) -> Vec<(String, String, u32)> {
    let entries = fs::read_dir(device.path(PLACE)).unwrap();
    let mut held: Vec<_> = entries
        .map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read_to_string(entry.path()).unwrap(), mode)
        })
        .collect();
    held.sort();
    held
}

fn as_held(files: &[(&str, &str)]) -> Vec<(String, String, u32)> {
    let files = files.iter();
    files
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned(), 0o600))
        .collect()
}

#[test]
fn connections_are_copied_for_root_alone_and_go_with_their_files() {
    let device = device(&[
        ("home", WIFI),
        ("sample.ignore", "words"),
        ("._home", "\0"),
        ("wire.nmconnection", ETHERNET),
    ]);
    device.configure();
    assert_eq!(
        held(&device),
        as_held(&[("home", WIFI), ("wire.nmconnection", ETHERNET)])
    );
    assert_eq!(device.standing()["complaints"], json!([]));
    let before = device.files();
    device.configure();
    assert_eq!(device.files(), before, "nothing is written twice");
    // What the device added itself stays, here and later.
    fs::write(device.path(&format!("{PLACE}/own")), ETHERNET).unwrap();
    fs::set_permissions(
        device.path(&format!("{PLACE}/own")),
        PermissionsExt::from_mode(0o600),
    )
    .unwrap();
    take(&device, "home");
    device.configure();
    assert_eq!(
        held(&device),
        as_held(&[("own", ETHERNET), ("wire.nmconnection", ETHERNET)])
    );
    fs::remove_dir_all(device.path("mnt/boot/system-connections")).unwrap();
    device.configure();
    assert_eq!(held(&device), as_held(&[("own", ETHERNET)]));
}

#[test]
fn what_the_device_changed_is_its_own_once_the_file_is_gone() {
    let device = device(&[("home", WIFI), ("wire", ETHERNET)]);
    device.configure();
    let changed = format!("{WIFI}[ipv4]\nmethod=auto\n");
    fs::write(device.path(&format!("{PLACE}/home")), &changed).unwrap();
    device.configure();
    assert_eq!(held(&device)[0].1, changed, "as long as it runs");
    start(&device);
    assert_eq!(
        held(&device)[0].1,
        WIFI,
        "the boot partition wins at a start"
    );
    fs::write(device.path(&format!("{PLACE}/home")), &changed).unwrap();
    take(&device, "home");
    take(&device, "wire");
    start(&device);
    assert_eq!(held(&device), as_held(&[("home", &changed)]));
    start(&device);
    assert_eq!(held(&device), as_held(&[("home", &changed)]));
}

#[test]
fn bad_files_are_told_and_leave_the_device_as_it_was() {
    let device = device(&[("home", WIFI)]);
    device.configure();
    put(&device, "home", "[connection\ntype=wifi");
    put(&device, "large", &"#".repeat(5 * 1024 * 1024));
    put(&device, "secret", "psk=secret\n");
    put(&device, "a\nb", WIFI);
    fs::create_dir(device.path("mnt/boot/system-connections/folder")).unwrap();
    std::os::unix::fs::symlink(
        "/etc/shadow",
        device.path("mnt/boot/system-connections/link"),
    )
    .unwrap();
    // Somebody else could read it: `NetworkManager` does not use it then.
    fs::set_permissions(
        device.path(&format!("{PLACE}/home")),
        PermissionsExt::from_mode(0o644),
    )
    .unwrap();
    start(&device);
    let standing = device.standing();
    let told: Vec<(&str, &str)> = standing["complaints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| {
            (
                told["key"].as_str().unwrap(),
                told["words"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "system-connections/a\u{FFFD}b",
                "its name is too long, or has characters that a name does not have"
            ),
            ("system-connections/folder", "it is no file"),
            (
                "system-connections/home",
                "line 1 is neither [section] nor key=value"
            ),
            ("system-connections/large", "it is larger than 256 KiB"),
            ("system-connections/link", "it is no file"),
            (
                "system-connections/secret",
                "line 1 stands before the first [section]"
            ),
        ]
    );
    let names: Vec<String> = held(&device)
        .into_iter()
        .map(|(name, text, _)| format!("{name}: {text}"))
        .collect();
    assert_eq!(names, [format!("home: {WIFI}")]);
    put(&device, "home", WIFI);
    start(&device);
    assert_eq!(
        held(&device),
        as_held(&[("home", WIFI)]),
        "and its permissions are mended"
    );
}

#[test]
fn without_a_boot_partition_no_connection_is_gone() {
    let device = device(&[("home", WIFI)]);
    device.configure();
    fs::remove_dir_all(device.path("mnt/boot")).unwrap();
    start(&device);
    assert_eq!(held(&device), as_held(&[("home", WIFI)]));
    // Nor with a config.json that cannot be used.
    fs::create_dir_all(device.path("mnt/boot/system-connections")).unwrap();
    put(&device, "home", WIFI);
    device.write("{");
    start(&device);
    assert_eq!(held(&device), as_held(&[("home", WIFI)]));
}

#[test]
fn dispatcher_scripts_are_copied_so_that_they_can_be_run_and_go_with_their_files() {
    let device = device(&[("home", WIFI)]);
    let folder = device.path("mnt/boot/dispatcher.d");
    fs::create_dir_all(&folder).unwrap();
    let script = "#!/bin/sh\nlogger \"$2\"\n";
    fs::write(folder.join("90-tell"), script).unwrap();
    fs::write(folder.join("91-windows"), "#!/bin/sh\r\ntrue\r\n").unwrap();
    device.configure();
    let place = device.path("etc/NetworkManager/dispatcher.d");
    let held = || {
        let entries = fs::read_dir(&place).unwrap();
        let held = entries.map(|entry| {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
            (entry.file_name().into_string().unwrap(), mode)
        });
        held.collect::<Vec<_>>()
    };
    assert_eq!(held(), [("90-tell".to_owned(), 0o755)]);
    let complaints = device.standing()["complaints"].to_string();
    assert!(
        complaints.contains("dispatcher.d/91-windows"),
        "{complaints}"
    );
    assert!(complaints.contains("CR LF"), "{complaints}");
    fs::write(place.join("own"), script).unwrap();
    fs::remove_file(folder.join("90-tell")).unwrap();
    device.configure();
    let names: Vec<String> = held().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["own"]);
}
