//! What a reference device would have left on an engine: networks, volumes and containers, made by the rules through the
//! engine's API. Nothing of ours is asked.

use std::collections::BTreeMap;

use hyper::StatusCode;
use serde_json::{Value, json};
use testkit::Engine;
use testkit::http::{Endpoint, request};

use super::case::Case;
use super::compare::Names;
use super::rules::{Image, Rules, network_bodies, volume_bodies};

/// The API that the reference speaks.
const API: &str = "/v1.41";

/// An engine, asked by hand: what the reference asks for has no place in our client library.
pub(crate) struct ByHand {
    endpoint: Endpoint<'static>,
}

impl ByHand {
    pub(crate) fn on(engine: &Engine) -> Self {
        Self {
            endpoint: Endpoint::Unix(engine.socket()),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let target = format!("{API}{path}");
        let body = body.map(|body| body.to_string().into());
        let answer = self.endpoint.request(request(method, &target, body)).await;
        let allowed = answer.status.is_success() || answer.status == StatusCode::NOT_MODIFIED;
        assert!(allowed, "{method} {path}: {}", answer.text());
        if answer.body.is_empty() {
            return Value::Null;
        }
        answer.json()
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> Value {
        self.ask("POST", path, Some(body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Value {
        self.ask("GET", path, None).await
    }

    pub(crate) async fn delete(&self, path: &str) {
        self.ask("DELETE", path, None).await;
    }

    /// Inspections of the containers of cases, by case.
    pub(crate) async fn containers(&self, cases: &[Case]) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        for case in cases {
            let path = format!("/containers/{}/json", case.container());
            all.insert(case.name.clone(), self.get(&path).await);
        }
        all
    }

    /// Inspections of everything that the engine has beside containers, by kind and engine name: what nobody asked for,
    /// too, and what is there twice. Without the engine's own networks and the volumes that containers bring along.
    pub(crate) async fn resources(&self) -> BTreeMap<String, Value> {
        let mut all = BTreeMap::new();
        let mut add = |mut key: String, inspect: Value| {
            while all.contains_key(&key) {
                key.push_str(" again");
            }
            all.insert(key, inspect);
        };
        let networks = self.get("/networks").await;
        for network in networks.as_array().expect("networks") {
            let text = |member: &str| network[member].as_str().expect("a text");
            if !["bridge", "host", "none"].contains(&text("Name")) {
                let inspect = self.get(&format!("/networks/{}", text("Id"))).await;
                add(format!("network {}", text("Name")), inspect);
            }
        }
        let volumes = self.get("/volumes").await;
        // An engine without any says null.
        for volume in volumes["Volumes"].as_array().into_iter().flatten() {
            let name = volume["Name"].as_str().expect("a name");
            if name.len() != 64 {
                let inspect = self.get(&format!("/volumes/{name}")).await;
                add(format!("volume {name}"), inspect);
            }
        }
        all
    }
}

/// Engine ids by service.
pub(crate) fn ids(containers: &BTreeMap<String, Value>) -> Names {
    let id = |inspect: &Value| inspect["Id"].as_str().expect("an id").to_owned();
    containers
        .iter()
        .map(|(name, inspect)| (name.clone(), id(inspect)))
        .collect()
}

/// Makes everything that cases need, and starts what starts.
pub(crate) async fn make(
    engine: &ByHand,
    cases: &[Case],
    images: &BTreeMap<String, Image>,
    services_dir: &str,
) {
    for body in network_bodies(cases).values() {
        engine.post("/networks/create", body).await;
    }
    for body in volume_bodies(cases).values() {
        engine.post("/volumes/create", body).await;
    }
    let mut made = Names::new();
    // Those that share another's network come after it.
    let (last, first): (Vec<_>, Vec<_>) = cases.iter().partition(|case| case.shares_network());
    for case in first.into_iter().chain(last) {
        let rules = Rules {
            images,
            services_dir,
            containers: &made,
        };
        let path = format!("/containers/create?name={}", case.container());
        let created = engine.post(&path, &rules.container(case)).await;
        let id = created["Id"].as_str().expect("an id").to_owned();
        for (network, endpoint) in rules.attached(case) {
            let body = json!({"Container": id, "EndpointConfig": endpoint});
            engine
                .post(&format!("/networks/{network}/connect"), &body)
                .await;
        }
        if case.starts() {
            engine
                .post(&format!("/containers/{id}/start"), &Value::Null)
                .await;
        }
        made.insert(case.name.clone(), id);
    }
}
