use std::time::Duration;

use fs_err as fs;
use serde_json::json;

use super::super::watch;
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
