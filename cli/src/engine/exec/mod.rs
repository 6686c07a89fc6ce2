//! Programs in containers that run.
//!
//! In: a container, an argument vector, whether there is a terminal. Out: [`Exec`]: what the program reads and writes, and how it ends.
//! Nothing is quoted for a shell on the way: the engine takes the arguments as they are.

mod frames;

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
pub use frames::{Channel, Frames, NoFrame};
use hyper::{
    Method, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
};
use serde::Deserialize;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, ReadHalf, WriteHalf, split},
    time::sleep,
};

use super::{Engine, EngineError};
use crate::transport::{
    Body, Limits, TransportError, Upgraded, empty, encode_path, encode_query, full,
};

/// How long an engine may take to start a program: a slow board loads it from a slow card.
const START: Duration = Duration::from_secs(30);
/// Pauses between questions for the exit code, of which an engine may learn after the output's end.
const PAUSES: [u64; 6] = [0, 20, 50, 100, 300, 1000];
/// Bytes that are read at once.
const PIECE: usize = 32 << 10;

/// A container of a device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// `running`, `exited`, …
    pub state: String,
}

/// What is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ExecRequest {
    /// Id of the container.
    pub container: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// As whom, if not as the container's user.
    pub user: Option<String>,
    /// Variables beside those of the container, as `NAME=VALUE`.
    pub environment: Vec<String>,
    /// Where, if not in the container's folder: an absolute path.
    pub folder: Option<String>,
    /// Kind of the terminal, with its columns and rows; without one, both outputs are told apart.
    pub terminal: Option<(String, u16, u16)>,
}

/// A program that runs.
#[derive(Debug)]
pub struct Exec {
    /// What it reads.
    pub input: WriteHalf<Upgraded>,
    /// What it writes.
    pub output: ExecOutput,
    /// Questions about it.
    pub handle: ExecHandle,
}

/// What a program writes.
#[derive(Debug)]
pub struct ExecOutput {
    reader: ReadHalf<Upgraded>,
    /// `None` with a terminal, which has one output.
    frames: Option<Frames>,
    buffer: Vec<u8>,
    peer: String,
}

