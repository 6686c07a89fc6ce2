//! Answers compared with those that were recorded from a reference device, body for body.

mod streams;

use agent_api::os::{ApplyState, Report, Variant};
use agent_api::reference::{ContainerStatus, ImageStatus};
use axum::body::{Body, Bytes};
use axum::http::Method;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::model::{Confinement, DeviceFacts};
use crate::settings::AnnounceScope;

struct Device {
    agent: Arc<Agent>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    stop: watch::Sender<bool>,
    _link: watch::Sender<Link>,
    _dir: tempfile::TempDir,
}

fn device(confinement: Option<Confinement>) -> Device {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (link_in, link) = watch::channel(Link::Connecting);
    let (stop, shutdown) = watch::channel(false);
    let settings = Settings {
        listen: Vec::new(),
        socket: "/nowhere".into(),
        engine: Vec::new(),
        state_dir: dir.path().to_owned(),
        facts: DeviceFacts {
            uuid: "5eee5eee5eee5eee5eee5eee5eee5eee".to_owned(),
            device_type: "generic-amd64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "os 1.0.0".to_owned(),
            hostname: "peer-device".to_owned(),
            listen_port: 48484,
            services_dir: "/nowhere".to_owned(),
            kernel_modules: false,
            firmware: false,
            confinement,
        },
        initial_name: "local".to_owned(),
        variant: Variant::Development,
        managed: false,
        announce: AnnounceScope::None,
        faults: Vec::new(),
    };
    let (accepted, _) = watch::channel(store.accepted().clone());
    Device {
        agent: Arc::new(Agent {
            settings,
            store: Arc::new(Mutex::new(store)),
            accepted,
            snapshot,
            link,
            logs: Hub::new(),
            shutdown,
        }),
        snapshots,
        stop,
        _link: link_in,
        _dir: dir,
    }
}

impl Device {
    /// As a browser asks, by TCP.
    async fn get_as(&self, host: &str, path: &str) -> u16 {
        let request = Request::get(path)
            .header(header::HOST, host)
            .body(Body::empty())
            .unwrap();
        let answer = routers(&self.agent).tcp.oneshot(request).await.unwrap();
        answer.status().as_u16()
    }

    async fn ask(&self, request: Request) -> Response {
        router(Arc::clone(&self.agent))
            .oneshot(request)
            .await
            .unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        told(self.ask(request).await).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> (u16, String, String) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, kind)
            .body(body.into())
            .unwrap();
        told(self.ask(request).await).await
    }

    /// As the reconciler would.
    fn publish(&self, containers: Vec<ContainerStatus>, images: Vec<ImageStatus>) {
        self.snapshots.send_replace(Arc::new(Snapshot {
            report: Report {
                state: ApplyState::Applied,
                ..Snapshot::default().report
            },
            seen: 0,
            containers,
            images,
            release: Some("10ca12e1ea5e".to_owned()),
            progress: None,
        }));
    }
}

