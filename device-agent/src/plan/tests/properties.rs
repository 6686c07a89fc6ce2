//! For arbitrary small worlds and targets: planning and applying ends, disturbs nothing that it need not, and is a
//! function of its inputs.

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use super::engine::apply;
use super::{empty, target};
use crate::model::{ContainerState, Failure, ImageFacts, Millis, Observed, Plan, Step, Target};
use crate::plan::plan;

const NAMES: [&str; 4] = ["a", "b", "c", "d"];

/// One service: what it is named decides what it may wait for, so that there are no circles.
fn service(index: usize) -> impl Strategy<Value = Value> {
    (
        0..3_u8,
        0..3_u8,
        prop::bool::weighted(0.85),
        0..8_u8,
        0..8_u8,
        0..4_u8,
        0..4_u8,
        prop::bool::weighted(0.2),
    )
        .prop_map(move |(env, image, running, waits, mode, networks, extra, one_shot)| {
            let mut service = json!({
                "serviceName": NAMES[index], "imageId": index + 1, "image": format!("image{image}"),
                "environment": {"LEVEL": env.to_string()}, "labels": {}, "running": running,
                "depends_on": NAMES.iter().take(index).enumerate()
                    .filter(|(i, _)| waits & (1 << i) != 0).map(|(_, n)| n).collect::<Vec<_>>(),
            });
            match mode {
                0 => service["network_mode"] = json!("host"),
                1 => service["network_mode"] = json!("none"),
                // Whether there is such a service is settled in `app`.
                2 if index > 0 => service["network_mode"] = json!(format!("service:{}", NAMES[index - 1])),
                _ => {
                    let all = ["front", "back"].iter().enumerate();
                    let picked = all.filter(|(i, _)| networks & (1 << i) != 0);
                    service["networks"] = picked.map(|(_, n)| *n).collect();
                }
            }
            if extra & 1 != 0 {
                service["labels"] = json!({"io.resin.features.supervisor-api": "1"});
            }
            if extra & 2 != 0 {
                service["volumes"] = json!(["data:/data", "/cache"]);
            }
            if one_shot {
                service["restart"] = json!("no");
            }
            service
        })
}

fn app() -> impl Strategy<Value = Value> {
    let services = (service(0), service(1), service(2), service(3));
    (services, 0..16_u8, any::<bool>(), prop::bool::weighted(0.9), 1..3_u8).prop_map(
        |((a, b, c, d), present, internal, commit, release)| {
            let mut services = Map::new();
            for (index, mut service) in [a, b, c, d].into_iter().enumerate() {
                if present & (1 << index) == 0 {
                    continue;
                }
                let alone = index == 0 || present & (1 << (index - 1)) == 0;
                let mode = service["network_mode"].as_str().unwrap_or_default();
                if alone && mode.starts_with("service:") {
                    service.as_object_mut().unwrap().remove("network_mode");
                }
                services.insert((index + 1).to_string(), service);
            }
            json!({
                "name": "app", "commit": commit.then_some(format!("c{release}")), "releaseId": release,
                "services": services, "volumes": {"data": {}},
                "networks": {"front": {}, "back": {"internal": internal}},
            })
        },
    )
}

fn local() -> impl Strategy<Value = Value> {
    (app(), prop::option::weighted(0.3, app())).prop_map(|(first, second)| {
        let mut apps = json!({"1": first});
        if let Some(mut second) = second {
            second["releaseId"] = json!(10);
            apps["2"] = second;
        }
        json!({"apps": apps})
    })
}

/// Something that happens to one of the containers.
fn event() -> impl Strategy<Value = (usize, u8)> {
    (0..8_usize, 0..6_u8)
}

