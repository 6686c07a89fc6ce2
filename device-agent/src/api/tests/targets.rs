//! Targets of the local network: which bodies are taken, and what is told of them.

use axum::body::Bytes;

use super::*;

#[tokio::test]
async fn a_recorded_push_is_accepted_and_its_config_echoed() {
    let device = device(None);
    let targets = device.agent.store.subscribe();
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
async fn the_release_is_the_one_that_was_reached() {
    let device = device(None);
    device.publish(vec![container("web", "3567", 1)], Vec::new());
    let later = PUSHED.replace("10ca12e1ea5e", "1a7e12e1ea5e");
    let path = "/v2/local/target-state";
    let (code, ..) = device.post(path, "application/json", later).await;
    assert_eq!(code, 200);
    let (_, _, status) = device.get("/v2/state/status").await;
    assert!(status.contains(r#""release":"10ca12e1ea5e""#), "{status}");
    let (_, _, state) = device.get("/v2/applications/1/state").await;
    assert!(state.starts_with(r#"{"commit":"10ca12e1ea5e","#), "{state}");
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
        device.agent.store.accepted().generation,
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
async fn a_client_that_goes_away_leaves_no_target_that_is_stored_and_not_told() {
    let device = device(None);
    let mut told = device.agent.store.subscribe();
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

#[tokio::test]
async fn a_fleets_target_says_what_its_applications_are() {
    let device = device_in(Place {
        confinement: None,
        managed: true,
    });
    let path = "/os/v1/fleet/target-state";
    let target = |class: &str| {
        serde_json::json!({"5eee5eee5eee5eee5eee5eee5eee5eee": {"name": "device", "config": {}, "apps": {
            "b10cb10cb10cb10cb10cb10cb10cb10c": {"id": 13, "name": "block", "class": class, "releases": {"beef": {"id": 8,
                "services": {"side": {"id": 4, "image_id": 9, "image": "side", "environment": {}, "labels": {}}}}}}}}})
        .to_string()
    };
    for (wrong, words) in [
        (target("thing"), "class: must be `fleet`, `app` or `block`"),
        (
            r#"{"ffff":{"config":{},"apps":{}}}"#.to_owned(),
            "5eee5eee5eee5eee5eee5eee5eee5eee: is missing",
        ),
    ] {
        let (status, _, body) = device.post(path, "application/json", wrong).await;
        assert_eq!(status, 400);
        assert!(body.contains(words), "{body}");
    }
    let (status, _, body) = device.post(path, "application/json", target("block")).await;
    assert_eq!((status, body.as_str()), (200, r#"{"generation":1}"#));
    let begun = device
        .agent
        .store
        .change(|store| store.begin_session(Inventory::default()))
        .await
        .unwrap();
    // It stays beside what is pushed.
    let app = &begun.target.unwrap().apps[&13];
    assert_eq!(app.uuid, "b10cb10cb10cb10cb10cb10cb10cb10c");
    assert!(app.services.contains_key("side"));
}