/// Status, content type, body.
async fn told(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

const JSON: &str = "application/json; charset=utf-8";

fn container(service: &str, id: &str, number: u32) -> ContainerStatus {
    ContainerStatus {
        status: "Running".to_owned(),
        service_name: service.to_owned(),
        app_id: 1,
        image_id: number,
        service_id: number,
        container_id: id.to_owned(),
        created_at: "2026-11-23T03:02:43.927Z".to_owned(),
    }
}

#[tokio::test]
async fn a_walk_over_the_api_gives_the_recorded_answers() {
    let device = device(None);
    for (path, status, kind, body) in [
        ("/ping", 200, "text/html; charset=utf-8", "OK"),
        ("/v1/healthy", 200, "text/plain; charset=utf-8", "OK"),
        (
            "/v2/version",
            200,
            JSON,
            r#"{"status":"success","version":"19.0.5"}"#,
        ),
        (
            "/v2/device/name",
            200,
            JSON,
            r#"{"status":"success","deviceName":"local"}"#,
        ),
        (
            "/v2/local/device-info",
            200,
            JSON,
            r#"{"status":"success","info":{"arch":"amd64","deviceType":"generic-amd64"}}"#,
        ),
        (
            "/v1/device/host-config",
            200,
            JSON,
            r#"{"network":{"hostname":"peer-device"}}"#,
        ),
        (
            "/v2/applications/7/state",
            409,
            JSON,
            r#"{"status":"failed","message":"Application ID does not exist: 7"}"#,
        ),
        (
            "/nosuch",
            404,
            "text/html; charset=utf-8",
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>Cannot GET /nosuch</pre>\n</body>\n</html>\n",
        ),
    ] {
        let answer = device.get(path).await;
        assert_eq!(answer, (status, kind.to_owned(), body.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn containers_are_told_as_recorded() {
    let device = device(None);
    device.publish(
        vec![container("web", "3567", 1), container("worker", "18fa", 2)],
        vec![ImageStatus {
            name: "local_image_web:latest".to_owned(),
            app_id: 1,
            service_name: "web".to_owned(),
            image_id: 1,
            docker_image_id: "sha256:cc5f".to_owned(),
            status: "Downloaded".to_owned(),
            download_progress: None,
        }],
    );
    for (path, status, kind, body) in [
        (
            "/v2/state/status",
            200,
            JSON,
            r#"{"status":"success","appState":"applied","overallDownloadProgress":null,"containers":[{"status":"Running","serviceName":"web","appId":1,"imageId":1,"serviceId":1,"containerId":"3567","createdAt":"2026-11-23T03:02:43.927Z"},{"status":"Running","serviceName":"worker","appId":1,"imageId":2,"serviceId":2,"containerId":"18fa","createdAt":"2026-11-23T03:02:43.927Z"}],"images":[{"name":"local_image_web:latest","appId":1,"serviceName":"web","imageId":1,"dockerImageId":"sha256:cc5f","status":"Downloaded","downloadProgress":null}],"release":"10ca12e1ea5e"}"#,
        ),
        (
            "/v2/containerId",
            200,
            JSON,
            r#"{"status":"success","services":{"web":"3567","worker":"18fa"}}"#,
        ),
        (
            "/v2/containerId?serviceName=web",
            200,
            JSON,
            r#"{"status":"success","containerId":"3567"}"#,
        ),
        (
            "/v2/containerId?service=web",
            200,
            JSON,
            r#"{"status":"success","containerId":"3567"}"#,
        ),
        (
            "/v2/containerId?serviceName=nosuch",
            503,
            JSON,
            r#"{"status":"failed","message":"Could not find service with that name"}"#,
        ),
    ] {
        let answer = device.get(path).await;
        assert_eq!(answer, (status, kind.to_owned(), body.to_owned()), "{path}");
    }
}

#[tokio::test]
async fn the_target_state_of_a_fresh_device_is_the_recorded_one() {
    let device = device(None);
    let config = r#"{"SUPERVISOR_POLL_INTERVAL":"900000","SUPERVISOR_INSTANT_UPDATE_TRIGGER":"true","SUPERVISOR_LOCAL_MODE":"true","SUPERVISOR_CONNECTIVITY_CHECK":"true","SUPERVISOR_LOG_CONTROL":"true","SUPERVISOR_API_REQUEST_TIMEOUT":"59000","SUPERVISOR_DELTA":"false","SUPERVISOR_DELTA_REQUEST_TIMEOUT":"59000","SUPERVISOR_DELTA_APPLY_TIMEOUT":"0","SUPERVISOR_DELTA_RETRY_COUNT":"30","SUPERVISOR_DELTA_RETRY_INTERVAL":"10000","SUPERVISOR_DELTA_VERSION":"2","SUPERVISOR_OVERRIDE_LOCK":"false","SUPERVISOR_PERSISTENT_LOGGING":"false","HOST_FIREWALL_MODE":"","HOST_DISCOVERABILITY":"true","SUPERVISOR_HARDWARE_METRICS":"true","SUPERVISOR_VPN_CONTROL":"true"}"#;
    let target = format!(
        r#"{{"status":"success","state":{{"local":{{"name":"local","config":{config},"apps":{{}}}}}}}}"#
    );
    let answer = device.get("/v2/local/target-state").await;
    assert_eq!(answer, (200, JSON.to_owned(), target));
}

#[tokio::test]
async fn a_method_that_a_route_lacks_is_a_page_that_does_not_exist() {
    let device = device(None);
    let (status, _, page) = device.post("/ping", "text/plain", "").await;
    assert_eq!(status, 404);
    assert!(page.contains("Cannot POST /ping"));
    let (_, _, page) = device.get("/a'b").await;
    assert!(page.contains("Cannot GET /a&#39;b"));
    let (status, kind, body) = device.get("/os/v9/x").await;
    assert_eq!((status, kind.as_str()), (404, JSON));
    assert!(body.contains("not-found"));
}

const PUSHED: &str = include_str!("../../../../tests/fixtures/wire/target-two-services.json");

#[tokio::test]
async fn a_recorded_push_is_accepted_and_its_config_echoed() {
    let device = device(None);
    let targets = device.agent.accepted.subscribe();
    device.publish(Vec::new(), Vec::new());
    let answer = device
        .post("/v2/local/target-state", "application/json", PUSHED)
        .await;
    assert_eq!(
        answer,
        (
            200,
            JSON.to_owned(),
            r#"{"status":"success","message":"OK"}"#.to_owned()
        )
    );
    assert!(targets.has_changed().unwrap());
    let (_, _, status) = device.get("/v2/state/status").await;
    assert!(
        status.contains(r#""appState":"applying""#),
        "the report is about the target before: {status}"
    );
    let (_, _, state) = device.get("/v2/local/target-state").await;
    assert!(
        state.contains(r#""apps":{}"#) && !state.contains("hello"),
        "{state}"
    );
    let (_, _, state) = device.get("/v2/applications/1/state").await;
    assert!(
        state.starts_with(r#"{"commit":"10ca12e1ea5e","local":{"1":{"services":{"#),
        "{state}"
    );
}

#[tokio::test]
async fn bodies_follow_the_references_rules() {
    let device = device(None);
    let path = "/v2/local/target-state";
    let answer = device.post(path, "application/json", "not json").await;
    assert_eq!(answer, (503, JSON.to_owned(), r#"{"status":"failed","message":"Unexpected token 'n', \"not json\" is not valid JSON"}"#.to_owned()));
    let huge = Bytes::from(vec![b' '; 10 * 1024 * 1024 + 1]);
    let (status, _, body) = device.post(path, "application/json", huge.clone()).await;
    assert_eq!(
        (status, body.as_str()),
        (
            503,
            r#"{"status":"failed","message":"request entity too large"}"#
        )
    );
    let (status, _, _) = device
        .post("/os/v1/target-state", "application/json", huge)
        .await;
    assert_eq!(status, 413);
    // A body of another type is not looked at, so there is no target in it.
    let (status, _, body) = device.post(path, "text/plain", PUSHED).await;
    assert_eq!(status, 400, "{body}");
    for wrong in [
        "[]",
        r#"{"local":null}"#,
        r#"{"local":7}"#,
        r#"{"local":{"apps":[]}}"#,
        r#"{"local":{"apps":{"1":{"name":"a","commit":"b","releaseId":"1","services":{"1":{"serviceName":"a/b","imageId":1,"image":"i","running":true,"environment":{},"labels":{}}},"volumes":{},"networks":{}}}}}"#,
        r#"{"local":{"apps":{"1":{"name":"a","commit":"b","releaseId":"1","services":{"1":{"serviceName":"a","imageId":1,"image":"i","running":true,"environment":{"A":1},"labels":{}}},"volumes":{},"networks":{}}}}}"#,
    ] {
        let (status, kind, body) = device
            .post(path, "application/json; charset=utf-8", wrong)
            .await;
        assert_eq!((status, kind.as_str()), (400, JSON), "{wrong}");
        assert!(
            body.starts_with(r#"{"status":"failed","message":""#),
            "{body}"
        );
        let (status, _, body) = device
            .post("/os/v1/target-state", "application/json", wrong)
            .await;
        assert_eq!(status, 400);
        assert!(
            body.starts_with(r#"{"code":"invalid-target","message":""#),
            "{body}"
        );
    }
    assert_eq!(
        device.agent.accepted.borrow().generation,
        0,
        "nothing was stored"
    );
}

#[tokio::test]
async fn generations_are_given_in_order() {
    let device = device(None);
    for generation in 1..=2 {
        let (status, _, body) = device
            .post("/os/v1/target-state", "application/json", PUSHED)
            .await;
        assert_eq!(
            (status, body),
            (200, format!(r#"{{"generation":{generation}}}"#))
        );
    }
}

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_on_a_simulated_device() {
    let confined = device(Some(Confinement {
        namespace: "ab12cd3".to_owned(),
        address: "127.71.0.9".parse().unwrap(),
        allow_privileged: false,
    }));
    let request = |method: Method, origin: &str| {
        Request::builder()
            .method(method)
            .uri("/v2/local/target-state")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::HOST, "evil.example")
            .header(header::ORIGIN, origin)
            .body(Body::from(PUSHED))
            .unwrap()
    };
    let status = async |device: &Device, method, origin| {
        device.ask(request(method, origin)).await.status().as_u16()
    };
    assert_eq!(
        status(&confined, Method::POST, "http://evil.example").await,
        403
    );
    assert_eq!(status(&confined, Method::POST, "null").await, 403);
    assert_eq!(confined.agent.accepted.borrow().generation, 0);
    assert_eq!(
        status(&confined, Method::GET, "http://evil.example").await,
        200
    );
    assert_eq!(
        status(&confined, Method::POST, "http://127.71.0.9:48484").await,
        200
    );
    // A real device has no browser of its own to protect, and the reference answers every origin.
    assert_eq!(
        status(&device(None), Method::POST, "http://evil.example").await,
        200
    );
}

#[tokio::test]
async fn a_name_that_somebody_led_here_reads_nothing_of_a_simulated_device() {
    let confined = device(Some(Confinement {
        namespace: "ab12cd3".to_owned(),
        address: "127.71.0.9".parse().unwrap(),
        allow_privileged: false,
    }));
    for path in ["/v2/local/logs", "/os/v1/report", "/ping", "/nowhere"] {
        let led = confined.get_as("evil.example:48484", path).await;
        assert_eq!(led, 403, "{path}");
    }
    for host in ["127.71.0.9:48484", "peer-device.local", "localhost:48484"] {
        assert_eq!(confined.get_as(host, "/ping").await, 200, "{host}");
    }
    assert_eq!(device(None).get_as("evil.example", "/ping").await, 200);
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_no_target_that_is_stored_and_not_told() {
    let device = device(None);
    let mut told = device.agent.accepted.subscribe();
    let request = Request::post("/os/v1/target-state")
        .header(header::CONTENT_TYPE, "application/json")
        .body(Body::from(PUSHED))
        .unwrap();
    tokio::select! {
        biased;
        _ = device.ask(request) => panic!("the write takes no time"),
        () = std::future::ready(()) => {}
    }
    let arrived = told.wait_for(|accepted| accepted.generation == 1);
    let waited = tokio::time::timeout(std::time::Duration::from_secs(30), arrived).await;
    assert!(waited.is_ok_and(|told| told.is_ok()));
}
