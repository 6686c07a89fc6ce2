//! One who fetches: asks for a piece, hands on what comes of it, and asks anew when that was cut off.

use std::{
    ops::Range,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::mpsc::{Sender, UnboundedSender};
use tokio_util::sync::CancellationToken;

use super::{
    Event, FetchError,
    open::{Endless, NotOpen, Open},
    shared::Shared,
    writer::Chunk,
};
use crate::download::{
    joint::{Joint, Measure},
    link::Link,
    patience::Patience,
    web::{Web, WebError, cut},
};

/// How long one who has received nothing keeps his piece when others have none left.
const STALLED: Duration = Duration::from_secs(1);

/// What all who fetch one file have in common.
pub(super) struct Job {
    pub(super) web: Web,
    pub(super) link: Link,
    /// Where it was had last.
    pub(super) current: Mutex<Link>,
    pub(super) shared: Arc<Shared>,
    pub(super) events: UnboundedSender<Event>,
    pub(super) patience: Mutex<Patience>,
    /// Bytes that it may have.
    pub(super) most: u64,
    pub(super) has_answered: AtomicBool,
    /// By what parts are told to be of the file.
    pub(super) measure: Mutex<Measure>,
    /// What to do with what has no end that could be told.
    pub(super) endless: Endless,
    /// Where an answer with a part ended that did not tell the length of the file.
    pub(super) ended_at: AtomicU64,
    /// Somebody has no piece any more.
    pub(super) idle: CancellationToken,
    /// A connection beside the first one got nothing.
    pub(super) has_stalled: AtomicBool,
    /// The beginning was compared since something went wrong last.
    pub(super) is_begun_so: AtomicBool,
}

impl Job {
    /// Where it was had last.
    pub(super) fn current(&self) -> MutexGuard<'_, Link> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// By what parts are told to be of the file.
    pub(super) fn measure(&self) -> MutexGuard<'_, Measure> {
        self.measure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens the first piece, however often that takes; `None`: there is nothing more.
    pub(super) async fn lead(&self, claim: Range<u64>) -> Result<Option<Open>, FetchError> {
        loop {
            match self.open(claim.clone(), true).await {
                Ok(open) => return Ok(Some(open)),
                Err(NotOpen::End) => {
                    self.ends(claim.start, true);
                    return Ok(None);
                }
                Err(NotOpen::Silent) => {}
                Err(not) => self.again(not).await?,
            }
        }
    }

    /// The file is so long: something tells that, or a connection has ended there.
    fn ends(&self, at: u64, is_told: bool) {
        self.shared.learn(|kept| kept.ends(at, is_told));
    }

    /// When others have nothing to do any more, and enough was waited for.
    async fn is_needed(&self) {
        let since = tokio::time::Instant::now();
        self.idle.cancelled().await;
        tokio::time::sleep_until(since + STALLED).await;
    }

    /// Fetches pieces of `most` bytes until there are none left.
    pub(super) async fn work(
        &self,
        first: Option<Open>,
        most: u64,
        chunks: Sender<Chunk>,
    ) -> Result<(), FetchError> {
        let is_lead = first.is_some();
        let mut next = first;
        loop {
            let Some(open) = next.take() else {
                let Some(claim) = self.shared.take(most) else {
                    self.idle.cancel();
                    return Ok(());
                };
                let opened = tokio::select! {
                    opened = self.open(claim.clone(), is_lead) => opened,
                    () = self.is_needed(), if !is_lead => {
                        self.has_stalled.store(true, Ordering::Relaxed);
                        self.shared.give_back(&claim);
                        return Ok(());
                    }
                };
                match opened {
                    Ok(open) => next = Some(open),
                    Err(NotOpen::End) => self.ends(claim.start, true),
                    Err(not) => {
                        self.shared.give_back(&claim);
                        let is_enough = matches!(
                            not,
                            NotOpen::Refused(..) | NotOpen::Later(..) | NotOpen::Silent
                        );
                        if !is_lead && is_enough {
                            // The server has had enough connections: there are others.
                            return Ok(());
                        }
                        self.again(not).await?;
                    }
                }
                continue;
            };
            if let Err(error) = self.read(open, (most, is_lead), &chunks).await? {
                self.again(NotOpen::Web(error)).await?;
            }
            if !is_lead && self.has_stalled.load(Ordering::Relaxed) {
                return Ok(());
            }
        }
    }

    /// Hands on what comes. The inner error is one after which it is asked anew.
    async fn read(
        &self,
        open: Open,
        (most, is_lead): (u64, bool),
        chunks: &Sender<Chunk>,
    ) -> Result<Result<(), WebError>, FetchError> {
        let (mut answered, mut at, mut claim) = (open.answered, open.at, open.claim);
        let (mut first, part_end) = (open.first, open.part_end);
        // Who has received nothing can give his piece to others.
        let mut has_nothing = !is_lead;
        let unusable = |by: &Link, why| FetchError::Unusable {
            peer: by.to_string(),
            why,
        };
        loop {
            let more = if let Some(first) = first.take() {
                Ok(Some(first))
            } else {
                tokio::select! {
                    more = answered.more() => more,
                    () = self.is_needed(), if has_nothing => {
                        self.has_stalled.store(true, Ordering::Relaxed);
                        self.shared.give_back(&claim);
                        return Ok(Ok(()));
                    }
                }
            };
            has_nothing = false;
            let more = match more {
                Ok(Some(more)) => more,
                Ok(None) => break,
                Err(error) => {
                    self.shared.give_back(&(at.max(claim.start)..claim.end));
                    return Ok(Err(error));
                }
            };
            let mut bytes = more;
            let mut to = at + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            if to > self.most {
                return Err(self.too_large());
            }
            let mut is_over = false;
            while to > claim.end {
                if let Some(further) = self.shared.take_at(claim.end, most) {
                    claim.end = further.end;
                    continue;
                }
                let length = self.shared.kept().length;
                if length.is_some_and(|length| to > length) {
                    return Err(unusable(&answered.by, "more bytes than it said"));
                }
                // The rest is somebody else's.
                bytes.truncate(usize::try_from(claim.end.saturating_sub(at)).unwrap_or_default());
                to = claim.end;
                is_over = true;
            }
            if to > at && chunks.send(Chunk { at, bytes }).await.is_err() {
                return Err(FetchError::Stopped);
            }
            at = to.max(at);
            if is_over {
                return Ok(Ok(()));
            }
        }
        let is_known = self.shared.kept().length.is_some();
        if !is_known && part_end.is_none() {
            self.ends(at, open.tells_end);
            return Ok(Ok(()));
        }
        // The end of a part is not that of the file.
        if !is_known && part_end == Some(at) && at >= claim.start {
            self.shared.give_back(&(at..claim.end));
            self.ended_at.store(at, Ordering::Relaxed);
            return Ok(Ok(()));
        }
        if at < claim.end {
            self.shared.give_back(&(at.max(claim.start)..claim.end));
            return Ok(Err(cut(&answered.by, "gave less than it said")));
        }
        if part_end.is_none() && self.shared.kept().length == Some(at) {
            // All of it was this answer's, or is compared with that.
            self.shared.learn(|kept| kept.joint = Joint::OneAnswer);
        }
        Ok(Ok(()))
    }

    /// Waits until it is asked anew, if that makes sense.
    async fn again(&self, not: NotOpen) -> Result<(), FetchError> {
        self.is_begun_so.store(false, Ordering::Relaxed);
        let is_original = *self.current() == self.link;
        self.current().clone_from(&self.link);
        let (pause, error) = match not {
            NotOpen::End | NotOpen::Silent => return Ok(()),
            NotOpen::Final(error) => return Err(error),
            // What it was sent to may be of use for some time only.
            NotOpen::Refused(status, peer) if is_original => {
                return Err(FetchError::Refused { status, peer });
            }
            NotOpen::Refused(..) => (None, cut(&self.link, "sent us to where it is not had")),
            NotOpen::Later(pause, error) => (pause, error),
            NotOpen::Web(error) => (None, error),
        };
        let may_pass = match &error {
            WebError::Cut { is_connected, .. } => {
                *is_connected || self.has_answered.load(Ordering::Relaxed)
            }
            _ => false,
        };
        if !may_pass {
            return Err(error.into());
        }
        let (has, _) = self.shared.progress();
        let next = {
            let patience = self.patience.lock();
            let mut patience = patience.unwrap_or_else(PoisonError::into_inner);
            patience.after(has, pause, Instant::now())
        };
        let Some(pause) = next else {
            return Err(FetchError::GaveUp(error));
        };
        // Nobody may listen.
        drop(self.events.send(Event::Again(error.to_string())));
        tokio::time::sleep(pause).await;
        Ok(())
    }

    /// Leaves to others what is behind the first piece of an answer that would bring everything.
    pub(super) fn narrowed(&self, mut open: Open, most: u64) -> Open {
        let end = open.claim.start.saturating_add(most).min(open.claim.end);
        self.shared.give_back(&(end..open.claim.end));
        open.claim.end = end;
        open
    }
}
