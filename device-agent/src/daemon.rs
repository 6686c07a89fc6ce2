//! Puts the parts together and ends them in order: one thread, one task for each part.
//!
//! | task | in | out |
//! | --- | --- | --- |
//! | `engine::run` | the engine's socket | [`Link`], [`Happened`] |
//! | `reconcile::run` | accepted target, link, events | [`Snapshot`], system lines |
//! | `locks::watch` | lock files of services | [`Happened`] |
//! | `logs::run`, `logs::narrate` | events, the engine's log streams | lines in the [`Hub`] |
//! | `api` servers | requests | accepted targets |
//! | `preload::run` | the data partition, the link | images in the engine, the first target |
//! | `power::restart_when_wanted` | snapshots | the machine's restart |
//! | `host::firewall::keep` | accepted target, link | rules in the kernel |
//! | `announce::run` | queries by mDNS | announcements |
//! | `host::notify::watchdog` | – | signs of life for the service manager |

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use agent_api::os::Variant;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{broadcast, watch};
use tokio::task::{JoinHandle, JoinSet};

use crate::api::{self, Agent};
use crate::engine::events::Happened;
use crate::engine::{self, Link};
use crate::host::led::Led;
use crate::logs::{self, Hub};
use crate::memory::Memory;
use crate::preload::Preload;
use crate::reconcile::{Caller, OwnClock, OwnMachine, Tools};
use crate::report::Snapshot;
use crate::settings::{AnnounceScope, RunArguments, Settings, SettingsError};
use crate::store::disk::OwnDisk;
use crate::store::{Accepted, SharedStore, Store, StoreError};
use crate::{announce, host, locks, power, preload, reconcile};

/// Events of the engine that wait for a slow listener; who misses some reads the world again.
const EVENTS: usize = 256;
/// For goodbyes and answers under way; what is not done by then is cut.
const FAREWELL: Duration = Duration::from_millis(600);
/// Port of the reference's SSH server.
const SSH_PORT: u16 = agent_api::SSH_PORT;

