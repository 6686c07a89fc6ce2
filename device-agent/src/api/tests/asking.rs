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

/// Nobody carries anything out: who is taken at his word hears that.
const ENDING: &str = "the agent is ending";

#[tokio::test]
async fn services_are_chosen_by_what_is_there_in_the_references_words() {
    const NO_APP: &str = "App not found: an app needs to be installed for this endpoint to work.\n\tIf you've recently moved this device from another app,\n\tplease push an app and wait for it to be installed first.";
    const NO_SELECTOR: &str = "serviceName or imageId parameters were not provided or the app is multi-container. Use the v2 service action endpoints.";
    const NO_SERVICE: &str = "Service not found, a container must exist for this endpoint to work";
    let mut device = device(None);
    device.calls = None;
    let path = "/v2/local/target-state";
    let (status, _, body) = device.post(path, "application/json", PUSHED).await;
    assert_eq!(status, 200, "{body}");
    let ask = async |path: &str, body: &'static str| {
        let (status, kind, body) = device.post(path, "application/json", body).await;
        (status, kind, body)
    };
    let web = r#"{"serviceName":"web"}"#;
    // What a target has brought is not known before it was looked at.
    let (status, _, body) = ask("/v2/applications/1/start-service", web).await;
    assert!(status == 503 && body.contains(ENDING), "{status} {body}");
    device.publish(Vec::new(), Vec::new());
    let both = vec![container("web", "3567", 1), container("worker", "18fa", 2)];
    for verb in ["restart-service", "stop-service", "start-service"] {
        let path = format!("/v2/applications/1/{verb}");
        let words = |status: u16, words: &str| {
            (
                status,
                "text/html; charset=utf-8".to_owned(),
                words.to_owned(),
            )
        };
        device.publish(Vec::new(), Vec::new());
        assert_eq!(ask(&path, web).await, words(404, NO_APP), "{path}");
        device.publish(both.clone(), Vec::new());
        for none in [
            "{}",
            r#"{"serviceName":""}"#,
            r#"{"serviceName":7,"imageId":"x"}"#,
            r#"{"imageId":0}"#,
        ] {
            assert_eq!(
                ask(&path, none).await,
                words(400, NO_SELECTOR),
                "{path} {none}"
            );
        }
        for none in [r#"{"serviceName":"nosuch"}"#, r#"{"imageId":7}"#] {
            assert_eq!(
                ask(&path, none).await,
                words(404, NO_SERVICE),
                "{path} {none}"
            );
        }
        for some in [
            web,
            r#"{"imageId":"2"}"#,
            r#"{"serviceName":"worker","force":"TRUE"}"#,
        ] {
            let (status, _, body) = ask(&path, some).await;
            assert!(
                status == 503 && body.contains(ENDING),
                "{path} {some}: {body}"
            );
        }
        // Of one container only it need not be said right, but it must be said.
        device.publish(vec![container("web", "3567", 1)], Vec::new());
        let (status, _, body) = ask(&path, r#"{"serviceName":"nosuch"}"#).await;
        assert!(status == 503 && body.contains(ENDING), "{path}: {body}");
        assert_eq!(ask(&path, "{}").await, words(400, NO_SELECTOR), "{path}");
        device.publish(vec![container("old", "3567", 9)], Vec::new());
        let gone = words(404, "Service does not exist in target release");
        assert_eq!(ask(&path, web).await, gone, "{path}");
        for none in ["0", "x", "1.5"] {
            let path = path.replace("/1/", &format!("/{none}/"));
            let (status, _, body) = ask(&path, web).await;
            let words = r#"{"status":"failed","message":"Invalid app id"}"#;
            assert_eq!((status, body.as_str()), (400, words), "{path}");
        }
    }
    for verb in ["stop", "start"] {
        let path = format!("/v1/apps/1/{verb}");
        for (containers, status, words) in [
            (Vec::new(), 400, NO_APP),
            (both.clone(), 400, NO_SELECTOR),
            (
                vec![container("old", "3567", 9)],
                404,
                "Service does not exist in target release",
            ),
            (vec![container("web", "3567", 1)], 503, ENDING),
        ] {
            device.publish(containers, Vec::new());
            let (found, _, body) = ask(&path, "{}").await;
            assert!(
                found == status && body.contains(words),
                "{path}: {found} {body}"
            );
        }
        let (status, _, body) = ask(&format!("/v1/apps/x/{verb}"), "{}").await;
        assert_eq!((status, body.as_str()), (400, "Invalid app id"));
    }
}

#[tokio::test]
async fn whole_applications_are_named_by_an_id() {
    let mut device = device(None);
    device.calls = None;
    for (path, body, words) in [
        ("/v1/restart", r#"{"appId":"one"}"#, "Missing app id"),
        ("/v1/purge", "{}", "Invalid or missing appId"),
        (
            "/v2/applications/0/restart",
            "{}",
            r#"{"status":"failed","message":"Missing app id"}"#,
        ),
        (
            "/v2/applications/x/purge",
            "{}",
            r#"{"status":"failed","message":"Missing app id"}"#,
        ),
    ] {
        let (status, _, told) = device.post(path, "application/json", body).await;
        assert_eq!((status, told.as_str()), (400, words), "{path}");
    }
    for (path, body) in [
        ("/v1/restart", r#"{"appId":1.0}"#),
        ("/v1/purge", r#"{"appId":"0"}"#),
        ("/v2/applications/1.0/restart", "{}"),
        ("/v2/applications/1/purge", "{}"),
    ] {
        let (status, _, told) = device.post(path, "application/json", body).await;
        assert!(status == 503 && told.contains(ENDING), "{path}: {told}");
    }
}

#[tokio::test]
async fn an_application_is_told_by_the_first_version_if_it_has_one_container() {
    let mut device = device(None);
    device.calls = None;
    for (containers, status, words) in [
        (Vec::new(), 400, "App not found"),
        (
            vec![container("web", "3567", 1), container("worker", "18fa", 2)],
            400,
            "Some v1 endpoints are only allowed on single-container apps",
        ),
        (vec![container("web", "3567", 1)], 503, ENDING),
    ] {
        device.publish(containers, Vec::new());
        let (found, _, body) = device.get("/v1/apps/1").await;
        assert!(found == status && body.contains(words), "{found} {body}");
    }
    let (status, _, body) = device.get("/v1/apps/x").await;
    assert_eq!((status, body.as_str()), (400, "Missing app id"));
}
