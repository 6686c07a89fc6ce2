//! Fetches a file of the web: in parts, over several connections where that can be, and on from where it was cut off.
//!
//! In: an address, and the folder in which parts of it are kept. Out: the file, whole, with its checksums. Those who fetch (`worker.rs`) ask for
//! pieces (`open.rs`; the fields of questions and answers are in `heads.rs`), and hand bytes to one who writes (`writer.rs`); one who makes the checksums
//! follows what is there from the beginning on (`shared.rs`). Where a server does not show that a piece is of the file of which there are parts, some of
//! those is asked for once more, and compared (`proof.rs`). What is there is written down (`kept.rs`) once it lasts, so that whatever ends us costs no more
//! than what came since.

mod heads;
mod kept;
mod open;
mod proof;
mod shared;
mod worker;
mod writer;

use std::{
    io::{self, Read as _},
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use futures_util::future::try_join_all;
use tokio::{
    sync::mpsc::{UnboundedSender, channel},
    task::spawn_blocking,
};
use tokio_util::sync::CancellationToken;

use self::{
    open::{Endless, Open},
    shared::Shared,
    worker::Job,
    writer::{Stopped, Writer},
};
use super::{
    answer::Validator,
    checksums::{Checksum, Finished, Sums},
    joint::{Joint, Measure},
    link::Link,
    patience::Patience,
    web::{Web, WebError},
};

pub(super) use heads::{FIRST, is_image};
pub(super) use kept::replace;
pub use kept::{Coding, Kept};
pub use shared::Follow;

/// Connections at once, where the server gives parts.
const CONNECTIONS: usize = 4;
/// Bytes that one of them asks for.
const PIECE: u64 = 16 << 20;
/// A file of fewer bytes is had over one.
const LONG: u64 = 4 * PIECE;
/// Times that a file may change while it is fetched.
const MOST_ANEW: u32 = 3;
/// Pieces that have come and are not written yet; each has no more than half a MiB.
const WAITING: usize = 32;
/// Bytes of which checksums are made at once.
const BLOCK: usize = 1 << 20;

/// What is told on the way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// So many bytes were there already.
    GoesOn(u64),
    /// So many bytes are there, of so many.
    Came {
        /// Bytes.
        done: u64,
        /// Of how many, where that is known.
        total: Option<u64>,
    },
    /// It was cut off, and the server is asked anew.
    Again(String),
    /// The file has changed on the server: it is fetched from its beginning.
    Anew,
}

/// What has come.
#[derive(Debug)]
pub struct Fetched {
    /// Its checksums.
    pub sums: Finished,
    /// Those that the answer has for it.
    pub checksums: Vec<Checksum>,
    /// Bytes.
    pub length: u64,
    /// Which state of the file it is.
    pub validator: Option<Validator>,
    /// How it is packed for the way.
    pub coding: Option<Coding>,
    /// Nothing but the end of a connection says that it is whole.
    pub has_no_end: bool,
    /// Who gave it, after all directions.
    pub by: Link,
    /// What says that its bytes are of one file.
    pub joint: Joint,
}

/// Who reads a file while it comes: how it is packed for the way, and whether checksums may tell what it is. If it turns out to be another one, its
/// reading ends in an error, and the next one is read.
pub type Reading<'a> = dyn Fn(Follow, Option<Coding>, bool) + 'a;

/// What is fetched to where.
pub struct Request<'a> {
    /// Asks servers.
    pub web: &'a Web,
    /// The address.
    pub link: &'a Link,
    /// What tells it from other files.
    pub source: &'a str,
    /// What it has to have, as far as that is known already.
    pub checksums: &'a [Checksum],
    /// Whether lists of checksums may lie beside where the address leads.
    pub has_lists: bool,
    /// Whether it is had over one connection, whatever its server gives.
    pub is_plain: bool,
    /// Bytes that it may have at most.
    pub most: u64,
    /// File of the parts.
    pub part: &'a Path,
    /// File of what is known of them.
    pub state: &'a Path,
    /// Who reads it while it comes, if anybody does.
    pub reading: Option<&'a Reading<'a>>,
    /// Who is told.
    pub events: &'a UnboundedSender<Event>,
    /// Ends it early.
    pub interrupt: &'a CancellationToken,
}

