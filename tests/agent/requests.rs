//! What is asked beside the target, on a real engine: restart, stop, start, purge, update locks, hand-over, local mode.

use agent_api::os::{ApplyState, Asked, LocalMode, Preview, Report};
use bollard::query_parameters::{InspectContainerOptions, ListVolumesOptions};
use serde_json::{Value, json};
use testkit::target::IDLE;
use testkit::{Device, Target};

fn two() -> Target {
    Target::of(&[("web", IDLE), ("worker", IDLE)])
}

fn id<'a>(report: &'a Report, service: &str) -> &'a str {
    let mut services = report.services.iter();
    let service = services.find(|s| s.name == service).expect("the service");
    service.container_id.as_deref().expect("a container")
}

/// Asks on our own API and waits until it is done.
async fn ask(device: &Device, verb: &str, body: Value) -> Report {
    let path = format!("/os/v1/{verb}");
    let answer = device.agent.endpoint().post(&path, body.to_string()).await;
    assert!(answer.status.is_success(), "{}", answer.text());
    let asked: Asked = serde_json::from_slice(&answer.body).expect("a number");
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let done = reports
        .find(|line| {
            let report: Report = serde_json::from_value(line.clone()).expect("a report");
            report.asked >= asked.request && report.state != ApplyState::Applying
        })
        .await;
    serde_json::from_value(done).expect("a report")
}

async fn runs(device: &Device, id: &str) -> bool {
    let engine = device.engine.client().await;
    let container = engine
        .inspect_container(id, None::<InspectContainerOptions>)
        .await;
    let state = container.expect("the container").state.expect("its state");
    state.running.expect("whether it runs")
}

#[tokio::test]
async fn a_restart_gives_one_service_another_container_and_says_why() {
    let device = Device::start().await;
    let before = device.converge(&two().text()).await;
    let after = ask(&device, "restart", json!({"service": "web"})).await;
    assert_eq!(after.state, ApplyState::Applied);
    assert_ne!(id(&before, "web"), id(&after, "web"));
    assert_eq!(id(&before, "worker"), id(&after, "worker"));
    let web = &after.services[0];
    assert_eq!(web.because.as_deref(), Some("a restart was asked for"));
}

#[tokio::test]
async fn a_service_that_was_stopped_stays_stopped_until_it_is_started() {
    let mut device = Device::start().await;
    let before = device.converge(&two().text()).await;
    ask(&device, "stop", json!({"service": "web"})).await;
    let web = id(&before, "web");
    assert!(!runs(&device, web).await);
    device.crash_agent().await;
    let report = ask(&device, "restart", json!({"service": "worker"})).await;
    assert_eq!(id(&report, "web"), web);
    assert!(!runs(&device, web).await, "the agent's restart started it");
    ask(&device, "start", json!({"service": "web"})).await;
    assert!(runs(&device, web).await);
    // The reference's routes do the same, and answer when it is done.
    let endpoint = device.agent.endpoint();
    let body = json!({"serviceName": "web"}).to_string();
    let answer = endpoint
        .post("/v2/applications/1/stop-service", body.clone())
        .await;
    assert_eq!((answer.status.as_u16(), answer.text()), (200, "OK"));
    assert!(!runs(&device, web).await);
    let answer = endpoint
        .post("/v2/applications/1/start-service", body)
        .await;
    assert_eq!(answer.status.as_u16(), 200);
    assert!(runs(&device, web).await);
}

