//! Clients that hold on to their connection: the others are answered all the same.

use hyper::StatusCode;
use testkit::Device;
use testkit::http::Endpoint;
use tokio::io::AsyncWriteExt;

/// Connections that each have sent `text` and then nothing.
async fn silent(
    api: &Endpoint<'_>,
    text: &str,
    count: usize,
) -> Vec<Box<dyn testkit::http::Connection>> {
    let mut connections = Vec::new();
    for _ in 0..count {
        let mut connection = api.connect().await.unwrap();
        connection.write_all(text.as_bytes()).await.unwrap();
        connections.push(connection);
    }
    connections
}

#[tokio::test]
async fn half_requests_and_stalled_readers_keep_nobody_from_an_answer() {
    let device = Device::start().await;
    let tcp = device.agent.endpoint_tcp(&device.machine);
    let unix = device.agent.endpoint();
    let mut held = Vec::new();
    for (text, count) in [
        ("", 20),
        ("GET /ping HT", 80),
        (
            "POST /v2/local/target-state HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: 10000000\r\n\r\n{\"local\":",
            80,
        ),
        ("GET /v2/local/logs HTTP/1.1\r\nHost: localhost\r\n\r\n", 60),
    ] {
        held.extend(silent(&tcp, text, count).await);
    }
    for api in [&tcp, &unix] {
        for path in ["/ping", "/os/v1/report", "/v2/state/status"] {
            assert_eq!(api.get(path).await.status, StatusCode::OK, "{path}");
        }
    }
    // More than there are places: the other way in is open, and this one is again when they go.
    let more = silent(&tcp, "GET /ping HT", 200).await;
    assert_eq!(unix.get("/ping").await.status, StatusCode::OK);
    drop((held, more));
    assert_eq!(tcp.get("/ping").await.status, StatusCode::OK);
}
