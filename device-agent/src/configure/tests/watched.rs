use std::time::Duration;

use fs_err as fs;
use serde_json::json;

use super::super::remembered::Memory;
use super::super::watch::watch_by;
use super::super::{Told, run_again, watch};
use super::{Device, UUID};
use crate::store::disk::OwnDisk;

/// Waits until the device has this name.
async fn until_named(device: &Device, name: &str) {
    let named = async {
        let file = device.path("run/os/hostname");
        let name = format!("{name}\n");
        while fs::read_to_string(&file).ok().as_ref() != Some(&name) {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), named).await;
    waited.unwrap_or_else(|_| panic!("the device is never called {name}"));
}

fn config(name: &str) -> String {
    json!({"uuid": UUID, "hostname": name}).to_string()
}

/// Does something while the device watches its config.json.
async fn while_watched(device: &Device, work: impl Future<Output = ()>) {
    let places = device.places();
    tokio::select! {
        ended = watch(&places, &OwnDisk) => panic!("the watch has an end: {ended:?}"),
        () = work => {}
    }
}

#[tokio::test]
async fn every_change_is_seen_however_they_follow_each_other() {
    let device = Device::new(&json!({"uuid": UUID, "hostname": "first"}));
    while_watched(&device, async {
        until_named(&device, "first").await;
        for round in 0..50 {
            // In place, and replaced; the second one at any time of what the first one sets off.
            device.write(&config(&format!("a{round}")));
            tokio::time::sleep(Duration::from_micros(round * 100)).await;
            let new = device.path("mnt/boot/new");
            let name = format!("b{round}");
            fs::write(&new, config(&name)).unwrap();
            fs::rename(&new, device.path("mnt/boot/config.json")).unwrap();
            until_named(&device, &name).await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_file_that_comes_back_is_seen() {
    let device = Device::new(&json!({"uuid": UUID, "hostname": "first"}));
    while_watched(&device, async {
        until_named(&device, "first").await;
        fs::remove_file(device.path("mnt/boot/config.json")).unwrap();
        device.write(&config("second"));
        until_named(&device, "second").await;
    })
    .await;
}

#[tokio::test]
async fn without_a_watch_the_device_is_configured_all_the_same() {
    let device = Device::new(&json!({"uuid": UUID, "hostname": "first"}));
    let places = device.places();
    let none = || Err(std::io::Error::other("too many of them"));
    tokio::select! {
        ended = watch_by(&places, &OwnDisk, none) => panic!("the watch has an end: {ended:?}"),
        () = until_named(&device, "first") => {}
    }
}

#[tokio::test]
async fn a_bus_that_is_not_there_is_tried_again() {
    let device = Device::new(&json!({"uuid": UUID}));
    let mut places = device.places();
    places.bus = Some(device.path("run/dbus/system_bus_socket"));
    let mut memory = Memory::default();
    for _ in 0..2 {
        let done = run_again(&places, &OwnDisk, &mut memory).await;
        assert_eq!(done.unwrap(), Told::NoBus);
    }
    // Who has no bus to tell by owes nobody less.
    let owed = || {
        let text = device.text("run/os/configured.json");
        serde_json::from_str::<serde_json::Value>(&text).unwrap()["undone"]["untold"].clone()
    };
    let before = owed();
    assert!(before.to_string().contains("os-agent.service"), "{before}");
    let told_by = places.bus.take();
    run_again(&places, &OwnDisk, &mut Memory::default())
        .await
        .unwrap();
    assert_eq!(owed(), before);
    places.bus = told_by;
    let done = run_again(&places, &OwnDisk, &mut memory).await;
    assert_eq!(done.unwrap(), Told::NoBus);
}
