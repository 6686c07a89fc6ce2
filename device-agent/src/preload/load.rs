//! Archives of images into the engine, one after another.
//!
//! An archive is read as the engine takes it, and never held whole. An engine that goes away meanwhile is waited for.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use futures_util::{StreamExt, TryStreamExt, stream};
use rustix::fs::OFlags;
use tokio::sync::{mpsc, watch};

use crate::engine::{Connected, EngineError, Link, QUICK, bounded};
use crate::observe::room;

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for the engine.
const WAITING: usize = 2;
/// How often an archive is given to an engine that goes away meanwhile.
const ATTEMPTS: u32 = 3;
/// How long it may take until it is known that the engine has gone.
const GONE: Duration = Duration::from_secs(10);
/// Silence after which the engine is asked whether it is there.
const SILENCE: Duration = Duration::from_secs(30);
/// The client's own limit counts from the first byte to the last layer: for a large archive and a slow card there is none.
const NO_LIMIT: Duration = Duration::from_hours(24 * 365);

/// Why an archive is not in the engine.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    /// The data partition's answer.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
    /// The engine unpacks it beside it before it looks at it.
    #[error("the engine's disk has {free} bytes free, and the archive has {needed}")]
    NoRoom { free: u64, needed: u64 },
    /// The engine's answer.
    #[error("the engine did not take it")]
    Engine(#[source] EngineError),
}

/// The archives of a folder, by their names.
pub(super) fn archives(folder: &Path) -> Vec<PathBuf> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => {
            tracing::error!(%error, "preloaded archives could not be looked for");
            return Vec::new();
        }
    };
    let is_archive = |path: &PathBuf| {
        let is_file = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
        is_file && path.extension().is_some_and(|end| end == "tar")
    };
    let found = entries.filter_map(Result::ok).map(|entry| entry.path());
    let mut found: Vec<_> = found.filter(is_archive).collect();
    found.sort();
    found
}

/// Gives an archive to the engine; returns whether it has it.
pub(super) async fn archive(path: &Path, mut link: watch::Receiver<Link>) -> bool {
    for attempt in 1.. {
        let Some(connected) = engine(&mut link).await else {
            return false;
        };
        let error = match load(path, &connected).await {
            Ok(()) => return true,
            Err(error) => error,
        };
        let words = crate::daemon::chain(&error);
        let is_gone = matches!(error, LoadError::Engine(EngineError::Unusable(_)));
        if !is_gone || attempt >= ATTEMPTS {
            tracing::error!(archive = %path.display(), "a preloaded archive is not loaded, and stays for the next start: {words}");
            return false;
        }
        tracing::warn!(archive = %path.display(), "a preloaded archive is loaded anew: {words}");
        link.mark_unchanged();
        // One that does not go away is asked again after a while.
        drop(tokio::time::timeout(GONE, link.changed()).await);
    }
    false
}

/// The engine, as soon as there is one. `None`: there will be none any more.
async fn engine(link: &mut watch::Receiver<Link>) -> Option<Connected> {
    let up = link.wait_for(|link| matches!(link, Link::Up(_))).await;
    match &*up.ok()? {
        Link::Up(connected) => Some(connected.clone()),
        Link::Connecting | Link::Down(_) => None,
    }
}

async fn load(path: &Path, connected: &Connected) -> Result<(), LoadError> {
    let no_link = i32::try_from(OFlags::NOFOLLOW.bits()).unwrap_or_default();
    let opened = fs::OpenOptions::new()
        .read(true)
        .custom_flags(no_link)
        .open(path);
    let file = opened.map_err(LoadError::Read)?;
    let bytes = file.metadata().map_err(LoadError::Read)?.len();
    let free = room(connected).map_or(u64::MAX, |room| room.free);
    if free < bytes {
        let needed = bytes;
        return Err(LoadError::NoRoom { free, needed });
    }
    tracing::info!(archive = %path.display(), bytes, "a preloaded archive is loaded");
    let began = Instant::now();
    let (pieces, taken) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || read(file, &pieces));
    let given = give(connected, taken, SILENCE).await;
    // A disk that fails is the reason for what the engine says then.
    match reading.await {
        Ok(read) => read.map_err(LoadError::Read)?,
        Err(error) => return Err(LoadError::Read(io::Error::other(error))),
    }
    given.map_err(LoadError::Engine)?;
    let seconds = began.elapsed().as_secs();
    tracing::info!(archive = %path.display(), bytes, seconds, "a preloaded archive is in the engine");
    Ok(())
}

