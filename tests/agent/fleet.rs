//! Targets of a fleet in its own form: applications by their uuids, of every class, on a real engine.

use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions};
use serde_json::{Value, json};
use testkit::target::IDLE;
use testkit::{Device, Target};

const FLEET: &str = "0f1ee7000f1ee7000f1ee7000f1ee700";
const BLOCK: &str = "b10cb10cb10cb10cb10cb10cb10cb10c";

/// A target of the fleet's own application and a block beside it.
fn target(device: &str) -> Value {
    let app = |id: u32, class: &str, service: &str| {
        // What runs is what a push would run.
        let pushed = Target::of(&[(service, IDLE)]).0;
        let pushed = &pushed["local"]["apps"]["1"]["services"]["1"];
        json!({"id": id, "name": service, "class": class, "releases": {"c0ffee": {"id": 7,
            "services": {service: {"id": id + 100, "image_id": id + 200, "image": pushed["image"],
                "environment": {}, "labels": {}, "composition": {"command": pushed["command"]}}},
            "volumes": {}, "networks": {}}}})
    };
    json!({device: {"name": "device", "config": {"BALENA_SUPERVISOR_OVERRIDE_LOCK": "true"}, "apps": {
        FLEET: app(12, "fleet", "web"),
        BLOCK: app(13, "block", "side"),
    }}})
}

fn has_applied<'a>(names: &'a [&'a str]) -> impl Fn(&Value) -> bool + 'a {
    move |report| {
        let services = report["services"].as_array().expect("services");
        let told: Vec<_> = services.iter().filter_map(|s| s["name"].as_str()).collect();
        report["state"] == "applied" && told == names
    }
}

#[tokio::test]
async fn applications_of_a_fleet_keep_their_uuids_and_blocks_stay_in_local_mode() {
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    let device = Device::start_configured(&config).await;
    let endpoint = device.agent.endpoint();
    let info = endpoint.get("/os/v1/info").await.json();
    let body = target(info["uuid"].as_str().expect("a uuid"));
    let path = "/os/v1/fleet/target-state";
    let posted = endpoint.post(path, body.to_string()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let applied = reports.find(has_applied(&["web", "side"])).await;
    // The same again asks for nothing.
    let again = endpoint.post(path, body.to_string()).await;
    assert_eq!(again.json()["generation"], posted.json()["generation"]);

    let engine = device.engine.client().await;
    let id = applied["services"][0]["container_id"].as_str().expect("it");
    let web = engine.inspect_container(id, None::<InspectContainerOptions>);
    let web = web.await.expect("the container");
    assert_eq!(web.name.as_deref(), Some("/web_212_7_c0ffee"));
    let config = web.config.expect("its configuration");
    let labels = config.labels.expect("labels");
    for (label, value) in [
        ("io.balena.app-uuid", FLEET),
        ("io.balena.app-id", "12"),
        ("io.balena.service-id", "112"),
    ] {
        assert_eq!(labels.get(label).map(String::as_str), Some(value));
    }
    let variables = config.env.expect("variables");
    for variable in ["BALENA_APP_UUID", "RESIN_APP_UUID"] {
        assert!(variables.contains(&format!("{variable}={FLEET}")));
    }
    for uuid in [FLEET, BLOCK] {
        let name = format!("{uuid}_default");
        let network = engine.inspect_network(&name, None::<InspectNetworkOptions>);
        network.await.expect("the network");
    }
    // Scripts of the host read it before they restart the machine.
    let told = device.agent.dir().join("target-state-config");
    testkit::until("the host is told the configuration", async || {
        let text = fs_err::read_to_string(&told).ok()?;
        (text == r#"{"SUPERVISOR_OVERRIDE_LOCK":"true"}"#).then_some(())
    })
    .await;

    let on = json!({"enabled": true}).to_string();
    let switched = endpoint.put("/os/v1/local-mode", on).await;
    assert!(switched.status.is_success(), "{}", switched.text());
    let local = reports.find(has_applied(&["side"])).await;
    assert_eq!(
        local["services"][0]["container_id"],
        applied["services"][1]["container_id"]
    );
}

#[tokio::test]
async fn a_release_that_asks_for_more_than_the_device_has_is_told_in_the_log() {
    let device = Device::start().await;
    let contract = json!({"type": "sw.container", "slug": "web", "requires": [{"type": "sw.supervisor", "version": ">=99.0.0"}]});
    let target = Target::of(&[("web", IDLE)]).with("web", "contract", contract);
    let endpoint = device.agent.endpoint();
    let mut lines = endpoint.lines("/os/v1/logs").await;
    let posted = endpoint.post("/os/v1/target-state", target.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    for words in [
        "Some releases were rejected due to having unmet requirements: localapp: Services with unmet requirements: web",
        "service web requires sw.supervisor >=99.0.0; this device has sw.supervisor 19.0.5",
    ] {
        let line = lines.find(|line| line["message"] == words).await;
        assert_eq!(
            (&line["isSystem"], &line["isStdErr"]),
            (&json!(true), &json!(true))
        );
    }
}
