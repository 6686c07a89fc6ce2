//! The journal of a device's system, as `os logs --system` has it: each row once, whoever breaks off.

use std::io::Write as _;

use serde_json::Value;
use testkit::agent::Settings;
use testkit::http::Lines;
use testkit::{Agent, Endpoint, Engine, Journal, Namespace, Target, until};

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

/// Reads an answer to its end: times, who says what, and the last place of each origin.
async fn whole(api: &Endpoint<'_>, path: &str) -> (Vec<i64>, Vec<String>, String) {
    let (mut times, mut told) = (Vec::new(), Vec::new());
    let mut places = std::collections::BTreeMap::new();
    let mut lines = api.lines(path).await;
    while let Some(line) = lines.next().await {
        let line: Value = serde_json::from_slice(&line).expect("JSON");
        let Some(time) = line["timestamp"].as_i64() else {
            continue;
        };
        assert!(line["isNotice"].is_null(), "{line}");
        let who = line["serviceName"].as_str().or(line["program"].as_str());
        let place = line["cursor"].as_str().expect("a place");
        let origin = match place.rsplitn(3, '.').last() {
            Some(origin) if !place.contains('=') => origin,
            _ => "the journal",
        };
        places.insert(
            origin.to_owned(),
            place.replace('=', "%3D").replace(';', "%3B"),
        );
        times.push(time);
        if let Some(who @ ("one" | "probe")) = who {
            let message = line["message"].as_str().expect("a message");
            told.push(format!("{who}: {message}"));
        }
    }
    let places: Vec<String> = places.into_values().collect();
    (times, told, places.join(","))
}

#[tokio::test]
async fn services_and_the_journal_are_told_by_time_and_go_on_each_in_its_place() {
    const BOTH: &str = "/os/v1/logs?service=one&system=true&journal=true&follow=false";
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let script =
        "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo $i; sleep 0.05; done; sleep 1000000 & wait";
    let target = Target::of(&[("one", script)]).text();
    assert_eq!(api.post("/v2/local/target-state", target).await.status, 200);
    until("the service writes", async || {
        let (_, told, _) = whole(&api, &format!("{BOTH}&since=0")).await;
        told.contains(&"one: 1".to_owned()).then_some(())
    })
    .await;
    device.write("probe", "among them");
    until("both are there", async || {
        let (_, told, _) = whole(&api, &format!("{BOTH}&since=0")).await;
        let wanted = ["one: 40", "probe: among them"].map(str::to_owned);
        wanted.iter().all(|line| told.contains(line)).then_some(())
    })
    .await;
    let (times, told, places) = whole(&api, &format!("{BOTH}&since=0")).await;
    assert!(times.is_sorted(), "{times:?}");
    let of_service: Vec<String> = (1..=40).map(|number| format!("one: {number}")).collect();
    let found: Vec<String> = told
        .iter()
        .filter(|line| line.starts_with("one"))
        .cloned()
        .collect();
    assert_eq!(found, of_service);
    let among = told.iter().position(|line| line == "probe: among them");
    assert!(among.is_some_and(|at| at + 1 < told.len()), "{told:?}");
    device.write("probe", "behind");
    until("only what is new is told", async || {
        let (_, told, _) = whole(&api, &format!("{BOTH}&after={places}")).await;
        assert!(told.len() <= 1, "{told:?}");
        (told == ["probe: behind"]).then_some(())
    })
    .await;
}
