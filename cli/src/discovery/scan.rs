//! One look around the local network, or a watch over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::SocketAddr,
    time::Duration,
};

use tokio::{
    net::UnixStream,
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Change, Device, DiscoveryError, Origin, Places, ScanOptions, Seen, machines,
    querier::Querier,
    remembered::{self, FileError, Remembered, SetAside},
    schedule::Next,
    simulated::{self, Record},
    wire,
};

/// While watching, everybody is asked again after this time…
const ASK_AGAIN: Duration = Duration::from_secs(10);
/// …and who was silent for this long is gone.
const SILENT: Duration = Duration::from_secs(32);
/// A local socket answers at once or not at all.
const LOCAL_ANSWER: Duration = Duration::from_millis(500);
/// Remembered addresses that are asked one by one.
const MOST_KNOWN: usize = 64;
/// Numbers from here on are those of simulated devices that were found by their record.
const FIRST_RECORD: u32 = 1 << 24;
/// Numbers of virtual machines.
const FIRST_MACHINE: u32 = 2 << 24;

/// How a scan ended.
#[derive(Debug, Default)]
pub struct Ended {
    /// The file of remembered devices was of no use and was set aside.
    pub set_aside: Option<SetAside>,
    /// What was found could not be remembered.
    pub not_remembered: Option<FileError>,
}

/// Asks the local network and reports each device as it answers; returns when the answers have dried up.
///
/// Simulated devices of this machine are found by their records, too. What was found is remembered. Ends early when the receiver is dropped.
///
/// # Errors
/// [`DiscoveryError::Interfaces`] and [`DiscoveryError::NoSocket`].
pub async fn scan(
    places: &Places,
    options: ScanOptions,
    found: mpsc::Sender<Seen>,
) -> Result<Ended, DiscoveryError> {
    let (remembered, set_aside) = Remembered::load(&places.remembered);
    let mut scan = Scan {
        querier: Querier::open(None, known_addresses(&remembered))?,
        records: living_records(places).await,
        machines: machines::living(&places.machines),
        numbers: BTreeMap::new(),
        reported: BTreeMap::new(),
        found,
    };
    let until = options.at_most.map(|limit| Instant::now() + limit);
    let searched = tokio::select! {
        searched = scan.run(options.watch, places) => searched,
        () = sleep_until_some(until) => Ok(()),
    };
    let not_remembered = scan.remember(places);
    searched?;
    Ok(Ended {
        set_aside,
        not_remembered,
    })
}

struct Scan {
    querier: Querier,
    /// Simulated devices whose agent answers at its socket.
    records: Vec<Record>,
    /// Virtual machines.
    machines: Vec<Device>,
    /// Their numbers, by name: one that is gone does not give its own to the next one.
    numbers: BTreeMap<String, u32>,
    /// By number, as the receiver knows them.
    reported: BTreeMap<u32, Device>,
    found: mpsc::Sender<Seen>,
}

impl Scan {
    async fn run(&mut self, watch: bool, places: &Places) -> Result<(), DiscoveryError> {
        loop {
            if !self.one_look().await {
                return Ok(());
            }
            if !watch {
                return Ok(());
            }
            drop(self.remember(places));
            let again = Instant::now() + ASK_AGAIN;
            if !self.only_listen(again).await {
                return Ok(());
            }
            self.forget_silent();
            self.records = living_records(places).await;
            self.machines = machines::living(&places.machines);
            self.querier.begin_again()?;
        }
    }

    /// Asks until the answers have dried up; `false` when nobody wants to know any more.
    async fn one_look(&mut self) -> bool {
        loop {
            if !self.report().await {
                return false;
            }
            match self.querier.next(!self.reported.is_empty()) {
                Next::Ask => self.querier.ask().await,
                Next::Listen(until) => {
                    let until = self.querier.at(until);
                    tokio::select! {
                        () = self.querier.listen() => {}
                        () = sleep_until(until) => {}
                        () = self.found.closed() => return false,
                    }
                }
                Next::Finish => return true,
            }
        }
    }

    /// Listens to announcements and goodbyes until it is time to ask again.
    async fn only_listen(&mut self, until: Instant) -> bool {
        loop {
            tokio::select! {
                () = self.querier.listen() => {}
                () = sleep_until(until) => return self.report().await,
                () = self.found.closed() => return false,
            }
            if !self.report().await {
                return false;
            }
        }
    }