/// Why the agent did not run.
#[derive(Debug, Error)]
pub enum DaemonError {
    /// What it was given does not fit together.
    #[error("could not start")]
    Settings(#[from] SettingsError),
    /// The state directory cannot be used.
    #[error("could not start")]
    Store(#[from] StoreError),
    /// A listener cannot be opened.
    #[error("could not start")]
    Bind(#[from] api::BindError),
    /// The kernel refused something basic.
    #[error("could not {what}")]
    Io {
        /// What was tried.
        what: &'static str,
        /// The kernel's answer.
        #[source]
        source: io::Error,
    },
}

/// An error and its causes in one line.
#[must_use]
pub fn chain(error: &dyn Error) -> String {
    let mut words = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        words = format!("{words}: {cause}");
        below = cause.source();
    }
    words
}

/// Runs the agent until it is asked to end.
pub(crate) async fn start(arguments: &RunArguments) -> Result<(), DaemonError> {
    run(Settings::load(arguments)?).await
}

async fn run(mut settings: Settings) -> Result<(), DaemonError> {
    let store = open_store(&mut settings)?;
    let (store, targets) = SharedStore::new(store);
    let (memory, forgotten) = Memory::open(&settings.state_dir);
    settings.faults.extend(forgotten);
    let servers = api::bind(&settings.listen, &settings.socket).await?;
    let mut ends = signals()?;
    let (stop, stopped) = watch::channel(false);
    let (caller, calls) = Caller::new();
    let (link_in, link) = watch::channel(Link::Connecting);
    let (snapshot_in, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (happened, events) = broadcast::channel(EVENTS);
    let hub = Hub::new(Some(&settings.socket.with_extension("lines")));
    let keys = memory.watch_keys();

    let mut tasks = JoinSet::new();
    tasks.spawn(host::notify::watchdog());
    tell_host(&mut tasks, &settings, &targets, &link);
    keep_logs(&mut tasks, &settings, &hub, &link, &happened);
    let held = locks::Held::default();
    let reconciling = reconcile::run(
        reconcile::Inputs {
            tools: Tools {
                facts: Arc::new(settings.facts.clone()),
                hub: hub.clone(),
                pulls: watch::Sender::default(),
                locks: held.clone(),
            },
            clock: Arc::new(OwnClock::new()),
            machine: Arc::new(OwnMachine {
                services_dir: settings.facts.services_dir.clone().into(),
                locks: held,
            }),
            faults: settings.faults.clone(),
            memory,
            store: store.clone(),
            targets,
            link: link.clone(),
            events,
            calls,
        },
        snapshot_in,
    );
    let services_dir = settings.facts.services_dir.clone().into();
    tasks.spawn(locks::watch(services_dir, happened.clone()));
    tasks.spawn(engine::run(settings.engine.clone(), link_in, happened));
    take_preloaded(&mut tasks, &settings, &store, &link);
    let announced = tokio::spawn(announce::run(announcement(&settings), stopped.clone()));
    say_what_runs(&settings);
    let led = settings
        .machine
        .as_ref()
        .and_then(|machine| machine.led.clone());
    tasks.spawn(power::restart_when_wanted(
        settings.machine.clone(),
        caller.clone(),
        hub.clone(),
        snapshot.clone(),
    ));
    let agent = Arc::new(Agent {
        keys,
        led: Led::new(led),
        journals: api::journal_places(),
        settings,
        store,
        caller,
        snapshot,
        link,
        logs: hub,
        shutdown: stopped.clone(),
    });
    let serving = tokio::spawn(servers.run(api::routers(&agent), stopped));
    host::notify::ready();

    tokio::select! {
        () = ends.recv() => {}
        () = reconciling => tracing::error!("the engine's events ended"),
    }
    end(&stop, tasks, [serving, announced]).await;
    Ok(())
}

fn keep_logs(
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    hub: &Hub,
    link: &watch::Receiver<Link>,
    happened: &broadcast::Sender<Happened>,
) {
    let confinement = &settings.facts.confinement;
    tasks.spawn(logs::narrate(
        hub.clone(),
        confinement.clone(),
        happened.subscribe(),
    ));
    tasks.spawn(logs::run(
        hub.clone(),
        confinement.clone(),
        link.clone(),
        happened.clone(),
    ));
}

/// What was stored may be all that is known of whether the device belongs to a fleet.
fn open_store(settings: &mut Settings) -> Result<Store, StoreError> {
    let managed = settings.is_membership_known.then_some(settings.managed);
    let confinement = settings.facts.confinement.clone();
    let store = Store::open(&settings.state_dir, managed, confinement)?;
    settings.managed = store.is_managed();
    Ok(store)
}

/// A simulated device has no host that would want to know, and whose network would be its own.
fn tell_host(
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    targets: &watch::Receiver<Accepted>,
    link: &watch::Receiver<Link>,
) {
    if settings.machine.is_none() {
        return;
    }
    if let Some(file) = host::target_config::place(settings.facts.services_dir.as_ref()) {
        tasks.spawn(host::target_config::keep(file, targets.clone()));
    }
    let listen = settings.listen.clone();
    tasks.spawn(host::firewall::keep(listen, targets.clone(), link.clone()));
}

fn take_preloaded(
    tasks: &mut JoinSet<()>,
    settings: &Settings,
    store: &SharedStore,
    link: &watch::Receiver<Link>,
) {
    let Some(data) = settings.data_dir.clone() else {
        return;
    };
    let preload = Preload {
        data,
        uuid: settings.facts.uuid.clone(),
        name: settings.initial_name.clone(),
        disk: Arc::new(OwnDisk),
    };
    tasks.spawn(preload::run(preload, store.clone(), link.clone()));
}

fn say_what_runs(settings: &Settings) {
    for fault in &settings.faults {
        tracing::warn!("{fault}");
    }
    tracing::info!(uuid = %settings.facts.uuid, listen = ?settings.listen, "os-agent {} runs", env!("CARGO_PKG_VERSION"));
}

/// Ends all tasks; `last` are those that say goodbye to others.
async fn end(stop: &watch::Sender<bool>, mut tasks: JoinSet<()>, last: [JoinHandle<()>; 2]) {
    tracing::info!("stopping");
    host::notify::stopping();
    stop.send_replace(true);
    // Steps under way are cut: they can be done again, and the engine finishes what it was asked for.
    tasks.shutdown().await;
    let farewell = end_of(last);
    if tokio::time::timeout(FAREWELL, farewell).await.is_err() {
        tracing::debug!("not everything ended in time");
    }
}

async fn end_of(tasks: [JoinHandle<()>; 2]) {
    for task in tasks {
        if let Err(error) = task.await {
            tracing::warn!(%error, "a task did not end well");
        }
    }
}

/// SIGTERM and SIGINT, whichever comes first.
struct Ends {
    term: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Ends {
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.term.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

fn signals() -> Result<Ends, DaemonError> {
    let io = |source| DaemonError::Io {
        what: "listen for signals",
        source,
    };
    Ok(Ends {
        term: signal(SignalKind::terminate()).map_err(io)?,
        interrupt: signal(SignalKind::interrupt()).map_err(io)?,
    })
}

fn announcement(settings: &Settings) -> announce::Config {
    let facts = &settings.facts;
    announce::Config {
        hostname: facts.hostname.clone(),
        uuid: facts.uuid.clone(),
        device_type: facts.device_type.clone(),
        arch: facts.arch.clone(),
        os_version: facts.os_version.clone(),
        agent_version: env!("CARGO_PKG_VERSION").to_owned(),
        variant: match settings.variant {
            Variant::Development => "development",
            Variant::Production | Variant::Unknown => "production",
        }
        .to_owned(),
        api_port: facts.listen_port,
        ssh_port: facts.confinement.is_none().then_some(SSH_PORT),
        ssh_fingerprint: None,
        host_root: settings
            .machine
            .as_ref()
            .map(|machine| machine.root.clone()),
        scope: match settings.announce {
            AnnounceScope::All => announce::Scope::All,
            AnnounceScope::Loopback => announce::Scope::Loopback(loopback(settings)),
            AnnounceScope::None => announce::Scope::None,
        },
        avahi_services_dir: "/etc/avahi/services".into(),
    }
}

/// The loopback address at which the device is found.
fn loopback(settings: &Settings) -> IpAddr {
    let confined = settings
        .facts
        .confinement
        .as_ref()
        .map(|confinement| confinement.address);
    confined
        .or_else(|| {
            settings
                .listen
                .iter()
                .map(std::net::SocketAddr::ip)
                .find(IpAddr::is_loopback)
        })
        .unwrap_or(IpAddr::from([127, 0, 0, 1]))
}
