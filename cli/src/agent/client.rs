//! Requests to one device's agent.

use std::time::Duration;

use agent_api::{
    os::{Accepted, Info, Problem, Report},
    reference::{DeviceInfo, DeviceInfoAnswer, Failed, StateStatus},
};
use hyper::{
    HeaderMap, Method, Request, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{AgentError, ApiKey, LogQuery, LogStream, Version, version::OLDEST};
use crate::transport::{Answer, Body, Endpoint, Http, Limits, LineStream, Stream, empty, full};

/// How long a target state may take to be stored; slow cards and a busy device included.
const STORE: Duration = Duration::from_mins(1);

/// Bytes of one report.
const REPORT_LIMIT: usize = 4 << 20;

/// What a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// Our agent.
    Ours(Box<Info>),
    /// A device that has the reference API only.
    Reference {
        /// Version of its API.
        version: Version,
        /// Architecture and device type.
        info: DeviceInfo,
    },
}

impl Kind {
    /// Whether it is our agent and promises this (`log-cursor`, …).
    #[must_use]
    pub fn can(&self, capability: &str) -> bool {
        match self {
            Self::Ours(info) => info.capabilities.iter().any(|word| word == capability),
            Self::Reference { .. } => false,
        }
    }
}

/// The agent of one device. Clones share connections.
#[derive(Debug, Clone)]
pub struct Agent {
    http: Http,
    key: Option<ApiKey>,
}

/// Reports of our agent as they come.
#[derive(Debug)]
pub struct ReportStream {
    lines: LineStream,
    peer: String,
}

#[derive(Deserialize)]
struct PresentTarget {
    state: PresentState,
}

#[derive(Deserialize)]
struct PresentState {
    local: Map<String, Value>,
}

impl Agent {
    /// The agent that answers at `endpoint`; `name` is what errors call the device.
    #[must_use]
    pub fn new(name: impl Into<String>, endpoint: Endpoint) -> Self {
        Self {
            http: Http::new(name, endpoint),
            key: None,
        }
    }

    /// The same agent, which is shown this key with every request. It is for devices that want one ([`AgentError::KeyWanted`]).
    #[must_use]
    pub fn with_key(self, key: ApiKey) -> Self {
        Self {
            key: Some(key),
            ..self
        }
    }

    /// The connection, for what errors and people want to know: name, address.
    #[must_use]
    pub fn http(&self) -> &Http {
        &self.http
    }

    /// Finds out what the device is: one request for our agent, four for a reference device.
    pub async fn detect(&self) -> Result<Kind, AgentError> {
        let answer = self.get("/os/v1/info").await?;
        if answer.status == StatusCode::OK {
            let info = self.read("GET /os/v1/info", &answer)?;
            return Ok(Kind::Ours(Box::new(info)));
        }
        self.ping().await?;
        let operation = "GET /v2/version";
        let answer = self.ask("/v2/version").await?;
        let text: agent_api::reference::Version = self.read(operation, &answer)?;
        let too_old = |version: &str| AgentError::TooOld {
            peer: self.http.peer(),
            version: version.chars().take(40).collect(),
            wanted: OLDEST,
        };
        let version = Version::parse(&text.version).ok_or_else(|| too_old(&text.version))?;
        if version < OLDEST {
            return Err(too_old(&text.version));
        }
        let answer = self.ask("/v2/local/device-info").await?;
        let info: DeviceInfoAnswer = self.read("GET /v2/local/device-info", &answer)?;
        Ok(Kind::Reference {
            version,
            info: info.info,
        })
    }

    /// Whether a device answers.
    pub async fn ping(&self) -> Result<(), AgentError> {
        let answer = self.get("/ping").await?;
        let greets = answer.body.trim_ascii() == b"OK";
        if answer.status == StatusCode::OK && greets {
            return Ok(());
        }
        Err(AgentError::NotADevice {
            peer: self.http.peer(),
        })
    }

    /// What our agent last saw and did.
    pub async fn report(&self) -> Result<Report, AgentError> {
        let answer = self.ask("/os/v1/report").await?;
        self.read("GET /os/v1/report", &answer)
    }

    /// The present report of our agent at once, then one for every change.
    pub async fn reports(&self) -> Result<ReportStream, AgentError> {
        let stream = self.open("/os/v1/report?follow=true").await?;
        Ok(ReportStream {
            lines: LineStream::new(stream, REPORT_LIMIT),
            peer: self.http.peer(),
        })
    }

    /// Hands a target state to our agent, which answers with the generation it gave it.
    pub async fn put_target(&self, body: Vec<u8>) -> Result<Accepted, AgentError> {
        let answer = self.post("/os/v1/target-state", body).await?;
        self.read("POST /os/v1/target-state", &answer)
    }

    /// The `local` part of a reference device's target state, key by key as the device wrote it: it goes back to the device.
    pub async fn reference_target(&self) -> Result<Map<String, Value>, AgentError> {
        let answer = self.ask("/v2/local/target-state").await?;
        let target: PresentTarget = self.read("GET /v2/local/target-state", &answer)?;
        Ok(target.state.local)
    }

