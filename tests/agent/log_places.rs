//! Clients that come back: every line once, over restarts of the agent and of the engine, and under a flood.

use std::collections::BTreeMap;

use serde_json::json;
use testkit::{Device, Target, until};

use crate::log_client::{COUNT, Client, kept, target};

#[tokio::test]
async fn over_every_restart_a_client_that_comes_back_gets_each_line_once() {
    let services = ["one", "two", "three"];
    let mut device = Device::start().await;
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    client.note(&lines.json().await);
    let report = device.converge(&target(&services, COUNT).text()).await;
    client.read(&mut lines, &services, 20).await;

    // The client, in the middle of whatever was on its way to it.
    for _ in 0..3 {
        drop(lines);
        lines = device.agent.endpoint().lines(&client.path()).await;
        client.read(&mut lines, &services, 20).await;
    }
    // The agent.
    device.crash_agent().await;
    client.read_all(&mut lines).await;
    lines = device.agent.endpoint().lines(&client.path()).await;
    client.read(&mut lines, &services, 20).await;
    // The engine and with it the services, under a client that stays.
    device.engine.stop_service().await;
    device.engine.resume_service(&device.machine).await;
    client.read(&mut lines, &services, 20).await;
    // The engine, while the client is away.
    drop(lines);
    device.engine.stop_service().await;
    lines = device.agent.endpoint().lines(&client.path()).await;
    device.engine.resume_service(&device.machine).await;
    client.read(&mut lines, &services, 20).await;
    // Both at once, killed.
    device.engine.kill_service().await;
    device.agent.kill().await;
    device.engine.resume_service(&device.machine).await;
    device.agent.resume(&device.machine).await;
    device.settled_at_last(report.generation).await;
    lines = device.agent.endpoint().lines(&client.path()).await;
    client.read(&mut lines, &services, 20).await;

    // Everything that was written, when nothing is written any more.
    let engine = device.engine.client().await;
    let names: Vec<String> = services
        .iter()
        .zip(1..)
        .map(|(service, id)| format!("{service}_{id}_1_10ca12e1ea5e"))
        .collect();
    for name in &names {
        engine.pause_container(name).await.unwrap();
    }
    drop(lines);
    let mut all = BTreeMap::new();
    until("the engine has nothing more", async || {
        let once = format!("{}&follow=false", client.path());
        let mut rest = device.agent.endpoint().lines(&once).await;
        client.read_all(&mut rest).await;
        for (service, name) in services.iter().zip(&names) {
            for is_std_err in [false, true] {
                let kept = kept(&device, name, is_std_err).await;
                all.insert(((*service).to_owned(), is_std_err), kept);
            }
        }
        // What was on its way when the services were paused.
        let lines = |all: &BTreeMap<_, Vec<_>>| all.values().map(Vec::len).sum::<usize>();
        (lines(&all) == lines(&client.got)).then_some(())
    })
    .await;
    assert_eq!(client.got, all);
    assert!(
        client
            .notices
            .iter()
            .all(|notice| notice.starts_with("past lines come when")),
        "{:?}",
        client.notices
    );
}

#[tokio::test]
async fn the_agents_own_lines_are_told_once_over_its_restart() {
    let mut device = Device::start().await;
    let mut client = Client::default();
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    client.note(&lines.json().await);
    let first = client.path();
    device.converge(&target(&["one"], COUNT).text()).await;
    client
        .read_until(&mut lines, "second line of the agent", |client| {
            client.own.len() >= 2
        })
        .await;
    drop(lines);
    // More of them, which nobody hears, then another run of the agent.
    device
        .converge(&target(&["one", "two"], COUNT).text())
        .await;
    device.crash_agent().await;
    device.converge(&target(&["two"], COUNT).text()).await;
    let mut lines = device.agent.endpoint().lines(&client.path()).await;
    client
        .read_until(&mut lines, "word of the killed service", |client| {
            let mut own = client.own.iter();
            own.any(|line| line.starts_with("Killed service 'one"))
        })
        .await;
    // Who was there from the beginning has seen no other lines.
    let mut whole = Client::default();
    let path = format!("{first}&service=&system=true&follow=false");
    whole
        .read_all(&mut device.agent.endpoint().lines(&path).await)
        .await;
    assert_eq!(client.own, whole.own[..client.own.len()]);
    assert!(
        client
            .notices
            .iter()
            .all(|notice| !notice.contains("device itself"))
    );
}

#[tokio::test]
async fn a_flood_costs_a_client_that_stalls_no_line_of_others_and_no_memory() {
    const QUIET: &str = "trap 'exit 0' TERM; i=0; while [ $i -lt 200 ]; do i=$((i+1)); echo $i; sleep 0.01; done; \
                         sleep 1000000 & wait";
    const FLOOD: &str =
        "trap 'exit 0' TERM; while :; do echo many words that nobody wants to read; done";
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let mut stalled = api.lines("/os/v1/logs").await;
    let mut reading = api.lines("/os/v1/logs?service=quiet").await;
    let flood = Target::of(&[("flood", FLOOD), ("quiet", QUIET)])
        .with("flood", "tty", json!(false))
        .with("quiet", "tty", json!(false));
    let mut quiet = Client::default();
    let flood = flood.text();
    let (_, ()) = tokio::join!(device.converge(&flood), async {
        quiet.read(&mut reading, &["quiet"], 200).await;
    });
    let numbers: Vec<String> = (1..=200).map(|number| number.to_string()).collect();
    assert_eq!(quiet.got[&("quiet".to_owned(), false)], numbers);
    assert_eq!(quiet.notices, [""; 0]);

    let status = format!("/proc/{}/status", device.agent.process().pid());
    let status = fs_err::read_to_string(status).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 48 * 1024, "the agent needed {peak} kB");

    // It wakes up: what it lost was the flood's, and it is told how much.
    let mut late = Client::default();
    late.read(&mut stalled, &["quiet"], 200).await;
    assert_eq!(late.got[&("quiet".to_owned(), false)], numbers);
    assert!(!late.notices.is_empty());
    for notice in &late.notices {
        let (count, rest) = notice.split_once(' ').unwrap();
        assert!(count.parse::<u64>().unwrap() > 0, "{notice}");
        assert_eq!(rest, "lines of flood dropped");
    }
}
