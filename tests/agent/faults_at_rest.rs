//! While nothing is to be done, the connection to the engine goes wrong and containers come to harm: when it is well
//! again, the agent knows, repairs what is its to repair, and says what is so.

use std::time::Duration;

use bollard::query_parameters::{
    KillContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use serde_json::Value;
use testkit::proxy::{Fault, NONSENSE, Proxy, TROUBLE, WRONG_SHAPE};
use testkit::target::IDLE;
use testkit::tier::{is_thorough, sampled};
use testkit::until::PATIENCE;
use testkit::{Device, Target, until};

use crate::recreation::containers;

/// For how long the agent believes that nothing happens.
const SILENCE: Duration = Duration::from_mins(5);

const ONE: &str = "one_1_1_10ca12e1ea5e";
const TWO: &str = "two_2_1_10ca12e1ea5e";
const THREE: &str = "three_3_1_10ca12e1ea5e";

/// What goes wrong with the connection. The usual run takes every other one.
const FAULTS: [Fault; 7] = [
    Fault::Cut,
    Fault::Answer(TROUBLE),
    Fault::Stall,
    Fault::Answer(NONSENSE),
    Fault::Answer(WRONG_SHAPE),
    Fault::Halve,
    Fault::Deafen,
];

struct Rest {
    device: Device,
    proxy: Proxy,
    engine: bollard::Docker,
}

impl Rest {
    async fn start() -> Self {
        let (device, proxy) = Device::start_behind_proxy().await;
        let engine = device.engine.client().await;
        let target = Target::of(&[("one", IDLE), ("two", IDLE), ("three", IDLE)]);
        device.converge(&target.text()).await;
        Self {
            device,
            proxy,
            engine,
        }
    }

    async fn id(&self, name: &str) -> String {
        containers(&self.engine).await[name].0.clone()
    }

    /// One container is taken away, one is killed as somebody does who does not want it any more.
    async fn harm(&self) {
        let force = RemoveContainerOptionsBuilder::new().force(true).build();
        let removed = self.engine.remove_container(ONE, Some(force));
        removed.await.unwrap();
        let killed = self
            .engine
            .kill_container(THREE, None::<KillContainerOptions>);
        killed.await.unwrap();
    }

    /// Waits until the report says of all services what is so: the first one is there again, the second one was never
    /// touched, the third one is as `status` says.
    async fn is_told(&self, gone: &str, status: &str, what: &str) {
        self.is_told_within(PATIENCE, gone, status, what).await;
    }

    /// The same with a limit of its own.
    async fn is_told_within(&self, limit: Duration, gone: &str, status: &str, what: &str) {
        let (two, three) = (self.id(TWO).await, self.id(THREE).await);
        let before = containers(&self.engine).await[TWO].clone();
        let api = self.device.agent.endpoint();
        let mut reports = api.lines("/os/v1/report?follow=true").await;
        let report = reports
            .find_within(limit, |report| {
                let all = report["services"].as_array().unwrap();
                let of = |name: &str| all.iter().find(|service| service["name"] == name);
                let is = |name: &str, status: &str, fits: &dyn Fn(&Value) -> bool| {
                    of(name).is_some_and(|s| s["status"] == status && fits(&s["container_id"]))
                };
                report["state"] == "applied"
                    && all.len() == 3
                    && is("one", "Running", &|id| id.is_string() && id != gone)
                    && is("two", "Running", &|id| *id == *two)
                    && is("three", status, &|id| *id == *three)
            })
            .await;
        let one = report["services"].as_array().unwrap().iter();
        let one = one
            .clone()
            .find(|service| service["name"] == "one")
            .unwrap();
        assert_eq!(one["container_id"], self.id(ONE).await.as_str(), "{what}");
        let now = containers(&self.engine).await;
        assert_eq!(now[TWO], before, "{what}");
        assert_eq!(now.len(), 3, "{what}: {now:?}");
    }

    /// Somebody starts the killed one again.
    async fn mend(&self, what: &str) {
        let started = self
            .engine
            .start_container(THREE, None::<StartContainerOptions>);
        started.await.unwrap();
        self.is_told("", "Running", what).await;
    }
}

#[tokio::test]
async fn what_happened_while_the_connection_was_bad_is_made_good() {
    let rest = Rest::start().await;
    for fault in sampled(FAULTS.into_iter(), 2) {
        let what = format!("{fault:?}");
        println!("{what}");
        let gone = rest.id(ONE).await;
        match fault {
            Fault::Deafen => rest.proxy.turn(fault),
            _ => rest.proxy.set(fault),
        }
        rest.harm().await;
        rest.proxy.met().await;
        rest.device.agent.endpoint().get("/v2/state/status").await;
        rest.proxy.set(Fault::None);
        rest.is_told(&gone, "exited", &what).await;
        rest.mend(&what).await;
    }
    // Nobody ends the connection that is deaf: the agent gives it up.
    if is_thorough() {
        let what = "a connection that stays deaf";
        println!("{what}");
        let gone = rest.id(ONE).await;
        rest.proxy.turn(Fault::Deafen);
        rest.harm().await;
        rest.proxy.met().await;
        rest.proxy.turn(Fault::None);
        rest.is_told_within(SILENCE + PATIENCE, &gone, "exited", what)
            .await;
        rest.mend(what).await;
    }
}

#[tokio::test]
async fn events_that_were_lost_are_made_good_by_the_next_one() {
    let rest = Rest::start().await;
    let gone = rest.id(ONE).await;
    rest.proxy.turn(Fault::LoseEvents);
    rest.harm().await;
    let three = rest.id(THREE).await;
    until("the events are lost", async || {
        let lost = rest.proxy.lost();
        let has = |id: &str, action: &str| {
            let action = format!("\"Action\":\"{action}\"");
            lost.iter()
                .any(|event| event.contains(id) && event.contains(&action))
        };
        // The network tells that they have left it as well.
        let has_gone = has(&gone, "destroy") && has(&gone, "disconnect");
        (has_gone && has(&three, "die") && has(&three, "disconnect")).then_some(())
    })
    .await;
    rest.proxy.turn(Fault::None);
    // The connection is the same as before: nothing says that something is missing.
    let volume = bollard::models::VolumeCreateRequest::default();
    rest.engine.create_volume(volume).await.unwrap();
    rest.is_told(&gone, "exited", "events were lost").await;
}
