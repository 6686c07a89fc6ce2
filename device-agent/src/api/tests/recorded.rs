//! Answers compared with those that were recorded from a reference device, body for body.

use super::*;
use crate::report::{ReleaseService, ReleaseState};

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
    device
        .post("/v2/local/target-state", "application/json", PUSHED)
        .await;
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

#[tokio::test]
async fn a_slash_at_the_end_makes_no_difference_to_the_references_routes() {
    let device = device(None);
    for path in [
        "/ping",
        "/v2/version",
        "/v2/applications/7/state",
        "/v2/device/name",
    ] {
        let answer = device.get(path).await;
        assert_eq!(device.get(&format!("{path}/")).await, answer, "{path}");
        let with_query = device.get(&format!("{path}/?apikey=a")).await;
        assert_eq!(with_query, answer, "{path}");
    }
    for path in ["/nosuch/", "/ping//", "/"] {
        let (status, _, page) = device.get(path).await;
        assert_eq!(status, 404, "{path}");
        assert!(
            page.contains(&format!("<pre>Cannot GET {path}</pre>")),
            "{page}"
        );
    }
    let (status, kind, _) = device.get("/os/v1/info/").await;
    assert_eq!((status, kind.as_str()), (404, JSON));
}

#[tokio::test]
async fn a_device_tells_of_its_first_service_and_of_none_where_there_is_none() {
    let device = device(None);
    let (status, _, body) = device.get("/v1/device").await;
    assert_eq!(status, 200);
    assert!(
        body.ends_with(r#""update_downloaded":false}"#),
        "nothing of a service: {body}"
    );
    for (status, told) in [
        ("Running", r#","status":"Idle","download_progress":null}"#),
        ("exited", r#","status":"exited","download_progress":null}"#),
    ] {
        let service = ContainerStatus {
            status: status.to_owned(),
            ..container("web", "3567", 1)
        };
        device.snapshots.send_modify(|snapshot| {
            Arc::make_mut(snapshot).present = present(&[service]);
        });
        let (_, _, body) = device.get("/v1/device").await;
        assert!(body.ends_with(told), "{body}");
    }
}

#[tokio::test]
async fn applications_are_told_as_recorded() {
    let device = device(None);
    let path = "/v2/local/target-state";
    // The recorded device had an image of an earlier push.
    let main = r#""3":{"imageId":3,"serviceName":"main","image":"local_image_main:latest","environment":{},"labels":{}}"#;
    let pushed = PUSHED.replacen(r#""services":{"#, &format!(r#""services":{{{main},"#), 1);
    assert_ne!(pushed, PUSHED);
    let (status, _, body) = device.post(path, "application/json", pushed).await;
    assert_eq!(status, 200, "{body}");
    device.publish(
        vec![container("web", "3567", 1), container("worker", "18fa", 2)],
        Vec::new(),
    );
    let state = async || device.get("/v2/applications/state").await;
    let unread = state().await.2;
    assert!(
        unread.contains(r#""updateStatus":"applying changes","services":{"main":{"status":"Downloading","image":"local_image_main:latest","downloadProgress":0,"releaseId":1}"#),
        "{unread}"
    );
    let service = |name: &str, status: &str| {
        let service = ReleaseService {
            status: status.to_owned(),
            image: format!("local_image_{name}:latest"),
            download_progress: None,
        };
        (name.to_owned(), service)
    };
    let services = [
        ("main", "Downloaded"),
        ("web", "Running"),
        ("worker", "Running"),
    ];
    let release = ReleaseState {
        update_status: "downloaded",
        services: services.map(|(name, status)| service(name, status)).into(),
    };
    device.snapshots.send_modify(|snapshot| {
        Arc::make_mut(snapshot).applications = [(1, release)].into();
    });
    let body = r#"{"localapp":{"appId":1,"appUuid":"1","commit":"10ca12e1ea5e","updateStatus":"downloaded","services":{"main":{"status":"Downloaded","image":"local_image_main:latest","downloadProgress":null,"releaseId":1},"web":{"status":"Running","image":"local_image_web:latest","downloadProgress":null,"releaseId":1},"worker":{"status":"Running","image":"local_image_worker:latest","downloadProgress":null,"releaseId":1}}}}"#;
    assert_eq!(state().await, (200, JSON.to_owned(), body.to_owned()));
    let body = r#"{"commit":"10ca12e1ea5e","local":{"1":{"services":{"1":{"status":"Running","releaseId":1,"download_progress":null},"2":{"status":"Running","releaseId":1,"download_progress":null}}}}}"#;
    let answer = device.get("/v2/applications/1/state").await;
    assert_eq!(answer, (200, JSON.to_owned(), body.to_owned()));
    for none in ["0", "x", "1.5"] {
        let (status, _, body) = device.get(&format!("/v2/applications/{none}/state")).await;
        let words = format!(r#"{{"status":"failed","message":"Invalid application ID: {none}"}}"#);
        assert_eq!((status, body), (400, words));
    }
    // A target that comes later is not taken for one that is reached.
    let (status, _, _) = device.post(path, "application/json", PUSHED).await;
    assert_eq!(status, 200);
    let unread = state().await.2;
    assert!(
        unread.contains(
            r#""updateStatus":"applying changes","services":{"web":{"status":"Running","#
        ),
        "{unread}"
    );
}
