//! Images that come from a registry, and images that nobody needs any more.

use bollard::errors::Error;
use serde_json::{Value, json};
use testkit::proxy::hold::Moment;
use testkit::target::IDLE;
use testkit::{Device, Registry, Target, image};

pub(crate) const FLEET_TARGET: &str = "/os/v1/fleet/target-state";

pub(crate) fn fleet(registry: &str) -> Value {
    json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": testkit::registry::KEY, "registryEndpoint": registry})
}

async fn has(device: &Device, image: &str) -> bool {
    match device.engine.client().await.inspect_image(image).await {
        Ok(_) => true,
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => false,
        Err(error) => panic!("{error}"),
    }
}

/// Sends a target of the fleet and follows until a report fits.
async fn send(device: &Device, target: &Target, fits: impl Fn(&Value) -> bool) -> Value {
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post(FLEET_TARGET, target.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    reports.find(fits).await
}

pub(crate) fn has_applied(service: &str) -> impl Fn(&Value) -> bool {
    move |report| {
        let services = report["services"].as_array().expect("services");
        report["state"] == "applied" && services.len() == 1 && services[0]["name"] == service
    }
}

#[tokio::test]
async fn an_image_of_the_fleets_registry_is_fetched_with_the_devices_key() {
    let device = Device::start_configured(&fleet(Registry::HOST)).await;
    let mut registry = Registry::start(&device.machine).await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", IDLE).await;
    let reference = registry
        .take(&engine, "local_image_web:latest", "v2/web")
        .await;
    assert!(!has(&device, &reference).await);
    // A registry that is away is a reason to wait, and to try again.
    registry.kill().await;
    let target = Target::of(&[("web", IDLE)]).with("web", "image", json!(reference));
    let waiting = send(&device, &target, |report| report["state"] == "failing").await;
    let why = waiting["waiting"].as_str().expect("why");
    assert!(why.contains(&reference), "{why}");
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    registry.resume(&device.machine).await;
    let applied = reports.find(has_applied("web")).await;
    assert_eq!(applied["images"][0]["name"], reference.as_str());
    assert!(applied["images"][0]["engine_id"].is_string(), "{applied}");
}

#[tokio::test]
async fn another_registry_is_not_shown_the_devices_key() {
    let device = Device::start_configured(&fleet("registry2.example.test")).await;
    let registry = Registry::start(&device.machine).await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", IDLE).await;
    let reference = registry
        .take(&engine, "local_image_web:latest", "v2/web")
        .await;
    let target = Target::of(&[("web", IDLE)]).with("web", "image", json!(reference));
    let refused = send(&device, &target, |report| report["state"] == "failing").await;
    let why = refused["waiting"].as_str().expect("why");
    assert!(why.contains("no basic auth credentials"), "{why}");
}

#[tokio::test]
async fn images_that_a_fleet_needs_no_more_go_and_others_stay() {
    let device = Device::start_configured(&fleet(Registry::HOST)).await;
    let engine = device.engine.client().await;
    for service in ["old", "new", "other"] {
        image::make_service(&engine, service, IDLE).await;
    }
    let only = |service: &str| {
        let image = format!("local_image_{service}:latest");
        Target::of(&[(service, IDLE)]).with(service, "image", json!(image))
    };
    send(&device, &only("old"), has_applied("old")).await;
    send(&device, &only("new"), has_applied("new")).await;
    assert!(!has(&device, "local_image_old:latest").await);
    assert!(has(&device, "local_image_new:latest").await);
    assert!(
        has(&device, "local_image_other:latest").await,
        "an image that no target ever had was taken"
    );
}

#[tokio::test]
async fn an_update_that_is_begun_anew_does_not_wait_for_a_fetch_that_hangs() {
    let config = fleet(Registry::HOST);
    let (device, proxy) = Device::start_behind_proxy_configured(Some(&config)).await;
    let registry = Registry::start(&device.machine).await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", IDLE).await;
    let reference = registry
        .take(&engine, "local_image_web:latest", "v2/web")
        .await;
    let target = Target::of(&[("web", IDLE)]).with("web", "image", json!(reference));
    let mut held = proxy.hold(1, Moment::Asked);
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post(FLEET_TARGET, target.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    // It is never answered.
    let hanging = held.reached().await;
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let update = endpoint.post("/v1/update", r#"{"cancel":true}"#).await;
    assert_eq!(update.status.as_u16(), 204, "{}", update.text());
    reports.find(has_applied("web")).await;
    drop(hanging);
}
