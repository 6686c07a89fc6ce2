//! The HTTP API: translates between the wire and what the rest of the agent publishes.
//!
//! In: requests on TCP and on the unix socket. Out: answers, and accepted targets for the store. Reference-compatible
//! routes and our own stand side by side. Must not: talk to the engine, or decide what happens to a target.
//!
//! Of the reference's headers, `ETag` is left out (no client asks with `If-None-Match`), and so are `Connection` and
//! `Keep-Alive` (a connection of HTTP/1.1 is kept anyway, and longer than the reference promises).

mod body;
mod defaults;
pub(crate) mod fuzz;
mod local;
mod origin;
mod os;
mod reference;
mod serve;
mod streams;
#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, PoisonError};

use agent_api::os::EngineInfo;
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use tokio::sync::watch;

use crate::engine::Link;
use crate::logs::Hub;
use crate::report::Snapshot;
use crate::settings::Settings;
use crate::store::{Accepted, Store, StoreError};

pub use serve::BindError;
pub(crate) use serve::{Routers, bind};

/// What handlers see of the agent.
#[derive(Debug)]
pub(crate) struct Agent {
    /// What the agent was told to be.
    pub(crate) settings: Settings,
    /// The stored target. Locked for the length of a write to the disk.
    pub(crate) store: Arc<Mutex<Store>>,
    /// Where an accepted target is told.
    pub(crate) accepted: watch::Sender<Accepted>,
    /// What the reconciler tells.
    pub(crate) snapshot: watch::Receiver<Arc<Snapshot>>,
    /// Whether there is an engine.
    pub(crate) link: watch::Receiver<Link>,
    /// Log lines.
    pub(crate) logs: Hub,
    /// Turns `true` when the agent ends: streams end with it.
    pub(crate) shutdown: watch::Receiver<bool>,
}

impl Agent {
    /// Stores a validated target and tells the reconciler, off the main thread. Both happen or neither does, also when
    /// the client goes away meanwhile; of two pushes at once, the one that was stored last is told last.
    async fn accept(&self, target: crate::model::Target) -> Result<Accepted, StoreError> {
        let store = Arc::clone(&self.store);
        let told = self.accepted.clone();
        let saved = tokio::task::spawn_blocking(move || {
            let mut store = store.lock().unwrap_or_else(PoisonError::into_inner);
            let accepted = store.put(target)?;
            told.send_replace(accepted.clone());
            Ok(accepted)
        });
        saved.await.map_err(|lost| StoreError::Io {
            what: "save",
            source: lost.into(),
        })?
    }

    /// The device's name: of the target, else the initial one.
    fn name(&self) -> String {
        let accepted = self.accepted.borrow();
        accepted
            .target
            .as_ref()
            .map_or_else(|| self.settings.initial_name.clone(), |t| t.name.clone())
    }

    fn engine(&self) -> Option<EngineInfo> {
        match &*self.link.borrow() {
            Link::Up(connected) => Some(connected.info.clone()),
            Link::Connecting | Link::Down(_) => None,
        }
    }
}

type Shared = State<Arc<Agent>>;

/// The same routes for every way in; only pages come by TCP.
pub(crate) fn routers(agent: &Arc<Agent>) -> Routers {
    let guard = middleware::from_fn_with_state(Arc::clone(agent), origin::refuse_other_names);
    Routers {
        tcp: router(Arc::clone(agent)).layer(guard),
        unix: router(Arc::clone(agent)),
    }
}

/// All routes.
fn router(agent: Arc<Agent>) -> Router {
    Router::new()
        .route("/ping", get(reference::ping))
        .route("/v1/healthy", get(reference::healthy))
        .route("/v1/device", get(reference::device))
        .route("/v1/device/host-config", get(reference::host_config))
        .route("/v2/version", get(reference::version))
        .route("/v2/containerId", get(reference::container_id))
        .route("/v2/state/status", get(reference::state_status))
        .route("/v2/device/name", get(reference::device_name))
        .route("/v2/device/vpn", get(reference::vpn))
        .route("/v2/applications/state", get(reference::applications))
        .route("/v2/applications/{app}/state", get(reference::application))
        .route("/v2/local/device-info", get(local::device_info))
        .route(
            "/v2/local/target-state",
            get(local::target_state).post(local::set_target_state),
        )
        .route("/v2/local/logs", get(streams::local_logs))
        .route("/os/v1/info", get(os::info))
        .route("/os/v1/report", get(streams::report))
        .route("/os/v1/logs", get(streams::logs))
        .route(
            "/os/v1/target-state",
            axum::routing::post(os::set_target_state),
        )
        .fallback(not_found)
        .method_not_allowed_fallback(not_found)
        .layer(middleware::from_fn_with_state(
            Arc::clone(&agent),
            origin::refuse_pages,
        ))
        .layer(DefaultBodyLimit::disable())
        .with_state(agent)
}

/// The page of the reference for a route that it does not have; our own routes answer in their own terms.
async fn not_found(request: Request) -> Response {
    let path = request.uri().path();
    if path.starts_with("/os/") {
        return os::problem(
            StatusCode::NOT_FOUND,
            "not-found",
            format!("there is no {path}"),
        );
    }
    let page = format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n</head>\n<body>\n<pre>Cannot {} {}</pre>\n</body>\n</html>\n",
        request.method(),
        escape(path)
    );
    let headers = [
        (
            header::CONTENT_SECURITY_POLICY,
            HeaderValue::from_static("default-src 'none'"),
        ),
        (
            header::X_CONTENT_TYPE_OPTIONS,
            HeaderValue::from_static("nosniff"),
        ),
        (header::CONTENT_TYPE, HeaderValue::from_static(HTML)),
    ];
    (StatusCode::NOT_FOUND, headers, page).into_response()
}

const HTML: &str = "text/html; charset=utf-8";

fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            letter => escaped.push(letter),
        }
    }
    escaped
}
