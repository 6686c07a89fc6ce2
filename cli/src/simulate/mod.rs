//! Simulated devices: the agent with this machine's container engine, reachable from this machine and from nowhere else.
//!
//! In: the folder of simulated devices, the engine's socket, the agent's program, what is wished for. Out: running agents
//! with a record each (`discovery::simulated`), and [`Event`]s. When a device is stopped, nothing of it is left: no process,
//! container, network, volume, image or file.
//!
//! It must not print, and it must not touch what does not carry the label of one of its devices: the engine belongs to the
//! person whose workstation this is.
//!
//! ```text
//!  <folder>/<name>.json              the record, there while the agent runs
//!  <folder>/<namespace>/identity.json   what the device is; written before anything is started, removed last
//!                       agent.sock agent.log state/ services/
//! ```

mod engine;
mod identity;
mod leftovers;
mod lock;
mod process;
mod start;
mod stop;
mod system;

use std::{io, path::PathBuf, time::Duration};

pub use engine::{EngineError, find as find_engine};
pub use identity::{Identity, InvalidName, Wish, machine_arch, usual_device_type};
pub use leftovers::{LABEL, Leftover, Removed};
pub use process::AgentError;
pub use start::{Request, start};
pub use stop::{Which, stop};
pub use system::{System, SystemError, SystemEvent, SystemWish, Systems, agent_program};

use crate::discovery::simulated::{FileError, Record};

/// The most devices that one command starts.
pub const MOST: usize = 100;

/// What is being done, as it happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// Another command of this user starts or stops devices; this one waits for it.
    Waiting,
    /// The agent of a device is being started.
    Starting(Identity),
    /// A device answers.
    Started(Box<Record>),
    /// A device of the wished name was there already.
    AlreadyRunning(Box<Record>),
    /// A device is being stopped.
    Stopping(Identity),
    /// Nothing of a device is left.
    Stopped(Identity, Removed),
    /// Something of a device could not be removed.
    Left(Identity, Vec<Leftover>),
}

/// Why simulated devices could not be started, listed or stopped.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// There is no engine to run containers with.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The agent could not be started.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The agent was started and does not answer.
    #[error(transparent)]
    Silent(#[from] crate::agent::AgentError),
    /// A file of ours could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A folder of ours could not be used.
    #[error("failed to use the folder {}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The path of the agent's socket is longer than the system allows.
    #[error("the path of the agent's socket is too long: {}", path.display())]
    SocketPath {
        /// The path.
        path: PathBuf,
    },
    /// No address is left.
    #[error("no free address for a simulated device: port {port} is taken on all that were tried, the last one {last}", port = agent_api::API_PORT)]
    NoAddress {
        /// The last address that was tried.
        last: std::net::Ipv4Addr,
    },
    /// A device of that name is there, and it is another one than was asked for.
    #[error("the simulated device {name} exists with {what}")]
    Different {
        /// Its name.
        name: String,
        /// In what it differs.
        what: String,
    },
    /// No simulated device is called so.
    #[error("no simulated device is called {name}")]
    Unknown {
        /// What was typed.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Some devices were not removed entirely; the events said what is left.
    #[error("not everything was removed of {}", names.join(", "))]
    Incomplete {
        /// Names of those devices.
        names: Vec<String>,
        /// The engine did not answer.
        engine: Option<EngineError>,
    },
    /// Interrupted; what had been begun was taken back.
    #[error("interrupted")]
    Interrupted,
}

/// How an existing device is doing.
#[derive(Debug, Clone)]
pub struct Status {
    /// What it is.
    pub identity: Identity,
    /// Its record; absent unless its agent runs.
    pub record: Option<Record>,
}

/// The simulated devices of this user, by name, and whether their agents run. Without a network.
///
/// # Errors
/// [`SimulateError::Folder`].
pub fn list(folder: &std::path::Path) -> Result<Vec<Status>, SimulateError> {
    let mut found: Vec<_> = identity::load_all(folder)?
        .into_iter()
        .map(|identity| {
            let runs = !process::find(&identity.folder(folder).state()).is_empty();
            let record = if runs { identity.record(folder) } else { None };
            Status { identity, record }
        })
        .collect();
    found.sort_by(|a, b| a.identity.name.cmp(&b.identity.name));
    Ok(found)
}

/// How long an agent may take to answer after its start.
const START: Duration = Duration::from_secs(20);
/// How long an agent may take to end after the request.
const END: Duration = Duration::from_secs(10);
