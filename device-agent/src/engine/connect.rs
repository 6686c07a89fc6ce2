//! The one connection to the engine: made, watched, and made again.
//!
//! In: the sockets at which an engine may be. Out: a [`Link`] that others watch, and everything that happened on the
//! engine as [`Happened`]. An engine that is away is waited for: its socket appearing wakes us at once, a growing
//! delay does otherwise. After a reconnection the events since the last one seen are asked for.

use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use agent_api::os::EngineInfo;
use bollard::query_parameters::EventsOptionsBuilder;
use bollard::{ClientVersion, Docker};
use futures_util::StreamExt;
use rustix::fs::inotify;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{broadcast, watch};

use super::events::{Happened, understand};
use super::{EngineError, QUICK, bounded};
use crate::host::now_nanos;

/// The newest API whose answers we know; an older engine makes it smaller.
const API_VERSION: ClientVersion = ClientVersion {
    major_version: 1,
    minor_version: 47,
};
/// Calls are bounded one by one; this one only bounds what was forgotten.
const FORGOTTEN_SECONDS: u64 = 3600;
/// First delay after a failure; it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(250);
/// Longest delay after a failure.
const LONGEST_DELAY: Duration = Duration::from_secs(30);

/// A working connection.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    /// The client.
    pub(crate) docker: Docker,
    /// The engine's socket, for what the client cannot do.
    pub(crate) socket: PathBuf,
    /// What answered.
    pub(crate) info: EngineInfo,
}

/// Whether there is an engine.
#[derive(Debug, Clone)]
pub(crate) enum Link {
    /// Not yet tried.
    Connecting,
    /// There is.
    Up(Connected),
    /// There is none, for this reason.
    Down(String),
}

/// Keeps the link until the task is dropped.
pub(crate) async fn run(
    sockets: Vec<PathBuf>,
    link: watch::Sender<Link>,
    happened: broadcast::Sender<Happened>,
) {
    let mut delay = FIRST_DELAY;
    let mut seen = now_nanos();
    loop {
        let socket = pick(&sockets);
        let was_there = socket.exists();
        let error = match connect(&socket).await {
            Ok(connected) => {
                delay = FIRST_DELAY;
                tracing::info!(engine = %connected.info.name, version = %connected.info.version, api = %connected.info.api_version, "connected to the engine");
                let docker = connected.docker.clone();
                link.send_replace(Link::Up(connected));
                follow(&docker, &mut seen, &happened).await
            }
            Err(error) => error,
        };
        let reason = format!("{}: {error}", socket.display());
        let again = matches!(&*link.borrow(), Link::Down(before) if *before == reason);
        if !again {
            tracing::warn!("the engine is away: {reason}");
            link.send_replace(Link::Down(reason));
        }
        wait_for(&sockets, was_there, delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}

/// The first socket that exists, else the last one.
fn pick(sockets: &[PathBuf]) -> PathBuf {
    sockets
        .iter()
        .find(|path| path.exists())
        .or(sockets.last())
        .cloned()
        .unwrap_or_default()
}

async fn connect(socket: &Path) -> Result<Connected, EngineError> {
    let path = socket.to_string_lossy();
    let docker = Docker::connect_with_unix(&path, FORGOTTEN_SECONDS, &API_VERSION)?;
    let docker = bounded(QUICK, docker.negotiate_version()).await?;
    let version = bounded(QUICK, docker.version()).await?;
    let negotiated = docker.client_version();
    // balenaEngine says so in a field of its own, which the client leaves out; its component is named all the same.
    let name = version
        .components
        .as_ref()
        .and_then(|parts| parts.first())
        .map(|part| part.name.clone())
        // What Docker calls itself there.
        .filter(|name| name != "Engine")
        .unwrap_or_else(|| "docker".to_owned());
    Ok(Connected {
        docker,
        socket: socket.to_owned(),
        info: EngineInfo {
            name,
            version: version.version.unwrap_or_default(),
            api_version: format!("{}.{}", negotiated.major_version, negotiated.minor_version),
        },
    })
}

/// Passes events on until the stream ends, and says why it did.
async fn follow(
    docker: &Docker,
    seen: &mut i64,
    happened: &broadcast::Sender<Happened>,
) -> EngineError {
    let resumed = *seen;
    let since = format!("{}.{:09}", resumed / 1_000_000_000, resumed % 1_000_000_000);
    let options = EventsOptionsBuilder::default().since(&since).build();
    let mut events = pin!(docker.events(Some(options)));
    // The engine may have restarted and forgotten; whoever listens reads the world again.
    send(happened, Happened::Gap);
    loop {
        match events.next().await {
            Some(Ok(event)) => {
                if let Some(at) = event.time_nano {
                    // The engine tells again what happened at that very time, and nothing before it. A clock that is
                    // set back makes new events look older.
                    if at == resumed {
                        continue;
                    }
                    *seen = at;
                }
                if let Some(event) = understand(event) {
                    send(happened, event);
                }
            }
            Some(Err(error)) => return error.into(),
            None => return EngineError::Unusable("it closed its event stream".to_owned()),
        }
    }
}

fn send(happened: &broadcast::Sender<Happened>, event: Happened) {
    // No listener is no error: while no one follows logs, only the reconciler listens.
    drop(happened.send(event));
}

/// Waits until one of the sockets appears, at most `delay`. Where the directories cannot be watched, the delay alone
/// counts; so it does for a socket that is there and does not answer.
async fn wait_for(sockets: &[PathBuf], was_there: bool, delay: Duration) {
    let appeared = async {
        if appears(sockets, was_there).await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = appeared => {}
        () = tokio::time::sleep(delay) => {}
    }
}

/// Returns when a file with the name of one of the sockets is made, or was made since it `was_there`.
async fn appears(sockets: &[PathBuf], was_there: bool) -> std::io::Result<()> {
    let watch = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
    let mut watched = false;
    for dir in sockets.iter().filter_map(|socket| socket.parent()) {
        let interest = inotify::WatchFlags::CREATE | inotify::WatchFlags::MOVED_TO;
        watched |= inotify::add_watch(&watch, dir, interest).is_ok();
    }
    if !watched {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    if !was_there && sockets.iter().any(|socket| socket.exists()) {
        return Ok(());
    }
    // A watch is read like a pipe.
    let mut watch = pipe::Receiver::from_owned_fd_unchecked(watch)?;
    let mut buffer = [0_u8; 4096];
    loop {
        let length = watch.read(&mut buffer).await?;
        let told = buffer.get(..length).unwrap_or_default();
        let names_it = |socket: &PathBuf| {
            socket.file_name().is_some_and(|name| {
                told.windows(name.len())
                    .any(|part| part == name.as_encoded_bytes())
            })
        };
        if sockets.iter().any(names_it) {
            return Ok(());
        }
    }
}
