//! One task per running container reads its lines, while at least one client listens.
//!
//! In: who listens, the engine's events, containers that are about to be removed. Out: lines for the hub. A stream that ends is
//! taken up again where it stopped when its container starts again or the engine comes back: nothing is repeated, nothing is lost
//! that the engine kept. What the engine cannot give is said, once.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::containers::supervised;
use super::departed::Gone;
use super::following::{Ended, follow};
use super::places::Places;
use super::silence::Silence;
use super::source::Source;
use super::{Drain, Hub};
use crate::engine::Link;
use crate::engine::events::{Action, ContainerEvent, Happened};
use crate::model::Confinement;

/// Between a failure and the next try; doubled for every further one.
const RETRY: Duration = Duration::from_secs(1);
/// Doublings.
const MAX_DOUBLED: u32 = 6;

/// Reads while somebody listens, until the engine's events end.
pub(crate) async fn run(
    hub: Hub,
    confinement: Option<Confinement>,
    link: watch::Receiver<Link>,
    happened: broadcast::Sender<Happened>,
) {
    let mut listening = hub.listening();
    let Some(mut drains) = hub.lock().drains.take() else {
        tracing::error!("the log is read already");
        return;
    };
    loop {
        let since = match listening.wait_for(|listening| listening.clients > 0).await {
            Ok(listening) => listening.since,
            Err(_) => return,
        };
        let mut session = Session {
            hub: hub.clone(),
            confinement: confinement.clone(),
            link: link.clone(),
            since,
            told: HashMap::new(),
            again: HashSet::new(),
            active: HashSet::new(),
            whole: HashSet::new(),
            leaving: HashSet::new(),
            drains: HashMap::new(),
            failures: HashMap::new(),
            said: HashSet::new(),
            unlisted: None,
            readers: JoinSet::new(),
        };
        let mut events = happened.subscribe();
        session.find_all(false).await;
        tokio::select! {
            _ = listening.wait_for(|listening| listening.clients == 0) => {}
            () = session.follow(&mut events, &mut drains) => return,
        }
    }
}

/// From the first client's coming to the last one's going.
struct Session {
    hub: Hub,
    confinement: Option<Confinement>,
    link: watch::Receiver<Link>,
    /// In nanoseconds; lines before are nobody's.
    since: i64,
    /// How far each container was read.
    told: HashMap<Arc<str>, Arc<Mutex<Places>>>,
    /// Containers that are being read.
    active: HashSet<Arc<str>>,
    /// Containers of which something happened while they were being read.
    again: HashSet<Source>,
    /// Containers whose last run was read to its end.
    whole: HashSet<Arc<str>>,
    /// Containers that were removed while they were being read.
    leaving: HashSet<Source>,
    /// Who waits for containers to be read to their ends.
    drains: HashMap<Arc<str>, Vec<oneshot::Sender<()>>>,
    /// How often reading a container failed since it last did not.
    failures: HashMap<Arc<str>, u32>,
    /// What was said about containers.
    said: HashSet<(Arc<str>, String)>,
    /// The containers could not be listed: when to try again, and whether those that have ended are wanted, too.
    unlisted: Option<(Instant, bool)>,
    readers: JoinSet<(Source, Ended)>,
}

