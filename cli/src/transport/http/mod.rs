//! HTTP/1.1 requests to one peer, with one idle connection kept for the next request.

use std::{
    error::Error,
    net::SocketAddr,
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Full, combinators::UnsyncBoxBody};
use hyper::{
    Method, Request, Response, StatusCode,
    body::Incoming,
    client::conn::http1::{self, SendRequest},
    header::{HOST, HeaderMap, HeaderValue, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{task::JoinSet, time::timeout};

use super::{Endpoint, TransportError, connect};
use crate::cause::causes;

mod stream;
mod upgrade;

pub use stream::Stream;
pub use upgrade::Upgraded;

/// The body of a request.
pub type Body = UnsyncBoxBody<Bytes, std::io::Error>;

const AGENT_NAME: &str = concat!("os/", env!("CARGO_PKG_VERSION"));

/// How long an answer may take, and how large it may be.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From the request to the answer's headers.
    pub headers: Duration,
    /// Between two pieces of the body.
    pub stall: Duration,
    /// Bytes of the body.
    pub body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            headers: Duration::from_secs(10),
            stall: Duration::from_secs(10),
            body: 16 << 20,
        }
    }
}

/// A whole answer.
#[derive(Debug, Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its body.
    pub body: Bytes,
}

/// Requests to one peer. Clones share the idle connection.
#[derive(Debug, Clone)]
pub struct Http {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    name: String,
    endpoint: Endpoint,
    idle: Mutex<Option<Link>>,
    chosen: OnceLock<SocketAddr>,
}

/// An open connection; dropping it closes the socket.
#[derive(Debug)]
struct Link {
    sender: SendRequest<Body>,
    _driver: JoinSet<()>,
}

/// A request body without content.
#[must_use]
pub fn empty() -> Body {
    Empty::new().map_err(|never| match never {}).boxed_unsync()
}

/// A request body that is known as a whole.
#[must_use]
pub fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

