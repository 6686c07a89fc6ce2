//! Every endpoint that clients of the reference use, compared with what a reference device answered.

use hyper::StatusCode;
use serde_json::{Value, json};
use testkit::{Answer, Device, image, wire};

use crate::recorded;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

#[track_caller]
fn assert_answer(answer: &Answer, status: StatusCode, kind: &str, body: &str) {
    assert_eq!(answer.text(), body);
    assert_eq!(answer.status, status, "{body}");
    assert_eq!(answer.header("content-type"), Some(kind), "{body}");
}

#[tokio::test]
async fn answers_to_the_letter() {
    let device = Device::start().await;
    device.settled(0).await;
    let api = device.agent.endpoint_tcp(&device.machine);
    for (target, kind, body) in [
        ("/ping", HTML, "OK"),
        ("/v1/healthy", TEXT, "OK"),
        (
            "/v2/version",
            JSON,
            r#"{"status":"success","version":"19.0.5"}"#,
        ),
        (
            "/v2/device/name",
            JSON,
            r#"{"status":"success","deviceName":"local"}"#,
        ),
        (
            "/v1/device/host-config",
            JSON,
            r#"{"network":{"hostname":"peer-device"}}"#,
        ),
        (
            "/v2/local/device-info",
            JSON,
            r#"{"status":"success","info":{"arch":"amd64","deviceType":"generic-amd64"}}"#,
        ),
        (
            "/v2/state/status",
            JSON,
            r#"{"status":"success","appState":"applied","overallDownloadProgress":null,"containers":[],"images":[]}"#,
        ),
        (
            "/v2/containerId",
            JSON,
            r#"{"status":"success","services":{}}"#,
        ),
    ] {
        // Both listeners are the same API.
        assert_answer(&api.get(target).await, StatusCode::OK, kind, body);
        assert_answer(
            &device.agent.endpoint().get(target).await,
            StatusCode::OK,
            kind,
            body,
        );
    }
    let page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n\
                <body>\n<pre>Cannot GET /nosuch</pre>\n</body>\n</html>\n";
    assert_answer(&api.get("/nosuch").await, StatusCode::NOT_FOUND, HTML, page);
    let complaint =
        r#"{"status":"failed","message":"Unexpected token 'n', \"not json\" is not valid JSON"}"#;
    let refused = api.post("/v2/local/target-state", "not json").await;
    assert_answer(&refused, StatusCode::SERVICE_UNAVAILABLE, JSON, complaint);
}

#[tokio::test]
async fn the_target_state_can_be_sent_back() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let before = api.get("/v2/local/target-state").await;
    assert_eq!(
        (before.status, before.header("content-type")),
        (StatusCode::OK, Some(JSON))
    );
    let recorded = wire::json("02-single.target-state.before.json");
    let mut names = wire::shape(&before.json());
    let mut expected = wire::shape(&recorded);
    // The reference lists the applications, which clients throw away; ours hold no secrets.
    let is_app = |name: &String| name.starts_with(".state.local.apps.");
    names.retain(|name| !is_app(name));
    expected.retain(|name| !is_app(name));
    // The order of the variables differs between the recordings.
    let (variables, rest): (Vec<_>, Vec<_>) = names
        .iter()
        .partition(|name| name.starts_with(".state.local.config."));
    let (expected_variables, expected_rest): (Vec<_>, Vec<_>) = expected
        .iter()
        .partition(|name| name.starts_with(".state.local.config."));
    assert_eq!(rest, expected_rest);
    let sorted = |mut names: Vec<&String>| {
        names.sort();
        names.into_iter().cloned().collect::<Vec<_>>()
    };
    assert_eq!(sorted(variables), sorted(expected_variables));

    let sent_back = json!({"local": before.json()["state"]["local"]}).to_string();
    assert_answer(
        &api.post("/v2/local/target-state", sent_back).await,
        StatusCode::OK,
        JSON,
        r#"{"status":"success","message":"OK"}"#,
    );
}

