//! The agent's process: started apart from the terminal, found again without a record, ended without hitting a stranger.

use std::{
    ffi::OsString,
    io::{self, Read as _, Seek as _, SeekFrom},
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal},
};
use tokio::{net::UnixDatagram, process::Command};

use super::{END, Identity, START, identity::Folder};
use crate::child;

/// How much of the log's end is shown when an agent does not start.
const TAIL: u64 = 2048;
/// The argument after which the agent's state folder stands; together they tell one agent from all other processes.
const STATE_FLAG: &str = "--state-dir";

/// Why an agent could not be started.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The program is nowhere.
    #[error("the program os-agent was not found: not at {}", tried.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(", "))]
    Missing {
        /// Where it was looked for.
        tried: Vec<PathBuf>,
    },
    /// The program could not be started.
    #[error("failed to start {}", program.display())]
    Spawn {
        /// The program.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended before it was ready.
    #[error("the agent of {name} ended with {status}{}", said(log))]
    Ended {
        /// Name of the device.
        name: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its log.
        log: String,
    },
    /// It did not get ready.
    #[error("the agent of {name} was not ready after {} seconds{}", START.as_secs(), said(log))]
    Silent {
        /// Name of the device.
        name: String,
        /// The end of its log.
        log: String,
    },
}

fn said(log: &str) -> String {
    let log = log.trim_end();
    if log.is_empty() {
        String::new()
    } else {
        format!("; it said:\n{log}")
    }
}

/// The agent's program: the one that is named, else the one beside this program, in `libexec`, or on the path.
///
/// # Errors
/// [`AgentError::Missing`].
pub(super) fn program(
    named: Option<&Path>,
    this_program: Option<&Path>,
    path: Option<&str>,
) -> Result<PathBuf, AgentError> {
    let mut tried = Vec::new();
    if let Some(named) = named {
        tried.push(named.to_path_buf());
    } else {
        if let Some(folder) = this_program.and_then(Path::parent) {
            tried.push(folder.join("os-agent"));
            tried.extend(
                folder
                    .parent()
                    .map(|prefix| prefix.join("libexec/os/os-agent")),
            );
        }
        tried.extend(
            path.unwrap_or_default()
                .split(':')
                .filter(|folder| !folder.is_empty())
                .map(|folder| Path::new(folder).join("os-agent")),
        );
    }
    match tried.iter().find(|candidate| candidate.is_file()) {
        Some(program) => Ok(program.clone()),
        None => Err(AgentError::Missing { tried }),
    }
}

/// Arguments of the agent of a device.
fn arguments(identity: &Identity, folder: &Folder) -> Vec<OsString> {
    let api = std::net::SocketAddr::from((identity.address, agent_api::API_PORT));
    let mut arguments: Vec<OsString> = vec![
        "run".into(),
        STATE_FLAG.into(),
        folder.state().into(),
        "--listen".into(),
        api.to_string().into(),
        "--socket".into(),
        folder.socket().into(),
        "--engine".into(),
        format!("unix://{}", identity.engine_socket.display()).into(),
        "--services-dir".into(),
        folder.services().into(),
        "--config-json".into(),
        folder.config().into(),
        "--uuid".into(),
        identity.uuid.clone().into(),
        "--hostname".into(),
        identity.name.clone().into(),
        "--device-type".into(),
        identity.device_type.clone().into(),
        "--arch".into(),
        identity.arch.clone().into(),
        "--os-version".into(),
        super::identity::os_version().into(),
        "--announce".into(),
        "loopback".into(),
        "--simulated".into(),
        identity.namespace.clone().into(),
        "--simulated-address".into(),
        identity.address.to_string().into(),
    ];
    if identity.allow_privileged {
        arguments.push("--allow-privileged".into());
    }
    arguments
}

/// An agent that has been started and is ready.
#[derive(Debug)]
pub(super) struct Started {
    /// Its process id.
    pub(super) pid: u32,
}

/// The program with what it is told. It lives longer than we do: a key of another device, or a token, is none of its business.
fn command(program: &Path, identity: &Identity, folder: &Folder) -> Command {
    let mut command = Command::from(child::command(program));
    command
        .args(arguments(identity, folder))
        .current_dir("/")
        .env("NOTIFY_SOCKET", folder.ready());
    for of_our_service in ["WATCHDOG_USEC", "WATCHDOG_PID", "LISTEN_FDS"] {
        command.env_remove(of_our_service);
    }
    command
}

/// Starts the agent of a device and waits until it says that it is ready.
///
/// It is in a process group of its own and has no terminal as input or output: neither Ctrl-C nor closing the terminal reaches it.
pub(super) async fn start(
    program: &Path,
    identity: &Identity,
    folder: &Folder,
) -> Result<Started, AgentError> {
    let spawn = |source| AgentError::Spawn {
        program: program.to_path_buf(),
        source,
    };
    let ready = Ready::bind(folder).map_err(spawn)?;
    let log = fs_err::OpenOptions::new()
        .create(true)
        .append(true)
        .open(folder.log())
        .map_err(spawn)?
        .into_parts()
        .0;
    let mut child = command(program, identity, folder)
        .stdin(Stdio::null())
        .stdout(log.try_clone().map_err(spawn)?)
        .stderr(log)
        .process_group(0)
        .spawn()
        .map_err(spawn)?;
    let pid = child.id().unwrap_or_default();
    let unready = Unready::watch(pid).map_err(spawn)?;
    let name = || identity.name.clone();
    tokio::select! {
        answer = ready.wait() => {
            answer.map_err(spawn)?;
            unready.disarm();
            Ok(Started { pid })
        }
        status = child.wait() => Err(AgentError::Ended {
            name: name(),
            status: status.map_err(spawn)?,
            log: tail(&folder.log()),
        }),
        () = tokio::time::sleep(START) => Err(AgentError::Silent {
            name: name(),
            log: tail(&folder.log()),
        }),
    }
}

