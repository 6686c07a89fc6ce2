//! From a source to a file: the steps, in their order.

mod come;
mod doubt;
mod kept;
mod lists;
mod local;

use std::{
    io,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
};

use tokio::{sync::mpsc::UnboundedSender, task::spawn_blocking};
use tokio_util::sync::CancellationToken;

pub use self::doubt::Doubt;
use self::{
    lists::{demanded, lists, missed},
    local::local,
};
use super::{
    cache::{Cache, Room},
    checksums::Checksum,
    fetch::{self, Coding, FetchError},
    link::Link,
    offered::OfferedError,
    output::{self, OutputError, Pending},
    unpack::Wanted,
    web::{Web, WebError},
};
use crate::image::{block_map::Aside, container::ContainerError};

/// Where an image is.
#[derive(Debug, Clone)]
pub enum Source {
    /// In the web. Checksums may lie beside it, and it may change.
    Web(Link),
    /// A version that a cloud has, which never changes.
    Version {
        /// Where it is had.
        link: Link,
        /// What tells it from others: cloud, type, version, kind.
        identity: String,
    },
    /// A file of this machine.
    File(PathBuf),
}

/// What is to become of it.
#[derive(Debug)]
pub struct Want<'a> {
    /// What a file of it is called: `os-1.0.img.xz`.
    pub name: String,
    /// Where it is to be; `None`: standard output.
    pub to: Option<&'a Path>,
    /// Whether it replaces what is there.
    pub replaces: bool,
    /// Whether it stays as it came.
    pub is_as_it_came: bool,
    /// Bytes that it may have at most.
    pub most: u64,
    /// Keys, of which one has to have signed its checksums.
    pub keyring: Option<&'a Path>,
    /// Whether checksums are looked for beside it.
    pub looks: bool,
    /// What was fetched before.
    pub cache: &'a Cache,
    /// Who is told.
    pub events: UnboundedSender<Event>,
    /// Ends it early.
    pub interrupt: &'a CancellationToken,
}

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// Somebody else fetches it at this moment.
    Waits,
    /// Lists of checksums are looked for, and it takes time.
    Lists,
    /// A list is of other files.
    PassedOver {
        /// What it is called.
        list: String,
        /// Which files it names.
        names: Vec<String>,
    },
    /// It is not right, and several answers brought it: it is fetched once more by one.
    Joined,
    /// Of fetching.
    Fetch(fetch::Event),
    /// It was fetched before.
    Cached,
    /// One that was fetched before is damaged, and is fetched again.
    Damaged,
    /// One that was fetched before is used, for its server cannot be asked whether it is the newest.
    Unasked(String),
    /// Lists of checksums that nobody demands cannot be had.
    NoLists {
        /// Which, and why not.
        why: String,
        /// Whether others can.
        has_others: bool,
    },
    /// So many bytes of it are unpacked.
    Unpacked(u64),
    /// So many others went out of the cache.
    Shrunk(usize),
    /// These block maps were of the image whose place it takes.
    Maps(Vec<Aside>),
}

/// What was had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Had {
    /// Bytes of the image that was written.
    pub bytes: u64,
    /// SHA-256 of the file as it came.
    pub sha256: String,
    /// Bytes of that.
    pub packed: u64,
    /// By what it was checked.
    pub checked: Vec<String>,
    /// Why it may be something else than its server has, where nothing tells.
    pub doubts: Vec<Doubt>,
    /// What became of the lists of checksums.
    pub lists: Lists,
    /// Whether it was there already.
    pub is_cached: bool,
}

