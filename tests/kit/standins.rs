//! What stands in for others answers as they do: the reference device, the faulty connection to an engine.

use hyper::StatusCode;
use std::net::SocketAddr;
use testkit::proxy::{Fault, NONSENSE, Proxy, TROUBLE, WRONG_SHAPE};
use testkit::{Endpoint, Engine, Lan, Namespace, ReferenceDevice};

#[tokio::test]
async fn a_reference_device_is_found_and_answers_as_recorded() {
    let lan = Lan::new();
    let device = ReferenceDevice::start(&lan).await;
    let other = Namespace::new();
    lan.join(&other);
    let api = Endpoint::Tcp(
        &other,
        SocketAddr::from((device.address.v4, agent_api::API_PORT)),
    );
    let version = api.get("/v2/version").await;
    assert_eq!(version.text(), r#"{"status":"success","version":"19.0.5"}"#);
    assert_eq!(
        version.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(api.get("/os/v1/info").await.status, StatusCode::NOT_FOUND);
    let mut logs = api.lines("/v2/local/logs").await;
    assert_eq!(
        logs.next().await.unwrap(),
        r#"{"message":"Streaming logs","isSystem":true}"#
    );
    let posted = api
        .post(
            "/v2/local/target-state",
            testkit::wire::body("06-compose.target-state.post.json"),
        )
        .await;
    assert_eq!(posted.text(), r#"{"status":"success","message":"OK"}"#);
    testkit::until("the device is where its target wants it", async || {
        let status = api.get("/v2/state/status").await.json();
        (status["appState"] == "applied" && status["containers"].as_array()?.len() == 2)
            .then_some(())
    })
    .await;

    let engine = Endpoint::Tcp(
        &other,
        SocketAddr::from((device.address.v4, agent_api::ENGINE_PORT)),
    );
    assert_eq!(engine.get("/_ping").await.text(), "OK");
    assert_eq!(device.engine_port.requests(), ["GET /_ping"]);
    assert_eq!(device.asked()[0].line, "GET /v2/version");
}

#[tokio::test]
async fn a_faulty_connection_is_as_faulty_as_it_is_told() {
    let machine = Namespace::new();
    let engine = Engine::start(&machine).await;
    let proxy = Proxy::start(
        &machine.dir().join("proxy.sock"),
        &engine.socket(),
        Fault::None,
    );
    let client = Endpoint::Unix(proxy.socket().to_owned());
    let ping = || testkit::http::request("GET", "/_ping", None);
    assert_eq!(client.get("/_ping").await.text(), "OK");
    for fault in [Fault::Cut, Fault::Answer(NONSENSE)] {
        proxy.set(fault);
        client.try_request(ping()).await.unwrap_err();
    }
    proxy.set(Fault::Answer(TROUBLE));
    let trouble = client.get("/_ping").await;
    assert_eq!(trouble.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(trouble.json()["message"], "no space left on device");
    proxy.set(Fault::Answer(WRONG_SHAPE));
    assert!(client.get("/_ping").await.json()["Id"].is_array());
    proxy.set(Fault::Stall);
    let stalled = tokio::spawn({
        let client = client.clone();
        async move {
            client
                .try_request(testkit::http::request("GET", "/_ping", None))
                .await
        }
    });
    // A change cuts what is stalled, and what comes after it is as the change says.
    tokio::task::yield_now().await;
    proxy.set(Fault::None);
    drop(stalled.await.unwrap());
    assert_eq!(client.get("/_ping").await.text(), "OK");
}
