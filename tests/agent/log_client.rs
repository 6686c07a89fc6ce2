//! A client of the log that keeps what it got and where it was, and services that write.

use std::collections::BTreeMap;
use std::time::Instant;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::StreamExt;
use serde_json::{Value, json};
use testkit::http::Lines;
use testkit::until::PATIENCE;
use testkit::{Device, Target};

/// Prints numbers on both streams, each of them on one, as quickly as it can start processes.
pub(crate) const COUNT: &str = "trap 'exit 0' TERM; i=0; while :; do i=$((i+1)); echo $i; echo $((i+1000000)) >&2; i=$((i+1)); echo $i; \
                     sleep 0.02 & wait $!; done";

/// A client that keeps what it got and where it was, as `agent_api::os` tells it to.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// Messages by service and stream.
    pub(crate) got: BTreeMap<(String, bool), Vec<String>>,
    /// The agent's own lines.
    pub(crate) own: Vec<String>,
    pub(crate) notices: Vec<String>,
    places: BTreeMap<String, String>,
    begun: Option<String>,
}

impl Client {
    /// Where the log goes on.
    pub(crate) fn path(&self) -> String {
        let places: Vec<&str> = self.places.values().map(String::as_str).collect();
        match &self.begun {
            Some(begun) => {
                let (seconds, nanos) = begun.split_at(begun.len() - 9);
                format!(
                    "/os/v1/logs?since={seconds}.{nanos}&after={}",
                    places.join(",")
                )
            }
            None => "/os/v1/logs".to_owned(),
        }
    }

    pub(crate) fn note(&mut self, line: &Value) {
        let cursor = line["cursor"].as_str().unwrap_or_default();
        let parts: Vec<&str> = cursor.split('.').collect();
        let message = line["message"].as_str().unwrap().to_owned();
        if line["isNotice"] == true {
            if let [container, "gone"] = parts[..] {
                self.places
                    .retain(|origin, _| !origin.starts_with(container));
            }
            self.notices.push(message);
            return;
        }
        assert_eq!(parts.len(), 3, "{line}");
        if line["timestamp"].is_null() {
            self.begun.get_or_insert(parts[1].to_owned());
            return;
        }
        if parts[0].starts_with('r') {
            self.places.retain(|origin, _| !origin.starts_with('r'));
        }
        self.places.insert(parts[0].to_owned(), cursor.to_owned());
        match line["serviceName"].as_str() {
            Some(service) => self
                .got
                .entry((service.to_owned(), line["isStdErr"] == true))
                .or_default()
                .push(message),
            None => self.own.push(message),
        }
    }

    /// Reads until every one of these services has told `more` further lines.
    pub(crate) async fn read(&mut self, lines: &mut Lines, services: &[&str], more: usize) {
        let enough: BTreeMap<_, _> = services
            .iter()
            .map(|service| {
                let key = ((*service).to_owned(), false);
                let count = self.got.get(&key).map_or(0, Vec::len);
                (key, count + more)
            })
            .collect();
        let has_enough = |client: &Self| {
            enough
                .iter()
                .all(|(key, count)| client.got.get(key).is_some_and(|got| got.len() >= *count))
        };
        let what = format!("{more} further lines of {services:?}");
        self.read_until(lines, &what, has_enough).await;
    }

    /// Reads until it is as `is_there` says. Panics when `what` does not come in time, although other lines do.
    pub(crate) async fn read_until(
        &mut self,
        lines: &mut Lines,
        what: &str,
        is_there: impl Fn(&Self) -> bool,
    ) {
        let start = Instant::now();
        while !is_there(self) {
            assert!(start.elapsed() < PATIENCE, "there is no {what}");
            self.note(&lines.json().await);
        }
    }

    /// Reads to the end. Panics when lines go on and on.
    pub(crate) async fn read_all(&mut self, lines: &mut Lines) {
        let start = Instant::now();
        while let Some(line) = lines.next().await {
            self.note(&serde_json::from_slice(&line).unwrap());
            assert!(start.elapsed() < PATIENCE, "there is no end of lines");
        }
    }
}

/// What the engine has kept of a container's stream.
pub(crate) async fn kept(device: &Device, container: &str, is_std_err: bool) -> Vec<String> {
    let engine = device.engine.client().await;
    let options = LogsOptionsBuilder::default()
        .stdout(!is_std_err)
        .stderr(is_std_err)
        .build();
    let mut logs = engine.logs(container, Some(options));
    let mut text = Vec::new();
    while let Some(output) = logs.next().await {
        let (LogOutput::StdOut { message }
        | LogOutput::StdErr { message }
        | LogOutput::Console { message }
        | LogOutput::StdIn { message }) = output.unwrap();
        text.extend_from_slice(&message);
    }
    String::from_utf8(text)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Services without a terminal that all run this script.
pub(crate) fn target(services: &[&str], script: &str) -> Target {
    let all: Vec<(&str, &str)> = services.iter().map(|name| (*name, script)).collect();
    services.iter().fold(Target::of(&all), |target, service| {
        target.with(service, "tty", json!(false))
    })
}