/// Reads a file to its end, or until nobody wants more of it.
fn read(mut file: fs::File, pieces: &mpsc::Sender<Result<Bytes, io::Error>>) -> io::Result<()> {
    loop {
        let mut piece = vec![0; PIECE];
        let read = match file.read(&mut piece) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                // What was sent is no archive without the rest.
                let told = io::Error::new(error.kind(), error.to_string());
                drop(pieces.blocking_send(Err(told)));
                return Err(error);
            }
        };
        if read == 0 {
            return Ok(());
        }
        piece.truncate(read);
        if pieces.blocking_send(Ok(piece.into())).is_err() {
            return Ok(());
        }
    }
}

/// Sends an archive and waits until the engine has unpacked it, however long that takes: it says nothing meanwhile. After a silence it
/// is asked whether it is there.
async fn give(
    connected: &Connected,
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
    silence: Duration,
) -> Result<(), EngineError> {
    let given = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&given);
    let body = stream::unfold((pieces, count), |(mut pieces, count)| async {
        let piece = pieces.recv().await?;
        count.fetch_add(1, Ordering::Relaxed);
        Some((piece, (pieces, count)))
    });
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let docker = connected.docker.clone().with_timeout(NO_LIMIT);
    let answers = docker
        .import_image_stream(options, body, None)
        .map(|answer| answer.map(drop));
    tokio::select! {
        taken = answers.try_collect::<()>() => taken.map_err(EngineError::from),
        error = hangs(connected, &given, silence) => Err(error),
    }
}

/// Returns when nothing moves and the engine answers nobody.
async fn hangs(connected: &Connected, given: &AtomicU64, silence: Duration) -> EngineError {
    loop {
        let before = given.load(Ordering::Relaxed);
        // A deadline for the engine, not a wait for something that could be announced.
        tokio::time::sleep(silence).await;
        let moves = || given.load(Ordering::Relaxed) != before;
        if moves() {
            continue;
        }
        let limit = silence.min(QUICK);
        match bounded(limit, connected.docker.ping()).await {
            Err(error) if !moves() => return error,
            Ok(_) | Err(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::BodyExt;
    use hyper::body::Incoming;
    use hyper::server::conn::http1;
    use hyper::service::service_fn;
    use hyper::{Request, Response};
    use hyper_util::rt::TokioIo;
    use tokio::net::UnixListener;

    use super::*;

    const SHORT: Duration = Duration::from_millis(200);

    /// An engine that takes an archive, and needs its time with it. One that is deaf meanwhile answers no other question.
    fn engine(socket: &Path, is_deaf: bool) {
        let listener = UnixListener::bind(socket).unwrap();
        let answer = move |request: Request<Incoming>| async move {
            if request.method() == "POST" {
                request.into_body().collect().await.unwrap();
                tokio::time::sleep(SHORT * 10).await;
            } else if is_deaf {
                std::future::pending::<()>().await;
            }
            Ok::<_, Infallible>(Response::new(String::new()))
        };
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let serving = http1::Builder::new()
                    .serve_connection(TokioIo::new(client), service_fn(answer));
                tokio::spawn(serving);
            }
        });
    }

    async fn given(is_deaf: bool) -> Result<(), EngineError> {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("engine.sock");
        engine(&socket, is_deaf);
        let mut connected = Connected::to(&socket);
        connected.docker.set_timeout(Duration::from_secs(1));
        let (pieces, taken) = mpsc::channel(WAITING);
        pieces
            .send(Ok(Bytes::from_static(b"archive")))
            .await
            .unwrap();
        drop(pieces);
        give(&connected, taken, SHORT).await
    }

    #[tokio::test]
    async fn it_may_take_longer_than_any_other_call_as_long_as_the_engine_is_there() {
        given(false).await.unwrap();
        let error = given(true).await.unwrap_err();
        assert!(matches!(error, EngineError::Hanging(SHORT)), "{error:?}");
    }
}
