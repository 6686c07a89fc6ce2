//! Which service or application a request of the reference's API is about, and the reference's words where there is none.

use super::*;

/// Nobody carries anything out: who is taken at his word hears that.
const ENDING: &str = "the agent is ending";
const NO_APP: &str = "App not found: an app needs to be installed for this endpoint to work.\n\tIf you've recently moved this device from another app,\n\tplease push an app and wait for it to be installed first.";
const NO_SELECTOR: &str = "serviceName or imageId parameters were not provided or the app is multi-container. Use the v2 service action endpoints.";
const NO_SERVICE: &str = "Service not found, a container must exist for this endpoint to work";
const NOT_IN_TARGET: &str = "Service does not exist in target release";
const WEB: &str = r#"{"serviceName":"web"}"#;

/// A device with the target of two services, of which nothing is known yet.
async fn pushed() -> Device {
    let mut device = device(None);
    device.calls = None;
    let path = "/v2/local/target-state";
    let (status, _, body) = device.post(path, "application/json", PUSHED).await;
    assert_eq!(status, 200, "{body}");
    device
}

fn both() -> Vec<ContainerStatus> {
    vec![container("web", "3567", 1), container("worker", "18fa", 2)]
}

async fn ask(device: &Device, path: &str, body: &'static str) -> (u16, String, String) {
    device.post(path, "application/json", body).await
}

fn words(status: u16, words: &str) -> (u16, String, String) {
    (status, HTML.to_owned(), words.to_owned())
}

async fn assert_taken(device: &Device, path: &str, body: &'static str) {
    let (status, _, told) = ask(device, path, body).await;
    assert!(
        status == 503 && told.contains(ENDING),
        "{path} {body}: {told}"
    );
}

/// The routes of the second version.
fn routes() -> [String; 3] {
    ["restart-service", "stop-service", "start-service"]
        .map(|verb| format!("/v2/applications/1/{verb}"))
}

#[tokio::test]
async fn a_service_is_chosen_from_those_that_are_there() {
    let device = pushed().await;
    for path in routes() {
        device.publish(Vec::new(), Vec::new());
        assert_eq!(ask(&device, &path, WEB).await, words(404, NO_APP), "{path}");
        device.publish(both(), Vec::new());
        for none in [
            "{}",
            r#"{"serviceName":""}"#,
            r#"{"serviceName":7,"imageId":"x"}"#,
            r#"{"imageId":0}"#,
        ] {
            let answer = ask(&device, &path, none).await;
            assert_eq!(answer, words(400, NO_SELECTOR), "{path} {none}");
        }
        for none in [r#"{"serviceName":"nosuch"}"#, r#"{"imageId":7}"#] {
            let answer = ask(&device, &path, none).await;
            assert_eq!(answer, words(404, NO_SERVICE), "{path} {none}");
        }
        for some in [
            WEB,
            r#"{"imageId":"2"}"#,
            r#"{"serviceName":"worker","force":"TRUE"}"#,
        ] {
            assert_taken(&device, &path, some).await;
        }
        device.publish(vec![container("old", "3567", 9)], Vec::new());
        assert_eq!(
            ask(&device, &path, WEB).await,
            words(404, NOT_IN_TARGET),
            "{path}"
        );
        for none in ["0", "x", "1.5"] {
            let path = path.replace("/1/", &format!("/{none}/"));
            let (status, _, body) = ask(&device, &path, WEB).await;
            let words = r#"{"status":"failed","message":"Invalid app id"}"#;
            assert_eq!((status, body.as_str()), (400, words), "{path}");
        }
    }
}

#[tokio::test]
async fn what_a_target_has_brought_is_not_known_before_it_was_looked_at() {
    let device = pushed().await;
    for path in routes() {
        assert_taken(&device, &path, WEB).await;
    }
}

#[tokio::test]
async fn of_one_container_only_the_name_need_not_be_right_but_there_must_be_one() {
    let device = pushed().await;
    device.publish(vec![container("web", "3567", 1)], Vec::new());
    for path in routes() {
        assert_taken(&device, &path, r#"{"serviceName":"nosuch"}"#).await;
        assert_eq!(
            ask(&device, &path, "{}").await,
            words(400, NO_SELECTOR),
            "{path}"
        );
    }
}

#[tokio::test]
async fn the_first_version_is_for_applications_with_one_container() {
    let device = pushed().await;
    for verb in ["stop", "start"] {
        let path = format!("/v1/apps/1/{verb}");
        for (containers, answer) in [
            (Vec::new(), words(400, NO_APP)),
            (both(), words(400, NO_SELECTOR)),
            (vec![container("old", "3567", 9)], words(404, NOT_IN_TARGET)),
        ] {
            device.publish(containers, Vec::new());
            assert_eq!(ask(&device, &path, "{}").await, answer, "{path}");
        }
        device.publish(vec![container("web", "3567", 1)], Vec::new());
        assert_taken(&device, &path, "{}").await;
        let answer = ask(&device, &format!("/v1/apps/x/{verb}"), "{}").await;
        assert_eq!(answer, words(400, "Invalid app id"));
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
