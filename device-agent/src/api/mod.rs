//! The HTTP API: translates between the wire and what the rest of the agent publishes.
//!
//! In: requests on TCP and on the unix socket. Out: answers, and accepted targets for the store. Reference-compatible
//! routes and our own stand side by side. Must not: talk to the engine, or decide what happens to a target.
//!
//! Of the reference's headers, `ETag` is left out (no client asks with `If-None-Match`), and so are `Connection` and
//! `Keep-Alive` (a connection of HTTP/1.1 is kept anyway, and longer than the reference promises).

mod access;
mod actions;
mod body;
mod chosen;
mod cloud;
mod defaults;
mod device;
mod form;
pub(crate) mod fuzz;
mod host_config;
mod journal;
mod keys;
mod local;
mod log_query;
mod logs;
mod missing;
mod origin;
mod os;
mod paths;
mod power;
mod reference;
mod reference_actions;
mod report;
mod serve;
mod stream;
#[cfg(test)]
mod tests;
mod value;

use std::path::Path;
use std::sync::Arc;

use agent_api::os::{Disk, EngineInfo, Room};
use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::middleware;
use axum::routing::{get, post};
use tokio::sync::{Semaphore, watch};

use crate::engine::{Connected, Link};
use crate::host::{self, led::Led};
use crate::logs::Hub;
use crate::model::{ApiKeys, Inventory, Refused};
use crate::reconcile::Caller;
use crate::report::Snapshot;
use crate::settings::Settings;
use crate::store::{Accepted, SharedStore, StoreError};

pub use serve::BindError;
pub(crate) use serve::{Routers, bind};

/// What handlers see of the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// What the agent was told to be.
    pub(crate) settings: Settings,
    /// The stored targets.
    pub(crate) store: SharedStore,
    /// Where requests are made.
    pub(crate) caller: Caller,
    /// What the reconciler tells.
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Whether there is an engine.
    pub(crate) link: watch::Receiver<Link>,
    /// Who may ask.
    pub(crate) keys: watch::Receiver<ApiKeys>,
    /// Log lines.
    pub(crate) logs: Hub,
    /// The board's LED.
    pub(crate) led: Led,
    /// Places for readers of the host's journal.
    pub(crate) journals: Arc<Semaphore>,
    /// Turns `true` when the agent ends: streams end with it.
    pub(crate) shutdown: watch::Receiver<bool>,
}

impl Agent {
    /// Stores a validated target of the local network and tells the reconciler.
    async fn accept(&self, target: crate::model::Target) -> Result<Accepted, StoreError> {
        self.store.change(move |store| store.put(target)).await
    }

    /// The device's name: of the target, else the initial one.
    fn name(&self) -> String {
        let target = self.store.accepted().target;
        target.map_or_else(|| self.settings.initial_name.clone(), |t| t.name.clone())
    }

    /// Everything on the engine, whoever made it.
    async fn inventory(&self) -> Result<Inventory, Refused> {
        let found = crate::observe::inventory(&self.connected()?).await;
        found.map_err(|error| Refused::EngineAway(error.to_string()))
    }

    /// Room on the engine's disk, and what could be freed. The engine may take long for it.
    async fn disk(&self) -> Result<Disk, Refused> {
        let found = crate::observe::disk(&self.connected()?).await;
        found.map_err(|error| Refused::EngineAway(error.to_string()))
    }

    fn connected(&self) -> Result<Connected, Refused> {
        match &*self.link.borrow() {
            Link::Up(connected) => Ok(connected.clone()),
            Link::Connecting => Err(Refused::EngineAway("it was not reached yet".to_owned())),
            Link::Down(reason) => Err(Refused::EngineAway(reason.clone())),
        }
    }

    /// Room on the engine's disk.
    fn room(&self) -> Option<Room> {
        match &*self.link.borrow() {
            Link::Up(connected) => crate::observe::room(connected),
            Link::Connecting | Link::Down(_) => None,
        }
    }

    /// The root of the system whose journal may be told; `None` where there is none.
    fn journal_root(&self) -> Option<&Path> {
        let machine = self.settings.machine.as_ref()?;
        let root = machine.root.as_path();
        host::journal::is_kept(root).then_some(root)
    }

    fn engine(&self) -> Option<EngineInfo> {
        match &*self.link.borrow() {
            Link::Up(connected) => Some(connected.info.clone()),
            Link::Connecting | Link::Down(_) => None,
        }
    }
}

type Shared = State<Arc<Agent>>;

