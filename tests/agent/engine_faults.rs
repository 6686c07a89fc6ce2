//! The agent outlives whatever its engine does, says so, and goes on where it was.

use bollard::query_parameters::InspectContainerOptions;
use hyper::StatusCode;
use testkit::agent::{Agent, Settings};
use testkit::proxy::{Fault, NONSENSE, TROUBLE, WRONG_SHAPE};
use testkit::target::IDLE;
use testkit::{Device, Engine, Namespace, Target, until};

use crate::recreation::containers;

async fn is_alive(device: &Device) {
    assert_eq!(
        device.agent.endpoint().get("/ping").await.status,
        StatusCode::OK
    );
    assert_eq!(
        device.agent.endpoint().get("/v2/state/status").await.status,
        StatusCode::OK
    );
}

/// Waits until the agent says whether it has an engine.
async fn knows_of_its_engine(device: &Device, has: bool) {
    let api = device.agent.endpoint();
    until("the agent knows of its engine's state", async || {
        let info = api.get("/os/v1/info").await.json();
        (info["engine"].is_null() != has).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_is_stopped_and_started_has_its_services_again() {
    let mut device = Device::start().await;
    let report = device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    device.engine.stop_service().await;
    knows_of_its_engine(&device, false).await;
    is_alive(&device).await;
    device.engine.resume_service(&device.machine).await;
    knows_of_its_engine(&device, true).await;
    device.settled_at_last(report.generation).await;
    let engine = device.engine.client().await;
    until("the service runs", async || {
        let one = engine
            .inspect_container("one_1_1_10ca12e1ea5e", None::<InspectContainerOptions>)
            .await
            .ok()?;
        one.state?.running?.then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_engine_that_comes_late_is_waited_for() {
    let machine = Namespace::new();
    let mut engine = Engine::start(&machine).await;
    engine.stop_service().await;
    let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let target = Target::of(&[("one", IDLE)]);
    let accepted = agent
        .endpoint()
        .post("/os/v1/target-state", target.text())
        .await
        .json();
    engine.resume_service(&machine).await;
    let device = Device {
        agent,
        engine,
        machine,
        address: None,
    };
    device
        .settled_at_last(accepted["generation"].as_u64().unwrap())
        .await;
    assert_eq!(containers(&device.engine.client().await).await.len(), 1);
}

#[tokio::test]
async fn who_follows_a_target_is_told_that_the_engine_is_away() {
    let mut device = Device::start().await;
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    device.engine.stop_service().await;
    knows_of_its_engine(&device, false).await;
    let api = device.agent.endpoint();
    let accepted = api
        .post("/os/v1/target-state", Target::of(&[("two", IDLE)]).text())
        .await
        .json();
    let mut reports = api.lines("/os/v1/report?follow=true").await;
    let report = reports
        .find(|report| report["generation"] == accepted["generation"])
        .await;
    assert_eq!(report["state"], "failing", "{report}");
    assert!(
        report["waiting"]
            .as_str()
            .is_some_and(|why| why.contains("the engine is away")),
        "{report}"
    );
    // Clients of the reference go by its containers, and those are not of this target.
    let status = api.get("/v2/state/status").await.json();
    assert_eq!(status["appState"], "applying", "{status}");
}

#[tokio::test]
async fn an_engine_that_hangs_does_not_hang_the_agent() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    let before = containers(&engine).await;
    device.engine.freeze();
    let target = Target::of(&[("one", IDLE), ("two", IDLE)]);
    let accepted = device
        .agent
        .endpoint()
        .post("/os/v1/target-state", target.text())
        .await
        .json();
    is_alive(&device).await;
    device.engine.thaw();
    device
        .settled_at_last(accepted["generation"].as_u64().unwrap())
        .await;
    let after = containers(&engine).await;
    assert_eq!(after.len(), 2);
    assert_eq!(
        after["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"]
    );
}

#[tokio::test]
async fn an_engine_that_answers_wrongly_loses_nothing() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let client = device.engine.client().await;
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    let before = containers(&client).await;
    for (round, fault) in [
        Fault::Answer(TROUBLE),
        Fault::Answer(NONSENSE),
        Fault::Answer(WRONG_SHAPE),
        Fault::Cut,
        Fault::Stall,
    ]
    .into_iter()
    .enumerate()
    {
        proxy.set(fault.clone());
        let name = format!("extra{round}");
        let target = Target::of(&[("one", IDLE), (&name, IDLE)]);
        let accepted = device
            .agent
            .endpoint()
            .post("/os/v1/target-state", target.text())
            .await
            .json();
        is_alive(&device).await;
        proxy.met().await;
        proxy.set(Fault::None);
        let generation = accepted["generation"].as_u64().unwrap();
        device.settled_at_last(generation).await;
        let after = containers(&client).await;
        assert_eq!(
            after["one_1_1_10ca12e1ea5e"], before["one_1_1_10ca12e1ea5e"],
            "{fault:?}"
        );
        assert!(
            after.contains_key(&format!("{name}_2_1_10ca12e1ea5e")),
            "{fault:?}: {after:?}"
        );
    }
}

#[tokio::test]
async fn an_image_that_is_not_there_is_named() {
    let device = Device::start().await;
    let target = Target::of(&[("one", IDLE), ("two", IDLE)]).with(
        "two",
        "image",
        "nowhere.invalid/none:1".into(),
    );
    let accepted = device
        .agent
        .endpoint()
        .post("/os/v1/target-state", target.text())
        .await
        .json();
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let report = reports
        .find(|report| {
            report["generation"] == accepted["generation"] && report["state"] == "failing"
        })
        .await;
    let services = report["services"].as_array().unwrap();
    let two = services
        .iter()
        .find(|service| service["name"] == "two")
        .unwrap();
    assert!(two["error"].is_string(), "{report}");
    assert!(
        report["waiting"]
            .as_str()
            .is_some_and(|why| why.contains("nowhere.invalid/none:1")),
        "{report}"
    );
    is_alive(&device).await;
}
