//! Our own responder: claims the names, announces them, answers questions, says goodbye.
//!
//! One loop owns all state. What to say is decided by [`super::message`] and [`super::zone`]; when to say it is decided here.

use std::{
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use simple_dns::Packet;
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};

use super::{
    Config, Scope,
    interfaces::{self, Changes},
    link::{Family, Heard, Link, LinkId},
    message::{self, Delivery},
    pace::Pace,
    zone::{Record, Zone, host_label},
};

/// RFC 6762 §8.1: probes, and the time between them.
const PROBES: u8 = 3;
const PROBE_EVERY: Duration = Duration::from_millis(250);
/// RFC 6762 §8.2: the loser of a tie asks again after this time.
const TIE_LOST: Duration = Duration::from_secs(1);
/// RFC 6762 §8.3: the second announcement follows the first.
const ANNOUNCE_AGAIN: Duration = Duration::from_secs(1);
/// A dispute about a name that was claimed less than this ago changes nothing: nobody can keep us from answering.
const DISPUTE_EVERY: Duration = Duration::from_secs(10);
/// After this many other names the name with the uuid is taken and kept.
const MOST_RENAMES: u32 = 9;
/// RFC 6762 §6: the answer about shared records is spread over this time…
const SPREAD: Duration = Duration::from_millis(100);
const SPREAD_FROM: Duration = Duration::from_millis(20);
/// …and no record goes to all more often than this; the defence of a name may.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
const DEFEND_AFTER: Duration = Duration::from_millis(250);
/// Interfaces are read anew at least this often, should word of a change get lost; and often where there is no word at all.
const REFRESH: Duration = Duration::from_mins(1);
const REFRESH_BLIND: Duration = Duration::from_secs(5);
/// Packets that may wait for the loop.
const QUEUE: usize = 64;

enum Phase {
    /// Asking whether the names are free.
    Probing { sent: u8, next: Instant },
    /// The names are ours.
    Claimed { since: Instant },
}

struct Responder<'a> {
    config: &'a Config,
    claims_host: bool,
    renames: u32,
    zone: Zone,
    phase: Phase,
    links: Vec<Link>,
    /// Every address of this machine.
    every: Vec<IpAddr>,
    /// Links whose sockets could not be opened; said once.
    mute: Vec<LinkId>,
    refresh: Instant,
    refresh_every: Duration,
    pace: Pace,
    heard: mpsc::Sender<Heard>,
    tasks: JoinSet<()>,
}

/// Announces until `until` is done, whose value is handed on. Without `claims_host` another daemon of this machine answers for the host's
/// addresses.
pub(super) async fn run<T>(
    config: &Config,
    claims_host: bool,
    until: impl Future<Output = T>,
) -> T {
    let (heard, mut news) = mpsc::channel(QUEUE);
    let changes = Changes::subscribe()
        .inspect_err(
            |error| tracing::warn!(%error, "no word of network changes; looking every few seconds"),
        )
        .ok();
    let refresh_every = if changes.is_some() {
        REFRESH
    } else {
        REFRESH_BLIND
    };
    let mut responder = Responder::new(config, claims_host, refresh_every, heard);
    responder.look_again();
    tokio::pin!(until);
    loop {
        let deadline = responder.deadline();
        tokio::select! {
            done = &mut until => {
                responder.say_goodbye().await;
                return done;
            }
            Some(heard) = news.recv() => responder.hear(heard).await,
            () = changed(changes.as_ref()) => responder.look_again(),
            () = sleep_until(deadline) => responder.act().await,
        }
    }
}

/// Word of a change; never comes when nobody can give it.
async fn changed(changes: Option<&Changes>) {
    let word = match changes {
        Some(changes) => changes.next().await,
        None => std::future::pending().await,
    };
    if let Err(error) = word {
        tracing::warn!(%error, "word of network changes failed");
        std::future::pending::<()>().await;
    }
}

impl<'a> Responder<'a> {
    fn new(
        config: &'a Config,
        claims_host: bool,
        refresh_every: Duration,
        heard: mpsc::Sender<Heard>,
    ) -> Self {
        let now = Instant::now();
        // Addresses and names of simulated devices are allotted by the one who starts them: nobody to ask.
        let phase = match config.scope {
            Scope::All => Phase::Probing { sent: 0, next: now },
            Scope::Loopback(_) | Scope::None => Phase::Claimed { since: now },
        };
        Self {
            config,
            claims_host,
            renames: 0,
            zone: Zone::new(
                config,
                &host_label(&config.hostname, &config.uuid),
                claims_host,
            ),
            phase,
            links: Vec::new(),
            every: Vec::new(),
            mute: Vec::new(),
            refresh: now,
            refresh_every,
            pace: Pace::new(now),
            heard,
            tasks: JoinSet::new(),
        }
    }

