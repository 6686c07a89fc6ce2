//! What stands in for others answers as they do: the reference device, the faulty connection to an engine.

use hyper::StatusCode;
use std::net::SocketAddr;
use testkit::proxy::hold::{Moment, Outcome};
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
    proxy.met().await;
    proxy.set(Fault::None);
    drop(stalled.await.unwrap());
    assert_eq!(client.get("/_ping").await.text(), "OK");
}

#[tokio::test]
async fn answers_are_halved_and_events_lost_on_the_way() {
    let machine = Namespace::new();
    let engine = Engine::start(&machine).await;
    let socket = machine.dir().join("proxy.sock");
    let proxy = Proxy::start(&socket, &engine.socket(), Fault::Halve);
    let client = Endpoint::Unix(socket);
    let version = || testkit::http::request("GET", "/version", None);
    client.try_request(version()).await.unwrap_err();

    proxy.set(Fault::None);
    let mut events = client.lines("/events").await;
    let request_for = |name: &str| {
        let body = format!("{{\"Name\":\"{name}\"}}");
        testkit::http::request("POST", "/volumes/create", Some(body.into()))
    };
    let volume = async |name: &str| {
        let made = client.request(request_for(name)).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.text());
    };
    volume("told").await;
    assert_eq!(events.json().await["Actor"]["ID"], "told");
    proxy.turn(Fault::LoseEvents);
    volume("lost").await;
    testkit::until("the event is lost", async || {
        (!proxy.lost().is_empty()).then_some(())
    })
    .await;
    proxy.turn(Fault::None);
    volume("next").await;
    // On the same connection, as if nothing had been between them.
    assert_eq!(events.json().await["Actor"]["ID"], "next");

    // What a deaf connection has lost it does not get later, and its end does not come either.
    proxy.turn(Fault::Deafen);
    let unheard = tokio::spawn({
        let client = client.clone();
        async move { client.try_request(request_for("unheard")).await }
    });
    let direct = Endpoint::Unix(engine.socket());
    testkit::until("the engine has done what it was asked for", async || {
        let found = direct.get("/volumes/unheard").await;
        (found.status == StatusCode::OK).then_some(())
    })
    .await;
    assert!(!unheard.is_finished());
    proxy.set(Fault::None);
    unheard.await.unwrap().unwrap_err();
}

#[tokio::test]
async fn a_request_is_held_before_the_engine_has_it_and_after() {
    let machine = Namespace::new();
    let engine = Engine::start(&machine).await;
    let socket = machine.dir().join("proxy.sock");
    let proxy = Proxy::start(&socket, &engine.socket(), Fault::None);
    let client = Endpoint::Unix(socket);
    let direct = Endpoint::Unix(engine.socket());
    let is_there = async |name: &str| {
        let answer = direct.get(&format!("/volumes/{name}")).await;
        answer.status == StatusCode::OK
    };
    let cases = [
        (Moment::Asked, Outcome::Cut, false),
        (Moment::Asked, Outcome::Answer(500, "{}"), false),
        (Moment::Asked, Outcome::Pass, true),
        (Moment::Asked, Outcome::Halve, true),
        (Moment::Answered, Outcome::Cut, true),
        (Moment::Answered, Outcome::Answer(500, "{}"), true),
        (Moment::Answered, Outcome::Halve, true),
        (Moment::Answered, Outcome::Pass, true),
    ];
    for (number, (moment, outcome, arrives)) in cases.into_iter().enumerate() {
        let name = format!("volume{number}");
        let what = format!("{moment:?}, {outcome:?}");
        let mut held = proxy.hold(1, moment);
        let asked = tokio::spawn({
            let (client, body) = (client.clone(), format!("{{\"Name\":\"{name}\"}}"));
            async move {
                // What only looks is not counted.
                client.get("/v1.40/version").await;
                let create =
                    testkit::http::request("POST", "/v1.40/volumes/create", Some(body.into()));
                client.try_request(create).await
            }
        });
        let caught = held.reached().await;
        assert_eq!(caught.line, "POST /volumes/create");
        assert_eq!(is_there(&name).await, moment == Moment::Answered, "{what}");
        caught.release(outcome);
        let answer = asked.await.unwrap();
        match outcome {
            Outcome::Pass => assert_eq!(answer.unwrap().status, StatusCode::CREATED, "{what}"),
            Outcome::Answer(status, _) => assert_eq!(answer.unwrap().status, status, "{what}"),
            _ => drop(answer.unwrap_err()),
        }
        assert_eq!(is_there(&name).await, arrives, "{what}");
        assert_eq!(proxy.changes(), ["POST /volumes/create"]);
    }
}