fn happen(world: &mut Observed, (index, kind): (usize, u8)) {
    let count = world.containers.len();
    let Some(container) = world.containers.get_mut(index % count.max(1)) else {
        return;
    };
    match kind {
        0 => container.state = ContainerState::Dead,
        1 => container.state = ContainerState::Exited,
        2 => container.state = ContainerState::Removing,
        // Somebody else made it: what is found counts.
        3 => {
            container.config.environment.clear();
            container.created_from = None;
        }
        4 => {
            let mut older = container.clone();
            older.id = format!("older-{index}-{count}");
            older.name = format!("old{count}_{}", older.name);
            older.created -= 1;
            world.containers.push(older);
        }
        _ => container.created_from = None,
    }
}

fn world() -> Observed {
    let mut world = empty();
    let facts = ImageFacts {
        id: "sha256:0".to_owned(),
        command: vec!["run".to_owned()],
        ..ImageFacts::default()
    };
    world.images.insert("image0:latest".to_owned(), facts);
    world
}

/// What is done in each round, until the planner says that nothing is left.
struct Run<'a> {
    world: &'a mut Observed,
    serial: u32,
    now: Millis,
    steps: Vec<Step>,
}

impl Run<'_> {
    fn reach(&mut self, target: &Target, fails: &[bool]) {
        let mut fails = fails.iter().copied();
        for _ in 0..80 {
            let planned = plan(self.world, target, self.now);
            assert_eq!(
                planned,
                plan(self.world, target, self.now),
                "not a function"
            );
            match planned {
                Plan::Converged => return,
                Plan::Wait {
                    until: Some(until), ..
                } => {
                    assert!(until > self.now, "a wait that is over");
                    self.now = until;
                }
                Plan::Wait {
                    until: None,
                    blocks,
                } => {
                    let before = self.world.containers.len();
                    let is_going = |state| state == ContainerState::Removing;
                    self.world.containers.retain(|c| !is_going(c.state));
                    assert!(
                        self.world.containers.len() < before,
                        "waits for ever: {blocks:?}"
                    );
                }
                Plan::Run(batch) => {
                    assert!(!batch.0.is_empty());
                    for step in batch.0.into_iter().flatten() {
                        if !self.step(step, target, fails.next().unwrap_or(false)) {
                            break;
                        }
                    }
                }
            }
        }
        panic!("no end: {:?}", self.steps);
    }

    /// Whether it succeeded.
    fn step(&mut self, step: Step, target: &Target, fails: bool) -> bool {
        let key = step.key();
        if fails {
            let count = self.world.failures.get(&key).map_or(0, |f| f.count) + 1;
            let failure = Failure {
                count,
                at: self.now,
                error: "no".to_owned(),
            };
            self.world.failures.insert(key, failure);
            return false;
        }
        if let Step::Start {
            app_id, service, ..
        } = &step
        {
            self.check_order(target, *app_id, service);
        }
        let volumes = self.world.volumes.clone();
        self.serial += 1;
        apply(self.world, &step, self.serial);
        assert!(
            volumes.iter().all(|v| self.world.volumes.contains(v)),
            "a volume is gone"
        );
        self.world.failures.remove(&key);
        self.steps.push(step);
        true
    }

    /// Whatever a service waits for was started before it.
    fn check_order(&self, target: &Target, app_id: u32, name: &str) {
        let app = &target.apps[&app_id];
        let waits = app.services[name].composition["depends_on"].as_array();
        for other in waits.into_iter().flatten().filter_map(Value::as_str) {
            let runs = app.services.get(other).is_some_and(|s| s.running);
            let mut all = self.world.containers.iter();
            let started =
                all.any(|c| c.app_id == app_id && c.service_name == other && c.ever_started);
            assert!(!runs || started, "{name} is started before {other}");
        }
    }
}

