//! The built `os-agent` on a machine of the tests.
//!
//! In: a machine and an engine's socket. Out: an [`Agent`] that answers on TCP 48484 and on a unix socket, and that can
//! be killed and started again on the same state.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use hyper::StatusCode;

use crate::http::{Endpoint, request};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::programs::built;
use crate::until::until;

/// What the recordings' device is called; tests compare with them.
pub const UUID: &str = "5eee5eee5eee5eee5eee5eee5eee5eee";

/// How an agent is set up. The default is the device of the recordings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The engine's socket.
    pub engine: PathBuf,
    /// Device uuid.
    pub uuid: String,
    /// Host name, also in mDNS.
    pub hostname: String,
    /// Device type.
    pub device_type: String,
    /// Architecture.
    pub arch: String,
    /// Operating system and version.
    pub os_version: String,
    /// Its directory on the machine; agents on one machine need different ones.
    pub place: String,
    /// Where it announces itself: `all`, `loopback` or `none`.
    pub announce: String,
    /// Further arguments.
    pub more: Vec<String>,
}

impl Settings {
    /// The settings of the recordings' device, on an engine.
    pub fn new(engine: PathBuf) -> Self {
        Self {
            engine,
            uuid: UUID.to_owned(),
            hostname: "peer-device".to_owned(),
            device_type: "generic-amd64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "balenaOS 6.8.1".to_owned(),
            place: "agent".to_owned(),
            announce: "none".to_owned(),
            more: Vec::new(),
        }
    }
}

/// A running agent.
#[derive(Debug)]
pub struct Agent {
    process: Option<Process>,
    settings: Settings,
    dir: PathBuf,
}

impl Agent {
    /// Starts an agent without state and returns when it answers.
    pub async fn start(machine: &Namespace, settings: Settings) -> Self {
        let mut agent = Self::cold(machine, settings);
        agent.resume(machine).await;
        agent
    }

    /// An agent that has not been started.
    pub fn cold(machine: &Namespace, settings: Settings) -> Self {
        let dir = machine.dir().join(&settings.place);
        fs_err::create_dir_all(dir.join("state")).expect("the agent's directory");
        Self {
            process: None,
            settings,
            dir,
        }
    }

    /// Starts the agent (again) and returns when it answers.
    pub async fn resume(&mut self, machine: &Namespace) {
        assert!(self.process.is_none(), "the agent runs");
        let mut command = machine.command(built("os-agent"));
        command
            .arg("run")
            .arg("--socket")
            .arg(self.socket())
            .arg("--state-dir")
            .arg(self.state_dir())
            .arg("--services-dir")
            .arg(self.dir.join("services"))
            .arg("--config-json")
            .arg(self.dir.join("config.json"))
            .arg("--engine")
            .arg(format!("unix://{}", self.settings.engine.display()))
            .args(["--uuid", &self.settings.uuid])
            .args(["--hostname", &self.settings.hostname])
            .args(["--device-type", &self.settings.device_type])
            .args(["--arch", &self.settings.arch])
            .args(["--os-version", &self.settings.os_version])
            .args(["--announce", &self.settings.announce])
            .args(&self.settings.more);
        let process = Process::start("os-agent", command, &self.dir.join("log")).await;
        let endpoint = self.endpoint();
        until("the agent answers", async || {
            assert!(
                process.ended().is_none(),
                "the agent ended at once:\n{}",
                process.log()
            );
            let answer = endpoint
                .try_request(request("GET", "/ping", None))
                .await
                .ok()?;
            (answer.status == StatusCode::OK).then_some(())
        })
        .await;
        self.process = Some(process);
    }

    /// Waits until it has the right to its name in the network: it answers requests before.
    pub async fn announced(&self) {
        until("the agent is announced by mDNS", async || {
            let said = self.process().log().contains("announced by mDNS");
            said.then_some(())
        })
        .await;
    }

    /// SIGKILL in the middle of whatever it does.
    pub async fn kill(&mut self) {
        self.process.take().expect("a running agent").kill().await;
    }

    /// SIGTERM, and waits for its end; returns whether it called that a success.
    pub async fn stop(&mut self) -> bool {
        self.process
            .take()
            .expect("a running agent")
            .terminate()
            .await
            .success()
    }

    /// The running program.
    pub fn process(&self) -> &Process {
        self.process.as_ref().expect("a running agent")
    }

    /// The agent's unix socket.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("agent.sock")
    }

    /// Requests to the agent through its unix socket.
    pub fn endpoint(&self) -> Endpoint<'static> {
        Endpoint::Unix(self.socket())
    }

    /// Requests to the agent through TCP, from the machine itself.
    pub fn endpoint_tcp<'a>(&self, machine: &'a Namespace) -> Endpoint<'a> {
        Endpoint::Tcp(
            machine,
            SocketAddr::from(([127, 0, 0, 1], agent_api::API_PORT)),
        )
    }

    /// Where the agent keeps its state.
    pub fn state_dir(&self) -> PathBuf {
        self.dir.join("state")
    }

    /// All that this agent, and the ones before it, have logged.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs_err::read(self.dir.join("log")).expect("the agent's log"))
            .into_owned()
    }

    /// The agent's directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }
}
