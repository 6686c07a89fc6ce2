//! A device without an engine, and what its API answers.

mod access;
mod asking;
mod choosing;
mod machine;
mod origins;
mod recorded;
mod streams;
mod targets;

use std::collections::BTreeMap;

use agent_api::os::{ApplyState, Report, Variant};
use agent_api::reference::{ContainerStatus, ImageStatus};
use axum::body::Body;
use axum::extract::Request;
use axum::http::header;
use axum::response::Response;
use http_body_util::BodyExt;
use tower::ServiceExt;

use super::*;
use crate::model::{Confinement, DeviceFacts};
use crate::report::Present;
use crate::settings::AnnounceScope;
use crate::store::Store;

struct Device {
    agent: Arc<Agent>,
    snapshots: watch::Sender<Arc<Snapshot>>,
    stop: watch::Sender<bool>,
    keys: watch::Sender<ApiKeys>,
    link: watch::Sender<Link>,
    /// Nobody takes what is asked for out of it; without it there is an answer at once, that the agent is ending.
    calls: Option<tokio::sync::mpsc::Receiver<crate::reconcile::Call>>,
    dir: tempfile::TempDir,
}

/// What kind of device it is.
struct Place {
    confinement: Option<Confinement>,
    managed: bool,
}

fn device(confinement: Option<Confinement>) -> Device {
    device_in(Place {
        confinement,
        managed: false,
    })
}

fn device_in(place: Place) -> Device {
    let Place {
        confinement,
        managed,
    } = place;
    let dir = tempfile::tempdir().unwrap();
    let (store, _) = SharedStore::new(Store::open(dir.path(), Some(managed), None).unwrap());
    let (caller, calls) = Caller::new();
    let (snapshots, snapshot) = watch::channel(Arc::new(Snapshot::default()));
    let (link_in, link) = watch::channel(Link::Connecting);
    let (stop, shutdown) = watch::channel(false);
    let (keys_in, keys) = watch::channel(ApiKeys::default());
    let settings = Settings {
        listen: Vec::new(),
        socket: "/nowhere".into(),
        engine: Vec::new(),
        state_dir: dir.path().to_owned(),
        data_dir: None,
        facts: DeviceFacts {
            uuid: "5eee5eee5eee5eee5eee5eee5eee5eee".to_owned(),
            device_type: "generic-amd64".to_owned(),
            arch: "amd64".to_owned(),
            os_version: "os 1.0.0".to_owned(),
            hostname: "peer-device".to_owned(),
            listen_port: 48484,
            services_dir: "/nowhere".to_owned(),
            kernel_modules: false,
            firmware: false,
            confinement,
            host: crate::model::HostFacts::default(),
            cloud: None,
        },
        initial_name: "local".to_owned(),
        variant: Variant::Development,
        managed,
        is_membership_known: true,
        machine: None,
        announce: AnnounceScope::None,
        faults: Vec::new(),
    };
    Device {
        agent: Arc::new(Agent {
            settings,
            store,
            caller,
            snapshot,
            link,
            keys,
            led: Led::default(),
            journals: journal_places(),
            logs: Hub::new(None),
            shutdown,
        }),
        snapshots,
        stop,
        keys: keys_in,
        link: link_in,
        calls: Some(calls),
        dir,
    }
}

impl Device {
    /// The same device, told something else.
    fn with_settings(mut self, change: impl FnOnce(&mut Settings)) -> Self {
        change(&mut Arc::get_mut(&mut self.agent).unwrap().settings);
        self
    }

    /// As a browser asks, by TCP.
    async fn get_as(&self, host: &str, path: &str) -> u16 {
        let request = Request::get(path)
            .header(header::HOST, host)
            .body(Body::empty())
            .unwrap();
        let answer = routers(&self.agent).tcp.oneshot(request).await.unwrap();
        answer.status().as_u16()
    }

    async fn ask(&self, request: Request) -> Response {
        routers(&self.agent).trusted.oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> (u16, String, String) {
        let request = Request::get(path).body(Body::empty()).unwrap();
        told(self.ask(request).await).await
    }

    async fn post(&self, path: &str, kind: &str, body: impl Into<Body>) -> (u16, String, String) {
        let request = Request::post(path)
            .header(header::CONTENT_TYPE, kind)
            .body(body.into())
            .unwrap();
        told(self.ask(request).await).await
    }

    /// As the reconciler would.
    fn publish(&self, containers: Vec<ContainerStatus>, images: Vec<ImageStatus>) {
        self.snapshots.send_replace(Arc::new(Snapshot {
            report: Report {
                state: ApplyState::Applied,
                ..Snapshot::default().report
            },
            present: present(&containers),
            containers,
            images,
            releases: [(1, "10ca12e1ea5e".to_owned())].into(),
            seen: self.agent.store.accepted().generation,
            ..Snapshot::default()
        }));
    }
}

/// What is there when these containers are, of the release 1.
fn present(containers: &[ContainerStatus]) -> BTreeMap<u32, BTreeMap<u32, Present>> {
    let mut apps: BTreeMap<u32, BTreeMap<u32, Present>> = BTreeMap::new();
    for container in containers {
        let present = Present {
            status: container.status.clone(),
            release_id: 1,
            download_progress: None,
        };
        let services = apps.entry(container.app_id).or_default();
        services.insert(container.image_id, present);
    }
    apps
}

/// Status, content type, body.
async fn told(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    let kind = response
        .headers()
        .get(header::CONTENT_TYPE)
        .map(|kind| kind.to_str().unwrap().to_owned())
        .unwrap_or_default();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, kind, String::from_utf8(body.to_vec()).unwrap())
}

const JSON: &str = "application/json; charset=utf-8";

fn container(service: &str, id: &str, number: u32) -> ContainerStatus {
    ContainerStatus {
        status: "Running".to_owned(),
        service_name: service.to_owned(),
        app_id: 1,
        image_id: number,
        service_id: number,
        container_id: id.to_owned(),
        created_at: "2026-11-23T03:02:43.927Z".to_owned(),
    }
}

/// What a workstation sends.
const PUSHED: &str = include_str!("../../../../tests/fixtures/wire/target-two-services.json");
