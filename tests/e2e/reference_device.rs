//! A device that has only the reference's endpoints understands all that we send to it.

use bollard::query_parameters::ListContainersOptions;
use serde_json::Value;
use testkit::{Lan, ReferenceDevice, Workstation, wire};

use crate::projects::{compose, single};

const USAGE: i32 = 2;
const DEVICE: i32 = 4;

/// Requests that the recordings show, by method and path.
const KNOWN: &[&str] = &[
    "GET /ping",
    "GET /v2/version",
    "GET /v2/local/device-info",
    "GET /v2/local/target-state",
    "POST /v2/local/target-state",
    "GET /v2/local/logs",
    "GET /v2/state/status",
    "GET /v2/containerId",
    // How our own agent is told from others: a page of the reference says that it is not there.
    "GET /os/v1/info",
];

async fn pushed(make: impl Fn(&Workstation, &str)) -> (ReferenceDevice, Workstation, Lan) {
    let lan = Lan::new();
    let device = ReferenceDevice::start(&lan).await;
    let workstation = Workstation::new(Some(&lan));
    make(&workstation, "project");
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
    (device, workstation, lan)
}

fn assert_known(device: &ReferenceDevice) {
    for asked in device.asked() {
        let line = asked.line.split('?').next().unwrap();
        assert!(KNOWN.contains(&line), "{line}: no recording shows it");
        if line.starts_with("POST") {
            assert_eq!(
                asked.headers.get("content-type").unwrap(),
                "application/json"
            );
        }
    }
}

/// What the device does with a service: the recorded body without what the project decides.
fn service_members(target: &Value) -> Vec<Vec<String>> {
    let services = target
        .pointer("/local/apps/1/services")
        .unwrap()
        .as_object()
        .unwrap();
    services
        .values()
        .map(|service| service.as_object().unwrap().keys().cloned().collect())
        .collect()
}

#[tokio::test]
async fn a_single_project_is_the_recorded_target() {
    let (device, _workstation, _lan) = pushed(single).await;
    assert_known(&device);
    let target = device.target().expect("a target");
    let mut recorded = wire::json("02-single.target-state.post.json");
    // The clients keep what the device says of itself.
    assert_eq!(target["local"]["config"], recorded["local"]["config"]);
    assert_eq!(target["local"]["name"], recorded["local"]["name"]);
    recorded["local"]["config"].take();
    let mut target = target;
    target["local"]["config"].take();
    assert_eq!(target, recorded);
}

#[tokio::test]
async fn a_project_of_two_services_is_the_recorded_target() {
    let (device, _workstation, _lan) = pushed(compose).await;
    assert_known(&device);
    let target = device.target().expect("a target");
    let recorded = wire::json("06-compose.target-state.post.json");
    let app = |target: &Value, member: &str| target["local"]["apps"]["1"][member].clone();
    for member in ["name", "commit", "releaseId", "volumes"] {
        assert_eq!(app(&target, member), app(&recorded, member), "{member}");
    }
    for (number, service) in [("1", "web"), ("2", "worker")] {
        let ours = &target["local"]["apps"]["1"]["services"][number];
        let theirs = &recorded["local"]["apps"]["1"]["services"][number];
        assert_eq!(ours["serviceName"], service);
        for member in ["imageId", "serviceId", "serviceName", "image", "running"] {
            assert_eq!(ours[member], theirs[member], "{service}.{member}");
        }
        for member in ["environment", "labels"] {
            assert!(ours[member].is_object(), "{service}.{member}");
        }
    }
    for members in service_members(&target) {
        for member in members {
            assert!(
                [
                    "environment",
                    "labels",
                    "command",
                    "depends_on",
                    "networks",
                    "ports",
                    "restart",
                    "volumes"
                ]
                .into_iter()
                .chain([
                    "imageId",
                    "serviceName",
                    "serviceId",
                    "image",
                    "running",
                    "tty",
                    "privileged"
                ])
                .any(|known| known == member),
                "the recordings show no `{member}`"
            );
        }
    }
}

#[tokio::test]
async fn images_are_built_as_the_reference_builds_them() {
    let (device, _workstation, _lan) = pushed(compose).await;
    let client = device.engine.client().await;
    for service in ["web", "worker"] {
        let image = client
            .inspect_image(&format!("local_image_{service}:latest"))
            .await
            .unwrap();
        let labels = image.config.unwrap().labels.unwrap();
        assert_eq!(
            labels.get("io.resin.local.image").map(String::as_str),
            Some("1")
        );
        assert_eq!(
            labels.get("io.resin.local.service").map(String::as_str),
            Some(service)
        );
    }
    let left: Vec<_> = client
        .list_containers(None::<ListContainersOptions>)
        .await
        .unwrap();
    assert!(
        left.is_empty(),
        "building leaves no container behind: {left:?}"
    );
}

#[tokio::test]
async fn the_logs_of_a_reference_device_are_followed() {
    let (_device, workstation, _lan) = pushed(single).await;
    let mut logs = workstation.start_in_terminal(&["logs", "10.88.7.1"]);
    logs.shows("it runs").await;
    logs.press("\x03");
    logs.output().await;
}

#[tokio::test]
async fn verbs_tell_what_a_reference_device_can_and_what_it_cannot() {
    let (device, workstation, _lan) = pushed(compose).await;
    let before = device.asked().len();
    let services = workstation.os(&["ps", "10.88.7.1", "--json"]).await;
    services.success();
    let names: Vec<Value> = services
        .stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["name"].take())
        .collect();
    assert_eq!(names, ["web", "worker"]);
    let info = workstation.os(&["info", "10.88.7.1"]).await;
    info.success();
    assert!(info.stdout.contains("19.0.5"), "{info}");
    let dry = ["push", "10.88.7.1", "--source", "project", "--dry-run"];
    let dry = workstation.os(&dry).await;
    dry.success();
    assert!(dry.stdout.contains("web: its image is on"), "{dry}");
    assert!(
        dry.stderr.contains("cannot tell what it would change"),
        "{dry}"
    );
    let purge = ["purge", "10.88.7.1", "web", "--yes"];
    let purge = workstation.os(&purge).await;
    assert_eq!(purge.code, USAGE, "{purge}");
    assert!(purge.stderr.contains("hint: os purge "), "{purge}");
    let local = workstation.os(&["local", "on", "10.88.7.1"]).await;
    assert_eq!(local.code, DEVICE, "{local}");
    assert!(local.stderr.contains("dashboard"), "{local}");
    for asked in device.asked().iter().skip(before) {
        assert!(asked.line.starts_with("GET "), "{}", asked.line);
    }
    assert_known(&device);
}
