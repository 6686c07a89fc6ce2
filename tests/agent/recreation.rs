//! Only what changed is recreated, and the log says why. What did not change goes on running, whatever the agent does.

use std::collections::BTreeMap;

use bollard::Docker;
use bollard::query_parameters::{
    InspectContainerOptions, ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};
use serde_json::json;
use testkit::target::IDLE;
use testkit::{Device, Target, image, until};

/// Container ids and start times by name.
pub(crate) async fn containers(engine: &Docker) -> BTreeMap<String, (String, String)> {
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let mut found = BTreeMap::new();
    for container in engine.list_containers(Some(all)).await.unwrap() {
        let id = container.id.unwrap();
        let Ok(inspected) = engine
            .inspect_container(&id, None::<InspectContainerOptions>)
            .await
        else {
            continue;
        };
        let name = inspected.name.unwrap().trim_start_matches('/').to_owned();
        found.insert(name, (id, inspected.state.unwrap().started_at.unwrap()));
    }
    found
}

fn two() -> Target {
    Target::of(&[("one", IDLE), ("two", IDLE)])
}

#[tokio::test]
async fn the_same_target_again_recreates_nothing() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    device.converge(&two().text()).await;
    let before = containers(&engine).await;
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        ["one_1_1_10ca12e1ea5e", "two_2_1_10ca12e1ea5e"]
    );
    device.converge(&two().text()).await;
    assert_eq!(containers(&engine).await, before);
}

#[tokio::test]
async fn an_image_built_again_under_its_name_recreates_its_service_only() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "one", IDLE).await;
    image::make_service(&engine, "two", IDLE).await;
    let target = two()
        .with("one", "image", json!("local_image_one:latest"))
        .with("two", "image", json!("local_image_two:latest"))
        .with("one", "command", json!(null))
        .with("two", "command", json!(null));
    device.converge(&target.text()).await;
    let before = containers(&engine).await;
    let rebuilt = image::make_service(&engine, "one", &format!("echo two; {IDLE}")).await;
    let report = device.converge(&target.text()).await;
    let after = containers(&engine).await;
    assert_eq!(
        after["two_2_1_10ca12e1ea5e"],
        before["two_2_1_10ca12e1ea5e"]
    );
    assert_ne!(
        after["one_1_1_10ca12e1ea5e"].0,
        before["one_1_1_10ca12e1ea5e"].0
    );
    let one = engine
        .inspect_container("one_1_1_10ca12e1ea5e", None::<InspectContainerOptions>)
        .await
        .unwrap();
    assert_eq!(one.image, Some(rebuilt));
    let because = |name: &str| {
        report
            .services
            .iter()
            .find(|service| service.name == name)
            .unwrap()
            .because
            .clone()
    };
    assert!(
        because("one").is_some_and(|because| because.contains("image")),
        "{:?}",
        because("one")
    );
}

#[tokio::test]
async fn a_changed_variable_recreates_its_service_and_is_named() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    device.converge(&two().text()).await;
    let before = containers(&engine).await;
    let mut logs = device.agent.endpoint().lines("/v2/local/logs").await;
    logs.json().await;
    let changed = two().with("two", "environment", json!({"FOO": "bar"}));
    let report = device.converge(&changed.text()).await;
    let after = containers(&engine).await;
    assert_eq!(
        after["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"]
    );
    assert_ne!(
        after["two_2_1_10ca12e1ea5e"].0,
        before["two_2_1_10ca12e1ea5e"].0
    );
    let because = report
        .services
        .iter()
        .find(|service| service.name == "two")
        .unwrap()
        .because
        .clone();
    assert!(
        because
            .as_ref()
            .is_some_and(|because| because.contains("env.FOO")),
        "{because:?}"
    );
    logs.find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.contains("env.FOO"))
    })
    .await;
}

#[tokio::test]
async fn what_leaves_the_target_is_removed_and_volumes_stay() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    let with_volume = two()
        .with("two", "volumes", json!(["data:/data"]))
        .with(
            "two",
            "command",
            json!(["sh", "-c", format!("echo kept > /data/file; {IDLE}")]),
        )
        .with_app("volumes", json!({"data": {}}));
    device.converge(&with_volume.text()).await;
    device.converge(&Target::of(&[("one", IDLE)]).text()).await;
    assert_eq!(
        containers(&engine).await.keys().collect::<Vec<_>>(),
        ["one_1_1_10ca12e1ea5e"]
    );
    // The engine may keep the network in use for a while after its last container.
    let nothing = device.post(r#"{"local":{"apps":{}}}"#).await;
    device.settled_at_last(nothing).await;
    assert!(containers(&engine).await.is_empty());
    engine.inspect_volume("1_data").await.unwrap();
}

