//! Tests of the planner: recorded worlds, tables of cases, properties.

mod engine;
mod fleet;
mod properties;
mod recorded;
mod roundtrip;
mod tables;
mod takeover;

pub(in crate::plan) use engine::apply;

use agent_api::reference::LocalTarget;
use serde_json::Value;

use crate::model::{
    ContainerState, DeviceFacts, HostFacts, Observed, ObservedContainer, ServiceConfig, Target,
};
use crate::target::parse;

/// The device of the recordings.
pub(crate) fn device() -> DeviceFacts {
    DeviceFacts {
        uuid: "5eee5eee5eee5eee5eee5eee5eee5eee".to_owned(),
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        os_version: "balenaOS 6.8.1".to_owned(),
        hostname: "peer-device".to_owned(),
        listen_port: 48484,
        services_dir: "/tmp/balena-supervisor/services".to_owned(),
        kernel_modules: false,
        firmware: false,
        confinement: None,
        host: HostFacts::default(),
        cloud: None,
    }
}

/// A device with an empty engine.
fn empty() -> Observed {
    Observed::empty(device())
}

/// A container of the service `web` of the application 1, created and never started.
pub(crate) fn container(id: &str) -> ObservedContainer {
    ObservedContainer {
        id: id.to_owned(),
        name: "web_1_1_c".to_owned(),
        app_id: 1,
        app_uuid: String::new(),
        service_id: 1,
        service_name: "web".to_owned(),
        image_id: 1,
        release_id: 1,
        commit: Some("c".to_owned()),
        state: ContainerState::Created,
        created: 0,
        exit_code: None,
        ever_started: false,
        error: String::new(),
        stopped_by_agent: false,
        config: ServiceConfig::default(),
        created_from: None,
        asked_mac_address: None,
        because: None,
        is_predecessor: false,
    }
}

/// A target from the `local` part of a body.
pub(crate) fn target(local: &Value) -> Target {
    let local: LocalTarget = serde_json::from_value(local.clone()).expect("a local target");
    parse(&local, "local").expect("a valid target")
}
