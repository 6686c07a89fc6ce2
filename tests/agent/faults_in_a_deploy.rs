//! Whatever becomes of a request in the middle of a deploy, the target is reached: what was done is not done again, what
//! was only said to be done is done, and the agent answers all the while.

use std::collections::BTreeSet;
use std::time::Duration;

use agent_api::os::Report;
use bollard::Docker;
use bollard::query_parameters::ListNetworksOptions;
use hyper::StatusCode;
use serde_json::json;
use testkit::proxy::hold::{Moment, Outcome};
use testkit::proxy::{Fault, Proxy};
use testkit::target::IDLE;
use testkit::tier::{is_thorough, sampled};
use testkit::until::PATIENCE;
use testkit::{Device, Target, until};

use crate::every_step::reached_line;
use crate::recreation::containers;

const TROUBLE: Outcome = Outcome::Answer(500, r#"{"message":"no space left on device"}"#);
/// JSON of the wrong shape, with a status that promises the right one. Of a request that the engine has not got it says
/// that all went well.
const WRONG: Outcome = Outcome::Answer(200, r#"{"Id":[1,2]}"#);
/// What is no JSON.
const NONSENSE: Outcome = Outcome::Answer(201, "<html>it works</html>");

const OUTCOMES: [Outcome; 7] = [
    Outcome::Cut,
    Outcome::Pass,
    TROUBLE,
    Outcome::Halve,
    WRONG,
    NONSENSE,
    Outcome::Silence,
];

/// Version after version of a service that is in a network of its own and keeps what it writes; another does not change.
fn target(version: usize) -> String {
    let write = format!("echo $VERSION >> /data/versions; {IDLE}");
    let network = format!("net{version}");
    Target::of(&[("one", IDLE), ("two", &write)])
        .with(
            "two",
            "environment",
            json!({"VERSION": version.to_string()}),
        )
        .with("two", "volumes", json!(["data:/data"]))
        .with("two", "networks", json!([network]))
        .with_app("networks", json!({ network: {} }))
        .with_app("volumes", json!({"data": {}}))
        .text()
}

async fn post(device: &Device, version: usize) -> u64 {
    let api = device.agent.endpoint();
    let posted = api.post("/os/v1/target-state", target(version)).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    posted.json()["generation"].as_u64().unwrap()
}

/// Everything is as the version wants it, and every version before it ran once.
async fn check(device: &Device, engine: &Docker, (report, version): (&Report, usize), what: &str) {
    let there = containers(engine).await;
    let names: Vec<&str> = there.keys().map(String::as_str).collect();
    assert_eq!(
        names,
        ["one_1_1_10ca12e1ea5e", "two_2_1_10ca12e1ea5e"],
        "{what}"
    );
    let told = report.services.iter();
    let told: BTreeSet<_> = told
        .map(|service| (service.status.as_str(), service.container_id.as_deref()))
        .collect();
    let found = there.values().map(|(id, _)| ("Running", Some(id.as_str())));
    assert_eq!(told, found.collect(), "{what}: {report:#?}");
    let file = "data/volumes/1_data/_data/versions";
    let file = device.engine.dir().join(file);
    let wanted: Vec<String> = (0..=version).map(|version| version.to_string()).collect();
    until(&format!("{what}: {wanted:?} are written"), async || {
        let text = fs_err::read_to_string(&file).ok()?;
        text.lines().eq(&wanted).then_some(())
    })
    .await;
    let networks = engine.list_networks(None::<ListNetworksOptions>).await;
    let networks = networks.unwrap().into_iter();
    let mut names: Vec<_> = networks.filter_map(|network| network.name).collect();
    names.retain(|name| name.starts_with("1_"));
    names.sort();
    assert_eq!(
        names,
        ["1_default".to_owned(), format!("1_net{version}")],
        "{what}"
    );
}

async fn is_alive(device: &Device) {
    let api = device.agent.endpoint();
    assert_eq!(api.get("/ping").await.status, StatusCode::OK);
    let status = api.get("/v2/state/status").await;
    assert_eq!(status.status, StatusCode::OK);
}

/// The agent answers, and does not say that it is done.
async fn is_at_it(device: &Device) {
    is_alive(device).await;
    let report = device.agent.endpoint().get("/os/v1/report").await.json();
    assert_ne!(report["state"], "applied", "{report}");
}

/// A deploy of which one request has this outcome.
async fn deploy(
    (device, proxy): (&Device, &Proxy),
    version: usize,
    (number, moment, outcome): (usize, Moment, Outcome),
) -> (Report, String) {
    let mut held = proxy.hold(number, moment);
    let generation = post(device, version).await;
    let settled = device.settled_at_last(generation);
    let reached = held.reached_before(settled).await;
    let line = reached_line(proxy, number, reached.as_ref().ok());
    let what = format!("request {number}, {line}: {moment:?}, {outcome:?}");
    println!("{what}");
    let caught = match reached {
        Ok(caught) => caught,
        Err(report) => return (report, what),
    };
    // However long the engine takes, the agent answers.
    is_at_it(device).await;
    caught.release(outcome);
    if outcome == Outcome::Silence {
        is_at_it(device).await;
        // Until the other side notices that it is dead.
        proxy.set(Fault::None);
    }
    (device.settled_at_last(generation).await, what)
}

#[tokio::test]
async fn a_request_that_goes_wrong_is_made_good() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let engine = device.engine.client().await;
    let first = post(&device, 0).await;
    device.settled_at_last(first).await;
    let before = containers(&engine).await;
    let _count = proxy.hold(usize::MAX, Moment::Asked);
    let second = post(&device, 1).await;
    device.settled_at_last(second).await;
    let requests = proxy.changes().len();
    let both = [Moment::Asked, Moment::Answered];
    let cases = OUTCOMES
        .into_iter()
        .enumerate()
        .flat_map(|(index, outcome)| {
            let at = move |number, moment| (number, moment, outcome);
            if is_thorough() {
                let all = (1..=requests).flat_map(|number| both.map(|moment| at(number, moment)));
                all.collect()
            } else {
                // Each outcome at another request.
                vec![at(index % requests + 1, both[index % 2])]
            }
        });
    for (version, case) in (2..).zip(cases) {
        let (report, what) = deploy((&device, &proxy), version, case).await;
        check(&device, &engine, (&report, version), &what).await;
    }
    assert_eq!(
        containers(&engine).await["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"],
        "a service that did not change was disturbed"
    );
}

/// The longest time that the agent waits for an answer of its engine.
pub(crate) const SLOW: Duration = Duration::from_mins(5);

/// What goes wrong everywhere, not with one request. The usual run takes every other one.
const FAULTS: [Fault; 7] = [
    Fault::Stall,
    Fault::Cut,
    Fault::Answer(testkit::proxy::TROUBLE),
    Fault::Answer(testkit::proxy::WRONG_SHAPE),
    Fault::Deafen,
    Fault::Halve,
    Fault::LoseEvents,
];

#[tokio::test]
async fn a_connection_that_goes_wrong_in_a_deploy_delays_it() {
    let (device, proxy) = Device::start_behind_proxy().await;
    let engine = device.engine.client().await;
    let first = post(&device, 0).await;
    device.settled_at_last(first).await;
    let before = containers(&engine).await;
    for (version, fault) in (1..).zip(sampled(FAULTS.into_iter(), 2)) {
        let mut held = proxy.hold(version % 4 + 1, Moment::Answered);
        let generation = post(&device, version).await;
        let caught = held.reached().await;
        let what = format!("{}: {fault:?}", caught.line);
        println!("{what}");
        match fault {
            // Connections stay open, whatever is lost on them.
            Fault::Deafen | Fault::LoseEvents => proxy.turn(fault.clone()),
            _ => proxy.set(fault.clone()),
        }
        caught.release(Outcome::Pass);
        is_alive(&device).await;
        let mut limit = PATIENCE;
        match fault {
            // The deploy needs none: all is read again after every step.
            Fault::LoseEvents => {}
            // Nobody ends the connections that are deaf: the agent gives them up.
            Fault::Deafen if is_thorough() => {
                proxy.met().await;
                proxy.turn(Fault::None);
                limit += SLOW;
            }
            _ => {
                proxy.met().await;
                is_alive(&device).await;
                proxy.set(Fault::None);
            }
        }
        let report = device.settled_at_last_within(generation, limit).await;
        proxy.turn(Fault::None);
        check(&device, &engine, (&report, version), &what).await;
    }
    assert_eq!(
        containers(&engine).await["one_1_1_10ca12e1ea5e"],
        before["one_1_1_10ca12e1ea5e"],
        "a service that did not change was disturbed"
    );
}