fn converge(world: &mut Observed, target: &Target, serial: u32, fails: &[bool]) -> Vec<Step> {
    let mut run = Run {
        world,
        serial,
        now: 1_000_000,
        steps: Vec::new(),
    };
    run.reach(target, fails);
    let (now, steps) = (run.now, run.steps);
    for later in [0, 1_000_000_000] {
        assert_eq!(plan(world, target, now + later), Plan::Converged);
    }
    steps
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_target_is_reached_from_every_world(
        before in local(), after in local(),
        events in prop::collection::vec(event(), 0..4),
        fails in prop::collection::vec(prop::bool::weighted(0.3), 0..24),
    ) {
        let mut world = world();
        converge(&mut world, &target(&before), 0, &[]);
        for happened in events {
            happen(&mut world, happened);
        }
        let after = target(&after);
        converge(&mut world, &after, 1000, &fails);
        // What runs is what was asked for.
        for app in after.apps.values().filter(|app| app.commit.is_some()) {
            for service in app.services.values() {
                let of_it = |c: &&crate::model::ObservedContainer| {
                    c.app_id == app.id && c.service_name == service.name
                };
                let found: Vec<_> = world.containers.iter().filter(of_it).collect();
                prop_assert_eq!(found.len(), 1);
                prop_assert_eq!(&found[0].config.environment["LEVEL"], &service.environment["LEVEL"]);
                prop_assert!(found[0].ever_started || !service.running);
            }
        }
        let wanted: usize = after.apps.values().filter(|a| a.commit.is_some()).map(|a| a.services.len()).sum();
        prop_assert_eq!(world.containers.len(), wanted);
    }

    #[test]
    fn what_did_not_change_is_not_touched(before in local(), index in 0..4_usize) {
        let mut world = world();
        let first = target(&before);
        converge(&mut world, &first, 0, &[]);
        let mut after = before.clone();
        let key = (index + 1).to_string();
        let Some(service) = after["apps"]["1"]["services"].get_mut(&key) else {
            return Ok(());
        };
        service["environment"] = json!({"LEVEL": "changed"});
        let was = world.containers.clone();
        converge(&mut world, &target(&after), 1000, &[]);
        let app = &first.apps[&1];
        for container in was {
            let name = container.service_name.as_str();
            let changed = container.app_id == 1 && follows(app, name, NAMES[index]);
            if !changed {
                let now = world.containers.iter().find(|c| c.id == container.id);
                prop_assert_eq!(now, Some(&container), "{} was touched", name);
            }
        }
    }
}

/// Whether a service is another, or stands in its network.
fn follows(app: &crate::model::App, name: &str, other: &str) -> bool {
    let mode = app
        .services
        .get(name)
        .and_then(|s| s.composition.get("network_mode"));
    let owner = mode
        .and_then(Value::as_str)
        .and_then(|m| m.strip_prefix("service:"));
    name == other || owner.is_some_and(|owner| follows(app, owner, other))
}

#[test]
fn a_network_that_is_made_anew_waits_for_no_hand_over() {
    let with = |level: &str, internal: bool| {
        target(&json!({"apps": {"1": {
            "name": "app", "commit": "c1", "releaseId": 1,
            "services": {"1": {
                "serviceName": "a", "imageId": 1, "image": "image0", "running": true, "depends_on": [],
                "environment": {"LEVEL": level}, "labels": {"io.balena.update.strategy": "hand-over"},
                "networks": ["front"],
            }},
            "networks": {"front": {"internal": internal}},
        }}}))
    };
    let mut world = world();
    converge(&mut world, &with("0", false), 0, &[]);
    let next = with("1", false);
    let mut run = Run {
        world: &mut world,
        serial: 100,
        now: 1_000_000,
        steps: Vec::new(),
    };
    while !run.world.containers.iter().any(|c| c.is_predecessor) {
        let Plan::Run(batch) = plan(run.world, &next, run.now) else {
            panic!("it does not begin: {:?}", run.steps);
        };
        for step in batch.0.into_iter().flatten() {
            run.step(step, &next, false);
        }
    }
    converge(&mut world, &with("1", true), 200, &[]);
    assert_eq!(world.containers.len(), 1);
}
