//! Requests to our agent beside targets and reports: actions on services, what a target would change, local mode, the disk;
//! and the same actions on a reference device, as far as it has them.

use agent_api::os::{Action, Asked, Disk, LocalMode, Preview, SetLocalMode};
use hyper::Method;
use serde_json::json;

use super::{Agent, AgentError};

/// What is done to services.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// They get new containers.
    Restart,
    /// They are started.
    Start,
    /// They are stopped.
    Stop,
    /// They get new containers and empty volumes.
    Purge,
}

impl Verb {
    /// As it is written in paths.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Restart => "restart",
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Purge => "purge",
        }
    }
}

impl Agent {
    /// Asks for an action. It is stored when this returns; the report tells when it is done.
    pub async fn act(&self, verb: Verb, action: &Action) -> Result<Asked, AgentError> {
        let path = format!("/os/v1/{}", verb.word());
        let answer = self.send(Method::POST, &path, json!(action)).await?;
        self.read(&format!("POST {path}"), &answer)
    }

    /// Does the same on a reference device, which answers when it is done.
    pub async fn reference_act(
        &self,
        verb: Verb,
        app_id: u32,
        service: Option<&str>,
        force: bool,
    ) -> Result<(), AgentError> {
        let of = format!("/v2/applications/{app_id}");
        let (path, body) = match service {
            Some(name) => (
                format!("{of}/{}-service", verb.word()),
                json!({ "serviceName": name, "force": force }),
            ),
            None => (format!("{of}/{}", verb.word()), json!({ "force": force })),
        };
        self.send(Method::POST, &path, body).await.map(drop)
    }

    /// What a target state would change. `rebuilt` are the services whose images will be built anew before.
    pub async fn preview(&self, body: Vec<u8>) -> Result<Preview, AgentError> {
        let answer = self.send_bytes(Method::POST, "/os/v1/plan", body).await?;
        self.read("POST /os/v1/plan", &answer)
    }

    /// Whether the device takes targets from the local network.
    pub async fn local_mode(&self) -> Result<LocalMode, AgentError> {
        let answer = self.ask("/os/v1/local-mode").await?;
        self.read("GET /os/v1/local-mode", &answer)
    }

    /// Switches local mode.
    pub async fn set_local_mode(&self, asked: &SetLocalMode) -> Result<LocalMode, AgentError> {
        let path = "/os/v1/local-mode";
        let answer = self.send(Method::PUT, path, json!(asked)).await?;
        self.read("PUT /os/v1/local-mode", &answer)
    }

    /// Room on the device's disk.
    pub async fn disk(&self) -> Result<Disk, AgentError> {
        let answer = self.ask("/os/v1/disk").await?;
        self.read("GET /os/v1/disk", &answer)
    }

    async fn send(
        &self,
        method: Method,
        path: &str,
        body: serde_json::Value,
    ) -> Result<crate::transport::Answer, AgentError> {
        self.send_bytes(method, path, body.to_string().into_bytes())
            .await
    }
}