/// What became of the lists of checksums that may lie beside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lists {
    /// They were looked for; those that are there count.
    Asked,
    /// Nobody has looked for any.
    Unasked,
    /// Nobody knows what they say: they could not be had.
    Missed,
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum DownloadError {
    /// The way to its server.
    #[error(transparent)]
    Web(#[from] WebError),
    /// It is not fetched.
    #[error("{name} is not fetched")]
    Fetch {
        /// The file.
        name: String,
        /// Why not.
        #[source]
        source: FetchError,
    },
    /// Its checksums.
    #[error(transparent)]
    Offered(#[from] OfferedError),
    /// It is not what it should be.
    #[error("{name} is damaged, or is not what it should be: {}", compared(.expected, .found))]
    Wrong {
        /// The file.
        name: String,
        /// What it should have.
        expected: Checksum,
        /// What it has.
        found: String,
        /// Whether a copy of ours was removed; what somebody named stays where it is.
        is_removed: bool,
    },
    /// Nobody knows whether it is whole.
    #[error("{name} came without anything that tells whether it is whole")]
    NoEnd {
        /// The file.
        name: String,
    },
    /// A file of this machine has nothing.
    #[error("{0} is empty")]
    Empty(String),
    /// It cannot be unpacked or written.
    #[error(transparent)]
    Output(#[from] OutputError),
    /// The same of a file of this machine.
    #[error(transparent)]
    Own(OutputError),
    /// The disk.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A person ended it.
    #[error("interrupted")]
    Interrupted,
}

fn compared(expected: &Checksum, found: &str) -> String {
    format!("{} has {expected}, and it has {found}", expected.place)
}

/// Has an image, and puts it where it is wanted.
///
/// # Errors
/// [`DownloadError`]; then nothing is where it should be, and what came in part is kept for the next time.
pub async fn download(web: &Web, source: &Source, want: &Want<'_>) -> Result<Had, DownloadError> {
    let had = match source {
        Source::File(path) => return local(path, want).await,
        Source::Web(link) => fetched(web, (link, link.identity(), false), want).await,
        // A cloud says nothing of what its images should be.
        Source::Version { .. } if want.keyring.is_some() => {
            Err(OfferedError::Unsigned(want.name.clone()).into())
        }
        Source::Version { link, identity } => fetched(web, (link, identity, true), want).await,
    };
    if had.is_ok() {
        shrink(want).await?;
    }
    had
}

async fn shrink(want: &Want<'_>) -> Result<(), DownloadError> {
    let cache = want.cache.clone();
    let shrunk = spawn_blocking(move || cache.shrink());
    let count = shrunk.await.map_err(io::Error::other)??.len();
    if count > 0 {
        drop(want.events.send(Event::Shrunk(count)));
    }
    Ok(())
}

/// From the cache, or by way of it.
async fn fetched(
    web: &Web,
    (link, identity, is_fixed): (&Link, &str, bool),
    want: &Want<'_>,
) -> Result<Had, DownloadError> {
    let room = room(want, identity).await?;
    room.make()?;
    // What others have left. Ours stays: it may be a part that is to become whole.
    shrink(want).await?;
    let has_lists = want.looks && !is_fixed;
    let offers = if has_lists {
        interruptible(want, lists(web, link, want)).await?
    } else {
        Ok(Vec::new())
    };
    let task = Task {
        web,
        link,
        identity,
        room: &room,
        has_lists,
        misses_lists: AtomicBool::new(offers.is_err()),
        want,
    };
    let kept = task.kept(&offers, is_fixed).await?;
    let is_cached = kept.is_some();
    let (about, pending) = match kept {
        Some(about) => {
            if let Err(error @ OfferedError::Lacking { .. }) = &offers
                && about.checked.is_empty()
            {
                missed(error, want);
            }
            (about, Ok(None))
        }
        None => task.come(&demanded(offers, want)?).await?,
    };
    let doubts = task.doubts(&about).await?;
    let placed = match pending {
        Ok(Some(pending)) => place(pending).await,
        Ok(None) => {
            let mut wanted = wanted(want, room.image(), about.coding);
            wanted.is_checked = !about.checked.is_empty();
            put(wanted, want).await
        }
        Err(error) => Err(error),
    };
    if matches!(&placed, Err(DownloadError::Output(error)) if error.is_damage()) {
        // It is not what anybody could want the next time.
        room.clear()?;
    }
    room.touch();
    Ok(Had {
        bytes: placed?,
        sha256: about.sha256,
        packed: about.bytes,
        checked: about.checked,
        doubts,
        lists: if !has_lists {
            Lists::Unasked
        } else if task.misses_lists.load(Ordering::Relaxed) {
            Lists::Missed
        } else {
            Lists::Asked
        },
        is_cached,
    })
}

/// One file of the web, and its place in the cache.
struct Task<'a> {
    web: &'a Web,
    link: &'a Link,
    /// What tells it from others.
    identity: &'a str,
    room: &'a Room,
    /// Whether lists of checksums may lie beside it.
    has_lists: bool,
    /// Whether they could not be had.
    misses_lists: AtomicBool,
    want: &'a Want<'a>,
}

async fn place(pending: Pending) -> Result<u64, DownloadError> {
    let placing = spawn_blocking(|| pending.place());
    Ok(placing.await.map_err(io::Error::other)??)
}

/// What is wanted of a file.
fn wanted(want: &Want<'_>, image: PathBuf, coding: Option<Coding>) -> Wanted {
    Wanted {
        image,
        name: want.name.clone(),
        coding,
        replaces: want.replaces,
        is_as_it_came: want.is_as_it_came,
        most: want.most,
        is_checked: false,
    }
}

async fn interruptible<T>(
    want: &Want<'_>,
    work: impl Future<Output = T>,
) -> Result<T, DownloadError> {
    tokio::select! {
        done = work => Ok(done),
        () = want.interrupt.cancelled() => Err(DownloadError::Interrupted),
    }
}

/// The place of the file in the cache, once nobody else has it.
async fn room(want: &Want<'_>, identity: &str) -> Result<Room, DownloadError> {
    if let Some(room) = want.cache.take(identity, &want.name)? {
        return Ok(room);
    }
    drop(want.events.send(Event::Waits));
    loop {
        let (cache, identity) = (want.cache.clone(), identity.to_owned());
        let name = want.name.clone();
        let waiting = spawn_blocking(move || cache.wait(&identity, &name));
        let room = interruptible(want, waiting)
            .await?
            .map_err(io::Error::other)??;
        if let Some(room) = room {
            return Ok(room);
        }
    }
}

fn places(of: &[Checksum]) -> Vec<String> {
    of.iter()
        .map(|one| format!("{} of {}", one.algorithm, one.place))
        .collect()
}

/// Writes an image where it is wanted.
async fn put(wanted: Wanted, want: &Want<'_>) -> Result<u64, DownloadError> {
    let (events, interrupt) = (want.events.clone(), want.interrupt.clone());
    let putting = match want.to {
        Some(to) => {
            let to = to.to_owned();
            spawn_blocking(move || output::write(&wanted, &to, events, interrupt)?.place())
        }
        None => spawn_blocking(move || output::pipe(&wanted, io::stdout(), events, interrupt)),
    };
    // Who reads it may not, for as long as he wants.
    let is_piped = want.to.is_none();
    let put = tokio::select! {
        put = putting => put,
        () = want.interrupt.cancelled(), if is_piped => return Err(DownloadError::Interrupted),
    };
    match put.map_err(io::Error::other)? {
        Err(OutputError::Interrupted) => Err(DownloadError::Interrupted),
        // Where we keep it says nothing to anybody.
        Err(OutputError::Container(ContainerError::Archive { fault, .. })) => {
            let path = PathBuf::from(&want.name);
            Err(OutputError::from(ContainerError::Archive { path, fault }).into())
        }
        other => Ok(other?),
    }
}
