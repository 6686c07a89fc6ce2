//! What a client asks for of the past: from a time, to a time, the last lines, of one service, of one stream.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use testkit::{Device, Target, until};

use crate::log_client::{COUNT, Client, target};

/// Messages of an answer that ends.
async fn told(device: &Device, query: &str) -> Vec<String> {
    let path = format!("/os/v1/logs?follow=false&system=false&{query}");
    let mut lines = device.agent.endpoint().lines(&path).await;
    let mut messages = Vec::new();
    let mut times = Vec::new();
    while let Some(line) = lines.next().await {
        let line: Value = serde_json::from_slice(&line).unwrap();
        if !line["serviceName"].is_null() {
            messages.push(line["message"].as_str().unwrap().to_owned());
            times.push(line["timestamp"].as_i64().unwrap());
        }
    }
    assert!(times.is_sorted(), "{times:?}");
    messages
}

#[tokio::test]
async fn the_past_is_told_from_a_time_to_a_time_and_by_stream() {
    let device = Device::start().await;
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    let script = |name: &str| {
        format!(
            "trap 'exit 0' TERM; for i in 1 2 3 4 5 6 7 8; do echo {name} $i; echo {name} bad $i >&2; sleep 0.02; done; \
             echo {name} end; sleep 1000000 & wait"
        )
    };
    let (one, two) = (script("one"), script("two"));
    let target = Target::of(&[("one", &one), ("two", &two)])
        .with("one", "tty", json!(false))
        .with("two", "tty", json!(false));
    let mut places = BTreeMap::new();
    let target = target.text();
    let (_, ()) = tokio::join!(device.converge(&target), async {
        lines
            .find(|line| {
                let message = line["message"].as_str().unwrap().to_owned();
                let nanos = line["cursor"].as_str().unwrap().split('.').nth(1).unwrap();
                let (seconds, rest) = nanos.split_at(nanos.len() - 9);
                places.insert(message, format!("{seconds}.{rest}"));
                places.contains_key("one end") && places.contains_key("two end")
            })
            .await;
    });
    let at = |message: &str| places[message].clone();
    let of_one = |from: usize, to: usize| -> Vec<String> {
        (from..=to).map(|i| format!("one {i}")).collect()
    };

    let out = "service=one&stream=stdout";
    let since = format!("{out}&since={}", at("one 3"));
    let mut expected = of_one(3, 8);
    expected.push("one end".to_owned());
    assert_eq!(told(&device, &since).await, expected);
    let between = format!("{since}&until={}", at("one 5"));
    assert_eq!(told(&device, &between).await, of_one(3, 5));
    let last_of_them = format!("{between}&tail=2");
    assert_eq!(told(&device, &last_of_them).await, of_one(4, 5));
    let until = format!("{out}&until={}", at("one 2"));
    assert_eq!(told(&device, &until).await, of_one(1, 2));
    let errors: Vec<String> = (7..=8).map(|i| format!("one bad {i}")).collect();
    assert_eq!(
        told(&device, "service=one&stream=stderr&tail=2").await,
        errors
    );

    // Of several services the last ones of all.
    let all = told(&device, "tail=1000").await;
    assert_eq!(all.len(), 34);
    for count in [1, 5, 20] {
        let tail = told(&device, &format!("tail={count}")).await;
        assert_eq!(tail, all[all.len() - count..], "{count}");
    }
    let since = told(&device, &format!("since={}", at("one 1"))).await;
    assert!(since.contains(&"two end".to_owned()) && since[0] == "one 1");
    assert_eq!(told(&device, "service=nobody&tail=5").await, [""; 0]);

    for (query, words) in [
        ("since=yesterday", "since: `yesterday` is no time"),
        ("stream=both", "stream: `both` is neither stdout nor stderr"),
        ("after=here", "after: `here` is not a place in a log"),
    ] {
        let answer = device
            .agent
            .endpoint()
            .get(&format!("/os/v1/logs?{query}"))
            .await;
        assert_eq!(answer.status, 400, "{query}");
        assert!(answer.text().contains(words), "{}", answer.text());
    }
}

#[tokio::test]
async fn a_stream_ends_at_the_time_that_was_asked_for() {
    let device = Device::start().await;
    device.converge(&target(&["one"], COUNT).text()).await;
    let mut client = Client::default();
    for seconds in [1, 10, 60] {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .unwrap();
        let until = format!("/os/v1/logs?until={}.5", now.as_secs() + seconds);
        client
            .read_all(&mut device.agent.endpoint().lines(&until).await)
            .await;
        // On a busy machine the time may be over before there is a line.
        if client.got.contains_key(&("one".to_owned(), false)) {
            return;
        }
    }
    panic!("no line was told");
}

#[tokio::test]
async fn past_lines_wait_for_an_engine_that_is_away() {
    let mut device = Device::start().await;
    device
        .converge(
            &target(
                &["one"],
                "echo kept; trap 'exit 0' TERM; sleep 1000000 & wait",
            )
            .text(),
        )
        .await;
    device.engine.stop_service().await;
    let api = device.agent.endpoint();
    until("the agent knows that its engine is away", async || {
        let info = api.get("/os/v1/info").await.json();
        info["engine"].is_null().then_some(())
    })
    .await;
    let mut lines = api.lines("/os/v1/logs?tail=100").await;
    let notice = lines.find(|line| line["isNotice"] == true).await;
    let text = notice["message"].as_str().unwrap();
    assert!(
        text.starts_with("past lines come when the engine is back"),
        "{text}"
    );
    device.engine.resume_service(&device.machine).await;
    lines.find(|line| line["message"] == "kept").await;
}