#[tokio::test]
async fn a_container_that_somebody_removed_comes_back() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    device.converge(&two().text()).await;
    let before = containers(&engine).await;
    let force = RemoveContainerOptionsBuilder::new().force(true).build();
    engine
        .remove_container("one_1_1_10ca12e1ea5e", Some(force))
        .await
        .unwrap();
    let after = until("the container is back", async || {
        let now = containers(&engine).await;
        let (id, started) = now.get("one_1_1_10ca12e1ea5e")?;
        (*id != before["one_1_1_10ca12e1ea5e"].0 && !started.starts_with("0001")).then_some(now)
    })
    .await;
    assert_eq!(
        after["two_2_1_10ca12e1ea5e"],
        before["two_2_1_10ca12e1ea5e"]
    );
}

#[tokio::test]
async fn an_agent_that_is_killed_and_started_again_restarts_nothing() {
    let mut device = Device::start().await;
    let engine = device.engine.client().await;
    let report = device.converge(&two().text()).await;
    let before = containers(&engine).await;
    device.crash_agent().await;
    device.settled(report.generation).await;
    assert!(device.agent.stop().await, "it ends well on SIGTERM");
    assert_eq!(
        containers(&engine).await,
        before,
        "stopping the agent stops no container"
    );
    device.agent.resume(&device.machine).await;
    device.settled(report.generation).await;
    assert_eq!(containers(&engine).await, before);
}

#[tokio::test]
async fn an_agent_that_is_killed_at_any_moment_finishes_the_work_after_it() {
    let mut device = Device::start().await;
    let engine = device.engine.client().await;
    for round in 0..4_u8 {
        let target = two().with("one", "environment", json!({"ROUND": round.to_string()}));
        let answer = device
            .agent
            .endpoint()
            .post("/os/v1/target-state", target.text())
            .await;
        let accepted: agent_api::os::Accepted = serde_json::from_slice(&answer.body).unwrap();
        // Each round a step further: the kill comes after as many reports as the round's number.
        let mut reports = device
            .agent
            .endpoint()
            .lines("/os/v1/report?follow=true")
            .await;
        for _ in 0..=round {
            if reports
                .within(std::time::Duration::from_secs(2))
                .await
                .is_err()
            {
                break;
            }
        }
        device.crash_agent().await;
        // The engine may still be at what the agent asked it for before.
        device.settled_at_last(accepted.generation).await;
        let now = containers(&engine).await;
        assert_eq!(
            now.keys().collect::<Vec<_>>(),
            ["one_1_1_10ca12e1ea5e", "two_2_1_10ca12e1ea5e"]
        );
        let one = engine
            .inspect_container("one_1_1_10ca12e1ea5e", None::<InspectContainerOptions>)
            .await
            .unwrap();
        let env = one.config.unwrap().env.unwrap();
        assert!(env.contains(&format!("ROUND={round}")), "{env:?}");
    }
}

#[tokio::test]
async fn two_targets_at_once_end_in_one_of_them() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    let targets: Vec<_> = (0..6)
        .map(|n| two().with("one", "environment", json!({"N": n.to_string()})))
        .collect();
    let api = device.agent.endpoint();
    let answers = futures_util::future::join_all(
        targets
            .iter()
            .map(async |target| api.post("/os/v1/target-state", target.text()).await.json()),
    )
    .await;
    let mut generations: Vec<_> = answers
        .iter()
        .map(|answer| answer["generation"].as_u64().unwrap())
        .collect();
    let last = generations.iter().max().copied().unwrap();
    let winner = generations
        .iter()
        .position(|generation| *generation == last)
        .unwrap();
    generations.sort_unstable();
    generations.dedup();
    assert_eq!(
        generations.len(),
        targets.len(),
        "every target has its own number"
    );
    device.settled(last).await;
    let one = engine
        .inspect_container("one_1_1_10ca12e1ea5e", None::<InspectContainerOptions>)
        .await
        .unwrap();
    let env = one.config.unwrap().env.unwrap();
    assert!(env.contains(&format!("N={winner}")), "{winner}: {env:?}");
}
