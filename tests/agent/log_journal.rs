//! A device whose engine logs to the journal, as real ones do: it still has the lines of containers that are gone.

use serde_json::json;
use testkit::agent::Settings;
use testkit::{Agent, Device, Engine, Journal, Namespace, Target, until};

use crate::log_client::{Client, kept};

const SAYS: &str = "trap 'echo bye; exit 0' TERM; i=0; while [ $i -lt 50 ]; do i=$((i+1)); echo $i; echo bad $i >&2; done; \
                    printf 'caf\\303\\251 \\377\\n'; head -c 40000 /dev/zero | tr '\\0' x; echo; echo end; \
                    while :; do sleep 1000000 & wait $!; done";
const NEXT: &str = "echo next; trap 'exit 0' TERM; sleep 1000000 & wait";

fn target(script: &str) -> String {
    Target::of(&[("one", script)])
        .with("one", "tty", json!(false))
        .text()
}

async fn device() -> (Device, Journal) {
    let machine = Namespace::new();
    let journal = Journal::start(&machine).await;
    let engine = Engine::start_with(&machine, &["--log-driver=journald"]).await;
    let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let device = Device {
        agent,
        engine,
        machine,
        address: None,
    };
    (device, journal)
}

#[tokio::test]
async fn lines_of_a_container_that_is_gone_come_from_the_journal_each_once() {
    let (mut device, _journal) = device().await;
    let api = device.agent.endpoint();
    let mut client = Client::default();
    let mut lines = api.lines("/os/v1/logs").await;
    client.note(&lines.json().await);
    device.converge(&target(SAYS)).await;
    let key = ("one".to_owned(), false);
    // It goes away in the middle.
    client
        .read_until(&mut lines, "twentieth line", |client| {
            client.got.get(&key).is_some_and(|got| got.len() >= 20)
        })
        .await;
    drop(lines);
    device.converge(&target(NEXT)).await;
    until("the last line is in the journal", async || {
        let kept = kept(&device, "one_1_1_10ca12e1ea5e", false).await;
        kept.iter().any(|line| line == "next").then_some(())
    })
    .await;
    device.crash_agent().await;
    let once = format!("{}&follow=false", client.path());
    client.read_all(&mut api.lines(&once).await).await;
    let mut expected: Vec<String> = (1..=50).map(|number| number.to_string()).collect();
    expected.push("café \u{fffd}".to_owned());
    expected.push("x".repeat(40_000));
    expected.extend(["end", "bye", "next"].map(str::to_owned));
    assert_eq!(client.got[&key], expected);
    let bad: Vec<String> = (1..=50).map(|number| format!("bad {number}")).collect();
    assert_eq!(client.got[&("one".to_owned(), true)], bad);
    assert_eq!(client.notices, [""; 0]);

    // Who begins now gets the same, and the last ones of it.
    let mut whole = Client::default();
    let path = "/os/v1/logs?follow=false&system=false&since=0";
    whole.read_all(&mut api.lines(path).await).await;
    assert_eq!(whole.got, client.got);
    // Of both streams: which of the lines before them comes last is not told by the script.
    for (query, expected) in [
        ("tail=2", &["bye", "next"][..]),
        ("tail=3&stream=stdout", &["end", "bye", "next"]),
    ] {
        let mut last = Client::default();
        let path = format!("/os/v1/logs?follow=false&system=false&{query}");
        last.read_all(&mut api.lines(&path).await).await;
        assert_eq!(last.got[&key], expected);
    }
}

#[tokio::test]
async fn who_follows_gets_the_same_lines_from_a_journal_as_from_a_file() {
    let (device, _journal) = device().await;
    let mut lines = device.agent.endpoint().lines("/os/v1/logs").await;
    // It writes no more behind its last line, and neither does anybody else on this machine: now and then the engine keeps that
    // line back then, until it is asked anew (`device-agent/src/logs/silence.rs`).
    device.converge(&target(SAYS)).await;
    let mut client = Client::default();
    let key = ("one".to_owned(), false);
    client
        .read_until(&mut lines, "last line", |client| {
            let got = client.got.get(&key);
            got.is_some_and(|got| got.iter().any(|line| line == "end"))
        })
        .await;
    let got = &client.got[&key];
    assert_eq!(got.len(), 53);
    assert_eq!(got[52], "end");
    assert_eq!(got[51].len(), 40_000);
    assert_eq!(client.notices, [""; 0]);
}
