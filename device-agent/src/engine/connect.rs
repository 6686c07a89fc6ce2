//! The one connection to the engine: made, watched, and made again.
//!
//! In: the sockets at which an engine may be. Out: a [`Link`] that others watch, and everything that happened on the
//! engine as [`Happened`]. An engine that is away is waited for: its socket appearing wakes us at once, a growing
//! delay does otherwise. After a reconnection the events since the last one seen are asked for, and so they are after a
//! long silence: a connection may die without a sign, and an engine may forget who listens.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::time::Duration;

use agent_api::os::EngineInfo;
use bollard::query_parameters::EventsOptionsBuilder;
use bollard::{ClientVersion, Docker};
use futures_util::StreamExt;
use hyper::Uri;
use hyper::http::uri::PathAndQuery;
use rustix::fs::inotify;
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe;
use tokio::sync::{broadcast, watch};

use super::events::{Happened, understand};
use super::usage::Freeable;
use super::{EngineError, QUICK, bounded, decode};
use crate::host::now_nanos;
use crate::model::Limit;

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
/// Longest time without an event that is believed; then they are asked for anew.
pub(crate) const SILENCE: Duration = Duration::from_mins(5);

/// A working connection.
#[derive(Debug, Clone)]
pub(crate) struct Connected {
    /// The client.
    pub(crate) docker: Docker,
    /// The engine's socket, for what the client cannot do.
    pub(crate) socket: PathBuf,
    /// What answered.
    pub(crate) info: EngineInfo,
    /// The engine's directory, where its images and volumes are.
    pub(crate) root: Option<PathBuf>,
    /// Where it logs to, unless a container says otherwise.
    pub(crate) logging_driver: Option<String>,
    /// What could be freed on its disk.
    pub(crate) freeable: Freeable,
    /// What it leaves out of containers that ask for it.
    pub(crate) cannot_limit: BTreeSet<Limit>,
}

/// Whether there is an engine.
#[derive(Debug, Clone)]
pub(crate) enum Link<E = Connected> {
    /// Not yet tried.
    Connecting,
    /// There is.
    Up(E),
    /// There is none, for this reason.
    Down(String),
}

#[cfg(test)]
impl Connected {
    /// To an engine that a test plays.
    pub(crate) fn to(socket: &Path) -> Self {
        let path = socket.to_string_lossy();
        let docker = Docker::connect_with_unix(&path, FORGOTTEN_SECONDS, &API_VERSION).unwrap();
        Self {
            docker: speaking(docker, API_VERSION),
            socket: socket.to_owned(),
            info: EngineInfo {
                name: "played".to_owned(),
                version: "1".to_owned(),
                api_version: API_VERSION.to_string(),
            },
            root: None,
            logging_driver: None,
            freeable: Freeable::default(),
            cannot_limit: BTreeSet::new(),
        }
    }
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
                follow(&docker, &mut seen, &happened, SILENCE).await
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
    let spoken = spoken(docker.client_version(), version.min_api_version.as_deref());
    let docker = speaking(docker, spoken);
    let system = bounded(QUICK, docker.info()).await?;
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
            api_version: spoken.to_string(),
        },
        freeable: Freeable::default(),
        root: system.docker_root_dir.as_ref().map(PathBuf::from),
        cannot_limit: decode::cannot_limit(&system),
        logging_driver: system.logging_driver,
    })
}

/// The API to speak: the one that was negotiated, or the oldest that an engine still answers in if that is newer.
fn spoken(negotiated: ClientVersion, oldest: Option<&str>) -> ClientVersion {
    let oldest = oldest.and_then(|text| {
        let (major, minor) = text.split_once('.')?;
        Some(ClientVersion {
            major_version: major.parse().ok()?,
            minor_version: minor.parse().ok()?,
        })
    });
    let newer = oldest.filter(|oldest| *oldest > negotiated);
    newer.unwrap_or(negotiated)
}

/// A client whose requests name this version of the API. The library joins an absolute path to the one with the version
/// in it, so that nothing is left of the version; an engine then answers as its newest API has it.
fn speaking(docker: Docker, version: ClientVersion) -> Docker {
    docker.with_request_modifier(move |mut request| {
        let uri = std::mem::take(request.uri_mut());
        *request.uri_mut() = versioned(uri, version);
        request
    })
}

/// The address with the version before its path, unless there is one. Pure.
fn versioned(uri: Uri, version: ClientVersion) -> Uri {
    if has_version(uri.path()) {
        return uri;
    }
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    let Ok(path) = PathAndQuery::try_from(format!("/v{version}{path}")) else {
        return uri;
    };
    let mut parts = uri.clone().into_parts();
    parts.path_and_query = Some(path);
    Uri::from_parts(parts).unwrap_or(uri)
}

