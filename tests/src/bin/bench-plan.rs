//! Decides about fifty services, over and over: what `tests/bench/` times of the agent's planner by itself.
//!
//! `bench-plan ROUNDS` prints a line of JSON: milliseconds of every round, by what there was to decide.

use std::collections::BTreeMap;
use std::time::Instant;

use agent_api::reference::LocalTarget;
use os_agent::model::{
    ContainerState, DeviceFacts, HostFacts, ImageFacts, Observed, ObservedContainer,
    ObservedNetwork, ObservedVolume, Plan, ServiceConfig, Step, Target,
};
use os_agent::plan::plan;
use os_agent::target;
use serde_json::{Map, Value, json};

const SERVICES: usize = 50;
const IMAGE: &str = "os-test/busybox:latest";

fn main() {
    let rounds = std::env::args().nth(1);
    let rounds: usize = rounds
        .and_then(|rounds| rounds.parse().ok())
        .expect("bench-plan ROUNDS");
    let text = sent("0").to_string();
    let first = read(&sent("0"));
    let empty = world();
    let mut settled = empty.clone();
    settle(&mut settled, &first);
    let changed = read(&sent("1"));
    let mut took: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for round in 0..=rounds {
        let mut time = |what, work: &dyn Fn()| {
            let start = Instant::now();
            work();
            let milliseconds = start.elapsed().as_secs_f64() * 1000.0;
            // The first round warms up.
            if round > 0 {
                took.entry(what).or_default().push(milliseconds);
            }
        };
        time("json", &|| {
            std::hint::black_box(serde_json::from_str::<Value>(&text).expect("JSON"));
        });
        time("first", &|| runs(&empty, &first));
        time("settled", &|| {
            assert_eq!(plan(&settled, &first, 0), Plan::Converged, "at rest");
        });
        time("changed", &|| runs(&settled, &changed));
    }
    println!("{}", json!(took));
}

fn runs(world: &Observed, target: &Target) {
    let plan = plan(world, target, 0);
    assert!(matches!(plan, Plan::Run(_)), "there is something to do");
}

/// A target as a push sends it: variables, ports, volumes, networks, an order. One service has `version` among its variables.
fn sent(version: &str) -> Value {
    let services: Map<String, Value> = (1..=SERVICES)
        .map(|id| {
            let version = if id == SERVICES / 2 { version } else { "0" };
            let mut service = json!({
                "environment": {"VERSION": version, "LEVEL": "info", "PEER": "service1"},
                "labels": {"org.example.part": format!("part{id}")},
                "command": ["sh", "-c", "run"], "restart": "always",
                "ports": [format!("{}:80", 8000 + id)],
                "volumes": [format!("data{}:/data", id % 5), "/scratch"],
                "networks": ["front", "back"],
                "imageId": id, "serviceName": format!("service{id}"), "serviceId": id, "image": IMAGE, "running": true,
            });
            if id > 1 {
                service["depends_on"] = json!([format!("service{}", id / 2)]);
            }
            (id.to_string(), service)
        })
        .collect();
    let volumes: Map<String, Value> = (0..5).map(|n| (format!("data{n}"), json!({}))).collect();
    json!({"name": "local", "config": {}, "apps": {"1": {
        "name": "localapp", "commit": "10ca12e1ea5e", "releaseId": "1",
        "services": services, "volumes": volumes, "networks": {"front": {}, "back": {}},
    }}})
}

fn read(sent: &Value) -> Target {
    let local: LocalTarget = serde_json::from_value(sent.clone()).expect("a local target");
    target::parse(&local, "device").expect("a target")
}

fn world() -> Observed {
    let mut world = Observed::empty(DeviceFacts {
        uuid: "5eee5eee5eee5eee5eee5eee5eee5eee".to_owned(),
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        os_version: "os 1.0.0".to_owned(),
        hostname: "bench".to_owned(),
        listen_port: 48484,
        services_dir: "/tmp/balena-supervisor/services".to_owned(),
        kernel_modules: true,
        firmware: true,
        confinement: None,
        host: HostFacts::default(),
        cloud: None,
    });
    let image = ImageFacts {
        id: "sha256:0123456789abcdef".to_owned(),
        command: vec!["sh".to_owned()],
        ..ImageFacts::default()
    };
    world.images.insert(IMAGE.to_owned(), image);
    world
}

/// Does what the planner says, as a faultless engine does, until nothing is left.
fn settle(world: &mut Observed, target: &Target) {
    loop {
        match plan(world, target, 0) {
            Plan::Converged => return,
            Plan::Run(batch) => batch.steps().for_each(|step| apply(world, step)),
            Plan::Wait { .. } => panic!("nothing is to be waited for"),
        }
    }
}

fn apply(world: &mut Observed, step: &Step) {
    match step {
        Step::CreateNetwork {
            name,
            logical_name,
            spec,
        } => world.networks.push(ObservedNetwork {
            id: format!("id-{name}"),
            name: name.clone(),
            logical_name: logical_name.clone(),
            app_id: 1,
            spec: spec.clone(),
        }),
        Step::CreateVolume {
            name,
            logical_name,
            spec,
        } => world.volumes.push(ObservedVolume {
            name: name.clone(),
            app_id: 1,
            logical_name: logical_name.clone(),
            spec: spec.clone(),
        }),
        Step::Install {
            service,
            service_id,
            name,
            config,
            ..
        } => {
            let made = container((service, *service_id, name), config);
            world.containers.push(made);
        }
        Step::Start { id, .. } => {
            let mut containers = world.containers.iter_mut();
            let started = containers.find(|container| container.id == *id);
            let started = started.expect("the container that is started");
            started.state = ContainerState::Running;
            started.ever_started = true;
        }
        other => panic!("nothing is there that needs {other:?}"),
    }
}

fn container((service, id, name): (&str, u32, &str), config: &ServiceConfig) -> ObservedContainer {
    ObservedContainer {
        id: format!("{id:064x}"),
        name: name.to_owned(),
        app_id: 1,
        app_uuid: "1".to_owned(),
        service_id: id,
        service_name: service.to_owned(),
        image_id: id,
        release_id: 1,
        commit: Some("10ca12e1ea5e".to_owned()),
        state: ContainerState::Created,
        created: i64::from(id),
        exit_code: None,
        ever_started: false,
        error: String::new(),
        stopped_by_agent: false,
        // Field by field, as with a container that another agent has made.
        created_from: None,
        asked_mac_address: None,
        config: config.clone(),
        because: None,
        is_predecessor: false,
    }
}
