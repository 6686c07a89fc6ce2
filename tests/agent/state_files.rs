//! A state file that cannot be read costs nobody a container.

use testkit::target::IDLE;
use testkit::{Device, Target};

use crate::recreation::containers;

/// A device with one service, its agent stopped. Returns its containers.
async fn stopped() -> (Device, std::collections::BTreeMap<String, (String, String)>) {
    let mut device = Device::start().await;
    let engine = device.engine.client().await;
    // Two targets, so that there is a last good state beside the present one.
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    device
        .converge(&Target::of(&[("one", IDLE), ("two", IDLE)]).text())
        .await;
    device.agent.stop().await;
    let before = containers(&engine).await;
    assert_eq!(before.len(), 2);
    (device, before)
}

/// Starts the agent again and checks that it lives, says what is wrong and keeps the first service as it was.
async fn survives(
    mut device: Device,
    before: &std::collections::BTreeMap<String, (String, String)>,
) {
    let engine = device.engine.client().await;
    device.agent.resume(&device.machine).await;
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let report = reports.find(|report| report["state"] != "applying").await;
    let faults = report["faults"].to_string();
    assert!(
        faults.contains("state.json"),
        "the fault names the file: {report}"
    );
    let after = containers(&engine).await;
    assert_eq!(
        after["one_1_1_10ca12e1ea5e"], before["one_1_1_10ca12e1ea5e"],
        "nothing was restarted"
    );
    // A new target is the way out.
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    let after = containers(&engine).await;
    assert_eq!(after.len(), 1);
    assert_eq!(
        after["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"]
    );
}

#[tokio::test]
async fn a_file_cut_short_by_a_loss_of_power() {
    let (device, before) = stopped().await;
    let file = device.agent.state_dir().join("state.json");
    let whole = fs_err::read(&file).unwrap();
    fs_err::write(&file, &whole[..whole.len() / 2]).unwrap();
    survives(device, &before).await;
}

#[tokio::test]
async fn a_file_of_zeros() {
    let (device, before) = stopped().await;
    let file = device.agent.state_dir().join("state.json");
    let size = fs_err::metadata(&file).unwrap().len();
    fs_err::write(&file, vec![0; usize::try_from(size).unwrap()]).unwrap();
    survives(device, &before).await;
}

#[tokio::test]
async fn every_file_is_unreadable() {
    let (device, before) = stopped().await;
    for entry in fs_err::read_dir(device.agent.state_dir())
        .unwrap()
        .flatten()
    {
        if entry
            .path()
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            fs_err::write(entry.path(), "{").unwrap();
        }
    }
    survives(device, &before).await;
}

#[tokio::test]
async fn a_file_of_a_newer_agent() {
    let (device, before) = stopped().await;
    let file = device.agent.state_dir().join("state.json");
    let mut state: serde_json::Value =
        serde_json::from_slice(&fs_err::read(&file).unwrap()).unwrap();
    let version = state
        .as_object_mut()
        .unwrap()
        .iter_mut()
        .find(|(name, _)| name.contains("version"));
    *version.expect("the file names its version").1 = serde_json::json!(9999);
    fs_err::write(&file, state.to_string()).unwrap();
    survives(device, &before).await;
}

#[tokio::test]
async fn a_disk_that_a_service_has_filled_does_not_keep_the_service() {
    let (mut device, before) = stopped().await;
    let state = device.agent.state_dir();
    let state = state.to_str().unwrap();
    let script = format!(
        "cp -a {state} {state}.before && mount -t tmpfs -o size=4m tmpfs {state} && cp -a {state}.before/. {state}/"
    );
    device.machine.run("sh", &["-ec", &script]);
    device.agent.resume(&device.machine).await;
    let three = Target::of(&[("one", IDLE), ("two", IDLE), ("three", IDLE)]);
    device.converge(&three.text()).await;
    let fill = format!("! cat /dev/zero > {state}/fill; ! echo more > {state}/more");
    device.machine.run("sh", &["-ec", &fill]);
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    let engine = device.engine.client().await;
    let after = containers(&engine).await;
    assert_eq!(after.len(), 1);
    assert_eq!(
        after["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"]
    );
    // And is what counts after a restart.
    assert!(device.agent.stop().await);
    device.agent.resume(&device.machine).await;
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
}
