//! Keys of the API on a device that belongs to a fleet, with services that talk to the agent.

use agent_api::os::Report;
use bollard::query_parameters::InspectContainerOptions;
use hyper::Request;
use serde_json::{Value, json};
use testkit::target::IDLE;
use testkit::{Agent, Answer, Device, Endpoint, Target};

/// A device of a fleet with a target of its fleet.
async fn fleet_device(target: &Target) -> (Device, Report) {
    let (machine, engine) = testkit::Engine::on_a_machine().await;
    let mut settings = testkit::agent::Settings::new(engine.socket());
    "managed".clone_into(&mut settings.place);
    let dir = machine.dir().join("managed");
    fs_err::create_dir_all(&dir).expect("the agent's directory");
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    fs_err::write(dir.join("config.json"), config.to_string()).expect("config.json");
    let agent = Agent::start(&machine, settings).await;
    let device = Device {
        agent,
        engine,
        machine,
        address: None,
    };
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post("/os/v1/fleet/target-state", target.text());
    assert!(posted.await.status.is_success());
    let report = device.settled(1).await;
    (device, report)
}

fn talkative() -> Target {
    let labels = json!({"io.balena.features.supervisor-api": "1"});
    Target::of(&[("web", IDLE)])
        .with("web", "labels", labels)
        .with("web", "network_mode", json!("host"))
}

/// The key in the environment of a service's container, with the container's id.
async fn key_of(device: &Device, report: &Report) -> (String, String) {
    let id = report.services[0]
        .container_id
        .clone()
        .expect("a container");
    let engine = device.engine.client().await;
    let container = engine.inspect_container(&id, None::<InspectContainerOptions>);
    let config = container.await.expect("the container").config;
    let variables = config.expect("a configuration").env.expect("variables");
    let mut keys = variables.iter();
    let key = keys.find_map(|v| v.strip_prefix("BALENA_SUPERVISOR_API_KEY="));
    (key.expect("a key").to_owned(), id)
}

async fn with_key(endpoint: &Endpoint<'_>, method: &str, path: &str, key: &str) -> Answer {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "device")
        .header("authorization", format!("Bearer {key}"))
        .body(http_body_util::Full::default())
        .expect("a request");
    endpoint.request(request).await
}

#[tokio::test]
async fn a_service_opens_the_api_with_its_own_key_until_it_changes_it() {
    let (device, report) = fleet_device(&talkative()).await;
    let tcp = device.agent.endpoint_tcp(&device.machine);
    let (key, before) = key_of(&device, &report).await;
    let refused = tcp.get("/v2/version").await;
    assert_eq!(
        (refused.status.as_u16(), refused.text()),
        (401, "Unauthorized")
    );
    assert_eq!(tcp.get("/ping").await.status.as_u16(), 200);
    let status = async |key: &str| {
        let answer = with_key(&tcp, "GET", "/v2/version", key).await;
        answer.status.as_u16()
    };
    assert_eq!(status("0123456789abcdef0123456789abcdef").await, 401);
    assert_eq!(status(&key).await, 200);
    let app = with_key(&tcp, "GET", "/v1/apps/1", &key).await;
    let app: Value = app.json();
    assert_eq!(app["containerId"], before.as_str());
    assert_eq!(app["env"]["BALENA_APP_ID"], "1", "{app}");
    assert!(!app.to_string().contains(&key), "{app}");

    let new = with_key(&tcp, "POST", "/v1/regenerate-api-key", &key).await;
    assert_eq!(new.status.as_u16(), 200, "{}", new.text());
    assert_eq!(new.text().len(), 32);
    assert_eq!((status(&key).await, status(new.text()).await), (401, 200));
    // The service's container is made anew, with the key that it has now.
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let made = reports
        .find(|report| {
            report["state"] == "applied" && report["services"][0]["container_id"] != before.as_str()
        })
        .await;
    let made: Report = serde_json::from_value(made).expect("a report");
    let (inside, _) = key_of(&device, &made).await;
    assert_eq!(inside, new.text());
    assert!(!device.agent.log().contains(&inside), "a key in the log");
}

#[tokio::test]
async fn the_devices_own_key_is_made_once_and_outlives_the_agent() {
    let (mut device, _) = fleet_device(&talkative()).await;
    let own = async |device: &Device| {
        let answer = device.agent.endpoint().get("/os/v1/key").await;
        answer.json()["key"].as_str().expect("a key").to_owned()
    };
    let key = own(&device).await;
    device.crash_agent().await;
    assert_eq!(own(&device).await, key);
    let tcp = device.agent.endpoint_tcp(&device.machine);
    let report = with_key(&tcp, "GET", "/os/v1/report", &key).await;
    assert_eq!(report.status.as_u16(), 200);
    let new = with_key(&tcp, "POST", "/v1/regenerate-api-key", &key).await;
    assert_eq!(new.status.as_u16(), 200, "{}", new.text());
    assert_eq!(own(&device).await, new.text());
    let old = with_key(&tcp, "GET", "/os/v1/report", &key).await;
    assert_eq!(old.status.as_u16(), 401);
}
