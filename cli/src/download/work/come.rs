//! A file that is fetched: it is checked and kept, and unpacked while it comes.

use std::{
    io,
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use tokio::{
    sync::mpsc::unbounded_channel,
    task::{JoinHandle, spawn_blocking},
};
use tokio_util::sync::CancellationToken;

use super::{
    DownloadError, Event, Task, Want, interruptible,
    lists::{lists, missed},
    places, wanted,
};
use crate::download::{
    cache::{About, End, sums_of},
    checksums::{Checksum, Finished, Sums},
    fetch::{self, Coding, FetchError, Fetched, Follow, fetch},
    joint::Joint,
    output::{self, OutputError, Pending},
    unpack::{self, Wanted},
};

/// What the names of files end in that gzip has packed.
const GZIP: &str = ".gz";

/// The image beside its place; nothing where the file has to be there first.
type Unpacked<E> = Result<Option<Pending>, E>;

impl Task<'_> {
    /// Fetches it, and checks it. The image may be no image although the file is what it should be.
    pub(super) async fn come(
        &self,
        offers: &[Checksum],
    ) -> Result<(About, Unpacked<DownloadError>), DownloadError> {
        let (come, is_joined) = self.come_once(offers, false).await;
        let is_wrong = match &come {
            Err(DownloadError::Wrong { .. }) => true,
            Err(DownloadError::Output(error)) => error.is_damage(),
            // What was checked is what its makers have made.
            Ok((about, Err(DownloadError::Output(error)))) => {
                error.is_damage() && about.checked.is_empty()
            }
            _ => false,
        };
        if !is_wrong {
            return come;
        }
        self.room.clear()?;
        if !is_joined {
            return come;
        }
        // Parts of two files may have become one.
        drop(self.want.events.send(Event::Joined));
        self.room.make()?;
        self.come_once(offers, true).await.0
    }

    /// Also whether more than one answer brought it.
    async fn come_once(
        &self,
        offers: &[Checksum],
        is_plain: bool,
    ) -> (
        Result<(About, Unpacked<DownloadError>), DownloadError>,
        bool,
    ) {
        let unpacking = Unpacking::new(self.want.interrupt);
        let about = self.checked(offers, &unpacking, is_plain).await;
        let has_failed = unpacking.stop.is_cancelled() && !self.want.interrupt.is_cancelled();
        // It ends with what it reads. What it leaves behind it removes itself, before we end.
        let come = match (about, unpacking.end().await) {
            (Err(DownloadError::Interrupted), Err(error)) if has_failed => Err(error),
            (Err(error), _) => Err(error),
            (Ok(about), unpacked) => Ok((about, unpacked)),
        };
        (come, unpacking.is_joined.load(Ordering::Relaxed))
    }

    async fn checked(
        &self,
        offers: &[Checksum],
        unpacking: &Unpacking,
        is_plain: bool,
    ) -> Result<About, DownloadError> {
        let (room, want) = (self.room, self.want);
        let mut fetched = self.fetched(offers, unpacking, is_plain).await?;
        let own = fetched.checksums.clone();
        let mut sums = fetched.sums.clone();
        let mut wrong = sums.wrong(&own);
        let offers = &self.offers_there(&mut fetched, offers).await?;
        if wrong.is_none() {
            let listed = self.listed(&fetched, offers).await;
            if matches!(&listed, Err(DownloadError::Output(error)) if error.is_damage()) {
                room.clear()?;
            }
            sums = listed?;
            wrong = sums.wrong(offers);
        }
        if let Some(expected) = wrong {
            room.clear()?;
            return Err(DownloadError::Wrong {
                name: want.name.clone(),
                expected: expected.clone(),
                found: sums.text(expected.algorithm),
                is_removed: true,
            });
        }
        let all = [offers.as_slice(), &fetched.checksums].concat();
        let mut end = End::Told;
        if all.is_empty() {
            if !want.is_as_it_came {
                let own = wanted(want, room.part(), fetched.coding);
                let looking = spawn_blocking(move || unpack::fits(&own));
                looking.await.map_err(io::Error::other)??;
            }
            if fetched.has_no_end {
                end = self.end(&fetched).await?;
            }
        }
        let mut about = About::new(self.identity, &want.name, &fetched.sums);
        about.bytes = fetched.length;
        about.validator = fetched.validator;
        about.coding = fetched.coding;
        about.end = end;
        about.is_unproven = fetched.joint == Joint::Compared;
        about.checked = places(&all);
        room.keep(&about)?;
        Ok(about)
    }

    /// What tells where it ends, other than the end of a connection.
    async fn end(&self, fetched: &Fetched) -> Result<End, DownloadError> {
        let no_end = || DownloadError::NoEnd {
            name: self.want.name.clone(),
        };
        let wanted = wanted(self.want, self.room.part(), fetched.coding);
        let interrupt = self.want.interrupt.clone();
        let reading = spawn_blocking(move || unpack::is_whole_by_itself(&wanted, interrupt));
        let error = match reading.await.map_err(io::Error::other)? {
            Ok(true) => return Ok(End::Packing),
            Ok(false) => no_end(),
            Err(OutputError::Interrupted) => return Err(DownloadError::Interrupted),
            // Whoever can unpack it may find it whole.
            Err(error) if !error.is_damage() => return Ok(End::Untold),
            Err(error) => error.into(),
        };
        self.room.clear()?;
        Err(error)
    }

    async fn fetched(
        &self,
        offers: &[Checksum],
        unpacking: &Unpacking,
        is_plain: bool,
    ) -> Result<Fetched, DownloadError> {
        let (room, want) = (self.room, self.want);
        let (events, mut told) = unbounded_channel();
        let begin = |coming: Follow, coding, may_be_checked| {
            let mut wanted = wanted(want, room.part(), coding);
            wanted.is_checked = may_be_checked;
            unpacking.begin(want, wanted, coming);
        };
        let (part, state) = (room.part(), room.state());
        let request = fetch::Request {
            web: self.web,
            link: self.link,
            source: self.identity,
            checksums: offers,
            has_lists: self.has_lists,
            is_plain,
            most: want.most,
            part: &part,
            state: &state,
            reading: Some(&begin),
            events: &events,
            interrupt: &unpacking.stop,
        };
        let fetching = fetch(request);
        tokio::pin!(fetching);
        let fetched = loop {
            tokio::select! {
                fetched = &mut fetching => break fetched,
                Some(event) = told.recv() => {
                    if matches!(event, fetch::Event::GoesOn(_) | fetch::Event::Again(_)) {
                        unpacking.is_joined.store(true, Ordering::Relaxed);
                    }
                    drop(want.events.send(Event::Fetch(event)));
                }
            }
        };
        let fetched = fetched.map_err(|source| match source {
            FetchError::Interrupted => DownloadError::Interrupted,
            FetchError::NoEnd => DownloadError::NoEnd {
                name: want.name.clone(),
            },
            source => DownloadError::Fetch {
                name: want.name.clone(),
                source,
            },
        })?;
        unpacking
            .is_joined
            .store(fetched.joint != Joint::OneAnswer, Ordering::Relaxed);
        Ok(fetched)
    }

    /// The lists beside where the address led, if none was beside the address itself.
    async fn offers_there(
        &self,
        fetched: &mut Fetched,
        offers: &[Checksum],
    ) -> Result<Vec<Checksum>, DownloadError> {
        let is_elsewhere = fetched.by.identity() != self.link.identity();
        if !offers.is_empty() || !self.has_lists || !is_elsewhere {
            return Ok(offers.to_vec());
        }
        let asking = lists(self.web, &fetched.by, self.want);
        let offers = match interruptible(self.want, asking).await? {
            Ok(offers) => offers,
            // All of it is here, and nobody has demanded them.
            Err(error) => {
                missed(&error, self.want);
                self.misses_lists.store(true, Ordering::Relaxed);
                return Ok(Vec::new());
            }
        };
        if !offers.is_empty() {
            let (part, sums) = (self.room.part(), Sums::new(&offers));
            let summing = spawn_blocking(move || sums_of(fs_err::File::open(part)?, sums));
            let sums = interruptible(self.want, summing).await?;
            fetched.sums = sums.map_err(io::Error::other)??;
        }
        Ok(offers)
    }

    /// Checksums of what lists mean.
    async fn listed(
        &self,
        fetched: &Fetched,
        offers: &[Checksum],
    ) -> Result<Finished, DownloadError> {
        if offers.is_empty() || !has_own_packing(fetched.coding, &self.want.name) {
            return Ok(fetched.sums.clone());
        }
        let wanted = wanted(self.want, self.room.part(), fetched.coding);
        let sums = Sums::new(offers);
        let summing = spawn_blocking(move || unpack::sums_without_coding(&wanted, sums));
        let sums = interruptible(self.want, summing).await?;
        Ok(sums.map_err(io::Error::other)??)
    }
}

