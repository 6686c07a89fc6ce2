//! Log streams: what services wrote, as they wrote it, for every client that listens, at no client's cost.

use std::time::Duration;

use serde_json::json;
use testkit::http::Lines;
use testkit::{Device, Target};

const GREETING: &str = r#"{"message":"Streaming logs","isSystem":true}"#;

/// A device with a service that runs `script` once a stream listens: it waits for a file. Returns the stream.
async fn speaking(script: &str) -> (Device, Lines) {
    let device = Device::start().await;
    let target = Target::of(&[(
        "talker",
        &format!("trap 'exit 0' TERM; {script}; sleep 1000000 & wait"),
    )])
    .with("talker", "tty", json!(false));
    let mut logs = device.agent.endpoint().lines("/v2/local/logs").await;
    assert_eq!(logs.next().await.unwrap(), GREETING);
    device.converge(&target.text()).await;
    (device, logs)
}

fn of_service(line: &serde_json::Value) -> bool {
    line["serviceName"] == "talker"
}

#[tokio::test]
async fn the_greeting_comes_at_once_and_nothing_before_it() {
    let device = Device::start().await;
    let mut logs = device
        .agent
        .endpoint_tcp(&device.machine)
        .lines("/v2/local/logs")
        .await;
    assert_eq!(logs.next().await.unwrap(), GREETING);
    assert_eq!(logs.headers.get("content-type"), None, "as recorded");
}

#[tokio::test]
async fn standard_output_and_error_are_told_apart() {
    let (_device, mut logs) = speaking("echo to the one; echo to the other >&2").await;
    let mut lines = [logs.find(of_service).await, logs.find(of_service).await];
    lines.sort_by_key(|line| line["isStdErr"].as_bool());
    for (line, message, is_error) in [
        (&lines[0], "to the one", false),
        (&lines[1], "to the other", true),
    ] {
        let members: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        assert_eq!(
            members,
            [
                "serviceName",
                "message",
                "isStdErr",
                "timestamp",
                "serviceId"
            ],
            "the order of the wire"
        );
        assert_eq!(
            (&line["message"], &line["isStdErr"]),
            (&json!(message), &json!(is_error))
        );
        assert_eq!(line["serviceId"], 1);
        assert!(line["timestamp"].as_i64().unwrap() > 1_600_000_000_000);
    }
}

#[tokio::test]
async fn what_a_service_withholds_by_its_environment_is_told_to_who_names_it() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let mut all = api.lines("/v2/local/logs").await;
    let mut named = api.lines("/os/v1/logs?service=talker").await;
    let script = "trap 'exit 0' TERM; echo out; echo err >&2; sleep 1000000 & wait";
    let target = Target::of(&[("talker", script)])
        .with("talker", "tty", json!(false))
        .with(
            "talker",
            "environment",
            json!({"BALENA_LOGS_LEVEL": "error"}),
        );
    device.converge(&target.text()).await;
    assert_eq!(all.find(of_service).await["message"], "err");
    let mut both = [
        named.find(of_service).await["message"].clone(),
        named.find(of_service).await["message"].clone(),
    ];
    both.sort_by_key(ToString::to_string);
    assert_eq!(both, ["err", "out"]);
}

#[tokio::test]
async fn bytes_that_are_no_text_and_sequences_for_terminals_arrive_as_data() {
    let script =
        r"printf 'caf\303\251 \377\376 end\n'; printf '\033[31mred\033[0m\n'; printf 'no line end'";
    let (_device, mut logs) = speaking(script).await;
    assert_eq!(
        logs.find(of_service).await["message"],
        "café \u{fffd}\u{fffd} end"
    );
    assert_eq!(
        logs.find(of_service).await["message"],
        "\u{1b}[31mred\u{1b}[0m"
    );
}

#[tokio::test]
async fn a_line_of_ten_megabytes_is_bounded_and_the_next_one_arrives() {
    let script = "head -c 10485760 /dev/zero | tr '\\0' x; echo; echo after";
    let (device, mut logs) = speaking(script).await;
    let mut bytes = 0;
    loop {
        let line = logs.find(of_service).await;
        let message = line["message"].as_str().unwrap();
        if message == "after" {
            break;
        }
        assert!(
            message.len() <= 1024 * 1024,
            "a line of {} bytes",
            message.len()
        );
        bytes += message.len();
    }
    assert!(bytes > 0);
    let status =
        fs_err::read_to_string(format!("/proc/{}/status", device.agent.process().pid())).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    let peak: u64 = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(peak < 100 * 1024, "the agent needed {peak} kB");
}

#[tokio::test]
async fn a_stalled_client_costs_the_others_nothing() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    // Never read from again.
    let _stalled = api.lines("/v2/local/logs").await;
    let mut logs = api.lines("/v2/local/logs").await;
    logs.json().await;
    let script = "trap 'exit 0' TERM; i=0; while [ $i -lt 50000 ]; do echo line $i of many words to fill the pipe; \
                  i=$((i+1)); done; while :; do echo still here; sleep 0.1; done";
    let target = Target::of(&[("talker", script)])
        .with("talker", "tty", json!(false))
        .text();
    // Every client may lose lines of such a burst, but none may be cut off by another that does not read.
    tokio::join!(
        device.converge(&target),
        logs.find(|line| line["message"] == "still here")
    );
}

#[tokio::test]
async fn fifty_clients_get_every_line() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let mut clients = Vec::new();
    for _ in 0..50 {
        let mut logs = api.lines("/v2/local/logs").await;
        logs.json().await;
        clients.push(logs);
    }
    let script =
        "trap 'exit 0' TERM; for i in 1 2 3 4 5; do echo line $i; done; sleep 1000000 & wait";
    device
        .converge(
            &Target::of(&[("talker", script)])
                .with("talker", "tty", json!(false))
                .text(),
        )
        .await;
    for logs in &mut clients {
        for number in 1..=5 {
            assert_eq!(
                logs.find(of_service).await["message"],
                format!("line {number}")
            );
        }
    }
}

#[tokio::test]
async fn a_service_that_is_started_again_is_heard_again() {
    let (device, mut logs) = speaking("echo first").await;
    logs.find(|line| line["message"] == "first").await;
    let script = "trap 'exit 0' TERM; echo second; sleep 1000000 & wait";
    device
        .converge(
            &Target::of(&[("talker", script)])
                .with("talker", "tty", json!(false))
                .text(),
        )
        .await;
    logs.find(|line| line["message"] == "second").await;
    let quiet = logs.within(Duration::from_millis(300)).await;
    if let Ok(Some(line)) = quiet {
        assert!(
            !String::from_utf8_lossy(&line).contains("\"first\""),
            "nothing is told twice"
        );
    }
}

#[tokio::test]
async fn a_tail_replays_what_the_engine_kept() {
    let (device, mut logs) = speaking("for i in 1 2 3; do echo line $i; done").await;
    logs.find(|line| line["message"] == "line 3").await;
    let mut late = device
        .agent
        .endpoint()
        .lines("/os/v1/logs?tail=2&service=talker")
        .await;
    assert_eq!(late.find(of_service).await["message"], "line 2");
    assert_eq!(late.find(of_service).await["message"], "line 3");
}
