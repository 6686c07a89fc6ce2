//! What a purge empties, and what it says when it cannot go on.

use std::path::PathBuf;

use bollard::models::{ContainerCreateBody, HostConfig};
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use serde_json::json;
use testkit::image::BUSYBOX;
use testkit::target::IDLE;
use testkit::{Device, Target};

const PURGE: &str = "/v2/applications/1/purge";

async fn files(device: &Device, volume: &str) -> PathBuf {
    let engine = device.engine.client().await;
    let volume = engine.inspect_volume(volume).await.expect("the volume");
    PathBuf::from(volume.mountpoint)
}

#[tokio::test]
async fn a_purge_empties_the_volume_for_firmware_too() {
    let device = Device::start().await;
    let labels = json!({"io.balena.features.extra-firmware": "1"});
    let target = Target::of(&[("web", IDLE)]).with("web", "labels", labels);
    device.converge(&target.text()).await;
    let file = files(&device, "extra-firmware").await.join("blob.bin");
    fs_err::write(&file, "firmware").expect("a file in the volume");
    let endpoint = device.agent.endpoint();
    // It is of no application, so a clean-up leaves it, and so does a restart.
    let clean = endpoint.get("/v2/cleanup-volumes").await;
    assert_eq!(clean.status.as_u16(), 200, "{}", clean.text());
    let restart = endpoint.post("/v2/applications/1/restart", "{}").await;
    assert_eq!(restart.status.as_u16(), 200, "{}", restart.text());
    assert!(file.exists());
    let purged = endpoint.post(PURGE, "{}").await;
    assert_eq!((purged.status.as_u16(), purged.text()), (200, "OK"));
    // The engine has made it again, with the new container.
    let files = files(&device, "extra-firmware").await;
    let left = fs_err::read_dir(files).expect("the volume's files").count();
    assert_eq!(left, 0);
}

#[tokio::test]
async fn a_purge_that_cannot_go_on_says_what_is_in_its_way_and_ends_when_that_is_gone() {
    let device = Device::start().await;
    let target = Target::of(&[("web", IDLE)])
        .with("web", "volumes", json!(["data:/data"]))
        .with_app("volumes", json!({"data": {}}));
    device.converge(&target.text()).await;
    let file = files(&device, "1_data").await.join("kept");
    fs_err::write(&file, "data").expect("a file in the volume");
    let engine = device.engine.client().await;
    // Nobody but who made it takes this one away.
    let body = ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        host_config: Some(HostConfig {
            binds: Some(vec!["1_data:/data".to_owned()]),
            ..HostConfig::default()
        }),
        ..ContainerCreateBody::default()
    };
    let foreign = engine
        .create_container(None::<CreateContainerOptions>, body)
        .await
        .expect("a container");
    let endpoint = device.agent.endpoint();
    let refused = endpoint.post(PURGE, "{}").await;
    assert_eq!(refused.status.as_u16(), 503, "{}", refused.text());
    assert!(refused.text().contains("in use"), "{}", refused.text());
    assert!(file.exists());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let removed = engine.remove_container(&foreign.id, None::<RemoveContainerOptions>);
    removed.await.expect("the end of the container");
    reports.find(|report| report["state"] == "applied").await;
    assert!(!file.exists(), "the volume was not emptied");
}
