//! The journal of a device's system, as `os logs --system` has it: each row once, whoever breaks off.

use std::io::Write as _;

use serde_json::Value;
use testkit::agent::Settings;
use testkit::http::Lines;
use testkit::{Agent, Engine, Journal, Namespace, until};

const ALONE: &str = "/os/v1/logs?service=&system=true&journal=true";

/// A machine with a journal, an engine and an agent.
struct Device {
    agent: Agent,
    machine: Namespace,
    _journal: Journal,
    _engine: Engine,
}

impl Device {
    async fn start() -> Self {
        let machine = Namespace::new();
        let journal = Journal::start(&machine).await;
        let engine = Engine::start_with(&machine, &["--log-driver=journald"]).await;
        let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
        let device = Self {
            agent,
            machine,
            _journal: journal,
            _engine: engine,
        };
        device.write("probe", "the first");
        until("the journal has a row", async || {
            device
                .past("")
                .await
                .contains(&"the first".to_owned())
                .then_some(())
        })
        .await;
        device
    }

    /// Writes a row as a program of this name.
    fn write(&self, name: &str, text: &str) {
        self.write_all(name, &[text.to_owned()]);
    }

    fn write_all(&self, name: &str, rows: &[String]) {
        let mut cat = self.machine.command("systemd-cat");
        let mut cat = cat
            .args(["--identifier", name])
            .stdin(std::process::Stdio::piped())
            .spawn()
            .expect("systemd-cat");
        let mut input = cat.stdin.take().expect("its input");
        for row in rows {
            writeln!(input, "{row}").expect("a row");
        }
        drop(input);
        assert!(cat.wait().expect("systemd-cat").success());
    }

    /// What the probe has written, as the past tells it.
    async fn past(&self, query: &str) -> Vec<String> {
        let path = format!("{ALONE}&follow=false&since=0{query}");
        let mut reader = Reader::default();
        let mut lines = self.agent.endpoint().lines(&path).await;
        while reader.read(&mut lines).await {}
        reader.told
    }
}

/// Rows of the probe, and the last place of any.
#[derive(Default)]
struct Reader {
    told: Vec<String>,
    place: String,
}

impl Reader {
    /// Reads a line; `false` at the end.
    async fn read(&mut self, lines: &mut Lines) -> bool {
        let Some(line) = lines.next().await else {
            return false;
        };
        let line: Value = serde_json::from_slice(&line).expect("JSON");
        assert!(line["isNotice"].is_null(), "{line}");
        if line["timestamp"].is_null() {
            return true;
        }
        line["cursor"]
            .as_str()
            .expect("a place")
            .clone_into(&mut self.place);
        if line["program"] == "probe" {
            assert_eq!(line["isSystem"], true, "{line}");
            self.told
                .push(line["message"].as_str().expect("a message").to_owned());
        }
        true
    }

    /// Where it goes on.
    fn path(&self) -> String {
        format!(
            "{ALONE}&after={}",
            self.place.replace('=', "%3D").replace(';', "%3B")
        )
    }
}

#[tokio::test]
async fn every_row_comes_once_over_readings_that_break_off() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let expected: Vec<String> = (0..3000).map(|number| number.to_string()).collect();
    let mut reader = Reader::default();
    let mut lines = api.lines(ALONE).await;
    for (part, rows) in expected.chunks(1000).enumerate() {
        device.write_all("probe", rows);
        // The first answer breaks off while rows come; so do those that begin among rows that are there.
        while reader.told.len() < part * 1000 + 300 {
            assert!(reader.read(&mut lines).await, "it goes on");
        }
        drop(lines);
        lines = api.lines(&reader.path()).await;
    }
    while reader.told.len() < expected.len() {
        assert!(reader.read(&mut lines).await, "it goes on");
    }
    assert_eq!(reader.told, expected);
    let info: Value = api.get("/os/v1/info").await.json();
    let capabilities = info["capabilities"].as_array().expect("a list");
    assert!(
        capabilities.contains(&Value::from("system-journal")),
        "{info}"
    );
}

#[tokio::test]
async fn the_past_is_bounded_by_number_and_by_time() {
    let device = Device::start().await;
    let rows: Vec<String> = (0..50).map(|number| number.to_string()).collect();
    device.write_all("probe", &rows);
    until("they are in the journal", async || {
        (device.past("").await.len() == 51).then_some(())
    })
    .await;
    device.write_all("of-others", &rows);
    device.write("probe", "the last");
    until("so is the last", async || {
        (device.past("").await.len() == 52).then_some(())
    })
    .await;
    let tail = device.past("&tail=53").await;
    assert!(
        tail.len() <= 3 && tail.last().unwrap() == "the last",
        "{tail:?}"
    );
    assert_eq!(device.past("&until=1").await, [""; 0]);
    assert_eq!(device.past("&since=9000000000").await, [""; 0]);
}

#[tokio::test]
async fn a_device_without_a_journal_tells_what_its_agent_says() {
    let machine = Namespace::new();
    let engine = Engine::start_with(&machine, &[]).await;
    let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let info: Value = agent.endpoint().get("/os/v1/info").await.json();
    assert!(!info.to_string().contains("system-journal"), "{info}");
    let path = format!("{ALONE}&tail=5");
    let mut lines = agent.endpoint().lines(&path).await;
    let greeting = lines.json().await;
    assert_eq!(greeting["message"], "Streaming logs");
    let notice = lines.json().await;
    let words =
        "the system's journal is not told, only what its agent says: this device keeps none";
    assert_eq!(notice["message"], words);
}