#[tokio::test]
async fn state_and_container_ids_are_those_of_the_recorded_push() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", testkit::target::IDLE).await;
    image::make_service(&engine, "worker", testkit::target::IDLE).await;
    recorded::post(&device, "06-compose.target-state.post.json").await;

    let api = device.agent.endpoint();
    let status = api.get("/v2/state/status").await.json();
    let mut expected = wire::json("11.state-status.1.json");
    // The recorded device had an image of an earlier push.
    let images = expected["images"].as_array_mut().unwrap();
    images.retain(|image| image["serviceName"] != "main");
    assert_eq!(wire::shape(&status), wire::shape(&expected));
    let digest = |list: &Value, names: &[&str]| -> Vec<Vec<Value>> {
        let entries = list.as_array().unwrap().iter();
        let mut entries: Vec<Vec<Value>> = entries
            .map(|entry| names.iter().map(|name| entry[name].clone()).collect())
            .collect();
        entries.sort_by_key(|entry| entry[0].to_string());
        entries
    };
    let names = ["serviceName", "status", "appId", "imageId", "serviceId"];
    assert_eq!(
        digest(&status["containers"], &names),
        digest(&expected["containers"], &names)
    );
    let names = [
        "serviceName",
        "name",
        "status",
        "appId",
        "imageId",
        "downloadProgress",
    ];
    assert_eq!(
        digest(&status["images"], &names),
        digest(&expected["images"], &names)
    );
    for name in ["status", "appState", "overallDownloadProgress", "release"] {
        assert_eq!(status[name], expected[name], "{name}");
    }

    let ids = api.get("/v2/containerId").await.json();
    assert_eq!(
        wire::shape(&ids),
        [".status", ".services", ".services.web", ".services.worker"]
    );
    let web = ids["services"]["web"].as_str().unwrap();
    assert_eq!(web.len(), 64);
    for query in ["serviceName", "service"] {
        let answer = api.get(&format!("/v2/containerId?{query}=web")).await;
        let body = format!(r#"{{"status":"success","containerId":"{web}"}}"#);
        assert_answer(&answer, StatusCode::OK, JSON, &body);
    }
    let absent = api.get("/v2/containerId?serviceName=nosuch").await;
    let body = r#"{"status":"failed","message":"Could not find service with that name"}"#;
    assert_answer(&absent, StatusCode::SERVICE_UNAVAILABLE, JSON, body);
}

#[tokio::test]
async fn applications_at_rest_are_told_as_the_reference_tells_them() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    image::make_service(&engine, "web", testkit::target::IDLE).await;
    image::make_service(&engine, "worker", testkit::target::IDLE).await;
    recorded::post(&device, "06-compose.target-state.post.json").await;
    let api = device.agent.endpoint();
    // As recorded, but for an image of an earlier push, which alone kept that release from being done.
    let body = r#"{"localapp":{"appId":1,"appUuid":"1","commit":"10ca12e1ea5e","updateStatus":"done","services":{"web":{"status":"Running","image":"local_image_web:latest","downloadProgress":null,"releaseId":1},"worker":{"status":"Running","image":"local_image_worker:latest","downloadProgress":null,"releaseId":1}}}}"#;
    let applications = api.get("/v2/applications/state").await;
    assert_answer(&applications, StatusCode::OK, JSON, body);
    let body = r#"{"commit":"10ca12e1ea5e","local":{"1":{"services":{"1":{"status":"Running","releaseId":1,"download_progress":null},"2":{"status":"Running","releaseId":1,"download_progress":null}}}}}"#;
    let application = api.get("/v2/applications/1/state").await;
    assert_answer(&application, StatusCode::OK, JSON, body);
    let legacy = api.get("/v1/apps/1").await;
    let body = "Some v1 endpoints are only allowed on single-container apps";
    assert_answer(&legacy, StatusCode::BAD_REQUEST, HTML, body);
    let summary = api.get("/v1/device").await.json();
    assert_eq!(summary["status"], "Idle", "{summary}");
    assert_eq!(summary["commit"], "10ca12e1ea5e", "{summary}");
    // A stopped service has ended, and its release is done all the same.
    let stop = r#"{"serviceName":"web"}"#;
    let stopped = api.post("/v2/applications/1/stop-service", stop).await;
    assert_eq!(stopped.status, StatusCode::OK, "{}", stopped.text());
    let applications = api.get("/v2/applications/state").await.json();
    let app = &applications["localapp"];
    assert_eq!(app["services"]["web"]["status"], "exited", "{app}");
    assert_eq!(app["updateStatus"], "done", "{app}");
    let nameless = api.post(
        "/v2/applications/1/stop-service",
        r#"{"serviceName":"nosuch"}"#,
    );
    let body = "Service not found, a container must exist for this endpoint to work";
    assert_answer(&nameless.await, StatusCode::NOT_FOUND, HTML, body);
}

#[tokio::test]
async fn the_agents_own_description_names_its_engine() {
    let device = Device::start().await;
    device.settled(0).await;
    let info = device.agent.endpoint().get("/os/v1/info").await;
    let info: agent_api::os::Info = serde_json::from_slice(&info.body).unwrap();
    let version = device.engine.client().await.version().await.unwrap();
    assert_eq!(info.uuid, testkit::agent::UUID);
    assert_eq!(info.hostname, "peer-device");
    assert_eq!(
        (info.arch.as_str(), info.device_type.as_str()),
        ("amd64", "generic-amd64")
    );
    assert!(!info.managed);
    assert_eq!(info.confinement, None);
    let engine = info.engine.expect("an engine");
    assert_eq!(Some(engine.version), version.version);
}
