//! The agent is killed at every step with which a local session ends: of the session nothing is left, and what the fleet has
//! is as it was.

use std::collections::{BTreeMap, BTreeSet};

use bollard::Docker;
use bollard::query_parameters::{
    ListImagesOptionsBuilder, ListNetworksOptions, ListVolumesOptions,
};
use serde_json::{Value, json};
use testkit::proxy::hold::Moment;
use testkit::target::IDLE;
use testkit::tier::sampled;
use testkit::{Device, Target, image};

use crate::every_step::{FLEET_TARGET, moments, reached_line};
use crate::recreation::containers;

/// Of the moments, every which one the usual run takes. Odd, so that both kinds are met.
const STRIDE: usize = 13;

/// All that is on the engine.
async fn inventory(engine: &Docker) -> BTreeMap<&'static str, BTreeSet<String>> {
    let volumes = engine.list_volumes(None::<ListVolumesOptions>).await;
    let volumes = volumes.unwrap().volumes.unwrap_or_default();
    let networks = engine.list_networks(None::<ListNetworksOptions>).await;
    let networks = networks.unwrap().into_iter();
    let all = ListImagesOptionsBuilder::new().all(true).build();
    let images = engine.list_images(Some(all)).await.unwrap().into_iter();
    BTreeMap::from([
        ("containers", containers(engine).await.into_keys().collect()),
        ("volumes", volumes.into_iter().map(|v| v.name).collect()),
        ("networks", networks.filter_map(|n| n.name).collect()),
        ("images", images.map(|image| image.id).collect()),
    ])
}

async fn put_local_mode(device: &Device, body: Value) {
    let api = device.agent.endpoint();
    let answer = api.put("/os/v1/local-mode", body.to_string()).await;
    assert!(answer.status.is_success(), "{}", answer.text());
}

/// Waits until these services, and no others, have been applied.
async fn has_applied(device: &Device, wanted: &[&str]) {
    let api = device.agent.endpoint();
    let mut reports = api.lines("/os/v1/report?follow=true").await;
    reports
        .find(|report| {
            let services = report["services"].as_array().unwrap().iter();
            let names: Vec<_> = services.filter_map(|s| s["name"].as_str()).collect();
            report["state"] == "applied" && names == wanted
        })
        .await;
}

/// A local session that has two containers, an image, a network and a volume.
async fn local_session(device: &Device, engine: &Docker) {
    put_local_mode(device, json!({"enabled": true})).await;
    image::make_service(engine, "one", IDLE).await;
    let target = Target::of(&[("one", IDLE), ("two", IDLE)])
        .with("one", "image", json!("local_image_one:latest"))
        .with("one", "command", json!(null))
        .with("one", "volumes", json!(["scratch:/scratch"]))
        .with("two", "networks", json!(["back"]))
        .with_app("networks", json!({"back": {}}))
        .with_app("volumes", json!({"scratch": {}}));
    device.converge(&target.text()).await;
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_step_out_of_a_local_session_leaves_nothing_behind() {
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    let (mut device, proxy) = Device::start_behind_proxy_configured(Some(&config)).await;
    let engine = device.engine.client().await;
    let fleet = Target::of(&[("fleet", IDLE)])
        .with("fleet", "volumes", json!(["kept:/data"]))
        .with_app("volumes", json!({"kept": {}}));
    let posted = device
        .agent
        .endpoint()
        .post(FLEET_TARGET, fleet.text())
        .await;
    assert!(posted.status.is_success(), "{}", posted.text());
    has_applied(&device, &["fleet"]).await;
    let before = inventory(&engine).await;
    let leave = json!({"enabled": false, "discard": true});

    local_session(&device, &engine).await;
    let _count = proxy.hold(usize::MAX, Moment::Asked);
    put_local_mode(&device, leave.clone()).await;
    has_applied(&device, &["fleet"]).await;
    let requests = proxy.changes();
    assert_eq!(inventory(&engine).await, before, "{requests:#?}");
    for (number, at) in sampled(moments(requests.len()), STRIDE) {
        local_session(&device, &engine).await;
        let mut held = proxy.hold(number, at);
        put_local_mode(&device, leave.clone()).await;
        let ended = has_applied(&device, &["fleet"]);
        let reached = held.reached_before(ended).await;
        let line = reached_line(&proxy, number, reached.as_ref().ok());
        let what = format!("killed at request {number}, {at:?}: {line}");
        println!("{what}");
        if let Ok(caught) = reached {
            device.agent.kill().await;
            drop(caught);
            device.agent.resume(&device.machine).await;
        }
        has_applied(&device, &["fleet"]).await;
        assert_eq!(inventory(&engine).await, before, "{what}");
    }
}
