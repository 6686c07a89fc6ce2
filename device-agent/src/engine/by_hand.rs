//! Requests that the client library cannot make, each on a connection of its own to the engine's unix socket.
//!
//! In: a request. Out: the body of the answer, to be read as it comes, or the engine's refusal in the same terms as the
//! library's. It bounds nothing in time: who asks does.
//!
//! A connection has no task of its own: whoever waits for its body drives it. A log comes as one small chunk for each line, and
//! switching between two tasks for each of them would cost more than everything that is done with it.

use std::future::poll_fn;
use std::path::Path;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};

use bollard::errors::Error as Bollard;
use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body, Frame, Incoming};
use hyper::client::conn::http1;
use hyper::{Method, Request};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::UnixStream;

use super::EngineError;

/// Bytes of a refusal, and of answers that are read whole.
const MAX_TEXT: usize = 64 * 1024;

/// Bytes of an answer that are read ahead of whoever takes them.
const READ_AHEAD: usize = 64 * 1024;

/// What drives a connection.
type Connection = http1::Connection<TokioIo<UnixStream>, Full<Bytes>>;

/// The body of an answer; dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Answer {
    body: Incoming,
    /// Absent when it has ended; the body knows how.
    connection: Option<Connection>,
}

impl Answer {
    /// The next bytes; `Ok(None)` at the end. May be dropped while it waits.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, EngineError> {
        loop {
            match poll_fn(|context| self.poll_frame(context)).await {
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

    fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        if let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(context) {
            return Poll::Ready(frame);
        }
        if let Some(connection) = &mut self.connection
            && let Poll::Ready(ended) = Pin::new(connection).poll(context)
        {
            note_end(ended);
            self.connection = None;
        }
        // What the connection has just read, or its end.
        Pin::new(&mut self.body).poll_frame(context)
    }

    /// All of a short answer.
    pub(super) async fn whole(mut self) -> Result<Bytes, EngineError> {
        let mut text = BytesMut::new();
        while let Some(piece) = self.next().await? {
            text.extend_from_slice(&piece);
            if text.len() > MAX_TEXT {
                return Err(EngineError::Unusable(format!(
                    "its answer is longer than {MAX_TEXT} bytes"
                )));
            }
        }
        Ok(text.freeze())
    }
}

/// Whoever waits is told what the connection ends with.
fn note_end(ended: Result<(), hyper::Error>) {
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to the engine ended early");
    }
}

/// `GET`.
pub(super) async fn get(socket: &Path, path: &str) -> Result<Answer, EngineError> {
    ask(socket, Method::GET, path, Bytes::new()).await
}

/// `POST` of a JSON text.
pub(super) async fn post(socket: &Path, path: &str, body: Vec<u8>) -> Result<Answer, EngineError> {
    ask(socket, Method::POST, path, body.into()).await
}

async fn ask(
    socket: &Path,
    method: Method,
    path: &str,
    body: Bytes,
) -> Result<Answer, EngineError> {
    let stream = UnixStream::connect(socket)
        .await
        .map_err(|error| unusable(&error))?;
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "engine");
    if !body.is_empty() {
        request = request.header("content-type", "application/json");
    }
    let request = request
        .body(Full::new(body))
        .map_err(|error| unusable(&error))?;
    send(stream, request).await
}

async fn send(stream: UnixStream, request: Request<Full<Bytes>>) -> Result<Answer, EngineError> {
    let (mut sender, connection) = http1::Builder::new()
        .max_buf_size(READ_AHEAD)
        .handshake(TokioIo::new(stream))
        .await
        .map_err(|error| unusable(&error))?;
    let mut connection = Some(connection);
    let response = {
        let mut response = pin!(sender.send_request(request));
        poll_fn(|context| {
            if let Some(driven) = &mut connection
                && let Poll::Ready(ended) = Pin::new(driven).poll(context)
            {
                note_end(ended);
                connection = None;
            }
            response.as_mut().poll(context)
        })
        .await
        .map_err(|error| unusable(&error))?
    };
    let status = response.status();
    let answer = Answer {
        body: response.into_body(),
        connection,
    };
    if status.is_success() {
        return Ok(answer);
    }
    // The status says enough where the words cannot be read.
    let text = answer.whole().await.unwrap_or_default();
    Err(EngineError::from(Bollard::DockerResponseServerError {
        status_code: status.as_u16(),
        message: refusal(&text),
    }))
}