    /// Hands a target state to a reference device.
    pub async fn put_reference_target(&self, body: Vec<u8>) -> Result<(), AgentError> {
        self.post("/v2/local/target-state", body).await.map(drop)
    }

    /// What a reference device is doing.
    pub async fn status(&self) -> Result<StateStatus, AgentError> {
        let answer = self.ask("/v2/state/status").await?;
        self.read("GET /v2/state/status", &answer)
    }

    /// Log lines of our agent as they come, after the past ones that are asked for.
    pub async fn logs(&self, query: &LogQuery) -> Result<LogStream, AgentError> {
        Ok(LogStream::new(self.open(&query.path()).await?))
    }

    /// Log lines of a reference device as they come.
    pub async fn reference_logs(&self) -> Result<LogStream, AgentError> {
        Ok(LogStream::new(self.open("/v2/local/logs").await?))
    }

    pub(super) async fn ask(&self, path: &str) -> Result<Answer, AgentError> {
        let answer = self.get(path).await?;
        self.succeeded(&format!("GET {path}"), answer.status, &answer.body)?;
        Ok(answer)
    }

    async fn get(&self, path: &str) -> Result<Answer, AgentError> {
        let headers = self.credentials();
        let answer = self.http.get_with(path, &headers, Limits::default());
        Ok(answer.await?)
    }

    /// What goes with every request.
    fn credentials(&self) -> HeaderMap {
        let key = self.key.iter().map(|key| (AUTHORIZATION, key.header()));
        key.collect()
    }

    async fn post(&self, path: &str, body: Vec<u8>) -> Result<Answer, AgentError> {
        self.send_bytes(Method::POST, path, body).await
    }

    pub(super) async fn send_bytes(
        &self,
        method: Method,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Answer, AgentError> {
        let operation = format!("{method} {path}");
        let request = request(method, path, self.credentials(), full(body));
        let limits = Limits {
            headers: STORE,
            ..Limits::default()
        };
        let answer = self.http.send(request, limits).await?;
        self.succeeded(&operation, answer.status, &answer.body)?;
        Ok(answer)
    }

    async fn open(&self, path: &str) -> Result<Stream, AgentError> {
        let limits = Limits::default();
        let request = request(Method::GET, path, self.credentials(), empty());
        let mut stream = self.http.open(request, Some(limits.headers)).await?;
        if !stream.status.is_success() {
            let body = stream.rest(limits).await?;
            self.succeeded(&format!("GET {path}"), stream.status, &body)?;
        }
        Ok(stream)
    }

    /// Turns an error status into an error with the agent's own words.
    fn succeeded(
        &self,
        operation: &str,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), AgentError> {
        if status.is_success() {
            return Ok(());
        }
        let peer = self.http.peer();
        if status == StatusCode::UNAUTHORIZED || status == StatusCode::FORBIDDEN {
            return Err(match self.key {
                None => AgentError::KeyWanted { peer },
                Some(_) => AgentError::KeyRefused { peer },
            });
        }
        let (path, _query) = operation.split_once('?').unwrap_or((operation, ""));
        Err(AgentError::Status {
            peer,
            operation: path.to_owned(),
            status: status.as_u16(),
            message: words(body),
        })
    }

    pub(super) fn read<T: DeserializeOwned>(
        &self,
        operation: &str,
        answer: &Answer,
    ) -> Result<T, AgentError> {
        serde_json::from_slice(&answer.body).map_err(|source| AgentError::Unreadable {
            peer: self.http.peer(),
            operation: operation.to_owned(),
            source,
        })
    }
}

impl ReportStream {
    /// The next report; `None` when the agent ended the stream. May be dropped while it waits.
    pub async fn next(&mut self) -> Result<Option<Report>, AgentError> {
        let Some(line) = self.lines.next().await? else {
            return Ok(None);
        };
        serde_json::from_slice(&line.bytes)
            .map(Some)
            .map_err(|source| AgentError::Unreadable {
                peer: self.peer.clone(),
                operation: "GET /os/v1/report".to_owned(),
                source,
            })
    }
}

fn request(method: Method, path: &str, headers: HeaderMap, body: Body) -> Request<Body> {
    let json = method == Method::POST || method == Method::PUT;
    let mut request = Request::new(body);
    *request.headers_mut() = headers;
    *request.method_mut() = method;
    // The paths are those of this file.
    if let Ok(uri) = path.parse() {
        *request.uri_mut() = uri;
    }
    if json {
        let value = hyper::header::HeaderValue::from_static("application/json");
        request.headers_mut().insert(CONTENT_TYPE, value);
    }
    request
}

/// What an error body says: the message of either envelope, or the beginning of the text.
pub(super) fn words(body: &[u8]) -> String {
    const LONGEST: usize = 2000;
    let message = serde_json::from_slice::<Problem>(body)
        .map(|problem| problem.message)
        .or_else(|_| serde_json::from_slice::<Failed>(body).map(|failed| failed.message));
    let text = message.unwrap_or_else(|_| String::from_utf8_lossy(body).trim().to_owned());
    if text.is_empty() {
        return "no reason was given".to_owned();
    }
    text.chars().take(LONGEST).collect()
}
