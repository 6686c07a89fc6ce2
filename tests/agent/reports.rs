//! The report stream: the present at once, then every change, so that nobody has to ask twice.

use testkit::target::IDLE;
use testkit::{Device, Target};

#[tokio::test]
async fn a_follower_sees_the_present_and_then_the_target_converge() {
    let device = Device::start().await;
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let first = reports.json().await;
    assert_eq!(first["generation"], 0);
    let answer = device
        .agent
        .endpoint()
        .post("/os/v1/target-state", Target::of(&[("one", IDLE)]).text())
        .await;
    let generation = answer.json()["generation"].clone();
    assert_eq!(generation, 1);
    let applied = reports
        .find(|report| report["generation"] == generation && report["state"] == "applied")
        .await;
    let service = &applied["services"][0];
    assert_eq!(
        (&service["name"], &service["status"]),
        (&"one".into(), &"Running".into())
    );
    let once = device.agent.endpoint().get("/os/v1/report").await.json();
    assert_eq!(once, applied);
}

#[tokio::test]
async fn a_service_that_ends_and_ends_again_is_reported_with_its_code() {
    let device = Device::start().await;
    let target = Target::of(&[("one", "exit 3")]).with("one", "restart", "no".into());
    device
        .agent
        .endpoint()
        .post("/os/v1/target-state", target.text())
        .await;
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let report = reports
        .find(|report| report["services"][0]["exit_code"] == 3)
        .await;
    assert_eq!(report["services"][0]["status"], "exited", "{report}");
}

#[tokio::test]
async fn streams_end_with_the_agent() {
    let mut device = Device::start().await;
    let api = device.agent.endpoint();
    let mut reports = api.lines("/os/v1/report?follow=true").await;
    let mut logs = api.lines("/v2/local/logs").await;
    assert!(
        device.agent.stop().await,
        "it ends well, and does not wait for its clients"
    );
    while reports.next().await.is_some() {}
    while logs.next().await.is_some() {}
}
