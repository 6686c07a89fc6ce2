use std::sync::mpsc;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

const OK: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nOK";

fn client(address: SocketAddr) -> Http {
    Http::new("dev", Endpoint::Tcp(vec![address]))
}

fn limits(milliseconds: u64, body: usize) -> Limits {
    let time = Duration::from_millis(milliseconds);
    Limits {
        headers: time,
        stall: time,
        body,
    }
}

async fn head(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => bytes.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(bytes).unwrap()
}

/// A server whose every connection is handled by `serve`; one after the other.
async fn server<F, R>(serve: F) -> (SocketAddr, JoinSet<()>)
where
    F: Fn(TcpStream) -> R + Send + 'static,
    R: Future<Output = ()> + Send,
{
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut tasks = JoinSet::new();
    tasks.spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            serve(stream).await;
        }
    });
    (address, tasks)
}

async fn unused_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap()
}

#[tokio::test]
async fn a_request_carries_nothing_but_what_it_must() {
    let (told, heads) = mpsc::channel();
    let (address, _server) = server(move |mut stream| {
        let told = told.clone();
        async move {
            told.send(head(&mut stream).await).unwrap();
            stream.write_all(OK).await.unwrap();
        }
    })
    .await;
    let answer = client(address)
        .get("/ping", Limits::default())
        .await
        .unwrap();
    assert_eq!(answer.body, "OK");
    let mut lines: Vec<String> = heads.recv().unwrap().lines().map(str::to_owned).collect();
    lines.retain(|line| !line.is_empty());
    lines.sort();
    assert_eq!(
        lines,
        [
            "GET /ping HTTP/1.1".to_owned(),
            format!("host: {address}"),
            format!("user-agent: {AGENT_NAME}"),
        ]
    );
}

#[tokio::test]
async fn a_kept_connection_is_used_again_and_one_that_was_closed_is_made_anew() {
    let (told, connections) = mpsc::channel();
    let (address, _server) = server(move |mut stream| {
        let told = told.clone();
        async move {
            told.send(()).unwrap();
            for _ in 0..2 {
                head(&mut stream).await;
                stream.write_all(OK).await.unwrap();
            }
            // The third request on this connection is met by its end.
            head(&mut stream).await;
        }
    })
    .await;
    let http = client(address);
    for (request, expected) in [(1, 1), (2, 1), (3, 2), (4, 2)] {
        let answer = http.get("/", Limits::default()).await.unwrap();
        assert_eq!(answer.status, StatusCode::OK);
        let new = connections.try_iter().count();
        assert_eq!(
            new,
            usize::from(request % 2 == 1),
            "request {request} of connection {expected}"
        );
    }
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(start).await.unwrap();
        let chunk = [&b"1000\r\n"[..], &[b'x'; 0x1000], b"\r\n"].concat();
        while stream.write_all(&chunk).await.is_ok() {}
    })
    .await;
    let error = client(address)
        .get("/x", limits(5000, 100_000))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::BadAnswer { .. }),
        "{error:?}"
    );
    assert_eq!(
        error.to_string(),
        format!(
            "dev ({address}) gave an unusable answer to GET /x: it is longer than 100000 bytes"
        )
    );
}

#[tokio::test]
async fn endless_headers_are_cut_off() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n").await.unwrap();
        while stream.write_all(b"x: y\r\n").await.is_ok() {}
    })
    .await;
    let error = client(address)
        .get("/x", limits(5000, 100))
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::BadAnswer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn rubbish_is_a_bad_answer() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        stream
            .write_all(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")
            .await
            .unwrap();
    })
    .await;
    let error = client(address)
        .get("/x", Limits::default())
        .await
        .unwrap_err();
    assert!(
        matches!(error, TransportError::BadAnswer { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn silence_has_an_end_before_and_within_the_body() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        let start = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab";
        stream.write_all(start).await.unwrap();
        head(&mut stream).await;
    })
    .await;
    let error = client(address)
        .get("/x", limits(50, 100))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error:?}");

    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        head(&mut stream).await;
    })
    .await;
    let error = client(address)
        .get("/x", limits(50, 100))
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error:?}");
    assert!(!error.is_connect());
}

#[tokio::test]
async fn a_body_that_trickles_has_an_end() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        let start = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        stream.write_all(start).await.unwrap();
        while stream.write_all(b"1\r\nx\r\n").await.is_ok() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let asked = client(address);
    let answer = timeout(
        Duration::from_mins(1),
        asked.get("/x", limits(200, 1 << 20)),
    );
    let error = answer.await.unwrap().unwrap_err();
    assert!(matches!(error, TransportError::Timeout { .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_goes_away_is_told_apart_from_one_that_is_not_there() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
    })
    .await;
    let error = client(address)
        .get("/x", Limits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Gone { .. }), "{error:?}");

    let error = client(unused_address().await)
        .get("/x", Limits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Refused { .. }), "{error:?}");
    assert!(error.is_connect());

    let none = Http::new("dev", Endpoint::Tcp(Vec::new()));
    let error = none.get("/x", Limits::default()).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );

    let socket = Http::new("dev", Endpoint::Unix("/nonexistent/agent.sock".into()));
    let error = socket.get("/x", Limits::default()).await.unwrap_err();
    assert!(
        matches!(error, TransportError::Unreachable { .. }),
        "{error:?}"
    );
}

#[tokio::test]
async fn the_first_address_that_answers_wins() {
    let (address, _server) = server(|mut stream| async move {
        head(&mut stream).await;
        stream.write_all(OK).await.unwrap();
    })
    .await;
    let dead = unused_address().await;
    let http = Http::new("dev", Endpoint::Tcp(vec![dead, address]));
    http.get("/", Limits::default()).await.unwrap();
    assert_eq!(http.address(), Some(address));
    assert_eq!(http.peer(), format!("dev ({address})"));
}

#[tokio::test]
async fn a_request_with_an_effect_is_sent_once() {
    let (told, heads) = mpsc::channel();
    let (address, _server) = server(move |mut stream| {
        let told = told.clone();
        async move {
            told.send(head(&mut stream).await).unwrap();
        }
    })
    .await;
    let request = Request::post("/effect").body(empty()).unwrap();
    let error = client(address)
        .send(request, Limits::default())
        .await
        .unwrap_err();
    assert!(matches!(error, TransportError::Gone { .. }), "{error:?}");
    assert_eq!(heads.try_iter().count(), 1);
}
