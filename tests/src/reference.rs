//! A device that has only what the reference has: its API on 48484, an open engine on 2375, its record in mDNS.
//!
//! In: nothing. Out: a [`ReferenceDevice`] that answers as the recorded one did, and that keeps what clients asked of
//! it. The engine is real; the API replays the recordings, with the state that a client posted.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::avahi::Avahi;
use crate::engine::Engine;
use crate::lan::{Address, Lan};
use crate::namespace::Namespace;
use crate::recorder::Recorder;
use crate::wire;

const JSON: &str = "application/json; charset=utf-8";
const HTML: &str = "text/html; charset=utf-8";
/// Answers about the state between a target and its being there.
const APPLYING: u32 = 2;

/// A device of the reference. The order of the fields is the order in which they end.
#[derive(Debug)]
pub struct ReferenceDevice {
    serving: JoinHandle<()>,
    state: Arc<Mutex<State>>,
    /// What announces it as `peer-device.local`.
    pub avahi: Avahi,
    /// The open port of the engine, and what was sent to it.
    pub engine_port: Recorder,
    /// The engine itself.
    pub engine: Engine,
    /// The machine.
    pub machine: Namespace,
    /// Its place in the local network.
    pub address: Address,
}

/// One request to the API.
#[derive(Debug, Clone)]
pub struct Asked {
    /// Method and target.
    pub line: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
}

#[derive(Debug, Default)]
struct State {
    asked: Vec<Asked>,
    target: Option<Value>,
    /// How often the state was asked for since the target came.
    looks: u32,
}

impl ReferenceDevice {
    /// Starts a device in a local network; its engine has the base images and nothing else.
    pub async fn start(lan: &Lan) -> Self {
        let (machine, engine) = Engine::on_a_machine_closed().await;
        let address = lan.join(&machine);
        let avahi = Avahi::start(&machine, "peer-device").await;
        let engine_port = Recorder::start(&machine, agent_api::ENGINE_PORT, &engine.socket()).await;
        let state = Arc::new(Mutex::new(State::default()));
        let listener = machine
            .listen(SocketAddr::from(([0; 8], agent_api::API_PORT)))
            .expect("the port of the API");
        let shared = Arc::clone(&state);
        let router = axum::Router::new().fallback(
            async move |method: Method, uri: Uri, headers: HeaderMap, body: Bytes| {
                let mut state = shared.lock().unwrap_or_else(PoisonError::into_inner);
                state.asked.push(Asked {
                    line: format!("{method} {uri}"),
                    headers,
                    body: body.clone(),
                });
                state.answer(&method, &uri, &body)
            },
        );
        let router = router.layer(axum::extract::DefaultBodyLimit::disable());
        let serving =
            tokio::spawn(async move { axum::serve(listener, router).await.expect("the API") });
        Self {
            serving,
            state,
            avahi,
            engine_port,
            engine,
            machine,
            address,
        }
    }

    /// Everything that was asked of the API.
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.clone()
    }

    /// The target state that was posted last.
    pub fn target(&self) -> Option<Value> {
        self.state().target.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReferenceDevice {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl State {
    fn answer(&mut self, method: &Method, uri: &Uri, body: &Bytes) -> Response {
        match (method.as_str(), uri.path()) {
            ("GET", "/ping") => plain(StatusCode::OK, "OK"),
            ("GET", "/v1/healthy") => "OK".into_response(),
            ("GET", "/v2/version") => answer(&json!({"status": "success", "version": "19.0.5"})),
            ("GET", "/v2/local/device-info") => answer(
                &json!({"status": "success", "info": {"arch": "amd64", "deviceType": "generic-amd64"}}),
            ),
            ("GET", "/v2/local/target-state") => {
                answer(&wire::json("02-single.target-state.before.json"))
            }
            ("POST", "/v2/local/target-state") => match serde_json::from_slice(body) {
                Ok(target) => {
                    self.target = Some(target);
                    self.looks = 0;
                    answer(&json!({"status": "success", "message": "OK"}))
                }
                Err(error) => failed(StatusCode::SERVICE_UNAVAILABLE, &error.to_string()),
            },
            ("GET", "/v2/state/status") => {
                self.looks += 1;
                answer(&self.status())
            }
            ("GET", "/v2/local/logs") => {
                let mut lines = "{\"message\":\"Streaming logs\",\"isSystem\":true}\n".to_owned();
                for service in self.services() {
                    let line = json!({
                        "serviceName": service["serviceName"], "message": "it runs\r", "isStdErr": false,
                        "timestamp": 1_795_402_169_059_u64, "serviceId": service["serviceId"],
                    });
                    lines.push_str(&line.to_string());
                    lines.push('\n');
                }
                let first =
                    futures_util::stream::iter([Ok::<_, std::io::Error>(Bytes::from(lines))]);
                Body::from_stream(futures_util::StreamExt::chain(
                    first,
                    futures_util::stream::pending(),
                ))
                .into_response()
            }
            (method, path) => {
                let page = format!(
                    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Error</title>\n\
                     </head>\n<body>\n<pre>Cannot {method} {path}</pre>\n</body>\n</html>\n"
                );
                plain(StatusCode::NOT_FOUND, &page)
            }
        }
    }

    fn services(&self) -> Vec<Value> {
        let target = self.target.as_ref();
        let services =
            target.and_then(|target| target.pointer("/local/apps/1/services")?.as_object());
        services
            .map(|services| services.values().cloned().collect())
            .unwrap_or_default()
    }

    fn status(&self) -> Value {
        let state = if self.looks > APPLYING {
            "applied"
        } else {
            "applying"
        };
        let containers: Vec<Value> = self
            .services()
            .iter()
            .filter(|_| state == "applied")
            .map(|service| {
                json!({
                    "status": "Running", "serviceName": service["serviceName"], "appId": 1,
                    "imageId": service["imageId"], "serviceId": service["serviceId"],
                    "containerId": "3567f3921bb1d464262e3afdcea29ea3afde07dd276756d6232df09f9f86ec24",
                    "createdAt": "2026-11-23T03:02:43.927Z",
                })
            })
            .collect();
        json!({
            "status": "success", "appState": state, "overallDownloadProgress": null,
            "containers": containers, "images": [], "release": "10ca12e1ea5e",
        })
    }
}

fn answer(body: &Value) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(JSON))];
    (kind, body.to_string()).into_response()
}

fn failed(status: StatusCode, message: &str) -> Response {
    (
        status,
        answer(&json!({"status": "failed", "message": message})),
    )
        .into_response()
}

fn plain(status: StatusCode, text: &str) -> Response {
    let kind = [(header::CONTENT_TYPE, HeaderValue::from_static(HTML))];
    (status, kind, text.to_owned()).into_response()
}