/// A program that an engine has started.
#[derive(Debug, Clone)]
pub struct ExecHandle {
    engine: Engine,
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    id: String,
    #[serde(default)]
    names: Vec<String>,
    #[serde(default)]
    labels: Option<BTreeMap<String, String>>,
    #[serde(default)]
    state: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Made {
    id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct State {
    running: bool,
    exit_code: Option<i64>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Started {
    #[serde(default)]
    path: String,
    #[serde(default)]
    args: Vec<String>,
}

impl Engine {
    /// All containers, also those that do not run.
    pub async fn containers(&self) -> Result<Vec<Container>, EngineError> {
        const PATH: &str = "/containers/json?all=true";
        let answer = self.http().get(PATH, Limits::default()).await?;
        self.succeeded("GET /containers/json", &answer)?;
        let listed: Vec<Listed> = self.read("GET /containers/json", &answer.body)?;
        let containers = listed.into_iter().map(|one| Container {
            id: one.id,
            name: one
                .names
                .first()
                .map(|name| name.trim_start_matches('/').to_owned())
                .unwrap_or_default(),
            labels: one.labels.unwrap_or_default(),
            state: one.state,
        });
        Ok(containers.collect())
    }

    /// Whether a file exists in a container. Nothing is run for it.
    pub async fn has_file(&self, container: &str, path: &str) -> Result<bool, EngineError> {
        let url = format!(
            "/containers/{}/archive?path={}",
            encode_path(container),
            encode_query(path)
        );
        let request = self.request(Method::HEAD, &url, empty())?;
        let answer = self.http().send(request, Limits::default()).await?;
        match answer.status {
            StatusCode::NOT_FOUND => Ok(false),
            _ => self
                .succeeded("HEAD /containers/…/archive", &answer)
                .map(|()| true),
        }
    }

    /// The program and the arguments with which a container was started.
    pub async fn program(&self, container: &str) -> Result<Vec<String>, EngineError> {
        let path = format!("/containers/{}/json", encode_path(container));
        let answer = self.http().get(&path, Limits::default()).await?;
        self.succeeded(&format!("GET {path}"), &answer)?;
        let started: Started = self.read(&format!("GET {path}"), &answer.body)?;
        Ok(std::iter::once(started.path).chain(started.args).collect())
    }

    /// Starts a program in a container.
    pub async fn exec(&self, request: &ExecRequest) -> Result<Exec, EngineError> {
        let has_terminal = request.terminal.is_some();
        let term = request.terminal.iter();
        let term = term.map(|(term, ..)| format!("TERM={term}"));
        let environment: Vec<String> = term.chain(request.environment.iter().cloned()).collect();
        let mut description = json!({
            "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
            "Tty": has_terminal, "Env": environment, "Cmd": request.command,
            "User": request.user.as_deref().unwrap_or_default(),
        });
        if let (Some(folder), Some(fields)) = (&request.folder, description.as_object_mut()) {
            fields.insert("WorkingDir".to_owned(), folder.clone().into());
        }
        let path = format!("/containers/{}/exec", encode_path(&request.container));
        let mut asked = self.request(Method::POST, &path, full(description.to_string()))?;
        as_json(&mut asked);
        let answer = self.http().send(asked, Limits::default()).await?;
        self.succeeded("POST /containers/…/exec", &answer)?;
        let made: Made = self.read("POST /containers/…/exec", &answer.body)?;
        let handle = ExecHandle {
            engine: self.clone(),
            id: made.id,
        };
        let path = format!("/exec/{}/start", encode_path(&handle.id));
        let description = json!({"Detach": false, "Tty": has_terminal});
        let mut asked = self.request(Method::POST, &path, full(description.to_string()))?;
        as_json(&mut asked);
        let stream = match self.http().upgrade(asked, START).await? {
            Ok(stream) => stream,
            Err(answer) => {
                self.succeeded("POST /exec/…/start", &answer)?;
                return Err(self.unfinished());
            }
        };
        if let Some((_, columns, rows)) = &request.terminal {
            // A program that has ended already has no terminal any more.
            drop(handle.resize(*columns, *rows).await);
        }
        let (reader, input) = split(stream);
        Ok(Exec {
            input,
            output: ExecOutput {
                reader,
                frames: (!has_terminal).then(Frames::default),
                buffer: vec![0; PIECE],
                peer: self.http().peer(),
            },
            handle,
        })
    }

    fn unfinished(&self) -> EngineError {
        EngineError::Unfinished {
            peer: self.http().peer(),
            what: "program",
        }
    }
}

fn as_json(request: &mut hyper::Request<Body>) {
    let json = HeaderValue::from_static("application/json");
    request.headers_mut().insert(CONTENT_TYPE, json);
}

impl ExecOutput {
    /// The next piece of what it writes; `None` at the end of it.
    pub async fn next(&mut self) -> Result<Option<(Channel, Bytes)>, EngineError> {
        loop {
            if let Some(frames) = &mut self.frames {
                let next = frames
                    .piece()
                    .map_err(|error| self.bad(&error.to_string()))?;
                if next.is_some() {
                    return Ok(next);
                }
            }
            let read = self.reader.read(&mut self.buffer).await;
            let count = read.map_err(|source| self.gone(source))?;
            let bytes = self.buffer.get(..count).unwrap_or_default();
            match &mut self.frames {
                Some(frames) if count > 0 => frames.push(bytes),
                Some(frames) if !frames.is_whole() => {
                    return Err(self.bad("it ends within a piece of output"));
                }
                None if count > 0 => {
                    return Ok(Some((Channel::Stdout, Bytes::copy_from_slice(bytes))));
                }
                _ => return Ok(None),
            }
        }
    }

    fn bad(&self, problem: &str) -> EngineError {
        TransportError::BadAnswer {
            peer: self.peer.clone(),
            operation: "the output of a program".to_owned(),
            problem: problem.to_owned(),
        }
        .into()
    }

    fn gone(&self, source: std::io::Error) -> EngineError {
        TransportError::Gone {
            peer: self.peer.clone(),
            operation: "a program".to_owned(),
            source: Box::new(source),
        }
        .into()
    }
}

impl ExecHandle {
    /// The exit code, once the output has ended.
    pub async fn exit_code(&self) -> Result<i64, EngineError> {
        let path = format!("/exec/{}/json", encode_path(&self.id));
        for pause in PAUSES {
            sleep(Duration::from_millis(pause)).await;
            let answer = self.engine.http().get(&path, Limits::default()).await?;
            self.engine.succeeded("GET /exec/…/json", &answer)?;
            let state: State = self.engine.read("GET /exec/…/json", &answer.body)?;
            if let (false, Some(code)) = (state.running, state.exit_code) {
                return Ok(code);
            }
        }
        Err(self.engine.unfinished())
    }

    /// Tells its terminal its new size.
    pub async fn resize(&self, columns: u16, rows: u16) -> Result<(), EngineError> {
        let path = format!(
            "/exec/{}/resize?h={rows}&w={columns}",
            encode_path(&self.id)
        );
        let request = self.engine.request(Method::POST, &path, empty())?;
        let answer = self.engine.http().send(request, Limits::default()).await?;
        self.engine.succeeded("POST /exec/…/resize", &answer)
    }
}
