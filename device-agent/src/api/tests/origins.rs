//! What pages in a browser reach of a simulated device, and of a real one.

use axum::http::Method;

use super::*;

#[tokio::test]
async fn a_page_of_another_origin_changes_nothing_on_a_simulated_device() {
    let confined = device(Some(Confinement {
        namespace: "ab12cd3".to_owned(),
        address: "127.71.0.9".parse().unwrap(),
        allow_privileged: false,
    }));
    let request = |method: Method, origin: &str| {
        Request::builder()
            .method(method)
            .uri("/v2/local/target-state")
            .header(header::CONTENT_TYPE, "application/json")
            .header(header::HOST, "evil.example")
            .header(header::ORIGIN, origin)
            .body(Body::from(PUSHED))
            .unwrap()
    };
    let status = async |device: &Device, method, origin| {
        device.ask(request(method, origin)).await.status().as_u16()
    };
    assert_eq!(
        status(&confined, Method::POST, "http://evil.example").await,
        403
    );
    assert_eq!(status(&confined, Method::POST, "null").await, 403);
    assert_eq!(confined.agent.store.accepted().generation, 0);
    assert_eq!(
        status(&confined, Method::GET, "http://evil.example").await,
        200
    );
    assert_eq!(
        status(&confined, Method::POST, "http://127.71.0.9:48484").await,
        200
    );
    // A real device has no browser of its own to protect, and the reference answers every origin.
    assert_eq!(
        status(&device(None), Method::POST, "http://evil.example").await,
        200
    );
}

#[tokio::test]
async fn a_name_that_somebody_led_here_reads_nothing_of_a_simulated_device() {
    let confined = device(Some(Confinement {
        namespace: "ab12cd3".to_owned(),
        address: "127.71.0.9".parse().unwrap(),
        allow_privileged: false,
    }));
    for path in ["/v2/local/logs", "/os/v1/report", "/ping", "/nowhere"] {
        let led = confined.get_as("evil.example:48484", path).await;
        assert_eq!(led, 403, "{path}");
    }
    for host in ["127.71.0.9:48484", "peer-device.local", "localhost:48484"] {
        assert_eq!(confined.get_as(host, "/ping").await, 200, "{host}");
    }
    assert_eq!(device(None).get_as("evil.example", "/ping").await, 200);
}