/// What becomes of a file while it comes.
struct Unpacking {
    current: Mutex<Option<JoinHandle<Unpacked<OutputError>>>>,
    interrupt: CancellationToken,
    /// Nothing of what is still to come is of use.
    stop: CancellationToken,
    /// More than one answer brought what it reads.
    is_joined: AtomicBool,
}

impl Unpacking {
    fn new(interrupt: &CancellationToken) -> Self {
        Self {
            current: Mutex::new(None),
            interrupt: interrupt.clone(),
            stop: interrupt.child_token(),
            is_joined: AtomicBool::new(false),
        }
    }

    fn begin(&self, want: &Want<'_>, wanted: Wanted, coming: Follow) {
        let to = want.to.map(Path::to_owned);
        let (interrupt, stop) = (self.interrupt.clone(), self.stop.clone());
        // How far the fetching is says it all.
        let (unheard, _) = unbounded_channel();
        let write = move || {
            let written = match &to {
                Some(to) => output::write_coming(&wanted, coming, to, unheard, interrupt),
                // Who reads it gets nothing before all of it was checked.
                None => unpack::begins(&wanted, coming, interrupt).map(|()| None),
            };
            if matches!(&written, Err(error) if error.is_final()) {
                stop.cancel();
            }
            written
        };
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        // That of a file that has changed ends by itself.
        *current = Some(spawn_blocking(write));
    }

    async fn end(&self) -> Unpacked<DownloadError> {
        let current = {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            current.take()
        };
        match current {
            None => Ok(None),
            Some(current) => match current.await.map_err(io::Error::other)? {
                Err(OutputError::Interrupted) => Err(DownloadError::Interrupted),
                other => Ok(other?),
            },
        }
    }
}

/// Whether lists of checksums mean the bytes behind what a file was packed in for the way: they do not where it is called as if it were packed.
pub(super) fn has_own_packing(coding: Option<Coding>, name: &str) -> bool {
    coding.is_some() && !name.ends_with(GZIP)
}
