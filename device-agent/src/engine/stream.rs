//! The engine's log stream as raw bytes.
//!
//! The client library buffers a terminal's line without bound and takes control bytes at its start for a frame, so
//! this one request is made by hand: `GET /containers/{id}/logs` on the engine's unix socket.

use std::path::Path;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use super::{Connected, EngineError, QUICK};

/// Which lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Lines {
    /// From `since` (nanoseconds since the epoch) on, and those to come until the container ends.
    Follow {
        /// Inclusive.
        since: i64,
    },
    /// The last ones that the engine kept.
    Last(usize),
}

/// An open stream; dropping it closes the connection.
#[derive(Debug)]
pub(crate) struct LogStream {
    body: Incoming,
    connection: JoinHandle<()>,
}

impl Drop for LogStream {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

impl LogStream {
    /// Asks for a container's lines, with timestamps.
    pub(crate) async fn open(
        connected: &Connected,
        id: &str,
        lines: &Lines,
    ) -> Result<Self, EngineError> {
        let asked = match lines {
            Lines::Follow { since } => format!(
                "follow=true&since={}.{:09}",
                since / 1_000_000_000,
                since % 1_000_000_000
            ),
            Lines::Last(count) => format!("tail={count}"),
        };
        let path = format!(
            "/v{}/containers/{id}/logs?stdout=true&stderr=true&timestamps=true&{asked}",
            connected.info.api_version
        );
        match tokio::time::timeout(QUICK, request(&connected.socket, &path)).await {
            Ok(stream) => stream,
            Err(_) => Err(EngineError::Hanging(QUICK)),
        }
    }

    /// The next bytes; `Ok(None)` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        loop {
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => return Err(unusable(&error)),
            }
        }
    }
}

async fn request(socket: &Path, path: &str) -> Result<LogStream, EngineError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| unusable(&error))?;
    let (mut sender, connection) = http1::handshake::<_, Empty<Bytes>>(TokioIo::new(stream))
        .await
        .map_err(|error| unusable(&error))?;
    let connection = tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(%error, "a log connection ended early");
        }
    });
    let request = Request::get(path)
        .header("host", "engine")
        .body(Empty::new())
        .map_err(|error| unusable(&error))?;
    let response = sender
        .send_request(request)
        .await
        .map_err(|error| unusable(&error))?;
    let status = response.status();
    let body = response.into_body();
    if status.is_success() {
        return Ok(LogStream { body, connection });
    }
    let text = match Limited::new(body, 64 * 1024).collect().await {
        Ok(text) => String::from_utf8_lossy(&text.to_bytes()).into_owned(),
        Err(_) => String::new(),
    };
    connection.abort();
    let message = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|answer| Some(answer.get("message")?.as_str()?.to_owned()))
        .unwrap_or(text);
    Err(match status {
        StatusCode::NOT_FOUND => EngineError::NotFound(message),
        StatusCode::CONFLICT => EngineError::Conflict(message),
        status => EngineError::Refused {
            status: status.as_u16(),
            message,
        },
    })
}

fn unusable(error: &dyn std::error::Error) -> EngineError {
    EngineError::Unusable(error.to_string())
}