    fn forget_silent(&mut self) {
        let now = self.querier.elapsed();
        let silent: Vec<_> = self
            .querier
            .last_heard
            .iter()
            .filter(|(_, heard)| **heard + SILENT <= now)
            .map(|(responder, _)| *responder)
            .collect();
        for responder in silent {
            self.querier.last_heard.remove(&responder);
            self.querier.picture.forget(&responder);
        }
    }

    /// Tells what is new; `false` when nobody wants to know any more.
    async fn report(&mut self) -> bool {
        let mut now = with_records(self.querier.picture.devices(), &self.records);
        now.extend(numbered(&mut self.numbers, &self.machines));
        for seen in differences(&self.reported, &now) {
            if self.found.send(seen).await.is_err() {
                return false;
            }
        }
        self.reported = now;
        true
    }

    fn remember(&self, places: &Places) -> Option<FileError> {
        remembered::learn(&places.remembered, self.reported.values()).err()
    }
}

/// Machines by number: each name has one for as long as is watched.
pub(super) fn numbered(
    numbers: &mut BTreeMap<String, u32>,
    machines: &[Device],
) -> BTreeMap<u32, Device> {
    let mut free = (FIRST_MACHINE..).skip(numbers.len());
    let mut devices = BTreeMap::new();
    for machine in machines {
        let known = numbers.get(&machine.name).copied();
        if let Some(number) = known.or_else(|| free.next()) {
            numbers.insert(machine.name.clone(), number);
            devices.insert(number, machine.clone());
        }
    }
    devices
}

async fn sleep_until_some(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// What changed between two lists of devices.
pub(super) fn differences(
    before: &BTreeMap<u32, Device>,
    now: &BTreeMap<u32, Device>,
) -> Vec<Seen> {
    let seen = |id: &u32, change, device: &Device| Seen {
        id: *id,
        change,
        device: device.clone(),
    };
    let mut changes: Vec<Seen> = before
        .iter()
        .filter(|(id, _)| !now.contains_key(id))
        .map(|(id, device)| seen(id, Change::Gone, device))
        .collect();
    for (id, device) in now {
        match before.get(id) {
            None => changes.push(seen(id, Change::Found, device)),
            Some(old) if old != device => changes.push(seen(id, Change::Updated, device)),
            Some(_) => {}
        }
    }
    changes
}

/// Puts the simulated devices of this machine among those that answered. Only an answer from the loopback interface can be one.
pub(super) fn with_records(
    answered: BTreeMap<u32, Device>,
    records: &[Record],
) -> BTreeMap<u32, Device> {
    let is_record = |device: &Device, record: &Record| {
        let local = device
            .addresses
            .first()
            .is_some_and(|address| address.ip.is_loopback());
        local && device.uuid.is_some() && device.uuid == record.device.uuid
    };
    let mut devices: BTreeMap<u32, Device> = answered
        .into_iter()
        .filter(|(_, device)| !records.iter().any(|record| is_record(device, record)))
        .collect();
    for (number, record) in (FIRST_RECORD..).zip(records) {
        devices.insert(number, record.device.clone());
    }
    devices
}

/// The records whose agent answers at its socket.
pub(super) async fn living_records(places: &Places) -> Vec<Record> {
    // A folder that cannot be read hides simulated devices, which answer by mDNS all the same.
    let (records, _) = simulated::load(&places.simulated).unwrap_or_default();
    let mut probes = JoinSet::new();
    for record in records {
        probes.spawn(async move { is_alive(&record).await.then_some(record) });
    }
    let mut living: Vec<Record> = probes.join_all().await.into_iter().flatten().collect();
    living.sort_by(|one, other| one.device.name.cmp(&other.device.name));
    living
}

async fn is_alive(record: &Record) -> bool {
    match &record.device.origin {
        Origin::Simulated { agent_socket, .. } => {
            let connected = timeout(LOCAL_ANSWER, UnixStream::connect(agent_socket)).await;
            matches!(connected, Ok(Ok(_)))
        }
        Origin::Network | Origin::Given | Origin::Cloud | Origin::Machine => false,
    }
}

/// Where to ask devices that were seen before: multicast does not reach everywhere.
pub(super) fn known_addresses(remembered: &Remembered) -> Vec<SocketAddr> {
    let addresses = remembered
        .devices()
        .iter()
        .flat_map(|device| device.addresses.iter().take(2));
    let targets: BTreeSet<SocketAddr> = addresses
        .filter(|address| !address.ip.is_loopback())
        .take(MOST_KNOWN)
        .map(|address| address.with_port(wire::PORT))
        .collect();
    targets.into_iter().collect()
}
