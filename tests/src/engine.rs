//! A real container engine on a machine of the tests.
//!
//! In: a [`Namespace`]. Out: an [`Engine`] that answers on a unix socket, and on TCP 2375 as a development-mode device's
//! does. Its layers, containers, bridges and firewall rules are its own and vanish with the machine.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use bollard::Docker;

use crate::image;
use crate::namespace::Namespace;
use crate::process::{Process, Signal};
use crate::programs::built;
use crate::until::{PATIENCE, until};

/// What opens an engine to the network, as on a device in development mode.
const OPEN: &str = "--host=tcp://0.0.0.0:2375";
/// Bit of `CAP_SYS_RESOURCE` in a capability set.
const CAP_SYS_RESOURCE: u32 = 24;

/// A container engine. It is started, stopped, killed and frozen as a test wants.
#[derive(Debug)]
pub struct Engine {
    process: Option<Process>,
    arguments: Vec<String>,
    dir: PathBuf,
}

impl Engine {
    /// Starts an engine that has the images of [`image`], and returns when it answers.
    pub async fn start(machine: &Namespace) -> Self {
        Self::cold(machine).warm(machine).await
    }

    /// The same without TCP, as on a device in production mode.
    pub async fn start_closed(machine: &Namespace) -> Self {
        let mut engine = Self::cold(machine);
        engine.arguments.retain(|argument| argument != OPEN);
        engine.warm(machine).await
    }

    async fn warm(mut self, machine: &Namespace) -> Self {
        self.resume_service(machine).await;
        image::import_base(&self.client().await).await;
        self
    }

    /// An engine that has not been started.
    pub fn cold(machine: &Namespace) -> Self {
        let dir = machine.dir().join("engine");
        fs_err::create_dir(&dir).expect("the engine's directory");
        // What the host's engine is told must not reach this one.
        fs_err::write(dir.join("daemon.json"), "{}").expect("the engine's settings");
        let path = |name: &str| dir.join(name).display().to_string();
        let mut arguments: Vec<String> = [
            ["--config-file", &path("daemon.json")],
            ["--data-root", &path("data")],
            ["--exec-root", &path("exec")],
            ["--pidfile", &path("pid")],
            ["--host", &format!("unix://{}", path("docker.sock"))],
            ["--host", "unix:///run/docker.sock"],
            ["--log-level", "warn"],
            ["--cgroup-parent", &format!("/{}", machine.name())],
        ]
        .into_iter()
        .flatten()
        .map(str::to_owned)
        .collect();
        arguments.push(OPEN.to_owned());
        // Else the engine waits 15 s before it listens without TLS.
        arguments.push("--tls=false".to_owned());
        if !may_use(CAP_SYS_RESOURCE) {
            let runtime = built("runc-without-resource");
            arguments.push(format!(
                "--add-runtime=without-resource={}",
                runtime.display()
            ));
            arguments.push("--default-runtime=without-resource".to_owned());
        }
        Self {
            process: None,
            arguments,
            dir,
        }
    }

    /// Starts the engine's service (again) and returns when it answers. Its containers are as it finds them.
    pub async fn resume_service(&mut self, machine: &Namespace) {
        assert!(self.process.is_none(), "the engine runs");
        let mut command = machine.command("dockerd");
        command.args(&self.arguments);
        let process = Process::start("dockerd", command, &self.dir.join("log")).await;
        let socket = self.socket();
        until("the engine answers", async || {
            assert!(
                process.ended().is_none(),
                "the engine ended at once:\n{}",
                process.log()
            );
            let client =
                Docker::connect_with_unix(socket.to_str()?, 5, bollard::API_DEFAULT_VERSION)
                    .ok()?;
            client.ping().await.ok()
        })
        .await;
        self.process = Some(process);
    }

    /// Stops the engine's service as an init system does: its containers are stopped with it.
    pub async fn stop_service(&mut self) -> ExitStatus {
        self.process
            .take()
            .expect("a running engine")
            .terminate()
            .await
    }

    /// Kills the engine's service; its containers go on.
    pub async fn kill_service(&mut self) {
        self.process.take().expect("a running engine").kill().await;
    }

    /// Freezes the service: connections are accepted by the kernel and never answered.
    pub fn freeze(&self) {
        self.process().signal(Signal::STOP);
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&self) {
        self.process().signal(Signal::CONT);
    }

    /// The engine's socket, reachable inside and outside of the machine. Inside it is `/run/docker.sock` as well.
    pub fn socket(&self) -> PathBuf {
        self.dir.join("docker.sock")
    }

    /// A client of this engine. One for every test: its connections belong to the test's runtime.
    pub async fn client(&self) -> Docker {
        let socket = self.socket();
        Docker::connect_with_unix(
            socket.to_str().expect("a socket's path"),
            PATIENCE.as_secs(),
            bollard::API_DEFAULT_VERSION,
        )
        .expect("a client")
        .negotiate_version()
        .await
        .expect("the engine's version")
    }

    /// What the engine has printed.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Where the engine keeps what is its own.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a running engine")
    }
}

/// Whether a capability may be had here at all.
fn may_use(capability: u32) -> bool {
    let status = fs_err::read_to_string("/proc/self/status").expect("/proc/self/status");
    let bounding = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))
        .expect("the bounding set");
    let bounding =
        u64::from_str_radix(bounding.trim(), 16).expect("the bounding set in hexadecimal");
    bounding & (1 << capability) != 0
}