impl std::fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Request")
            .field("link", self.link)
            .finish_non_exhaustive()
    }
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The way to the server.
    #[error(transparent)]
    Web(#[from] WebError),
    /// Nothing came any more, however often it was asked.
    #[error("it was given up, for nothing more comes")]
    GaveUp(#[source] WebError),
    /// It is not had there.
    #[error("{peer} answered with status {status}")]
    Refused {
        /// Who says so.
        peer: String,
        /// The status.
        status: u16,
    },
    /// It breaks the protocol.
    #[error("{peer} gave {why}")]
    Unusable {
        /// Who does.
        peer: String,
        /// What is wrong.
        why: &'static str,
    },
    /// Nobody could tell whether it is whole.
    #[error("its server does not tell where it ends")]
    NoEnd,
    /// It has nothing.
    #[error("{0} gave an empty file")]
    Empty(String),
    /// It is larger than anything is expected to be.
    #[error("it has more than {most} bytes")]
    TooLarge {
        /// How many it may have.
        most: u64,
    },
    /// It is another one each time.
    #[error("{0} changes while it is fetched")]
    KeepsChanging(String),
    /// The disk.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A person ended it.
    #[error("interrupted")]
    Interrupted,
    /// It ends before it should, as its server has said before.
    #[error("{0} has fewer bytes than it says")]
    Shorter(String),
    /// It is not that of which there are parts.
    #[error("the file has changed on the server")]
    Changed,
    /// Another one has the reason.
    #[error("it was stopped")]
    Stopped,
}

/// Fetches a file, or the rest of it.
///
/// # Errors
/// [`FetchError`]; what has come is kept for the next time.
pub async fn fetch(request: Request<'_>) -> Result<Fetched, FetchError> {
    for round in 0..MOST_ANEW {
        // Servers that share an address may each have another tag for it: of one answer all bytes are one file's.
        let is_plain = request.is_plain || round > 0;
        match attempt(&request, is_plain).await {
            Err(error @ (FetchError::Changed | FetchError::Shorter(_))) => {
                forget(&request)?;
                // It says so of what it gives by one answer, too.
                if round > 0 && matches!(error, FetchError::Shorter(_)) {
                    return Err(error);
                }
                drop(request.events.send(Event::Anew));
            }
            other => return other,
        }
    }
    Err(FetchError::KeepsChanging(request.link.to_string()))
}

fn forget(request: &Request<'_>) -> io::Result<()> {
    for path in [request.state, request.part] {
        match fs_err::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Stops those who wait for what will not come.
struct StopAtEnd(Arc<Shared>);

impl Drop for StopAtEnd {
    fn drop(&mut self) {
        self.0.stop();
    }
}

fn job(request: &Request<'_>, is_plain: bool, shared: &Arc<Shared>) -> Job {
    Job {
        web: request.web.clone(),
        link: request.link.clone(),
        current: Mutex::new(request.link.clone()),
        shared: Arc::clone(shared),
        events: request.events.clone(),
        patience: Mutex::new(Patience::default()),
        most: request.most,
        has_answered: AtomicBool::new(false),
        measure: Mutex::new(if is_plain && !request.checksums.is_empty() {
            Measure::Checksum
        } else {
            Measure::Tag
        }),
        endless: match (request.checksums.is_empty(), request.has_lists) {
            (false, _) => Endless::Checked,
            (true, true) => Endless::ListedElsewhere,
            (true, false) => Endless::Unknown,
        },
        ended_at: AtomicU64::new(u64::MAX),
        idle: CancellationToken::new(),
        has_stalled: AtomicBool::new(is_plain),
        is_begun_so: AtomicBool::new(false),
    }
}

async fn attempt(request: &Request<'_>, is_plain: bool) -> Result<Fetched, FetchError> {
    let mut options = fs_err::File::options();
    let file = options.read(true).write(true).create(true).truncate(false);
    let file = file.open(request.part)?;
    let has = file.metadata()?.len();
    let kept = Kept::read(request.state, request.source, has);
    let mut kept = kept.unwrap_or_else(|| Kept::none(request.source));
    kept.leave_something();
    if kept.parts.bytes() > 0 {
        drop(request.events.send(Event::GoesOn(kept.parts.bytes())));
    } else {
        file.set_len(0)?;
    }
    let shared = Arc::new(Shared::new(file, kept));
    let _stop = StopAtEnd(Arc::clone(&shared));
    let job = job(request, is_plain, &shared);
    let mut checksums = Vec::new();
    let mut first = None;
    if !shared.is_whole()
        && let Some(claim) = shared.take(u64::MAX)
    {
        let open = tokio::select! {
            open = job.lead(claim) => open?,
            () = request.interrupt.cancelled() => return Err(FetchError::Interrupted),
        };
        if let Some(open) = &open {
            checksums.clone_from(&open.checksums);
        }
        first = open;
    }
    let sums = Sums::new(&[request.checksums, &checksums].concat());
    let follow = Follow::new(Arc::clone(&shared));
    let summing = spawn_blocking(move || summed(follow, sums));
    if let Some(reading) = request.reading {
        let is_elsewhere = job.current().identity() != request.link.identity();
        let may_be_checked = !request.checksums.is_empty()
            || !checksums.is_empty()
            || (request.has_lists && is_elsewhere);
        let coming = Follow::new(Arc::clone(&shared));
        reading(coming, shared.kept().coding, may_be_checked);
    }
    transfer(request, &job, first).await?;
    if !shared.is_whole() {
        shared.stop();
    }
    let sums = summing.await.map_err(io::Error::other)??;
    let kept = shared.kept();
    // What was behind the end of a file that became shorter is not of it.
    let length = kept.length.unwrap_or_default();
    if length == 0 {
        return Err(FetchError::Empty(request.link.to_string()));
    }
    shared.file().set_len(length)?;
    Ok(Fetched {
        sums,
        checksums,
        length,
        validator: kept.validator,
        coding: kept.coding,
        has_no_end: kept.is_guessed,
        by: job.current().clone(),
        joint: kept.joint,
    })
}

fn summed(mut follow: Follow, mut sums: Sums) -> io::Result<Finished> {
    let mut block = vec![0; BLOCK];
    loop {
        let count = follow.read(&mut block)?;
        if count == 0 {
            return Ok(sums.finish());
        }
        sums.take(block.get(..count).unwrap_or_default());
    }
}

/// Everything that is not there yet.
async fn transfer(request: &Request<'_>, job: &Job, first: Option<Open>) -> Result<(), FetchError> {
    let (chunks, incoming) = channel(WAITING);
    let writer = Writer {
        shared: Arc::clone(&job.shared),
        state: request.state.to_owned(),
        events: request.events.clone(),
    };
    let writing = spawn_blocking(move || writer.run(incoming));
    let working = async {
        let mut first = first;
        while let Some(open) = first.take() {
            let kept = job.shared.kept();
            let is_long = kept.length.is_some_and(|length| length >= LONG);
            let may_be_many = open.gives_parts
                && is_long
                && job.measure().trusts(kept.validator.as_ref())
                && !job.has_stalled.load(Ordering::Relaxed);
            let (count, most) = if may_be_many {
                (CONNECTIONS, PIECE)
            } else {
                (1, u64::MAX)
            };
            let open = if may_be_many {
                job.narrowed(open, most)
            } else {
                open
            };
            let others = (1..count).map(|_| job.work(None, most, chunks.clone()));
            let lead = job.work(Some(open), most, chunks.clone());
            try_join_all(std::iter::once(lead).chain(others)).await?;
            // What somebody has left when the others had ended.
            if let Some(claim) = job.shared.take(u64::MAX) {
                first = job.lead(claim).await?;
            }
        }
        Ok(())
    };
    let worked = tokio::select! {
        worked = working => worked,
        () = request.interrupt.cancelled() => Err(FetchError::Interrupted),
    };
    drop(chunks);
    let written = writing.await.map_err(io::Error::other)?;
    match (worked, written) {
        (_, Err(Stopped::File(error))) => Err(error.into()),
        (_, Err(Stopped::Changed)) => Err(FetchError::Changed),
        (worked, Ok(())) => worked,
    }
}
