//! Answers compared with those that were recorded from a reference device, body for body.

use agent_api::os::ServiceReport;

use super::*;

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
        let service = ServiceReport {
            app_id: 1,
            name: "web".to_owned(),
            service_id: 1,
            image_id: 1,
            status: status.to_owned(),
            container_id: None,
            created_at: None,
            exit_code: None,
            ports: Vec::new(),
            because: None,
            error: None,
            waiting: None,
            locked: false,
            state: ApplyState::Applied,
        };
        device.snapshots.send_modify(|snapshot| {
            Arc::make_mut(snapshot).report.services = vec![service];
        });
        let (_, _, body) = device.get("/v1/device").await;
        assert!(body.ends_with(told), "{body}");
    }
}
