//! A target that makes no sense is refused with its place, and what runs goes on.

use hyper::StatusCode;
use serde_json::{Value, json};
use testkit::http::request;
use testkit::target::IDLE;
use testkit::{Device, Target};

use crate::recreation::containers;

fn one() -> Target {
    Target::of(&[("one", IDLE)])
}

/// Targets, and the words that the complaint about each must hold.
fn nonsense() -> Vec<(Value, &'static str)> {
    let app = |change: Value| {
        let mut target = one().0;
        target["local"]["apps"]["1"]
            .as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        target
    };
    let without = |name: &str| {
        let mut target = one().0;
        target["local"]["apps"]["1"]["services"]["1"]
            .as_object_mut()
            .unwrap()
            .shift_remove(name);
        target
    };
    vec![
        (one().with("one", "environment", json!({"FOO": 1})).0, "FOO"),
        (
            one().with("one", "environment", json!({"FOO": null})).0,
            "FOO",
        ),
        (
            one().with("one", "environment", json!({"9 LIVES": "x"})).0,
            "9 LIVES",
        ),
        (
            one().with("one", "environment", json!("FOO=bar")).0,
            "environment",
        ),
        (one().with("one", "labels", json!({"a": true})).0, "labels"),
        (
            one().with("one", "serviceName", json!("../../etc")).0,
            "services.1.serviceName",
        ),
        (one().with("one", "serviceName", json!("")).0, "serviceName"),
        (one().with("one", "serviceName", json!(7)).0, "serviceName"),
        (one().with("one", "imageId", json!(-1)).0, "imageId"),
        (one().with("one", "imageId", json!(1.5)).0, "imageId"),
        (one().with("one", "image", json!([])).0, "image"),
        (one().with("one", "ports", json!(["99999:1"])).0, "ports"),
        (without("environment"), "environment"),
        (without("labels"), "labels"),
        (without("image"), "image"),
        (without("serviceName"), "serviceName"),
        (app(json!({"services": []})), "services"),
        (app(json!({"services": {"zero": {}}})), "zero"),
        (app(json!({"networks": {"a/b": {}}})), "a/b"),
        (app(json!({"volumes": {"a/b": {}}})), "a/b"),
        (app(json!({"commit": 7})), "commit"),
        (
            json!({"local": {"apps": {"not a number": {}}}}),
            "not a number",
        ),
        (json!({"local": {"apps": []}}), "apps"),
        (json!({"local": {"name": "two\nlines", "apps": {}}}), "name"),
        (json!({"local": []}), ""),
        (json!({}), "local"),
        (json!([1, 2]), ""),
    ]
}

#[tokio::test]
async fn a_bad_target_is_refused_with_its_place() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    device.converge(&one().text()).await;
    let before = containers(&engine).await;
    for (target, words) in nonsense() {
        let text = target.to_string();
        let answer = device
            .agent
            .endpoint()
            .post("/v2/local/target-state", text.clone())
            .await;
        assert_eq!(
            answer.status,
            StatusCode::BAD_REQUEST,
            "{text}\n{}",
            answer.text()
        );
        let body = answer.json();
        assert_eq!(body["status"], "failed", "{body}");
        assert!(
            body["message"].as_str().unwrap().contains(words),
            "`{words}` is not in {body}"
        );
    }
    assert_eq!(containers(&engine).await, before);
}

#[tokio::test]
async fn a_body_that_is_no_target_at_all_is_refused() {
    let device = Device::start().await;
    let api = device.agent.endpoint();
    let huge = format!(
        r#"{{"local":{{"name":"{}"}}}}"#,
        "x".repeat(11 * 1024 * 1024)
    );
    // The answer may come before the end of the body; either way it is no success, and the agent lives.
    if let Ok(answer) = api
        .try_request(request("POST", "/v2/local/target-state", Some(huge.into())))
        .await
    {
        assert_eq!(
            answer.status,
            StatusCode::SERVICE_UNAVAILABLE,
            "{}",
            answer.text()
        );
    }
    let deep = format!(
        r#"{{"local":{}{}}}"#,
        "[".repeat(100_000),
        "]".repeat(100_000)
    );
    for body in [
        "",
        "{",
        "null",
        "7",
        "{\"local\":",
        "\u{0}",
        "{\"local\":{\"apps\":{}}} trailing",
        &deep,
    ] {
        let answer = api.post("/v2/local/target-state", body.to_owned()).await;
        assert!(!answer.status.is_success(), "{body:.40}: {}", answer.text());
        assert_eq!(answer.json()["status"], "failed", "{body:.40}");
    }
    let invalid = [b"{\"local\":{\"name\":\"".as_slice(), b"\xff\xfe", b"\"}}"].concat();
    api.post("/v2/local/target-state", invalid).await;
    assert_eq!(api.get("/ping").await.status, StatusCode::OK);
}

#[tokio::test]
async fn ten_megabytes_of_target_are_taken() {
    let device = Device::start().await;
    let big = one()
        .with("one", "labels", json!({"big": "x".repeat(64)}))
        .with_app("networks", json!({}));
    let text = big.text();
    // White space between the values counts as body and changes nothing.
    let padded = text.replacen(
        '{',
        &format!("{{{}", " ".repeat(10_000_000 - text.len())),
        1,
    );
    device.converge(&padded).await;
}

#[tokio::test]
async fn keys_that_nobody_knows_are_left_out_and_said() {
    let device = Device::start().await;
    let engine = device.engine.client().await;
    let report = device
        .converge(&one().with("one", "frobnicate", json!(true)).text())
        .await;
    assert_eq!(containers(&engine).await.len(), 1);
    assert!(
        report
            .faults
            .iter()
            .any(|fault| fault.contains("frobnicate")),
        "{report:#?}"
    );
}
