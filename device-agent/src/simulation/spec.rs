//! Targets in the simulation's own terms, by which the outcome is judged, and as the agent reads them.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::reference::LocalTarget;
use serde_json::{Map, Value, json};

use super::engine::REQUIRES_RESTART;
use crate::model::{AppClass, Target};
use crate::target::parse;

/// A target.
#[derive(Debug, Clone, Default)]
pub(super) struct Spec {
    /// The device's name, by which the target is known again.
    pub(super) name: String,
    pub(super) apps: BTreeMap<u32, AppSpec>,
    /// Volumes that may lose their data.
    pub(super) discard: BTreeSet<String>,
    pub(super) overrides_locks: bool,
}

/// An application.
#[derive(Debug, Clone)]
pub(super) struct AppSpec {
    /// Stays in local sessions.
    pub(super) is_block: bool,
    pub(super) has_commit: bool,
    pub(super) revision: u32,
    pub(super) services: BTreeMap<String, ServiceSpec>,
    /// Configuration of the network `back`.
    pub(super) internal: bool,
    /// Volumes by name, with the value of a label.
    pub(super) volumes: BTreeMap<String, u64>,
}

/// A service.
#[expect(clippy::struct_excessive_bools, reason = "each is chosen for itself")]
#[derive(Debug, Clone)]
pub(super) struct ServiceSpec {
    pub(super) image: String,
    /// Value of a variable.
    pub(super) level: u64,
    pub(super) running: bool,
    pub(super) waits_for: BTreeSet<String>,
    pub(super) network: NetworkChoice,
    pub(super) volume: Option<String>,
    pub(super) strategy: Option<&'static str>,
    /// Milliseconds of a hand-over at most.
    pub(super) patience: u64,
    pub(super) is_one_shot: bool,
    /// Talks to the agent.
    pub(super) has_api: bool,
    /// Starts for the first time with the machine's next start.
    pub(super) requires_restart: bool,
    pub(super) contract: Contract,
    /// The release does without it where its contract is not met.
    pub(super) is_optional: bool,
}

/// What a service requires of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contract {
    Nothing,
    Met,
    Unmet,
}

/// Where a service's network is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NetworkChoice {
    Default,
    Named(Vec<&'static str>),
    Host,
    Of(String),
}

/// The variable by which a service's configuration is told.
pub(super) const LEVEL: &str = "LEVEL";

/// Labels that services may have.
pub(super) const LABELS: [&str; 5] = [
    "io.balena.update.strategy",
    "io.balena.update.handover-timeout",
    "io.balena.features.supervisor-api",
    REQUIRES_RESTART,
    OPTIONAL,
];

const OPTIONAL: &str = "io.balena.features.optional";

impl Spec {
    /// As the agent's API would understand it.
    pub(super) fn target(&self) -> Target {
        let apps: Map<String, Value> = self
            .apps
            .iter()
            .map(|(id, app)| (id.to_string(), app.body(*id)))
            .collect();
        let mut body = json!({"name": self.name, "config": {}, "apps": apps});
        if self.overrides_locks {
            body["config"] = json!({"SUPERVISOR_OVERRIDE_LOCK": "1"});
        }
        let local: LocalTarget = serde_json::from_value(body).unwrap();
        let mut target = parse(&local, "device").unwrap();
        for (id, app) in &mut target.apps {
            if self.apps[id].is_block {
                app.class = AppClass::Block;
            }
        }
        target.let_go(&self.discard);
        target
    }
}

impl AppSpec {
    /// Whether the device lacks what a service requires without which the release does not run.
    pub(super) fn is_rejected(&self) -> bool {
        let mut services = self.services.values();
        let is_unmet = |s: &ServiceSpec| s.contract == Contract::Unmet && !s.is_optional;
        self.has_commit && services.any(is_unmet)
    }

    /// A service that is to be there.
    pub(super) fn service(&self, name: &str) -> Option<&ServiceSpec> {
        let service = self.services.get(name);
        service.filter(|service| !service.is_left_out())
    }

    fn body(&self, id: u32) -> Value {
        let services: Map<String, Value> = self
            .services
            .iter()
            .zip(1..)
            .map(|((name, service), key)| (key.to_string(), service.body(name, key)))
            .collect();
        let volumes: Map<String, Value> = self
            .volumes
            .iter()
            .map(|(name, label)| (name.clone(), json!({"labels": {"v": label.to_string()}})))
            .collect();
        json!({
            "name": format!("app{id}"),
            "commit": self.has_commit.then(|| format!("c{}", self.revision)),
            "releaseId": id * 1000 + self.revision,
            "services": services,
            "volumes": volumes,
            "networks": {"front": {}, "back": {"internal": self.internal}},
        })
    }
}

impl ServiceSpec {
    /// Whether the release runs without it, unless the whole release is rejected.
    pub(super) fn is_left_out(&self) -> bool {
        self.contract == Contract::Unmet && self.is_optional
    }

    /// Its labels, by which the agent knows what to do with it.
    pub(super) fn labels(&self) -> Map<String, Value> {
        let [
            strategy_label,
            patience_label,
            api_label,
            restart_label,
            optional_label,
        ] = LABELS.map(str::to_owned);
        let mut labels = Map::new();
        if let Some(strategy) = self.strategy {
            labels.insert(strategy_label, json!(strategy));
            labels.insert(patience_label, json!(self.patience.to_string()));
        }
        if self.has_api {
            labels.insert(api_label, json!("1"));
        }
        if self.requires_restart {
            labels.insert(restart_label, json!("1"));
        }
        if self.is_optional {
            labels.insert(optional_label, json!("1"));
        }
        labels
    }

    fn body(&self, name: &str, key: u32) -> Value {
        let labels = self.labels();
        let mut body = json!({
            "serviceName": name, "imageId": key, "image": self.image, "running": self.running,
            "environment": {LEVEL: self.level.to_string()}, "labels": labels,
            "depends_on": self.waits_for,
        });
        match &self.network {
            NetworkChoice::Default => {}
            NetworkChoice::Named(names) => body["networks"] = json!(names),
            NetworkChoice::Host => body["network_mode"] = json!("host"),
            NetworkChoice::Of(other) => body["network_mode"] = json!(format!("service:{other}")),
        }
        if let Some(volume) = &self.volume {
            body["volumes"] = json!([format!("{volume}:/data")]);
        }
        if self.is_one_shot {
            body["restart"] = json!("no");
        }
        let least = match self.contract {
            Contract::Nothing => None,
            Contract::Met => Some(">=1.0.0"),
            Contract::Unmet => Some(">=99.0.0"),
        };
        if let Some(version) = least {
            let requires = json!([{"type": "sw.supervisor", "version": version}]);
            body["contract"] = json!({"type": "sw.container", "requires": requires});
        }
        body
    }
}
