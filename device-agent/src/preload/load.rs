//! Archives of images into the engine, one after another.
//!
//! An archive is read as the engine takes it, and never held whole. An engine that goes away meanwhile is waited for.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bollard::query_parameters::ImportImageOptionsBuilder;
use bytes::Bytes;
use fs_err as fs;
use fs_err::os::unix::fs::OpenOptionsExt;
use futures_util::{StreamExt, TryStreamExt, stream};
use rustix::fs::OFlags;
use tokio::sync::{mpsc, watch};

use crate::engine::{Connected, EngineError, Link};

/// Bytes that are read at once.
const PIECE: usize = 256 * 1024;
/// Pieces that wait for the engine.
const WAITING: usize = 2;
/// How often an archive is given to an engine that goes away meanwhile.
const ATTEMPTS: u32 = 3;
/// How long it may take until it is known that the engine has gone.
const GONE: Duration = Duration::from_secs(10);

/// Why an archive is not in the engine.
#[derive(Debug, thiserror::Error)]
enum LoadError {
    /// The data partition's answer.
    #[error("it cannot be read")]
    Read(#[source] io::Error),
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
    tracing::info!(archive = %path.display(), bytes, "a preloaded archive is loaded");
    let began = Instant::now();
    let (pieces, taken) = mpsc::channel(WAITING);
    let reading = tokio::task::spawn_blocking(move || read(file, &pieces));
    let given = give(connected, taken).await;
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

/// Sends an archive and waits until the engine has unpacked it. The client bounds how long.
async fn give(
    connected: &Connected,
    pieces: mpsc::Receiver<Result<Bytes, io::Error>>,
) -> Result<(), EngineError> {
    let body = stream::unfold(pieces, |mut pieces| async {
        let piece = pieces.recv().await?;
        Some((piece, pieces))
    });
    let options = ImportImageOptionsBuilder::default().quiet(true).build();
    let answers = connected
        .docker
        .import_image_stream(options, body, None)
        .map(|answer| answer.map(drop));
    answers.try_collect::<()>().await.map_err(EngineError::from)
}
