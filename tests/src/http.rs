//! HTTP requests to the letter, over TCP from any machine of the tests and over unix sockets.
//!
//! In: an [`Endpoint`]. Out: [`Answer`]s with everything that came back, or [`Lines`] of a stream. No client library
//! stands between: what a test sends is what it wrote.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::{HeaderMap, Request, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};

use crate::namespace::Namespace;
use crate::until::PATIENCE;

/// Where requests go.
#[derive(Debug, Clone)]
pub enum Endpoint<'a> {
    /// A TCP address, as seen from a machine.
    Tcp(&'a Namespace, SocketAddr),
    /// A unix socket.
    Unix(PathBuf),
}

/// A connection of either kind.
pub trait Connection: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Connection for T {}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

impl Answer {
    /// The body as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("an answer in UTF-8")
    }

    /// The body as JSON, in the order of the wire.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.text()))
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Endpoint<'_> {
    /// A connection of its own. An error is the system's.
    pub async fn connect(&self) -> std::io::Result<Box<dyn Connection>> {
        Ok(match self {
            Self::Tcp(machine, address) => Box::new(machine.connect(*address)?),
            Self::Unix(path) => Box::new(tokio::net::UnixStream::connect(path).await?),
        })
    }

    /// Sends a request on a connection of its own and returns the head of the answer.
    pub async fn send(
        &self,
        request: Request<Full<Bytes>>,
    ) -> std::io::Result<hyper::Response<Incoming>> {
        let connection = self.connect().await?;
        let (mut sender, driver) = hyper::client::conn::http1::handshake(TokioIo::new(connection))
            .await
            .map_err(std::io::Error::other)?;
        tokio::spawn(driver);
        sender
            .send_request(request)
            .await
            .map_err(std::io::Error::other)
    }

    /// GET, expected to be answered in time.
    pub async fn get(&self, target: &str) -> Answer {
        self.request(request("GET", target, None)).await
    }

    /// POST of JSON text, expected to be answered in time.
    pub async fn post(&self, target: &str, json: impl Into<Bytes>) -> Answer {
        self.request(request("POST", target, Some(json.into())))
            .await
    }

    /// PUT with a JSON body.
    pub async fn put(&self, target: &str, json: impl Into<Bytes>) -> Answer {
        self.request(request("PUT", target, Some(json.into())))
            .await
    }

    /// Any request, expected to be answered in time.
    pub async fn request(&self, request: Request<Full<Bytes>>) -> Answer {
        let what = format!("{} {}", request.method(), request.uri());
        self.try_request(request)
            .await
            .unwrap_or_else(|error| panic!("{what}: {error}"))
    }

    /// Any request; an error when the connection fails or there is no whole answer in time.
    pub async fn try_request(&self, request: Request<Full<Bytes>>) -> std::io::Result<Answer> {
        let exchange = async {
            let (head, body) = self.send(request).await?.into_parts();
            let body = body
                .collect()
                .await
                .map_err(std::io::Error::other)?
                .to_bytes();
            Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
            })
        };
        tokio::time::timeout(PATIENCE, exchange).await?
    }

    /// GET of a stream of lines; returns when the head of the answer is there.
    pub async fn lines(&self, target: &str) -> Lines {
        let response = tokio::time::timeout(PATIENCE, self.send(request("GET", target, None)))
            .await
            .expect("an answer in time")
            .unwrap_or_else(|error| panic!("GET {target}: {error}"));
        assert_eq!(response.status(), StatusCode::OK, "GET {target}");
        let (head, body) = response.into_parts();
        Lines {
            headers: head.headers,
            body,
            buffer: BytesMut::new(),
        }
    }
}

/// A request with the headers that HTTP wants and no other.
pub fn request(method: &str, target: &str, json: Option<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("Host", "localhost");
    if json.is_some() {
        request = request.header("Content-Type", "application/json");
    }
    request
        .body(Full::new(json.unwrap_or_default()))
        .expect("a request")
}

/// A stream of lines that is under way.
#[derive(Debug)]
pub struct Lines {
    /// The headers of the answer.
    pub headers: HeaderMap,
    body: Incoming,
    buffer: BytesMut,
}

impl Lines {
    /// The next line without its end; `None` when the stream has ended. Panics when none comes in time.
    pub async fn next(&mut self) -> Option<Bytes> {
        self.within(PATIENCE).await.expect("a line in time")
    }

    /// The next line, or an error when none comes within `limit`: for what must *not* come.
    pub async fn within(
        &mut self,
        limit: Duration,
    ) -> Result<Option<Bytes>, tokio::time::error::Elapsed> {
        tokio::time::timeout(limit, self.read_line()).await
    }

    /// The next line as JSON. Panics at the end of the stream.
    pub async fn json(&mut self) -> Value {
        self.json_within(PATIENCE).await
    }

    async fn json_within(&mut self, limit: Duration) -> Value {
        let line = self.within(limit).await.expect("a line in time");
        let line = line.expect("a line, not the end of the stream");
        serde_json::from_slice(&line).unwrap_or_else(|error| {
            panic!("not JSON ({error}): {}", String::from_utf8_lossy(&line))
        })
    }

    /// Reads on until a line fits. Panics with the last line when none does in time.
    pub async fn find(&mut self, fits: impl FnMut(&Value) -> bool) -> Value {
        self.find_within(PATIENCE, fits).await
    }

    /// The same with a limit of its own.
    pub async fn find_within(
        &mut self,
        limit: Duration,
        mut fits: impl FnMut(&Value) -> bool,
    ) -> Value {
        let start = Instant::now();
        loop {
            let line = self.json_within(limit).await;
            if fits(&line) {
                return line;
            }
            assert!(
                start.elapsed() < limit,
                "no line fits; the last one: {line}"
            );
        }
    }

    async fn read_line(&mut self) -> Option<Bytes> {
        // Where the search goes on: what was looked at once is not looked at again, lines may be long.
        let mut seen = 0;
        loop {
            if let Some(end) = self
                .buffer
                .iter()
                .skip(seen)
                .position(|byte| *byte == b'\n')
            {
                let mut line = self.buffer.split_to(seen + end + 1);
                line.truncate(line.len() - 1);
                return Some(line.freeze());
            }
            seen = self.buffer.len();
            let frame = self.body.frame().await?.ok()?;
            if let Ok(data) = frame.into_data() {
                self.buffer.extend_from_slice(&data);
            }
        }
    }
}
