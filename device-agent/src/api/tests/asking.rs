//! What is asked of the agent beside its target.

use super::*;

#[tokio::test]
async fn a_fleet_may_let_its_devices_pass_over_updates() {
    let mut device = device(None);
    device.calls = None;
    let update = async |body: &'static str| {
        let (status, _, body) = device.post("/v1/update", "application/json", body).await;
        (status, body)
    };
    assert_eq!(update("{}").await.0, 503, "it is asked for");
    for (word, passed_over) in [("false", true), ("0", true), ("true", false)] {
        let target = format!(
            r#"{{"local":{{"config":{{"SUPERVISOR_INSTANT_UPDATE_TRIGGER":"{word}"}},"apps":{{}}}}}}"#
        );
        let path = "/v2/local/target-state";
        let (status, _, body) = device.post(path, "application/json", target).await;
        assert_eq!(status, 200, "{body}");
        let (status, body) = update("{}").await;
        assert_eq!(status == 202, passed_over, "{word}: {status}");
        assert_eq!(body == "Accepted", passed_over, "{word}: {body}");
        assert_eq!(update(r#"{"force":true}"#).await.0, 503, "{word}");
    }
}

#[tokio::test]
async fn a_body_that_cannot_be_read_is_told_before_all_else() {
    let device = device(None);
    for path in [
        "/v1/restart",
        "/v1/purge",
        "/v1/update",
        "/v1/reboot",
        "/v1/shutdown",
        "/v1/apps/x/stop",
        "/v1/apps/x/start",
        "/v2/applications/x/restart",
        "/v2/applications/x/purge",
        "/v2/applications/x/restart-service",
        "/v2/applications/x/stop-service",
        "/v2/applications/x/start-service",
        "/v2/journal-logs",
    ] {
        let (status, _, body) = device.post(path, "application/json", "{").await;
        let words = r#"{"status":"failed","message":"Unexpected end of JSON input"}"#;
        assert_eq!((status, body.as_str()), (503, words), "{path}");
    }
}

#[tokio::test]
async fn only_targets_may_be_large() {
    let device = device(None);
    let large = format!("{}{{}}", " ".repeat(64 * 1024));
    for path in ["/v1/restart", "/v1/reboot", "/v2/journal-logs"] {
        let (status, _, body) = device.post(path, "application/json", large.clone()).await;
        assert_eq!(status, 503, "{path}");
        assert!(body.contains("request entity too large"), "{path}: {body}");
    }
    let path = "/v2/local/target-state";
    let (status, _, body) = device.post(path, "application/json", large).await;
    assert_eq!(status, 400, "there is no target in it: {body}");
}
