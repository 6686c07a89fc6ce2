//! Simulated devices that share an engine: neither sees, changes or hears the other.

use std::net::{IpAddr, Ipv4Addr};

use serde_json::json;
use testkit::agent::{Agent, Settings};
use testkit::{Engine, Namespace, Target};

use crate::recreation::containers;

async fn simulated(machine: &Namespace, engine: &Engine, number: u8) -> Agent {
    let address = IpAddr::V4(Ipv4Addr::new(127, 71, 0, number));
    let mut settings = Settings::new(engine.socket());
    settings.place = format!("agent{number}");
    settings.hostname = format!("sim{number}");
    settings.uuid = format!("{number:032x}");
    settings.more = vec![
        format!("--simulated=sim{number}"),
        format!("--simulated-address={address}"),
    ];
    Agent::start(machine, settings).await
}

/// Posts a target and waits until it is applied.
async fn converge(agent: &Agent, target: &Target) -> serde_json::Value {
    let api = agent.endpoint();
    let accepted = api.post("/os/v1/target-state", target.text()).await.json();
    let mut reports = api.lines("/os/v1/report?follow=true").await;
    reports
        .find(|report| {
            report["generation"] == accepted["generation"] && report["state"] == "applied"
        })
        .await
}

#[tokio::test]
async fn two_devices_on_one_engine_have_nothing_to_do_with_each_other() {
    let (machine, engine) = Engine::on_a_machine().await;
    let first = simulated(&machine, &engine, 1).await;
    let second = simulated(&machine, &engine, 2).await;
    let mut heard = second.endpoint().lines("/v2/local/logs").await;
    heard.json().await;
    let target = |words: &str| {
        let script = format!("trap 'exit 0' TERM; echo {words}; sleep 1000000 & wait");
        Target::of(&[("web", &script)])
            .with("web", "tty", json!(false))
            .with("web", "ports", json!(["8080:80"]))
            .with("web", "volumes", json!(["data:/data"]))
            .with_app("volumes", json!({"data": {}}))
    };
    let one = converge(&first, &target("from the first")).await;
    let two = converge(&second, &target("from the second")).await;
    for (report, address) in [(&one, "127.71.0.1"), (&two, "127.71.0.2")] {
        assert_eq!(report["services"].as_array().unwrap().len(), 1, "{report}");
        assert_eq!(
            report["services"][0]["ports"],
            json!([format!("{address}:8080->80/tcp")])
        );
    }
    let line = heard.find(|line| line["serviceName"] == "web").await;
    assert_eq!(line["message"], "from the second");

    let client = engine.client().await;
    let before = containers(&client).await;
    assert_eq!(
        before.keys().collect::<Vec<_>>(),
        ["web_1_1_10ca12e1ea5e_sim1", "web_1_1_10ca12e1ea5e_sim2"]
    );
    // What one of them has no use for any more goes, and nothing of the other's.
    converge(&first, &Target::of(&[])).await;
    let after = containers(&client).await;
    assert_eq!(after.len(), 1, "{after:?}");
    assert_eq!(
        after["web_1_1_10ca12e1ea5e_sim2"],
        before["web_1_1_10ca12e1ea5e_sim2"]
    );
    let report = second.endpoint().get("/os/v1/report").await.json();
    assert_eq!(report["services"][0]["status"], "Running", "{report}");
    for volume in ["sim1_1_data", "sim2_1_data"] {
        client.inspect_volume(volume).await.unwrap();
    }
}