/// The engine's words in the body of a refusal.
fn refusal(text: &[u8]) -> String {
    let answer = serde_json::from_slice::<Value>(text).ok();
    let message = answer.as_ref().and_then(|answer| answer.get("message"));
    match message.and_then(Value::as_str) {
        Some(message) => message.to_owned(),
        None => String::from_utf8_lossy(text).into_owned(),
    }
}

/// What cannot be an engine's answer.
pub(super) fn unusable(error: &dyn std::error::Error) -> EngineError {
    EngineError::Unusable(error.to_string())
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    use super::*;

    /// What a request comes to when the engine answers with this text; and what it was asked.
    async fn answered(answer: &str) -> (Result<Bytes, EngineError>, String) {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).unwrap();
        let engine = async {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut asked = vec![0; 4096];
            let length = stream.read(&mut asked).await.unwrap();
            // Who has read enough goes away.
            drop(stream.write_all(answer.as_bytes()).await);
            drop(stream.shutdown().await);
            String::from_utf8_lossy(&asked[..length]).into_owned()
        };
        let asking = async {
            let answer = post(&socket, "/v1.41/containers/create?name=x", b"{}".to_vec()).await?;
            answer.whole().await
        };
        tokio::join!(asking, engine)
    }

    fn response(status: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn an_answer_is_read_whole() {
        let (answer, asked) = answered(&response("201 Created", r#"{"Id":"abc"}"#)).await;
        assert_eq!(answer.unwrap(), r#"{"Id":"abc"}"#);
        assert!(
            asked.starts_with("POST /v1.41/containers/create?name=x HTTP/1.1\r\n"),
            "{asked}"
        );
        assert!(
            asked.contains("content-type: application/json\r\n"),
            "{asked}"
        );
    }

    #[tokio::test]
    async fn what_has_come_is_given_without_a_turn_of_others() {
        const CHUNKS: usize = 100;
        let (ours, mut engines) = UnixStream::pair().unwrap();
        let mut text = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
        text.push_str(&"5\r\nline\n\r\n".repeat(CHUNKS));
        let engine = async {
            let mut asked = [0; 4096];
            assert!(engines.read(&mut asked).await.unwrap() > 0);
            engines.write_all(text.as_bytes()).await.unwrap();
        };
        let request = Request::get("/").body(Full::default()).unwrap();
        let (answer, ()) = tokio::join!(send(ours, request), engine);
        let mut answer = answer.unwrap();
        assert_eq!(answer.next().await.unwrap().unwrap(), "line\n");
        for _ in 1..CHUNKS {
            let piece = answer.next().now_or_never().expect("it has come");
            assert_eq!(piece.unwrap().unwrap(), "line\n");
        }
        assert!(answer.next().now_or_never().is_none());
        drop(engines);
        // Its end is not the end of the body.
        assert!(matches!(answer.next().await, Err(EngineError::Unusable(_))));
    }

    #[tokio::test]
    async fn refusals_are_told_apart() {
        let refused = |answer: String| async move { answered(&answer).await.0.unwrap_err() };
        let error = refused(response("409 Conflict", r#"{"message":"taken"}"#)).await;
        assert!(
            matches!(&error, EngineError::Conflict(words) if words == "taken"),
            "{error:?}"
        );
        let error = refused(response("404 Not Found", "no such thing")).await;
        assert!(
            matches!(&error, EngineError::NotFound(words) if words == "no such thing"),
            "{error:?}"
        );
        let error = refused(response("500 Oh", r#"{"message":5}"#)).await;
        assert!(
            matches!(&error, EngineError::Refused { status: 500, message } if message == r#"{"message":5}"#),
            "{error:?}"
        );
        let long = "x".repeat(MAX_TEXT + 1);
        let error = refused(response("500 Oh", &long)).await;
        assert!(
            matches!(&error, EngineError::Refused { status: 500, message } if message.is_empty()),
            "{error:?}"
        );
        let too_long = response("200 OK", &long);
        for nonsense in [
            "moo",
            "",
            too_long.as_str(),
            "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        ] {
            let error = refused(nonsense.to_owned()).await;
            assert!(matches!(error, EngineError::Unusable(_)), "{error:?}");
        }
    }
}