impl Session {
    /// Follows the engine's events; ends with them.
    async fn follow(
        &mut self,
        events: &mut broadcast::Receiver<Happened>,
        drains: &mut mpsc::UnboundedReceiver<Drain>,
    ) {
        loop {
            let unlisted = self.unlisted;
            tokio::select! {
                event = events.recv() => match event {
                    Ok(Happened::Container(event)) => self.note(&event),
                    Ok(Happened::Gap) | Err(broadcast::error::RecvError::Lagged(_)) => {
                        self.find_all(true).await;
                    }
                    Ok(Happened::Other) => {}
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                Some(drain) = drains.recv() => self.drain(drain).await,
                Some(ended) = self.readers.join_next() => {
                    if let Ok((source, how)) = ended {
                        self.ended(source, &how);
                    }
                }
                gap = until_retry(unlisted), if unlisted.is_some() => self.find_all(gap).await,
            }
        }
    }

    fn ended(&mut self, source: Source, how: &Ended) {
        self.active.remove(&source.id);
        let goes_on = match how {
            Ended::Whole => {
                self.failures.remove(&source.id);
                self.whole.insert(Arc::clone(&source.id));
                false
            }
            Ended::Gone => false,
            Ended::Refused(reason) => {
                let text = format!("lines of {} cannot be read: {reason}", source.service);
                self.say(&source, text);
                false
            }
            Ended::Failed(reason) => {
                let text = format!("lines of {} may be missing: {reason}", source.service);
                self.say(&source, text);
                true
            }
            Ended::Broken => true,
        };
        if self.again.remove(&source) || goes_on {
            self.read(source);
            return;
        }
        // Whoever waited in vain is gone.
        for done in self.drains.remove(&source.id).unwrap_or_default() {
            done.send(()).unwrap_or_default();
        }
        if self.leaving.remove(&source) {
            self.depart(&source);
        }
    }

    /// Tells those who want the service's lines, once.
    fn say(&mut self, source: &Source, text: String) {
        if self.said.insert((Arc::clone(&source.id), text.clone())) {
            self.hub.notice(&source.service, text);
        }
    }

    fn note(&mut self, event: &ContainerEvent) {
        let Some(source) =
            Source::from_labels(&event.id, &event.attributes, self.confinement.as_ref())
        else {
            return;
        };
        match event.action {
            Action::Start => {
                self.whole.remove(&source.id);
                self.failures.remove(&source.id);
                self.read(source);
            }
            // One that has ended is read once more: it may have come and gone before it was looked for.
            Action::Die => self.read(source),
            Action::Destroy if self.active.contains(&source.id) => {
                self.leaving.insert(source);
            }
            Action::Destroy => self.depart(&source),
            Action::Changed => {}
        }
    }

    /// A container is gone. Where it was read to its end, that is remembered.
    fn depart(&mut self, source: &Source) {
        let told = self.told.remove(&source.id);
        let whole = self.whole.remove(&source.id);
        self.failures.remove(&source.id);
        self.said.retain(|(id, _)| *id != source.id);
        let Some(told) = told.filter(|_| whole) else {
            return;
        };
        let told = told.lock().unwrap_or_else(PoisonError::into_inner);
        let container = source.container();
        let gone = Gone {
            container,
            service: source.service.clone(),
            since: Some(self.since),
            out: told.last_of(container, false),
            err: told.last_of(container, true),
        };
        self.hub.lock().kept.depart(gone);
    }

    /// Answers when a container that does not run any more has been read.
    async fn drain(&mut self, drain: Drain) {
        let id: Arc<str> = Arc::from(drain.id);
        if !self.active.contains(&id) {
            let Link::Up(connected) = self.link.borrow().clone() else {
                return;
            };
            // Its events may not have come yet.
            let found = supervised(&connected, self.confinement.as_ref()).await;
            let source = found
                .unwrap_or_default()
                .into_iter()
                .find_map(|(source, _)| (source.id == id).then_some(source));
            // One that is not ours is nobody's to wait for.
            let Some(source) = source else { return };
            self.read(source);
        }
        self.drains.entry(id).or_default().push(drain.done);
    }

    /// Reads every container that runs now. After a gap those that have ended are read too: their last lines may not have
    /// been, or all of them.
    async fn find_all(&mut self, gap: bool) {
        self.unlisted = None;
        let Link::Up(connected) = self.link.borrow().clone() else {
            return;
        };
        match supervised(&connected, self.confinement.as_ref()).await {
            Ok(found) => {
                // Of what went away unseen, nothing will be read any more.
                let there: HashSet<_> = found
                    .iter()
                    .map(|(source, _)| Arc::clone(&source.id))
                    .collect();
                self.told
                    .retain(|id, _| there.contains(id) || self.active.contains(id));
                self.whole.retain(|id| there.contains(id));
                self.failures.retain(|id, _| there.contains(id));
                self.said.retain(|(id, _)| there.contains(id));
                for (source, runs) in found {
                    if runs || gap {
                        self.read(source);
                    }
                }
            }
            Err(error) => {
                tracing::warn!(%error, "containers could not be listed for their logs");
                self.unlisted = Some((Instant::now() + RETRY, gap));
            }
        }
    }

    fn read(&mut self, source: Source) {
        let Link::Up(connected) = self.link.borrow().clone() else {
            // The link's return is told as a gap.
            return;
        };
        if !self.active.insert(Arc::clone(&source.id)) {
            self.again.insert(source);
            return;
        }
        let since = self.since;
        let told = Arc::clone(
            self.told
                .entry(Arc::clone(&source.id))
                .or_insert_with(|| Arc::new(Mutex::new(Places::new(since, [])))),
        );
        let hub = self.hub.clone();
        let failures = self.failures.entry(Arc::clone(&source.id)).or_default();
        let delay = RETRY * 2_u32.pow((*failures).min(MAX_DOUBLED));
        *failures += 1;
        let mut link = self.link.clone();
        link.mark_unchanged();
        self.readers.spawn(async move {
            let how = follow(&connected, &source, &told, &hub, Silence::default()).await;
            if matches!(how, Ended::Failed(_) | Ended::Broken) {
                // An engine that comes back ends the wait.
                drop(tokio::time::timeout(delay, link.changed()).await);
            }
            (source, how)
        });
    }
}

/// Waits until the containers are to be listed again.
async fn until_retry(unlisted: Option<(Instant, bool)>) -> bool {
    let Some((at, gap)) = unlisted else {
        return std::future::pending().await;
    };
    tokio::time::sleep_until(at).await;
    gap
}
