//! Asks and listens: carries questions out, brings answers into the [`Picture`], and keeps the count that the schedule decides by.

use std::{
    collections::{BTreeMap, BTreeSet},
    hash::{BuildHasher as _, RandomState},
    net::SocketAddr,
    time::Duration,
};

use tokio::time::Instant;

use super::{
    DiscoveryError,
    picture::{Picture, Responder},
    schedule::{self, LATE, Progress},
    sockets::{Heard, Sockets, places},
    wire::{self, Want},
};

/// Questions whose answers are told apart; older ones are forgotten.
const MOST_ROUNDS: usize = 64;
/// Packets that are taken in one go before what they brought is reported.
const AT_ONCE: usize = 128;

/// One search of the local network.
#[derive(Debug)]
pub(super) struct Querier {
    pub(super) picture: Picture,
    sockets: Sockets,
    wants: Vec<Want>,
    /// Addresses that are asked one by one, too.
    known: Vec<SocketAddr>,
    started: Instant,
    /// Id and time of each question of this run.
    rounds: Vec<(u16, Duration)>,
    asked: usize,
    last_news: Duration,
    /// Which questions a responder answered.
    answered: BTreeMap<Responder, BTreeSet<u16>>,
    /// When something was heard of a responder last.
    pub(super) last_heard: BTreeMap<Responder, Duration>,
    next_id: u16,
}

impl Querier {
    /// Opens the sockets.
    ///
    /// # Errors
    /// [`DiscoveryError::Interfaces`] and [`DiscoveryError::NoSocket`].
    pub(super) fn open(
        wanted: Option<String>,
        known: Vec<SocketAddr>,
    ) -> Result<Self, DiscoveryError> {
        let mut wants = vec![Want::Devices];
        wants.extend(wanted.clone().map(Want::Host));
        // Not to be guessed by others: an answer that comes straight to us must repeat it.
        let random = RandomState::new().hash_one(std::process::id());
        Ok(Self {
            picture: Picture::new(wanted),
            sockets: Sockets::open(places()?)?,
            wants,
            known,
            started: Instant::now(),
            rounds: Vec::new(),
            asked: 0,
            last_news: Duration::ZERO,
            answered: BTreeMap::new(),
            last_heard: BTreeMap::new(),
            next_id: u16::try_from(random & 0x7fff).unwrap_or(1).max(1),
        })
    }

    /// Time since the start.
    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The instant of a time since the start.
    pub(super) fn at(&self, elapsed: Duration) -> Instant {
        self.started + elapsed
    }

    /// How far the search has come; `found` is whether it has what it looks for.
    pub(super) fn progress(&self, found: bool) -> Progress {
        Progress {
            asked: self.asked,
            last_asked: self.rounds.last().map(|(_, at)| *at).unwrap_or_default(),
            last_news: self.last_news,
            found,
            lossy: self.is_lossy(),
        }
    }

    /// Asks everybody again, and for what was left out of earlier answers.
    pub(super) async fn ask(&mut self) {
        let id = self.next_id;
        self.next_id = self.next_id.wrapping_add(1).max(1);
        let mut wants = self.wants.clone();
        wants.extend(self.picture.missing());
        let Some(question) = wire::question(id, &wants) else {
            return;
        };
        // A packet beyond this size would be split, and lost when any part is.
        let question = if question.len() > 1400 {
            wire::question(id, &self.wants).unwrap_or(question)
        } else {
            question
        };
        self.rounds.push((id, self.elapsed()));
        if self.rounds.len() > MOST_ROUNDS {
            self.rounds.remove(0);
        }
        self.asked = self.asked.saturating_add(1);
        self.sockets.ask(&question).await;
        for target in &self.known {
            self.sockets.ask_at(&question, *target).await;
        }
        // Nobody answered us alone: a firewall may let only answers to all through.
        if self.asked.is_multiple_of(2) && self.answered.is_empty() {
            self.sockets.ask_aloud(&question).await;
        }
    }

    /// Begins a new count of questions, as after a pause: opens new sockets when the interfaces are others by now.
    pub(super) fn begin_again(&mut self) -> Result<(), DiscoveryError> {
        let now = places()?;
        if now != self.sockets.places {
            self.sockets = Sockets::open(now)?;
        }
        self.rounds.clear();
        self.answered.clear();
        self.asked = 0;
        self.last_news = self.elapsed();
        Ok(())
    }

    /// Waits for packets and takes in all that are there. Can be cancelled at any time without losing one.
    pub(super) async fn listen(&mut self) {
        let first = self.sockets.next().await;
        self.hear(&first);
        for _ in 0..AT_ONCE {
            let Some(heard) = self.sockets.waiting() else {
                return;
            };
            self.hear(&heard);
        }
    }

    fn hear(&mut self, heard: &Heard) {
        let Some((id, facts)) = wire::answer(&heard.bytes) else {
            return;
        };
        let ours = self.rounds.iter().any(|(asked, _)| *asked == id);
        // Answers to all come from the mDNS port (RFC 6762 §6); everything else must be an answer to us.
        if !ours && (heard.source.port() != wire::PORT || heard.link == 0 || id != 0) {
            return;
        }
        let link = match heard.source {
            SocketAddr::V6(source) if heard.link == 0 => source.scope_id(),
            _ => heard.link,
        };
        let responder = Responder {
            ip: heard.source.ip(),
            link,
        };
        if facts.is_empty() {
            return;
        }
        let now = self.elapsed();
        if self.picture.hear(responder, facts) {
            self.last_news = now;
        }
        if !self.picture.knows(&responder) {
            return;
        }
        self.last_heard.insert(responder, now);
        if ours && heard.link != 0 {
            self.answered.entry(responder).or_default().insert(id);
        }
    }

    /// Whether a responder that answers at all left one of our questions unanswered.
    fn is_lossy(&self) -> bool {
        let now = self.elapsed();
        let due: Vec<u16> = self
            .rounds
            .iter()
            .filter(|(_, at)| *at + LATE <= now)
            .map(|(id, _)| *id)
            .collect();
        self.answered
            .values()
            .any(|answered| due.iter().any(|id| !answered.contains(id)))
    }

    /// What to do now.
    pub(super) fn next(&self, found: bool) -> schedule::Next {
        schedule::next(self.elapsed(), &self.progress(found))
    }
}
