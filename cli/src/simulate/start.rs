//! Starting simulated devices.

use std::{
    io::Read as _,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::mpsc::UnboundedSender;
use tokio_util::sync::CancellationToken;

use super::{
    Event, SimulateError,
    identity::{self, Identity, Wish},
    lock::Lock,
    process,
    stop::remove,
};
use crate::{
    agent::{Agent, Kind},
    discovery::{
        record_file,
        simulated::{self, Record},
    },
    transport::Endpoint,
};

/// Longest path of a unix socket, without the closing zero.
const SOCKET_PATH: usize = 107;
/// How many uuids are tried for one device before something must be wrong with the source of random bytes.
const UUIDS: usize = 16;

/// What to start.
#[derive(Debug, Clone)]
pub struct Request {
    /// How many devices.
    pub count: usize,
    /// What they are to be.
    pub wish: Wish,
    /// The agent's program, where it is named.
    pub agent: Option<PathBuf>,
    /// This program: the agent's is looked for beside it.
    pub this_program: Option<PathBuf>,
    /// Folders of programs, as in `PATH`.
    pub path: Option<String>,
    /// Socket of the engine.
    pub engine_socket: PathBuf,
}

/// Starts devices, and returns their records when all of them answer.
///
/// A device of the wished name that is there is kept as it is; when its agent does not run, it is started again.
///
/// # Errors
/// [`SimulateError`]. Devices that came into being by this call and do not answer are removed again.
pub async fn start(
    folder: &Path,
    request: &Request,
    events: &UnboundedSender<Event>,
    interrupt: &CancellationToken,
) -> Result<Vec<Record>, SimulateError> {
    let program = process::program(
        request.agent.as_deref(),
        request.this_program.as_deref(),
        request.path.as_deref(),
    )?;
    let lock = Lock::take(folder, || tell(events, Event::Waiting)).await?;
    let devices = choose(folder, request)?;
    let starts = devices
        .iter()
        .map(|device| bring_up(folder, &program, device, events));
    let results = tokio::select! {
        results = join_all(starts) => results,
        () = interrupt.cancelled() => {
            undo(folder, &devices, |_| true).await;
            lock.release_and_tidy();
            return Err(SimulateError::Interrupted);
        }
    };
    if results.iter().any(Result::is_err) {
        let failed: Vec<_> = devices
            .iter()
            .zip(&results)
            .filter(|(_, result)| result.is_err())
            .map(|(device, _)| device.identity().namespace.clone())
            .collect();
        undo(folder, &devices, |device| {
            failed.contains(&device.namespace)
        })
        .await;
    }
    lock.release_and_tidy();
    results.into_iter().collect()
}

/// A device that is to run.
enum Chosen {
    /// It comes into being now.
    New(Identity),
    /// It is there already.
    Known(Identity),
}

impl Chosen {
    fn identity(&self) -> &Identity {
        match self {
            Self::New(identity) | Self::Known(identity) => identity,
        }
    }
}

/// Decides which devices are meant and writes down the new ones, before anything is started.
fn choose(folder: &Path, request: &Request) -> Result<Vec<Chosen>, SimulateError> {
    let mut taken = identity::load_all(folder)?;
    if let Some(name) = &request.wish.name
        && let Some(known) = taken.iter().find(|known| known.name == *name)
    {
        return match known.differs(&request.wish) {
            Some(what) => Err(SimulateError::Different {
                name: name.clone(),
                what,
            }),
            None => Ok(vec![Chosen::Known(known.clone())]),
        };
    }
    let mut chosen = Vec::with_capacity(request.count);
    for _ in 0..request.count {
        let identity = invent(request, &taken)?;
        let socket = identity.folder(folder).socket();
        if socket.as_os_str().len() > SOCKET_PATH {
            return Err(SimulateError::SocketPath { path: socket });
        }
        taken.push(identity.clone());
        chosen.push(Chosen::New(identity));
    }
    for device in &chosen {
        let identity = device.identity();
        record_file::replace(&identity.folder(folder).identity(), identity)?;
    }
    Ok(chosen)
}

/// A device that there is not yet.
fn invent(request: &Request, taken: &[Identity]) -> Result<Identity, SimulateError> {
    for _ in 0..UUIDS {
        let identity = Identity::new(
            random()?,
            &request.wish,
            &request.engine_socket,
            taken,
            is_free,
        )?;
        if let Some(identity) = identity {
            return Ok(identity);
        }
    }
    Err(SimulateError::Folder {
        folder: PathBuf::from(RANDOM),
        source: std::io::Error::other("the random bytes repeat themselves"),
    })
}

/// Source of random bytes.
const RANDOM: &str = "/dev/urandom";

fn random() -> Result<[u8; 16], SimulateError> {
    let mut bytes = [0; 16];
    fs_err::File::open(RANDOM)
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|source| SimulateError::Folder {
            folder: PathBuf::from(RANDOM),
            source,
        })?;
    Ok(bytes)
}

/// Whether nobody listens at the API's port of an address.
fn is_free(address: Ipv4Addr) -> bool {
    TcpListener::bind((address, agent_api::API_PORT)).is_ok()
}

/// Brings one device up, or finds that it is.
async fn bring_up(
    folder: &Path,
    program: &Path,
    device: &Chosen,
    events: &UnboundedSender<Event>,
) -> Result<Record, SimulateError> {
    let identity = device.identity();
    let files = identity.folder(folder);
    if let Some(agent) = process::find(&files.state()).first() {
        let record = match identity.record(folder) {
            Some(record) if record.agent_pid == agent.pid => record,
            // The command that started it was killed before it could write the record.
            _ => write_record(folder, identity, agent.pid).await?,
        };
        tell(events, Event::AlreadyRunning(Box::new(record.clone())));
        return Ok(record);
    }
    tell(events, Event::Starting(identity.clone()));
    for needed in [files.state(), files.services()] {
        fs_err::create_dir_all(&needed).map_err(|source| SimulateError::Folder {
            folder: needed,
            source,
        })?;
    }
    let started = process::start(program, identity, &files).await?;
    let record = write_record(folder, identity, started.pid).await?;
    tell(events, Event::Started(Box::new(record.clone())));
    Ok(record)
}

/// Asks the agent what it is, and makes it known to other commands.
async fn write_record(
    folder: &Path,
    identity: &Identity,
    pid: u32,
) -> Result<Record, SimulateError> {
    let endpoint = Endpoint::Unix(identity.folder(folder).socket());
    let kind = Agent::new(&identity.name, endpoint).detect().await?;
    let mut device = identity.device(folder);
    if let Kind::Ours(info) = kind {
        device.agent_version = Some(info.agent_version);
    }
    let record = Record {
        device,
        agent_pid: pid,
        started_at: Timestamp::now().to_string(),
        engine_socket: identity.engine_socket.clone(),
        address: identity.address.into(),
        namespace: identity.namespace.clone(),
    };
    simulated::save(folder, &record)?;
    Ok(record)
}

/// Takes back what was begun: new devices vanish, known ones are stopped.
async fn undo(folder: &Path, devices: &[Chosen], concerns: impl Fn(&Identity) -> bool) {
    for device in devices {
        let identity = device.identity();
        if !concerns(identity) {
            continue;
        }
        match device {
            // What is left now is found by the next `--stop`; the failure that led here is what is reported.
            Chosen::New(_) => drop(remove(folder, identity).await),
            Chosen::Known(_) => drop(super::stop::halt(folder, identity).await),
        }
    }
}

fn tell(events: &UnboundedSender<Event>, event: Event) {
    // Whoever does not listen any more does not want to know.
    drop(events.send(event));
}
