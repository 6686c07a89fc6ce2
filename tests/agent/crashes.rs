//! The agent is killed, or cut off its engine, in the middle of its work: nothing is done twice, nothing is lost.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use bollard::Docker;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use serde_json::json;
use testkit::proxy::Fault;
use testkit::proxy::hold::{Moment, Outcome};
use testkit::target::IDLE;
use testkit::{Device, Target};

use crate::recreation::containers;

/// A time as engines read it.
fn written(time: SystemTime) -> String {
    let time = time.duration_since(UNIX_EPOCH).unwrap();
    format!("{}.{:09}", time.as_secs(), time.subsec_nanos())
}

/// How often each container was started since then, by id, as the engine remembers it. It may have served other tests
/// before.
async fn starts(engine: &Docker, since: SystemTime) -> BTreeMap<String, usize> {
    let filters = BTreeMap::from([("type", vec!["container"]), ("event", vec!["start"])])
        .into_iter()
        .collect();
    let options = EventsOptionsBuilder::new()
        .since(&written(since))
        .until(&written(SystemTime::now()))
        .filters(&filters)
        .build();
    let mut counts = BTreeMap::new();
    let mut events = engine.events(Some(options));
    while let Some(event) = events.next().await {
        let id = event.unwrap().actor.unwrap().id.unwrap();
        *counts.entry(id).or_default() += 1;
    }
    counts
}

/// What the agent says on its way from one version of a service to the next.
const MOMENTS: [&str; 6] = [
    "Recreating service 'two'",
    "Killing service 'two",
    "Killed service 'two",
    "Installing service 'two",
    "Installed service 'two",
    "Starting service 'two",
];

#[tokio::test]
async fn an_agent_that_is_killed_in_a_deploy_goes_on_with_it_and_starts_nothing_twice() {
    let mut device = Device::start().await;
    let begin = SystemTime::now();
    let engine = device.engine.client().await;
    let target = |version: usize| {
        Target::of(&[("one", IDLE), ("two", IDLE), ("three", IDLE)])
            .with(
                "two",
                "environment",
                json!({"VERSION": version.to_string()}),
            )
            .text()
    };
    device.converge(&target(0)).await;
    let before = containers(&engine).await;
    for (moment, version) in MOMENTS.into_iter().zip(1..) {
        let api = device.agent.endpoint();
        let mut logs = api.lines("/v2/local/logs").await;
        logs.json().await;
        let accepted = api
            .post("/os/v1/target-state", target(version))
            .await
            .json();
        logs.find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(moment))
        })
        .await;
        device.crash_agent().await;
        device
            .settled_at_last(accepted["generation"].as_u64().unwrap())
            .await;
        let after = containers(&engine).await;
        assert_eq!(
            after.keys().collect::<Vec<_>>(),
            before.keys().collect::<Vec<_>>(),
            "{moment}"
        );
        for name in ["one_1_1_10ca12e1ea5e", "three_3_1_10ca12e1ea5e"] {
            assert_eq!(after[name], before[name], "{moment}");
        }
        let (two, _) = &after["two_2_1_10ca12e1ea5e"];
        let two = engine.inspect_container(two, None).await.unwrap();
        let environment = two.config.unwrap().env.unwrap();
        assert!(
            environment.contains(&format!("VERSION={version}")),
            "{moment}: {environment:?}"
        );
    }
    // Three at first, then one for every version: no container was ever started a second time.
    let starts = starts(&engine, begin).await;
    assert_eq!(starts.len(), 3 + MOMENTS.len(), "{starts:?}");
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
}

#[tokio::test]
async fn a_service_that_was_stopped_by_an_agent_that_did_not_live_to_note_it_is_started_again() {
    let (mut device, proxy) = Device::start_behind_proxy().await;
    let target = |running: bool| {
        Target::of(&[("one", IDLE)])
            .with("one", "running", json!(running))
            .text()
    };
    device.converge(&target(true)).await;
    let mut held = proxy.hold(1, Moment::Answered);
    let api = device.agent.endpoint();
    let accepted = api.post("/os/v1/target-state", target(false)).await.json();
    let caught = held.reached().await;
    assert!(caught.line.ends_with("/stop"), "{}", caught.line);
    device.agent.kill().await;
    drop(caught);
    device.agent.resume(&device.machine).await;
    device
        .settled_at_last(accepted["generation"].as_u64().unwrap())
        .await;
    let report = device.converge(&target(true)).await;
    assert_eq!(report.services[0].status, "Running", "{report:#?}");
}