/// The same routes for every way in. Only pages come by TCP, and who is root on the device needs no key.
pub(crate) fn routers(agent: &Arc<Agent>) -> Routers {
    let names = middleware::from_fn_with_state(Arc::clone(agent), origin::refuse_other_names);
    let keys = middleware::from_fn_with_state(Arc::clone(agent), access::check);
    let all = router(Arc::clone(agent));
    let guarded = all.clone().layer(keys);
    let trusted = all
        .merge(provisioning(agent))
        .layer(middleware::from_fn(access::trust));
    Routers {
        tcp: paths::forgiving(guarded.clone().layer(names)),
        unix: paths::forgiving(guarded),
        trusted: paths::forgiving(trusted),
    }
}

/// How many read the host's journal at a time.
pub(crate) fn journal_places() -> Arc<Semaphore> {
    Arc::new(Semaphore::new(journal::MAX_READERS))
}

/// All routes.
fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/ping", get(reference::ping))
        .route("/v1/healthy", get(reference::healthy))
        .route("/v1/device", get(reference::device))
        .route("/v2/version", get(reference::version))
        .route("/v2/containerId", get(reference::container_id))
        .route("/v2/state/status", get(reference::state_status))
        .route("/v2/device/name", get(reference::device_name))
        .route("/v2/applications/state", get(reference::applications))
        .route("/v2/applications/{app}/state", get(reference::application))
        .route("/v2/local/device-info", get(local::device_info))
        .route(
            "/v2/local/target-state",
            get(local::target_state).post(local::set_target_state),
        )
        .route("/v2/local/logs", get(logs::local_logs))
        .route("/os/v1/info", get(os::info))
        .route("/os/v1/report", get(report::report))
        .route("/os/v1/logs", get(logs::logs))
        .route("/os/v1/target-state", post(os::set_target_state))
        .merge(changing())
        .merge(machine())
        .fallback(missing::not_found)
        .method_not_allowed_fallback(missing::not_found)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&agent),
            origin::refuse_pages,
        ))
        .layer(DefaultBodyLimit::disable())
        .with_state(agent)
}

/// Routes about the machine and its place in a fleet.
fn machine() -> Router<Arc<Agent>> {
    Router::new()
        .route("/v1/blink", post(power::blink))
        .route("/v1/reboot", post(power::reboot))
        .route("/v1/shutdown", post(power::shutdown))
        .route("/v1/regenerate-api-key", post(keys::regenerate))
        .route(
            "/v1/device/host-config",
            get(host_config::get).patch(host_config::patch),
        )
        .route("/v2/device/vpn", get(power::vpn))
        .route("/v2/device/tags", get(cloud::tags).patch(cloud::set_tags))
        .route("/v2/journal-logs", post(journal::logs))
}

/// Routes for who provisions the device: they are not reached by TCP.
fn provisioning(agent: &Arc<Agent>) -> Router {
    Router::new()
        .route("/os/v1/fleet/target-state", post(os::set_fleet_target))
        .route("/os/v1/key", get(keys::device))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::clone(agent))
}

/// Routes that change something beside the target.
fn changing() -> Router<Arc<Agent>> {
    use reference_actions as reference;
    Router::new()
        .route("/v1/restart", post(reference::restart_app))
        .route("/v1/purge", post(reference::purge_app))
        .route("/v1/update", post(reference::update))
        .route("/v1/apps/{app}", get(reference::app))
        .route("/v1/apps/{app}/stop", post(reference::stop_only))
        .route("/v1/apps/{app}/start", post(reference::start_only))
        .route("/v2/applications/{app}/restart", post(reference::restart))
        .route("/v2/applications/{app}/purge", post(reference::purge))
        .route(
            "/v2/applications/{app}/restart-service",
            post(reference::restart_service),
        )
        .route(
            "/v2/applications/{app}/stop-service",
            post(reference::stop_service),
        )
        .route(
            "/v2/applications/{app}/start-service",
            post(reference::start_service),
        )
        .route("/v2/cleanup-volumes", get(reference::cleanup_volumes))
        .route("/os/v1/restart", post(actions::restart))
        .route("/os/v1/stop", post(actions::stop))
        .route("/os/v1/start", post(actions::start))
        .route("/os/v1/purge", post(actions::purge))
        .route("/os/v1/plan", post(device::plan))
        .route("/os/v1/disk", get(device::disk))
        .route(
            "/os/v1/local-mode",
            get(device::local_mode).put(device::set_local_mode),
        )
}

const HTML: &str = "text/html; charset=utf-8";