fn has_version(path: &str) -> bool {
    let first = path.split('/').nth(1).unwrap_or_default();
    let version = first.strip_prefix('v').and_then(|v| v.split_once('.'));
    version.is_some_and(|(major, minor)| {
        let is_number = |text: &str| text.parse::<usize>().is_ok();
        is_number(major) && is_number(minor)
    })
}

/// Passes events on until their stream fails, and says why it did.
async fn follow(
    docker: &Docker,
    seen: &mut i64,
    happened: &broadcast::Sender<Happened>,
    silence: Duration,
) -> EngineError {
    loop {
        if let Err(error) = follow_once(docker, seen, happened, silence).await {
            return error;
        }
    }
}

/// Passes events on until none comes for as long as `silence`.
async fn follow_once(
    docker: &Docker,
    seen: &mut i64,
    happened: &broadcast::Sender<Happened>,
    silence: Duration,
) -> Result<(), EngineError> {
    let resumed = *seen;
    let since = format!("{}.{:09}", resumed / 1_000_000_000, resumed % 1_000_000_000);
    let options = EventsOptionsBuilder::default().since(&since).build();
    let mut events = pin!(docker.events(Some(options)));
    // The engine may have restarted and forgotten; whoever listens reads the world again.
    send(happened, Happened::Gap);
    loop {
        let Ok(event) = tokio::time::timeout(silence, events.next()).await else {
            return Ok(());
        };
        match event {
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
            Some(Err(error)) => return Err(error.into()),
            None => {
                let closed = "it closed its event stream".to_owned();
                return Err(EngineError::Unusable(closed));
            }
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

#[cfg(test)]
mod tests {
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::net::UnixListener;
    use tokio::sync::mpsc;

    use super::*;

    /// An engine that takes every question for events, tells of each, and answers none.
    fn deaf(socket: &Path) -> mpsc::UnboundedReceiver<String> {
        let (tell, told) = mpsc::unbounded_channel();
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let tell = tell.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    tell.send(request.uri().to_string()).unwrap();
                    std::future::pending::<Result<Response<String>, std::io::Error>>()
                });
                let serving = http1::Builder::new().serve_connection(TokioIo::new(client), answer);
                tokio::spawn(serving);
            }
        });
        told
    }

    #[test]
    fn every_path_has_one_version_and_keeps_the_rest() {
        for (uri, expected) in [
            ("unix://2f72/info", "unix://2f72/v1.47/info"),
            (
                "unix://2f72/images/json?all=true&digests=a%2Fb",
                "unix://2f72/v1.47/images/json?all=true&digests=a%2Fb",
            ),
            ("unix://2f72/v1.41/info?a=b", "unix://2f72/v1.41/info?a=b"),
            ("unix://2f72/volumes/x", "unix://2f72/v1.47/volumes/x"),
            ("unix://2f72/v/v1.41", "unix://2f72/v1.47/v/v1.41"),
            ("http://engine:2375", "http://engine:2375/v1.47/"),
            ("/_ping", "/v1.47/_ping"),
        ] {
            let made = versioned(uri.parse().unwrap(), API_VERSION);
            assert_eq!(made, expected.parse::<Uri>().unwrap(), "{uri}");
        }
    }

    #[test]
    fn an_engine_that_has_forgotten_our_version_is_asked_in_its_oldest() {
        let newer = ClientVersion {
            major_version: 1,
            minor_version: 50,
        };
        for (oldest, expected) in [
            (Some("1.24"), API_VERSION),
            (Some("1.47"), API_VERSION),
            (Some("1.50"), newer),
            (Some("new"), API_VERSION),
            (None, API_VERSION),
        ] {
            assert_eq!(spoken(API_VERSION, oldest), expected, "{oldest:?}");
        }
    }

    #[tokio::test]
    async fn after_a_long_silence_events_are_asked_for_anew_from_the_last_one_on() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        let mut asked = deaf(&socket);
        let docker = Connected::to(&socket).docker;
        let (happened, mut told) = broadcast::channel(16);
        let mut seen = 1_700_000_000_000_000_001;
        let following = follow(&docker, &mut seen, &happened, Duration::from_millis(10));
        let questions = async {
            for _ in 0..3 {
                let question = asked.recv().await.unwrap();
                let asked_for = "/v1.47/events?since=1700000000.000000001";
                assert!(question.starts_with(asked_for), "{question}");
                // Whoever listens reads the world again.
                assert_eq!(told.recv().await.unwrap(), Happened::Gap);
            }
        };
        tokio::select! {
            error = following => panic!("it gave up: {error}"),
            () = questions => {}
        }
    }
}