    /// Brings the links in line with the interfaces.
    fn look_again(&mut self) {
        let now = Instant::now();
        self.refresh = now + self.refresh_every;
        while self.tasks.try_join_next().is_some() {}
        let interfaces = match interfaces::list(self.config.scope) {
            Ok((interfaces, every)) => {
                self.every = every;
                interfaces
            }
            Err(error) => {
                tracing::warn!(%error, "cannot list network interfaces");
                return;
            }
        };
        self.links
            .retain(|link| interfaces.contains(&link.interface));
        for interface in &interfaces {
            let families = [
                (Family::V4, interface.v4.is_empty()),
                (Family::V6, interface.v6.is_empty()),
            ];
            for (family, empty) in families {
                let id = (interface.index, family);
                if empty || self.links.iter().any(|link| link.id == id) {
                    continue;
                }
                match Link::open(interface, family, &self.heard, &mut self.tasks) {
                    Ok(link) => self.begin(link, now),
                    Err(error) => self.is_mute(id, &interface.name, &error),
                }
            }
        }
    }

    fn begin(&mut self, mut link: Link, now: Instant) {
        tracing::debug!(interface = %link.interface.name, family = ?link.id.1, "announcing");
        self.mute.retain(|mute| *mute != link.id);
        if matches!(self.phase, Phase::Claimed { .. }) {
            link.announce = vec![now, now + ANNOUNCE_AGAIN];
        }
        self.links.push(link);
    }

    fn is_mute(&mut self, id: LinkId, name: &str, error: &std::io::Error) {
        // IPv6 addresses are not usable in their first seconds; the kernel tells when they are.
        if !self.mute.contains(&id) {
            tracing::info!(interface = name, family = ?id.1, %error, "not announced there for now");
            self.mute.push(id);
        }
    }

    fn deadline(&self) -> Instant {
        let phase = match self.phase {
            Phase::Probing { next, .. } => Some(next),
            Phase::Claimed { .. } => None,
        };
        let links = self.links.iter().flat_map(|link| {
            let pending = link.pending.as_ref().map(|(due, _)| *due);
            pending.into_iter().chain(link.announce.first().copied())
        });
        links.chain(phase).fold(self.refresh, Instant::min)
    }

    /// Does what is due.
    async fn act(&mut self) {
        let now = Instant::now();
        if self.refresh <= now {
            self.look_again();
        }
        if let Phase::Probing { sent, next } = self.phase
            && next <= now
        {
            self.probe(sent, now).await;
        }
        for link in &mut self.links {
            if link.announce.first().is_some_and(|due| *due <= now) {
                link.announce.remove(0);
                let records = self.zone.all(&link.interface.addresses());
                if let Some(bytes) = message::response(records) {
                    link.to_all(&bytes).await;
                }
            }
            if let Some((_, records)) = link.pending.take_if(|(due, _)| *due <= now) {
                link.answered = Some(now);
                if let Some(bytes) = message::response(records) {
                    link.to_all(&bytes).await;
                }
            }
        }
    }

    async fn probe(&mut self, sent: u8, now: Instant) {
        if sent >= PROBES {
            tracing::info!(name = %self.zone.host(), "announced by mDNS");
            self.phase = Phase::Claimed { since: now };
            for link in &mut self.links {
                link.announce = vec![now, now + ANNOUNCE_AGAIN];
            }
            return;
        }
        for link in &self.links {
            if let Some(bytes) = message::probe(&self.zone, &link.interface.addresses()) {
                link.to_all(&bytes).await;
            }
        }
        self.phase = Phase::Probing {
            sent: sent.saturating_add(1),
            next: now + PROBE_EVERY,
        };
    }

    async fn hear(&mut self, heard: Heard) {
        match heard {
            Heard::Packet {
                link,
                bytes,
                source,
            } => {
                let Some(position) = self.links.iter().position(|one| one.id == link) else {
                    return;
                };
                let Some(packet) = message::parse(&bytes) else {
                    return;
                };
                self.consider(position, &packet, source).await;
            }
            Heard::Broken { link, because } => {
                tracing::info!(interface = link.0, %because, "mDNS socket failed; opened again shortly");
                self.links.retain(|one| one.id != link);
                self.refresh = self.refresh.min(Instant::now() + REFRESH_BLIND);
            }
        }
    }

