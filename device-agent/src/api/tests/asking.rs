//! What is asked of the agent beside its target.

use super::*;
use crate::model::{Request as Asked, Wish};
use crate::reconcile::Call;

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
async fn an_update_is_asked_of_every_application_and_may_be_begun_anew() {
    let mut device = device(None);
    let mut calls = device.calls.take().unwrap();
    let path = "/v2/local/target-state";
    let (status, _, body) = device.post(path, "application/json", PUSHED).await;
    assert_eq!(status, 200, "{body}");
    for (body, what, force) in [
        ("{}", Wish::Update, false),
        (r#"{"force":true}"#, Wish::Update, true),
        (r#"{"cancel":"true"}"#, Wish::Anew, false),
        (r#"{"cancel":1,"force":1}"#, Wish::Anew, true),
        (r#"{"cancel":false}"#, Wish::Update, false),
    ] {
        let update = device.post("/v1/update", "application/json", body);
        let taken = async {
            let Some(Call::Ask(requests, reply)) = calls.recv().await else {
                panic!("{body}: something else is asked");
            };
            reply.send(Ok(1)).unwrap();
            requests
        };
        let ((status, _, told), requests) = tokio::join!(update, taken);
        assert_eq!((status, told.as_str()), (204, ""), "{body}");
        let app_id = 1;
        let asked = Asked {
            app_id,
            what,
            force,
        };
        assert_eq!(requests, [asked], "{body}");
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
