//! A real container engine on a machine of the tests.
//!
//! In: a [`Namespace`]. Out: an [`Engine`] that answers on a unix socket, and on TCP 2375 as a development-mode device's
//! does. Its layers, containers, bridges and firewall rules are its own and vanish with the machine.

use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};

use bollard::Docker;

use crate::image;
use crate::namespace::Namespace;
use crate::process::{Process, Signal};
use crate::programs::built;
use crate::spare;
use crate::until::{PATIENCE, until};

/// What opens an engine to the network, as on a device in development mode.
const OPEN: &str = "--host=tcp://0.0.0.0:2375";
/// How often an engine may be started until it answers.
const STARTS: u32 = 4;
/// The last word of an engine that has given up its containerd.
const TOO_SLOW: &str = "failed to start containerd: timeout waiting for containerd to start";
/// Bit of `CAP_SYS_RESOURCE` in a capability set.
const CAP_SYS_RESOURCE: u32 = 24;

/// A container engine. It is started, stopped, killed and frozen as a test wants.
#[derive(Debug)]
pub struct Engine {
    process: Option<Process>,
    arguments: Vec<String>,
    dir: PathBuf,
    /// Whether another test may have it after this one: nothing but its content has changed.
    is_reusable: AtomicBool,
}

impl Engine {
    /// An engine on a machine that nothing else runs on: one that another test has used, emptied, or a new one. It has
    /// the images of [`image`].
    pub async fn on_a_machine() -> (Namespace, Self) {
        Self::spare_or_new(true).await
    }

    /// The same without TCP, as on a device in production mode.
    pub async fn on_a_machine_closed() -> (Namespace, Self) {
        Self::spare_or_new(false).await
    }

    async fn spare_or_new(is_open: bool) -> (Namespace, Self) {
        if let Some(pair) = spare::take(is_open) {
            return pair;
        }
        let machine = Namespace::new();
        let engine = if is_open {
            Self::start(&machine).await
        } else {
            Self::start_closed(&machine).await
        };
        (machine, engine.reusable())
    }

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

    /// The same with further arguments of its service.
    pub async fn start_with(machine: &Namespace, more: &[&str]) -> Self {
        let mut engine = Self::cold(machine);
        engine
            .arguments
            .extend(more.iter().map(|&argument| argument.to_owned()));
        engine.warm(machine).await
    }

    /// The same with a disk of so many MiB.
    pub async fn start_small(machine: &Namespace, mebibytes: u32) -> Self {
        let engine = Self::cold(machine);
        let data = engine.dir.join("data");
        fs_err::create_dir(&data).expect("the engine's data");
        let size = format!("size={mebibytes}m");
        let data = data.display().to_string();
        machine.run("mount", &["-t", "tmpfs", "-o", &size, "tmpfs", &data]);
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
            is_reusable: AtomicBool::new(false),
        }
    }

    /// Starts the engine's service (again) and returns when it answers. Its containers are as it finds them.
    ///
    /// On a machine that has more to do than it can, an engine gives its containerd up before that has begun. It ends
    /// then, and is started again as an init system would.
    pub async fn resume_service(&mut self, machine: &Namespace) {
        assert!(self.process.is_none(), "the engine runs");
        for attempt in 1.. {
            match self.start_once(machine).await {
                Ok(process) => {
                    self.process = Some(process);
                    return;
                }
                Err(log) => assert!(
                    attempt < STARTS && log.lines().rev().take(5).any(|line| line == TOO_SLOW),
                    "the engine ended at once:\n{log}"
                ),
            }
        }
    }

    /// The running service, or what it printed when it ended before it answered.
    async fn start_once(&self, machine: &Namespace) -> Result<Process, String> {
        let mut command = machine.command("dockerd");
        command.args(&self.arguments);
        let process = Process::start("dockerd", command, &self.dir.join("log")).await;
        let socket = self.socket();
        until("the engine answers", async || {
            if process.ended().is_some() {
                return Some(Err(process.log()));
            }
            let client =
                Docker::connect_with_unix(socket.to_str()?, 5, bollard::API_DEFAULT_VERSION)
                    .ok()?;
            client.ping().await.ok().map(|_| Ok(()))
        })
        .await
        .map(|()| process)
    }

    /// Stops the engine's service as an init system does: its containers are stopped with it.
    pub async fn stop_service(&mut self) -> ExitStatus {
        self.is_reusable.store(false, Ordering::Relaxed);
        self.process
            .take()
            .expect("a running engine")
            .terminate()
            .await
    }

    /// Kills the engine's service; its containers go on.
    pub async fn kill_service(&mut self) {
        self.is_reusable.store(false, Ordering::Relaxed);
        self.process.take().expect("a running engine").kill().await;
    }

    /// Freezes the service: connections are accepted by the kernel and never answered.
    pub fn freeze(&self) {
        self.is_reusable.store(false, Ordering::Relaxed);
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

    /// The process id of its service, as seen from outside.
    pub fn pid(&self) -> i32 {
        self.process().pid()
    }

    /// Whether it listens on TCP too.
    pub(crate) fn is_open(&self) -> bool {
        self.arguments.iter().any(|argument| argument == OPEN)
    }

    pub(crate) fn reusable(self) -> Self {
        self.is_reusable.store(true, Ordering::Relaxed);
        self
    }

    /// What it has printed so far is of no concern to anybody.
    pub(crate) fn forget_log(&self) -> std::io::Result<()> {
        let log = fs_err::OpenOptions::new()
            .write(true)
            .open(self.dir.join("log"))?;
        log.file().set_len(0)
    }

    fn process(&self) -> &Process {
        self.process.as_ref().expect("a running engine")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let is_reusable = self.is_reusable.load(Ordering::Relaxed) && !std::thread::panicking();
        let process = self
            .process
            .take_if(|process| is_reusable && process.ended().is_none());
        if let (Some(process), Some(machine)) = (process, self.dir.parent()) {
            let engine = Self {
                process: Some(process),
                arguments: std::mem::take(&mut self.arguments),
                dir: self.dir.clone(),
                is_reusable: AtomicBool::new(false),
            };
            spare::leave(machine.to_owned(), engine);
        }
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