/// A process that was started and is not ready: unless it becomes so, it is killed, also when nobody waits for it any more.
struct Unready(Option<OwnedFd>);

impl Unready {
    fn watch(pid: u32) -> io::Result<Self> {
        match handle_of(pid) {
            // It has ended already; whoever waits for it is told.
            Err(rustix::io::Errno::SRCH) => Ok(Self(None)),
            handle => Ok(Self(Some(handle?))),
        }
    }

    fn disarm(mut self) {
        self.0 = None;
    }
}

impl Drop for Unready {
    fn drop(&mut self) {
        if let Some(handle) = &self.0 {
            // It may have ended by itself.
            pidfd_send_signal(handle, Signal::KILL).ok();
        }
    }
}

fn handle_of(pid: u32) -> rustix::io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pidfd_open(pid.ok_or(rustix::io::Errno::SRCH)?, PidfdFlags::empty())
}

/// The socket on which the agent says that it is ready, as it would say to systemd. Removed when it is dropped.
struct Ready {
    path: PathBuf,
    socket: UnixDatagram,
}

impl Ready {
    fn bind(folder: &Folder) -> io::Result<Self> {
        let path = folder.ready();
        // One of a start that was killed.
        drop(fs_err::remove_file(&path));
        let socket = UnixDatagram::bind(&path)?;
        Ok(Self { path, socket })
    }

    async fn wait(&self) -> io::Result<()> {
        let mut buffer = [0_u8; 4096];
        loop {
            let length = self.socket.recv(&mut buffer).await?;
            let message = buffer.get(..length).unwrap_or_default();
            if message
                .split(|byte| *byte == b'\n')
                .any(|line| line == b"READY=1")
            {
                return Ok(());
            }
        }
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // It goes with the folder at the latest.
        drop(fs_err::remove_file(&self.path));
    }
}

/// The end of a log, from the beginning of a line.
fn tail(path: &Path) -> String {
    let read = || -> io::Result<Vec<u8>> {
        let mut file = fs_err::File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL)))?;
        let mut bytes = Vec::new();
        file.take(TAIL).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    // Without a log there is nothing to show; the failure itself is reported anyway.
    let bytes = read().unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    match text.split_once('\n') {
        Some((_, rest)) if u64::try_from(bytes.len()).is_ok_and(|length| length == TAIL) => {
            rest.to_owned()
        }
        _ => text.into_owned(),
    }
}

/// A process that is known to be an agent of ours: the handle stays with it even when its id is given to another one.
#[derive(Debug)]
pub(super) struct Agent {
    /// Process id.
    pub(super) pid: u32,
    handle: OwnedFd,
}

/// The agents that work with a state folder: normally one or none. Needs no record, so that nothing is missed after a crash.
pub(super) fn find(state: &Path) -> Vec<Agent> {
    let Ok(entries) = fs_err::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .filter(|pid| is_agent(*pid, state))
        .filter_map(|pid: u32| {
            let handle = handle_of(pid).ok()?;
            // Between the look and the handle the id may have gone to another process: look again.
            is_agent(pid, state).then_some(Agent { pid, handle })
        })
        .collect()
}

fn is_agent(pid: u32, state: &Path) -> bool {
    let Ok(line) = fs_err::read(format!("/proc/{pid}/cmdline")) else {
        return false;
    };
    let arguments: Vec<_> = line.split(|byte| *byte == 0).collect();
    arguments.windows(2).any(|pair| {
        matches!(pair, [flag, value]
            if *flag == STATE_FLAG.as_bytes() && *value == state.as_os_str().as_encoded_bytes())
    })
}

impl Agent {
    /// Asks the process to end and waits for its end; one that does not end in time is killed.
    pub(super) async fn stop(self) -> io::Result<()> {
        tokio::task::spawn_blocking(move || end(&self.handle))
            .await
            .map_err(io::Error::other)?
    }
}

fn end(handle: &OwnedFd) -> io::Result<()> {
    for wanted in [Signal::TERM, Signal::KILL] {
        match pidfd_send_signal(handle, wanted) {
            Ok(()) => {}
            // It ended by itself.
            Err(rustix::io::Errno::SRCH) => return Ok(()),
            Err(error) => return Err(error.into()),
        }
        if has_ended(handle, END)? {
            return Ok(());
        }
    }
    Err(io::Error::new(
        io::ErrorKind::TimedOut,
        "it does not end, even when it is killed",
    ))
}

/// Whether the process has ended within that time. A process handle becomes readable when its process ends.
fn has_ended(handle: &OwnedFd, limit: Duration) -> io::Result<bool> {
    let deadline = Instant::now() + limit;
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let timeout = Timespec::try_from(left).map_err(io::Error::other)?;
        match poll(&mut [PollFd::new(handle, PollFlags::IN)], Some(&timeout)) {
            Ok(ready) => return Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