#[tokio::test]
async fn a_purge_empties_volumes_and_nothing_else_does() {
    let device = Device::start().await;
    let write = format!("echo full > /data/file.$HOSTNAME; ls /data | wc -l; {IDLE}");
    let target = Target::of(&[("web", &write)])
        .with("web", "volumes", json!(["data:/data"]))
        .with_app("volumes", json!({"data": {}}));
    device.converge(&target.text()).await;
    // Each container leaves a file of its own.
    let files = async || {
        let engine = device.engine.client().await;
        let volume = engine.inspect_volume("1_data").await.expect("the volume");
        fs_err::read_dir(volume.mountpoint)
            .expect("the volume's files")
            .count()
    };
    let has = async |count: usize| (files().await == count).then_some(());
    testkit::until("the first file is there", async || has(1).await).await;
    ask(&device, "restart", json!({})).await;
    testkit::until("a second file is beside it", async || has(2).await).await;
    let endpoint = device.agent.endpoint();
    let answer = endpoint
        .post("/v1/purge", json!({"appId": 1}).to_string())
        .await;
    assert_eq!(answer.text(), r#"{"Data":"OK","Error":""}"#);
    let engine = device.engine.client().await;
    let volumes = engine
        .list_volumes(None::<ListVolumesOptions>)
        .await
        .expect("volumes");
    assert_eq!(volumes.volumes.expect("volumes").len(), 1);
    testkit::until("only the new container's file is there", async || {
        has(1).await
    })
    .await;
}

#[tokio::test]
async fn a_lock_is_respected_until_it_is_let_go_of_or_overridden() {
    let device = Device::start().await;
    let before = device.converge(&two().text()).await;
    let lock = device.agent.dir().join("services/1/web/updates.lock");
    fs_err::write(&lock, "").expect("a lock");
    let endpoint = device.agent.endpoint();
    let restart = |force: bool| json!({"serviceName": "worker", "force": force}).to_string();
    let path = "/v2/applications/1/restart-service";
    // As it was recorded.
    let unnamed = endpoint.post(path, "{}".to_owned()).await;
    assert_eq!(unnamed.status.as_u16(), 400);
    assert_eq!(
        unnamed.text(),
        "serviceName or imageId parameters were not provided or the app is multi-container. Use the v2 service action endpoints."
    );
    let refused = endpoint.post(path, restart(false)).await;
    assert_eq!(refused.status.as_u16(), 423, "{}", refused.text());
    assert!(
        refused
            .text()
            .contains("Lockfile exists for { appId: 1, service: web }")
    );

    let changed = two().with("worker", "environment", json!({"A": "1"}));
    let mut lines = endpoint.lines("/os/v1/logs").await;
    let posted = endpoint.post("/os/v1/target-state", changed.text()).await;
    assert!(posted.status.is_success());
    let told = "Updates are locked, retrying in 1m. Reason: Lockfile exists for { appId: 1, service: web }";
    lines.find(|line| line["message"] == told).await;
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let failing = reports.find(|report| report["state"] == "failing").await;
    let failing: Report = serde_json::from_value(failing).expect("a report");
    assert!(failing.services[0].locked);
    assert_eq!(
        failing.waiting.as_deref(),
        Some("web holds its update lock")
    );
    assert_eq!(
        id(&failing, "worker"),
        id(&before, "worker"),
        "a locked application was disturbed"
    );
    // The file's end is an event: nobody has to ask again.
    fs_err::remove_file(&lock).expect("the lock");
    let applied = reports.find(|report| report["state"] == "applied").await;
    let applied: Report = serde_json::from_value(applied).expect("a report");
    assert_ne!(id(&applied, "worker"), id(&before, "worker"));
    assert!(!lock.exists(), "the agent's own lock is left");

    fs_err::write(&lock, "").expect("a lock");
    let forced = endpoint.post(path, restart(true)).await;
    assert_eq!(forced.status.as_u16(), 200, "{}", forced.text());
}

#[tokio::test]
async fn a_hand_over_waits_for_its_marker() {
    let device = Device::start().await;
    let labels = json!({"io.balena.update.strategy": "hand-over", "io.balena.update.handover-timeout": "600000"});
    let target = Target::of(&[("web", IDLE)]).with("web", "labels", labels);
    let before = device.converge(&target.text()).await;
    let old = id(&before, "web").to_owned();
    let changed = target.with("web", "environment", json!({"A": "1"}));
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post("/os/v1/target-state", changed.text()).await;
    assert!(posted.status.is_success());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    let both = reports
        .find(|report| {
            let mut services = report["services"].as_array().expect("services").iter();
            services.any(|s| s["status"] == "Running" && s["container_id"] != old.as_str())
        })
        .await;
    assert_eq!(both["services"].as_array().map(Vec::len), Some(2), "{both}");
    assert!(runs(&device, &old).await, "the old one ended early");
    let marker = device.agent.dir().join("services/1/web/handover-complete");
    fs_err::write(marker, "").expect("the marker");
    let applied = reports.find(|report| report["state"] == "applied").await;
    assert_eq!(
        applied["services"].as_array().map(Vec::len),
        Some(1),
        "{applied}"
    );
    assert_ne!(applied["services"][0]["container_id"], old.as_str());
}

#[tokio::test]
async fn what_would_change_is_told_and_nothing_is_changed() {
    let device = Device::start().await;
    let before = device.converge(&two().text()).await;
    let thought = two().with("web", "environment", json!({"SECRET": "value"}));
    let answer = device
        .agent
        .endpoint()
        .post("/os/v1/plan", thought.text())
        .await;
    assert!(
        !answer.text().contains("value"),
        "a value is told: {}",
        answer.text()
    );
    let preview: Preview = serde_json::from_slice(&answer.body).expect("a preview");
    let told: Vec<Value> = preview.services.iter().map(|s| json!(s)).collect();
    assert_eq!(
        told,
        [
            json!({"app_id": 1, "name": "web", "action": "recreate", "because": ["env.SECRET"]}),
            json!({"app_id": 1, "name": "worker", "action": "keep"}),
        ]
    );
    let after = ask(&device, "start", json!({})).await;
    assert_eq!(id(&after, "web"), id(&before, "web"));
}

#[tokio::test]
async fn a_local_session_leaves_nothing_behind() {
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    let device = Device::start_configured(&config).await;
    let endpoint = device.agent.endpoint();
    let fleet = Target::of(&[("fleet", IDLE)])
        .with("fleet", "volumes", json!(["kept:/data"]))
        .with_app("volumes", json!({"kept": {}}));
    let posted = endpoint
        .post("/os/v1/fleet/target-state", fleet.text())
        .await;
    assert!(posted.status.is_success(), "{}", posted.text());
    let mut reports = endpoint.lines("/os/v1/report?follow=true").await;
    reports
        .find(|report| report["state"] == "applied" && report["services"][0]["name"] == "fleet")
        .await;
    let refused = endpoint.post("/os/v1/target-state", two().text()).await;
    assert_eq!(refused.status.as_u16(), 409, "{}", refused.text());

    let put = async |body: Value| endpoint.put("/os/v1/local-mode", body.to_string()).await;
    assert!(put(json!({"enabled": true})).await.status.is_success());
    let local = Target::of(&[("local", IDLE)])
        .with("local", "volumes", json!(["scratch:/data"]))
        .with_app("volumes", json!({"scratch": {}}));
    let posted = endpoint.post("/os/v1/target-state", local.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    reports
        .find(|report| {
            let services = report["services"].as_array().expect("services");
            report["state"] == "applied" && services.len() == 1 && services[0]["name"] == "local"
        })
        .await;
    let refused = put(json!({"enabled": false})).await;
    assert_eq!(
        refused.status.as_u16(),
        409,
        "data would be lost: {}",
        refused.text()
    );
    assert!(refused.text().contains("1_scratch"), "{}", refused.text());
    let left = put(json!({"enabled": false, "discard": true})).await;
    let left: LocalMode = serde_json::from_slice(&left.body).expect("the mode");
    assert!(!left.enabled);
    reports
        .find(|report| {
            let services = report["services"].as_array().expect("services");
            report["state"] == "applied" && services.len() == 1 && services[0]["name"] == "fleet"
        })
        .await;
    let engine = device.engine.client().await;
    let volumes = engine
        .list_volumes(None::<ListVolumesOptions>)
        .await
        .expect("volumes");
    let names: Vec<String> = volumes
        .volumes
        .expect("volumes")
        .into_iter()
        .map(|v| v.name)
        .collect();
    assert_eq!(names, ["1_kept"]);
}
