//! A device: a machine with an engine and an agent.

use std::net::SocketAddr;
use std::time::Duration;

use agent_api::os::{ApplyState, Report};

use crate::agent::{Agent, Settings};
use crate::engine::Engine;
use crate::http::Endpoint;
use crate::lan::{Address, Lan};
use crate::namespace::Namespace;
use crate::proxy::{Fault, Proxy};
use crate::until::PATIENCE;

/// A device. The order of the fields is the order in which they end.
#[derive(Debug)]
pub struct Device {
    /// The agent.
    pub agent: Agent,
    /// The engine.
    pub engine: Engine,
    /// The machine.
    pub machine: Namespace,
    /// Its place in the local network, when it is in one.
    pub address: Option<Address>,
}

impl Device {
    /// A device in no network, as the recordings' one is called; returns when engine and agent answer.
    pub async fn start() -> Self {
        Self::start_with(None, |_| ()).await
    }

    /// A device in a local network, with settings changed by `change`.
    pub async fn start_with(lan: Option<&Lan>, change: impl FnOnce(&mut Settings)) -> Self {
        let (machine, engine) = Engine::on_a_machine().await;
        let address = lan.map(|lan| lan.join(&machine));
        let mut settings = Settings::new(engine.socket());
        change(&mut settings);
        let agent = Agent::start(&machine, settings).await;
        Self {
            agent,
            engine,
            machine,
            address,
        }
    }

    /// A device in no network with this config.json.
    pub async fn start_configured(config: &serde_json::Value) -> Self {
        let (machine, engine) = Engine::on_a_machine().await;
        let settings = Settings::new(engine.socket());
        configure(&machine, &settings, config);
        let agent = Agent::start(&machine, settings).await;
        Self {
            agent,
            engine,
            machine,
            address: None,
        }
    }

    /// A device in no network whose agent reaches its engine through a proxy.
    pub async fn start_behind_proxy() -> (Self, Proxy) {
        Self::start_behind_proxy_configured(None).await
    }

    /// The same, perhaps with a config.json.
    pub async fn start_behind_proxy_configured(
        config: Option<&serde_json::Value>,
    ) -> (Self, Proxy) {
        let (machine, engine) = Engine::on_a_machine().await;
        let socket = machine.dir().join("proxy.sock");
        let proxy = Proxy::start(&socket, &engine.socket(), Fault::None);
        let settings = Settings::new(socket);
        if let Some(config) = config {
            configure(&machine, &settings, config);
        }
        let agent = Agent::start(&machine, settings).await;
        let device = Self {
            agent,
            engine,
            machine,
            address: None,
        };
        (device, proxy)
    }

    /// Kills the agent and starts it again.
    pub async fn crash_agent(&mut self) {
        self.agent.kill().await;
        self.agent.resume(&self.machine).await;
    }

    /// The device's API as another machine of the network sees it.
    pub fn seen_from<'a>(&self, other: &'a Namespace) -> Endpoint<'a> {
        let address = self.address.expect("a device in a network").v4;
        Endpoint::Tcp(other, SocketAddr::from((address, agent_api::API_PORT)))
    }

    /// Posts a target state and waits until the device says that it is there. Panics when it says that it failed.
    pub async fn converge(&self, target: &str) -> Report {
        let generation = self.post(target).await;
        self.settled(generation).await
    }

    /// Posts a target state and returns its generation. Panics when it is refused.
    pub async fn post(&self, target: &str) -> u64 {
        let answer = self
            .agent
            .endpoint()
            .post("/os/v1/target-state", target.to_owned())
            .await;
        assert!(
            answer.status.is_success(),
            "the target was refused: {}",
            answer.text()
        );
        let accepted: agent_api::os::Accepted =
            serde_json::from_slice(&answer.body).expect("an acceptance");
        accepted.generation
    }

    /// Waits until the device has applied target number `generation` or a later one. Panics when it says that it failed.
    pub async fn settled(&self, generation: u64) -> Report {
        let fits = |state: ApplyState| state != ApplyState::Applying;
        let report = self.reported(generation, PATIENCE, fits).await;
        assert_eq!(
            report.state,
            ApplyState::Applied,
            "the target failed: {report:#?}"
        );
        report
    }

    /// The same, with failures on the way: the device tries again.
    pub async fn settled_at_last(&self, generation: u64) -> Report {
        self.settled_at_last_within(generation, PATIENCE).await
    }

    /// The same with a limit of its own.
    pub async fn settled_at_last_within(&self, generation: u64, limit: Duration) -> Report {
        let fits = |state: ApplyState| state == ApplyState::Applied;
        self.reported(generation, limit, fits).await
    }

    async fn reported(
        &self,
        generation: u64,
        limit: Duration,
        fits: impl Fn(ApplyState) -> bool,
    ) -> Report {
        let mut reports = self
            .agent
            .endpoint()
            .lines("/os/v1/report?follow=true")
            .await;
        let found = reports
            .find_within(limit, |line| {
                let report: Report = serde_json::from_value(line.clone()).expect("a report");
                report.generation >= generation && fits(report.state)
            })
            .await;
        serde_json::from_value(found).expect("a report")
    }
}

/// Writes config.json where an agent with these settings reads it.
fn configure(machine: &Namespace, settings: &Settings, config: &serde_json::Value) {
    let dir = machine.dir().join(&settings.place);
    fs_err::create_dir_all(&dir).expect("the agent's directory");
    fs_err::write(dir.join("config.json"), config.to_string()).expect("config.json");
}
