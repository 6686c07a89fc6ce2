//! What the reference client sends, and the containers that a reference device made of it.

use agent_api::os::Report;
use bollard::models::{ContainerInspectResponse, NetworkInspect};
use bollard::query_parameters::{InspectContainerOptions, InspectNetworkOptions};
use serde_json::{Map, Value, json};
use testkit::{Device, image, wire};

/// Posts a recorded target state to the letter and waits until it is there.
pub(crate) async fn post(device: &Device, body: &str) -> Report {
    let api = device.agent.endpoint();
    let report = api.lines("/os/v1/report?follow=true").await.json().await;
    let before = report["generation"].as_u64().unwrap();
    let answer = api.post("/v2/local/target-state", wire::body(body)).await;
    assert_eq!(answer.text(), r#"{"status":"success","message":"OK"}"#);
    device.settled(before + 1).await
}

async fn container(device: &Device, name: &str) -> ContainerInspectResponse {
    let engine = device.engine.client().await;
    engine
        .inspect_container(name, None::<InspectContainerOptions>)
        .await
        .unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Members that an engine answers in its own words, or that belong to it and not to the wish.
const ENGINES_OWN: [&str; 4] = ["/NetworkingConfig", "/name", "/Image", "/HostConfig/Tmpfs"];

/// Compares what the reference asked of its engine with what our engine says of the container. Texts of the machine
/// (image ids, keys, paths) are replaced on both sides first.
fn assert_made_as_recorded(device: &Device, recorded: &str, inspected: &ContainerInspectResponse) {
    let services = device.agent.dir().join("services").display().to_string();
    let plain = |value: Value| -> Value {
        let text = value
            .to_string()
            .replace(&services, "/tmp/balena-supervisor/services");
        serde_json::from_str(&text).unwrap()
    };
    let wish = wire::json(recorded);
    let mut made = serde_json::to_value(inspected.config.as_ref().unwrap()).unwrap();
    made["HostConfig"] = serde_json::to_value(inspected.host_config.as_ref().unwrap()).unwrap();
    let made = plain(made);
    let mut differences = Vec::new();
    compare("", &wish, &made, &mut differences);
    assert!(
        differences.is_empty(),
        "{recorded}:\n{}",
        differences.join("\n")
    );
}

fn compare(path: &str, wish: &Value, made: &Value, differences: &mut Vec<String>) {
    if ENGINES_OWN.contains(&path) {
        return;
    }
    match wish {
        Value::Object(members) if path.is_empty() || path == "/HostConfig" => {
            for (name, wish) in members {
                compare(&format!("{path}/{name}"), wish, &made[name], differences);
            }
        }
        _ => {
            let (wish, made) = (settled(path, wish), settled(path, made));
            if wish != made {
                let only = |one: &Value, other: &Value| match (one, other) {
                    (Value::Array(one), Value::Array(other)) => {
                        json!(
                            one.iter()
                                .filter(|element| !other.contains(element))
                                .collect::<Vec<_>>()
                        )
                    }
                    _ => one.clone(),
                };
                let (wish, made) = (only(&wish, &made), only(&made, &wish));
                differences.push(format!("{path}: only recorded {wish}, only made {made}"));
            }
        }
    }
}

/// The value without what may differ: empty is absent, keys are random, sets have no order.
fn settled(path: &str, value: &Value) -> Value {
    let value = match path {
        // The engine gives a container without a name its id as one.
        "/Hostname" if value.as_str().is_some_and(|name| name.len() == 12) => &Value::Null,
        _ => value,
    };
    match value {
        Value::Array(elements) if path == "/Env" => {
            let mut variables: Vec<String> = elements
                .iter()
                .map(|variable| {
                    let (name, value) = variable.as_str().unwrap().split_once('=').unwrap();
                    let value = if name.ends_with("SUPERVISOR_API_KEY") {
                        "<key>"
                    } else {
                        value
                    };
                    format!("{name}={value}")
                })
                .collect();
            variables.sort();
            json!(variables)
        }
        Value::Array(elements) if path == "/HostConfig/Binds" => {
            // Of the host's folders, the recorded device had neither.
            let absent = ["/lib/firmware:/lib/firmware", "/lib/modules:/lib/modules"];
            let here = elements
                .iter()
                .filter(|bind| !absent.iter().any(|absent| *bind == absent));
            let mut binds: Vec<_> = here.cloned().collect();
            binds.sort_by_key(Value::to_string);
            json!(binds)
        }
        // The engine's own way to say that a privileged container is not labelled.
        Value::Array(elements)
            if path == "/HostConfig/SecurityOpt" && elements[..] == [json!("label=disable")] =>
        {
            Value::Null
        }
        Value::Array(elements) if elements.is_empty() => Value::Null,
        Value::Object(members) if members.is_empty() => Value::Null,
        Value::Object(members) if path == "/Labels" => {
            // The engine adds the image's own labels, our agent what it compares by.
            let own = ["os.config-digest", "os.because"];
            let added = |name: &str| name.starts_with("io.resin.") || own.contains(&name);
            let own = members.iter().filter(|(name, _)| !added(name));
            let mut own: Vec<_> = own
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect();
            own.sort_by(|one, other| one.0.cmp(&other.0));
            Value::Object(own.into_iter().collect::<Map<_, _>>())
        }
        Value::String(text) if text.is_empty() => Value::Null,
        Value::Number(number) if number.as_f64() == Some(0.0) => Value::Null,
        Value::Bool(false) => Value::Null,
        other => other.clone(),
    }
}

#[tokio::test]
async fn the_recorded_single_project_becomes_the_recorded_container() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    let image = image::make_service(&engine, "main", testkit::target::IDLE).await;
    let report = post(&device, "02-single.target-state.post.json").await;
    assert_eq!(report.services.len(), 1);
    assert_eq!(report.services[0].status, "Running");

    let main = container(&device, "main_1_1_10ca12e1ea5e").await;
    assert_eq!(main.image.as_ref(), Some(&image));
    assert_eq!(main.state.as_ref().unwrap().running, Some(true));
    assert_made_as_recorded(&device, "20.create-main.json", &main);
    engine.inspect_volume("1_resin-data").await.unwrap();
}

#[tokio::test]
async fn the_recorded_compose_project_becomes_the_recorded_containers() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", testkit::target::IDLE).await;
    image::make_service(&engine, "worker", testkit::target::IDLE).await;
    post(&device, "06-compose.target-state.post.json").await;

    let web = container(&device, "web_1_1_10ca12e1ea5e").await;
    assert_made_as_recorded(&device, "20.create-web.json", &web);
    let worker = container(&device, "worker_2_1_10ca12e1ea5e").await;
    assert_eq!(networks(&web), networks_of(&["1_default"]));
    assert_eq!(
        networks(&worker),
        networks_of(&["1_default", "supervisor0"])
    );

    let network: NetworkInspect = engine
        .inspect_network("1_default", None::<InspectNetworkOptions>)
        .await
        .unwrap();
    let labels = network.labels.unwrap();
    assert_eq!(
        labels.get("io.balena.supervised").map(String::as_str),
        Some("true")
    );
    assert_eq!(
        labels.get("io.balena.app-id").map(String::as_str),
        Some("1")
    );
    assert_eq!(
        (network.driver.as_deref(), network.internal),
        (Some("bridge"), Some(false))
    );
    let volume = engine.inspect_volume("1_data").await.unwrap();
    assert_eq!(volume.driver, "local");
    assert_eq!(
        volume
            .labels
            .get("io.balena.supervised")
            .map(String::as_str),
        Some("true")
    );
    assert_eq!(
        volume.labels.get("io.balena.app-uuid").map(String::as_str),
        Some("1")
    );
}

fn networks(container: &ContainerInspectResponse) -> Vec<String> {
    let settings = container.network_settings.as_ref().unwrap();
    let mut names: Vec<_> = settings
        .networks
        .as_ref()
        .unwrap()
        .keys()
        .cloned()
        .collect();
    names.sort();
    names
}

fn networks_of(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}