impl Http {
    /// Requests to `endpoint`; `name` is what errors call the peer, for example `abc1234` or `the engine of abc1234`.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: Endpoint) -> Self {
        Self {
            shared: Arc::new(Shared {
                name: name.into(),
                endpoint,
                idle: Mutex::new(None),
                chosen: OnceLock::new(),
            }),
        }
    }

    /// What errors call the peer: its name and where it answers.
    #[must_use]
    pub fn peer(&self) -> String {
        match self.address() {
            Some(address) => format!("{} ({address})", self.shared.name),
            None => format!("{} ({})", self.shared.name, self.shared.endpoint),
        }
    }

    /// The address that won the race, once there was a connection over TCP.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        self.shared.chosen.get().copied()
    }

    /// Where the peer answers: the address that won, once there is one.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.address().map_or_else(
            || self.shared.endpoint.clone(),
            |address| Endpoint::Tcp(vec![address]),
        )
    }

    /// Asks for `path`.
    pub async fn get(&self, path: &str, limits: Limits) -> Result<Answer, TransportError> {
        self.get_with(path, &HeaderMap::new(), limits).await
    }

    /// Asks for `path`, with further headers.
    pub async fn get_with(
        &self,
        path: &str,
        headers: &HeaderMap,
        limits: Limits,
    ) -> Result<Answer, TransportError> {
        // A kept connection may have been closed meanwhile: asking again is harmless.
        let request = || {
            build(Method::GET, path, empty()).map(|mut request| {
                request.headers_mut().clone_from(headers);
                request
            })
        };
        match self.exchange(request()?, limits, true).await {
            Err(Outcome::Stale) => self.fresh(request()?, limits).await,
            Err(Outcome::Failed(error)) => Err(error),
            Ok(answer) => Ok(answer),
        }
    }

    /// Sends a request with an effect and waits for the whole answer. It is sent once.
    pub async fn send(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> Result<Answer, TransportError> {
        self.fresh(request, limits).await
    }

    /// Sends a request and returns as soon as the answer's headers are there. `headers` of `None` waits as long as the
    /// connection stands: the caller watches over it.
    pub async fn open(
        &self,
        request: Request<Body>,
        headers: Option<Duration>,
    ) -> Result<Stream, TransportError> {
        let operation = name_of(&request);
        let mut link = self.connect().await?;
        let response = self
            .respond(&mut link, request, &operation, headers)
            .await
            .map_err(|outcome| outcome.into_error(&self.peer(), &operation))?;
        Ok(Stream {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.into_body(),
            peer: self.peer(),
            operation,
            link,
        })
    }

    async fn fresh(
        &self,
        request: Request<Body>,
        limits: Limits,
    ) -> Result<Answer, TransportError> {
        let operation = name_of(&request);
        self.exchange(request, limits, false)
            .await
            .map_err(|outcome| outcome.into_error(&self.peer(), &operation))
    }

    async fn exchange(
        &self,
        request: Request<Body>,
        limits: Limits,
        reuse: bool,
    ) -> Result<Answer, Outcome> {
        let operation = name_of(&request);
        let kept = if reuse { self.take_idle() } else { None };
        let reused = kept.is_some();
        let mut link = match kept {
            Some(link) => link,
            None => self.connect().await.map_err(Outcome::Failed)?,
        };
        let response = match self
            .respond(&mut link, request, &operation, Some(limits.headers))
            .await
        {
            Err(Outcome::Failed(TransportError::Gone { .. })) if reused => {
                return Err(Outcome::Stale);
            }
            other => other?,
        };
        let mut stream = Stream {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.into_body(),
            peer: self.peer(),
            operation,
            link,
        };
        let body = stream.rest(limits).await.map_err(Outcome::Failed)?;
        let status = stream.status;
        self.keep(stream.link);
        Ok(Answer { status, body })
    }

    async fn respond(
        &self,
        link: &mut Link,
        mut request: Request<Body>,
        operation: &str,
        headers: Option<Duration>,
    ) -> Result<Response<Incoming>, Outcome> {
        let host =
            HeaderValue::from_str(&self.host()).unwrap_or(HeaderValue::from_static("device"));
        request.headers_mut().insert(HOST, host);
        request
            .headers_mut()
            .insert(USER_AGENT, HeaderValue::from_static(AGENT_NAME));
        let answer = link.sender.send_request(request);
        let result = match headers {
            None => answer.await,
            Some(limit) => match timeout(limit, answer).await {
                Ok(result) => result,
                Err(_) => {
                    return Err(Outcome::Failed(self.timed_out(operation, limit)));
                }
            },
        };
        result.map_err(|error| Outcome::Failed(classify(&self.peer(), operation, error)))
    }

    async fn connect(&self) -> Result<Link, TransportError> {
        let (socket, address) = connect::connect(&self.peer(), &self.endpoint()).await?;
        if let Some(address) = address {
            self.shared.chosen.get_or_init(|| address);
        }
        let (sender, connection) = http1::Builder::new()
            .max_headers(100)
            .handshake(TokioIo::new(socket))
            .await
            .map_err(|error| classify(&self.peer(), connect::OPERATION, error))?;
        let mut driver = JoinSet::new();
        driver.spawn(async move {
            // How the connection ended is told to the request that used it.
            drop(connection.with_upgrades().await);
        });
        Ok(Link {
            sender,
            _driver: driver,
        })
    }

    /// The `Host` header: a name, or an address without the scope that only this machine understands.
    fn host(&self) -> String {
        if let Endpoint::Tls(server) = &self.shared.endpoint {
            return match server.port {
                443 => server.host.clone(),
                port => format!("{}:{port}", server.host),
            };
        }
        match self.address() {
            Some(SocketAddr::V6(address)) => format!("[{}]:{}", address.ip(), address.port()),
            Some(SocketAddr::V4(address)) => address.to_string(),
            None => "localhost".to_owned(),
        }
    }

    fn timed_out(&self, operation: &str, limit: Duration) -> TransportError {
        TransportError::Timeout {
            peer: self.peer(),
            operation: operation.to_owned(),
            seconds: limit.as_secs(),
        }
    }

    fn take_idle(&self) -> Option<Link> {
        let mut idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.take().filter(|link| link.sender.is_ready())
    }

    fn keep(&self, link: Link) {
        if !link.sender.is_closed() {
            let mut idle = self
                .shared
                .idle
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            *idle = Some(link);
        }
    }
}

/// How an exchange failed.
enum Outcome {
    /// The kept connection had been closed; nothing was answered.
    Stale,
    Failed(TransportError),
}

impl From<TransportError> for Outcome {
    fn from(error: TransportError) -> Self {
        Self::Failed(error)
    }
}

impl Outcome {
    fn into_error(self, peer: &str, operation: &str) -> TransportError {
        match self {
            Self::Failed(error) => error,
            Self::Stale => TransportError::Gone {
                peer: peer.to_owned(),
                operation: operation.to_owned(),
                source: "the connection was closed".into(),
            },
        }
    }
}

fn build(method: Method, path: &str, body: Body) -> Result<Request<Body>, TransportError> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(body)
        .map_err(|error| TransportError::BadAnswer {
            peer: "this machine".to_owned(),
            operation: path.to_owned(),
            problem: error.to_string(),
        })
}

/// What errors call a request: method and path, without the query, which may be long and may hold build arguments.
fn name_of(request: &Request<Body>) -> String {
    format!("{} {}", request.method(), request.uri().path())
}

fn classify(peer: &str, operation: &str, error: hyper::Error) -> TransportError {
    let (peer, operation) = (peer.to_owned(), operation.to_owned());
    if error.is_parse() {
        return TransportError::BadAnswer {
            peer,
            operation,
            problem: innermost(&error),
        };
    }
    TransportError::Gone {
        peer,
        operation,
        source: Box::new(error),
    }
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    causes(error).last().unwrap_or(error).to_string()
}

#[cfg(test)]
mod tests;