#[tokio::test]
async fn a_hand_over_that_is_called_off_in_its_middle_leaves_a_service_that_the_engine_keeps_up() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let engine = device.engine.client().await;
    let target = |version: &str| {
        let labels = json!({"io.balena.update.strategy": "hand-over"});
        Target::of(&[("one", IDLE)])
            .with("one", "labels", labels)
            .with("one", "environment", json!({"VERSION": version}))
            .text()
    };
    device.converge(&target("first")).await;
    // The engine is told not to start the old container again; then it would get another name.
    let mut held = proxy.hold(2, Moment::Asked);
    let api = device.agent.endpoint();
    api.post("/os/v1/target-state", target("second")).await;
    let caught = held.reached().await;
    assert!(caught.line.contains("/rename?"), "{}", caught.line);
    let back = api.post("/os/v1/target-state", target("first")).await;
    caught.release(Outcome::Cut);
    let generation = back.json()["generation"].as_u64().unwrap();
    device.settled_at_last(generation).await;
    let one = engine
        .inspect_container("one_1_1_10ca12e1ea5e", None)
        .await
        .unwrap();
    let policy = one.host_config.unwrap().restart_policy.unwrap();
    assert_eq!(
        policy.name,
        Some(bollard::models::RestartPolicyNameEnum::ALWAYS)
    );
}

/// Lines that the service writes.
const LINES: u64 = 1000;
/// After which of them the engine is cut off for a moment.
const CUTS: [u64; 4] = [100, 300, 500, 700];

#[tokio::test]
async fn lines_outlive_connections_to_the_engine_that_break_and_come_once() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let agent = &device.agent;
    let mut logs = agent.endpoint().lines("/v2/local/logs").await;
    logs.json().await;
    let script = format!(
        "trap 'exit 0' TERM; i=0; while [ $i -lt {LINES} ]; do echo $i; i=$((i+1)); \
         [ $((i%10)) -eq 0 ] && sleep 0.1; done; sleep 1000000 & wait"
    );
    let target = Target::of(&[("talker", &script)]).with("talker", "tty", json!(false));
    agent
        .endpoint()
        .post("/os/v1/target-state", target.text())
        .await;
    let mut got = Vec::new();
    while got.last() != Some(&(LINES - 1)) {
        let line = logs.find(|line| line["serviceName"] == "talker").await;
        let number = line["message"].as_str().unwrap().parse::<u64>().unwrap();
        got.push(number);
        if CUTS.contains(&number) {
            proxy.set(Fault::Cut);
            proxy.set(Fault::None);
        }
    }
    assert!(
        got.iter().copied().eq(0..LINES),
        "{:?}",
        got.iter().zip(0..).find(|(got, wanted)| **got != *wanted)
    );
}

#[tokio::test]
async fn an_engine_that_is_cut_off_at_every_step_gets_the_target_once() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let begin = SystemTime::now();
    let api = device.agent.endpoint();
    let mut logs = api.lines("/v2/local/logs").await;
    logs.json().await;
    let target = Target::of(&[("one", IDLE), ("two", IDLE)]);
    let accepted = api.post("/os/v1/target-state", target.text()).await.json();
    let words = ["Creating network", "Installing service", "Starting service"];
    for word in words {
        logs.find(|line| {
            line["message"]
                .as_str()
                .is_some_and(|message| message.starts_with(word))
        })
        .await;
        proxy.set(Fault::Cut);
        proxy.set(Fault::None);
    }
    device
        .settled_at_last(accepted["generation"].as_u64().unwrap())
        .await;
    let client = device.engine.client().await;
    let starts = starts(&client, begin).await;
    assert_eq!(starts.len(), 2, "{starts:?}");
    assert!(starts.values().all(|count| *count == 1), "{starts:?}");
    let names: Vec<_> = containers(&client).await.into_keys().collect();
    assert_eq!(names, ["one_1_1_10ca12e1ea5e", "two_2_1_10ca12e1ea5e"]);
}