    async fn consider(&mut self, position: usize, packet: &Packet<'_>, source: SocketAddr) {
        let Some(link) = self.links.get(position) else {
            return;
        };
        // Answers must not leave the local network, whatever source a packet claims.
        if !link.interface.is_on_link(source.ip()) {
            return;
        }
        let addresses = link.interface.addresses();
        if self.config.scope == Scope::All {
            self.defend(packet, &addresses);
        }
        if matches!(self.phase, Phase::Probing { .. }) {
            return;
        }
        let Some((records, delivery)) =
            message::answer(&self.zone, packet, source.port(), &addresses)
        else {
            return;
        };
        match delivery {
            Delivery::Multicast => self.gather(position, records),
            Delivery::Unicast | Delivery::Legacy if !self.pace.may_send() => {}
            Delivery::Unicast => {
                self.send(position, message::response(records), source)
                    .await;
            }
            Delivery::Legacy => {
                let bytes = message::legacy_response(packet, records);
                self.send(position, bytes, source).await;
            }
        }
    }

    async fn send(&self, position: usize, bytes: Option<Vec<u8>>, target: SocketAddr) {
        if let (Some(link), Some(bytes)) = (self.links.get(position), bytes) {
            link.to(&bytes, target).await;
        }
    }

    /// Gives way to, or stands against, another host that uses our names.
    fn defend(&mut self, packet: &Packet<'_>, addresses: &[IpAddr]) {
        let now = Instant::now();
        match self.phase {
            Phase::Probing { .. } if message::disputes(&self.zone, packet, &self.every) => {
                self.rename(now);
            }
            Phase::Probing { .. }
                if message::goes_first(&self.zone, packet, addresses, &self.every) =>
            {
                self.phase = Phase::Probing {
                    sent: 0,
                    next: now + TIE_LOST,
                };
            }
            Phase::Claimed { since }
                if self.renames <= MOST_RENAMES
                    && since + DISPUTE_EVERY <= now
                    && message::disputes(&self.zone, packet, &self.every) =>
            {
                tracing::warn!(name = %self.zone.host(), "another host uses this name; asking whether it is free");
                self.phase = Phase::Probing { sent: 0, next: now };
            }
            Phase::Probing { .. } | Phase::Claimed { .. } => {}
        }
    }

    fn rename(&mut self, now: Instant) {
        let base = host_label(&self.config.hostname, &self.config.uuid);
        self.renames = self.renames.saturating_add(1);
        let label = if self.renames > MOST_RENAMES {
            let short: String = self.config.uuid.chars().take(7).collect();
            host_label(&format!("{base}-{short}"), &self.config.uuid)
        } else {
            format!("{base}-{}", self.renames.saturating_add(1))
        };
        tracing::warn!(taken = %self.zone.host(), instead = %label, "another host has this name already");
        self.zone = Zone::new(self.config, &label, self.claims_host);
        self.phase = if self.renames > MOST_RENAMES {
            Phase::Claimed { since: now }
        } else {
            Phase::Probing { sent: 0, next: now }
        };
    }

    /// Adds records to the next answer to all of a link.
    fn gather(&mut self, position: usize, records: Vec<Record>) {
        let now = Instant::now();
        let (spread, gap) = if message::is_shared(&records) {
            (SPREAD_FROM + self.pace.within(SPREAD), AGAIN_AFTER)
        } else {
            (Duration::ZERO, DEFEND_AFTER)
        };
        let Some(link) = self.links.get_mut(position) else {
            return;
        };
        let due = (now + spread).max(link.answered.map_or(now, |last| last + gap));
        let (earliest, gathered) = link.pending.get_or_insert_with(|| (due, Vec::new()));
        *earliest = due.min(*earliest);
        for record in records {
            let there = |other: &Record| other.name == record.name && other.rdata == record.rdata;
            if !gathered.iter().any(there) {
                gathered.push(record);
            }
        }
    }

    async fn say_goodbye(&self) {
        if matches!(self.phase, Phase::Probing { .. }) {
            return;
        }
        for link in &self.links {
            if let Some(bytes) = message::goodbye(self.zone.all(&link.interface.addresses())) {
                link.to_all(&bytes).await;
            }
        }
    }
}
