//! From a source to a file: the steps, in their order.

use std::{
    io,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use tokio::{
    sync::mpsc::UnboundedSender,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use super::{
    cache::{About, Cache, Room, sums_of},
    checksums::{Checksum, Finished, Sums},
    fetch::{self, Coding, FetchError, Follow, fetch},
    link::Link,
    offered::{Beside, OfferedError, offered},
    output::{self, OutputError, Pending, Wanted},
    web::{Web, WebError},
};
use crate::image::container::Format;

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
    /// Whether it stays as it came.
    pub is_as_it_came: bool,
    /// Bytes that it may have at most.
    pub most: u64,
    /// Keys, of which one has to have signed its checksums.
    pub keyring: Option<&'a Path>,
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
    /// Of fetching.
    Fetch(fetch::Event),
    /// It was fetched before.
    Cached,
    /// One that was fetched before is damaged, and is fetched again.
    Damaged,
    /// One that was fetched before is used, for its server cannot be asked whether it is the newest.
    Unasked(String),
    /// So many bytes of it are unpacked.
    Unpacked(u64),
    /// So many others went out of the cache.
    Shrunk(usize),
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
    /// Whether it was there already.
    pub is_cached: bool,
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
    },
    /// Nobody knows whether it is whole.
    #[error("{name} came without anything that tells whether it is whole")]
    NoEnd {
        /// The file.
        name: String,
    },
    /// It cannot be unpacked or written.
    #[error(transparent)]
    Output(#[from] OutputError),
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
    let (link, identity) = match source {
        Source::File(path) => return local(path, want).await,
        Source::Web(link) => (link, link.identity().to_owned()),
        Source::Version { link, identity } => (link, identity.clone()),
    };
    let room = room(want, &identity).await?;
    room.make()?;
    let offers = match source {
        Source::Web(link) => {
            let beside = Beside::Web(web, link);
            let name = link.file_name().unwrap_or_else(|| want.name.clone());
            interruptible(want, offered(&beside, &name, want.keyring)).await?
        }
        _ => Ok(Vec::new()),
    };
    let is_fixed = matches!(source, Source::Version { .. });
    let kept = kept(web, link, &room, want, &identity, (&offers, is_fixed)).await?;
    let is_cached = kept.is_some();
    let (about, pending) = match kept {
        Some(about) => (about, None),
        None => come(web, link, &room, want, &identity, &offers?).await?,
    };
    room.touch();
    let bytes = match pending {
        Some(pending) => spawn_blocking(|| pending.place())
            .await
            .map_err(io::Error::other)??,
        None => put(wanted(want, room.image(), about.coding), want).await?,
    };
    let cache = want.cache.clone();
    let shrunk = spawn_blocking(move || cache.shrink());
    let shrunk = shrunk.await.map_err(io::Error::other)??.len();
    if shrunk > 0 {
        drop(want.events.send(Event::Shrunk(shrunk)));
    }
    Ok(Had {
        bytes,
        sha256: about.sha256,
        packed: about.bytes,
        checked: about.checked,
        is_cached,
    })
}

/// What is wanted of a file.
fn wanted(want: &Want<'_>, image: PathBuf, coding: Option<Coding>) -> Wanted {
    Wanted {
        image,
        coding,
        is_as_it_came: want.is_as_it_came,
        most: want.most,
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

/// The file that was fetched before, if it is still the one that is meant, and whole.
async fn kept(
    web: &Web,
    link: &Link,
    room: &Room,
    want: &Want<'_>,
    identity: &str,
    (offers, is_fixed): (&Result<Vec<Checksum>, OfferedError>, bool),
) -> Result<Option<About>, DownloadError> {
    let Some(mut about) = room.about(identity) else {
        return Ok(None);
    };
    let sums = Sums::new(offers.as_deref().unwrap_or_default());
    let (image, coding) = (room.image(), about.coding);
    let packed = has_own_packing(coding, &want.name);
    let summing = spawn_blocking(move || sums_both(&image, packed, sums));
    let (own, listed) = interruptible(want, summing)
        .await?
        .map_err(io::Error::other)??;
    if own.sha256() != about.sha256 {
        drop(want.events.send(Event::Damaged));
        room.clear()?;
        room.make()?;
        return Ok(None);
    }
    if is_fixed {
        drop(want.events.send(Event::Cached));
        return Ok(Some(about));
    }
    match offers {
        // A list says what it has to be.
        Ok(offers) if !offers.is_empty() => {
            if listed.as_ref().unwrap_or(&own).wrong(offers).is_some() {
                return Ok(None);
            }
            about.checked = places(offers);
        }
        Ok(_) => match interruptible(want, is_same(web, link, &about)).await? {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => unasked(want, error)?,
        },
        Err(OfferedError::Web(WebError::Cut { .. })) if want.keyring.is_none() => {
            drop(want.events.send(Event::Unasked(link.to_string())));
        }
        // It is told by the caller.
        Err(_) => return Ok(None),
    }
    drop(want.events.send(Event::Cached));
    Ok(Some(about))
}

fn unasked(want: &Want<'_>, error: WebError) -> Result<(), DownloadError> {
    match error {
        WebError::Cut { peer, .. } => {
            drop(want.events.send(Event::Unasked(peer)));
            Ok(())
        }
        error => Err(error.into()),
    }
}

/// Whether a file is what it was when it was fetched.
async fn is_same(web: &Web, link: &Link, about: &About) -> Result<bool, WebError> {
    use reqwest::header::{HeaderMap, HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH};
    let Some(validator) = &about.validator else {
        return Ok(false);
    };
    let name = if validator.is_strong() {
        IF_NONE_MATCH
    } else {
        IF_MODIFIED_SINCE
    };
    let value = HeaderValue::from_str(validator.text());
    let headers: HeaderMap = value.map(|value| (name, value)).into_iter().collect();
    let answered = web.get(link, &headers).await?;
    Ok(answered.response.status().as_u16() == 304)
}

/// Fetches it, and checks it.
async fn come(
    web: &Web,
    link: &Link,
    room: &Room,
    want: &Want<'_>,
    identity: &str,
    offers: &[Checksum],
) -> Result<(About, Option<Pending>), DownloadError> {
    let unpacking = Unpacking::default();
    let about = fetched(web, link, room, want, identity, (offers, &unpacking)).await;
    // It ends with what it reads. What it leaves behind it removes itself, before we end.
    let unpacked = unpacking.end().await;
    Ok((about?, unpacked?))
}

/// What becomes of a file while it comes.
#[derive(Default)]
struct Unpacking(Mutex<Option<JoinHandle<Unpacked>>>);

/// The image beside its place; nothing where the file has to be there first.
type Unpacked = Result<Option<Pending>, OutputError>;

impl Unpacking {
    fn begin(&self, want: &Want<'_>, wanted: Wanted, coming: Follow) {
        let Some(to) = want.to.map(Path::to_owned) else {
            return;
        };
        let interrupt = want.interrupt.clone();
        // How far the fetching is says it all.
        let (silent, _) = tokio::sync::mpsc::unbounded_channel();
        let write = move || output::write_coming(&wanted, coming, &to, silent, interrupt);
        let mut current = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // That of a file that has changed ends by itself.
        *current = Some(spawn_blocking(write));
    }

    async fn end(&self) -> Result<Option<Pending>, DownloadError> {
        let current = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        match current {
            None => Ok(None),
            Some(current) => match current.await.map_err(io::Error::other)? {
                Err(OutputError::Interrupted) => Err(DownloadError::Interrupted),
                other => Ok(other?),
            },
        }
    }
}

async fn fetched(
    web: &Web,
    link: &Link,
    room: &Room,
    want: &Want<'_>,
    identity: &str,
    (offers, unpacking): (&[Checksum], &Unpacking),
) -> Result<About, DownloadError> {
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    let begin = |coming: Follow, coding| {
        unpacking.begin(want, wanted(want, room.part(), coding), coming);
    };
    let (part, state) = (room.part(), room.state());
    let request = fetch::Request {
        web,
        link,
        source: identity,
        checksums: offers,
        most: want.most,
        part: &part,
        state: &state,
        reading: Some(&begin),
        events: &events,
        interrupt: want.interrupt,
    };
    let fetching = fetch(request);
    tokio::pin!(fetching);
    let fetched = loop {
        tokio::select! {
            fetched = &mut fetching => break fetched,
            Some(event) = told.recv() => drop(want.events.send(Event::Fetch(event))),
        }
    };
    let fetched = fetched.map_err(|source| match source {
        FetchError::Interrupted => DownloadError::Interrupted,
        source => DownloadError::Fetch {
            name: want.name.clone(),
            source,
        },
    })?;
    let packed = has_own_packing(fetched.coding, &want.name);
    let image = room.part();
    let sums = Sums::new(offers);
    let listed = spawn_blocking(move || listed(&image, packed, sums));
    let listed = interruptible(want, listed)
        .await?
        .map_err(io::Error::other)??;
    let wrong = fetched.sums.wrong(&fetched.checksums);
    let listed = listed.as_ref().unwrap_or(&fetched.sums);
    if let Some(expected) = wrong.or(listed.wrong(offers)) {
        let sums = if wrong.is_some() {
            &fetched.sums
        } else {
            listed
        };
        let error = DownloadError::Wrong {
            name: want.name.clone(),
            expected: expected.clone(),
            found: sums.text(expected.algorithm),
        };
        room.clear()?;
        return Err(error);
    }
    let all = [offers, &fetched.checksums].concat();
    if fetched.has_no_end && all.is_empty() {
        room.clear()?;
        return Err(DownloadError::NoEnd {
            name: want.name.clone(),
        });
    }
    let mut about = About::new(identity, &want.name, &fetched.sums);
    about.bytes = fetched.length;
    about.validator = fetched.validator;
    about.coding = fetched.coding;
    about.checked = places(&all);
    room.keep(&about)?;
    Ok(about)
}

fn places(of: &[Checksum]) -> Vec<String> {
    of.iter()
        .map(|one| format!("{} of {}", one.algorithm, one.place))
        .collect()
}

/// Whether lists of checksums mean the bytes behind what a file was packed in for the way: they do not where it is called as if it were packed.
fn has_own_packing(coding: Option<Coding>, name: &str) -> bool {
    coding.is_some() && !name.ends_with(Format::Gzip.extension())
}

/// Checksums of what lists mean, where that is not the file itself.
fn listed(image: &Path, is_packed: bool, sums: Sums) -> io::Result<Option<Finished>> {
    if !is_packed {
        return Ok(None);
    }
    sums_of(output::decoded(image)?, sums).map(Some)
}

fn sums_both(
    image: &Path,
    is_packed: bool,
    sums: Sums,
) -> io::Result<(Finished, Option<Finished>)> {
    let own = sums_of(fs_err::File::open(image)?, sums.clone())?;
    Ok((own, listed(image, is_packed, sums)?))
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
    match putting.await.map_err(io::Error::other)? {
        Err(OutputError::Interrupted) => Err(DownloadError::Interrupted),
        other => Ok(other?),
    }
}

/// A file of this machine: checked by what lies beside it, and read once more as it is unpacked.
async fn local(path: &Path, want: &Want<'_>) -> Result<Had, DownloadError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let beside = Beside::Folder(folder);
    let offers = offered(&beside, &want.name, want.keyring).await?;
    let (image, sums) = (path.to_owned(), Sums::new(&offers));
    let summing = spawn_blocking(move || -> io::Result<(Finished, u64)> {
        let file = fs_err::File::open(&image)?;
        let size = file.metadata()?.len();
        Ok((sums_of(file, sums)?, size))
    });
    let (sums, packed) = interruptible(want, summing)
        .await?
        .map_err(io::Error::other)??;
    if let Some(expected) = sums.wrong(&offers) {
        return Err(DownloadError::Wrong {
            name: want.name.clone(),
            expected: expected.clone(),
            found: sums.text(expected.algorithm),
        });
    }
    let wanted = wanted(want, path.to_owned(), None);
    Ok(Had {
        bytes: put(wanted, want).await?,
        sha256: sums.sha256(),
        packed,
        checked: places(&offers),
        is_cached: false,
    })
}
