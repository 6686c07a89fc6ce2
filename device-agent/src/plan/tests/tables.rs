//! Planner tables: each file in `cases/` is a world and a target; the snapshot beside it is every round until nothing is
//! left to do or the planner waits.
//!
//! A case: `about`; `images` (reference → engine id); `before` (a target that was reached first); `world` (what happened
//! since: see [`happen`]); `requests` (see [`request`]); `discard` (volumes that may lose their data); `failing` (keys of steps that fail → what the engine says); `confinement`; `target`. In
//! targets, whatever every service needs may be left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use super::engine::apply;
use super::{empty, target};
use crate::model::{
    Confinement, ContainerState, Failure, ImageFacts, Millis, Observed, Plan, Request, Scope, Step,
    Target, Wish,
};
use crate::plan::{plan, take, unused_images, wants_restart, warnings};

#[test]
fn every_case() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/plan/tests/cases");
    let mut names: Vec<_> = fs_err::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_suffix(".json")?.to_owned()))
        .collect();
    names.sort();
    assert!(names.len() >= 15, "cases are missing: {names:?}");
    for name in names {
        let text = fs_err::read_to_string(format!("{folder}/{name}.json")).unwrap();
        let case: Value = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        let told = run(&case);
        insta::with_settings!({
            snapshot_path => "cases",
            prepend_module_to_snapshot => false,
            omit_expression => true,
            description => case["about"].as_str().unwrap(),
        }, {
            insta::assert_snapshot!(name, told);
        });
    }
}

fn run(case: &Value) -> String {
    let mut world = empty();
    world.device.confinement = confinement(&case["confinement"]);
    for (reference, facts) in case["images"].as_object().into_iter().flatten() {
        world.images.insert(reference.clone(), image(facts));
    }
    let mut serial = 1;
    if let Some(before) = case.get("before") {
        let before = full_target(before);
        let (told, _) = rounds(&mut world, &before, &Map::new(), &mut serial);
        assert!(told.ends_with("converged\n"), "before: {told}");
    }
    for event in case["world"].as_array().into_iter().flatten() {
        happen(&mut world, event);
    }
    let mut wanted = full_target(&case["target"]);
    let discard = case["discard"].as_array().into_iter().flatten();
    let discard = discard.map(|name| name.as_str().unwrap().to_owned());
    wanted.let_go(&discard.collect());
    let empty = Map::new();
    let failing = case["failing"].as_object().unwrap_or(&empty);
    let mut out = String::new();
    for warning in warnings(&world, &wanted) {
        let about = warning.service.as_deref().unwrap_or("app");
        writeln!(out, "warning: {about}: {}", warning.message).unwrap();
    }
    for asked in case["requests"].as_array().into_iter().flatten() {
        match take(&world.asked, &request(asked), &world, &wanted) {
            Ok(asked) => world.asked = asked,
            Err(refused) => writeln!(out, "refused: {refused:?}").unwrap(),
        }
    }
    out + &rounds(&mut world, &wanted, failing, &mut serial).0
}

/// Plans and applies until nothing is left to do; two waits are waited out if something fails.
fn rounds(
    world: &mut Observed,
    target: &Target,
    failing: &Map<String, Value>,
    serial: &mut u32,
) -> (String, Millis) {
    let mut out = String::new();
    let mut now = 1_000_000;
    let mut waits = 0;
    for _ in 0..40 {
        match plan(world, target, now) {
            Plan::Converged => {
                writeln!(out, "converged").unwrap();
                return (out, now);
            }
            Plan::Wait { until, blocks } => {
                let after = until.map(|until| until - now);
                let mut because: Vec<_> = blocks.iter().map(|b| b.because.as_str()).collect();
                because.dedup();
                let because = because.join("; ");
                let restart = if wants_restart(&blocks) {
                    ", and for a restart of the machine"
                } else {
                    ""
                };
                writeln!(out, "wait {after:?} ms{restart}: {because}").unwrap();
                waits += 1;
                match until {
                    Some(until) if waits < 3 => now = until,
                    _ => return (out, now),
                }
            }
            Plan::Run(batch) => {
                let told: Vec<_> = batch
                    .0
                    .iter()
                    .map(|stage| stage.iter().map(tell).collect::<Vec<_>>().join("\n  "))
                    .collect();
                writeln!(out, "- {}", told.join("\n  then ")).unwrap();
                for stage in &batch.0 {
                    let failed = run_stage(world, stage, failing, now, serial);
                    if failed {
                        break;
                    }
                }
            }
        }
    }
    panic!("no end:\n{out}");
}

/// Does the steps of a stage, and says whether one of them failed: then the next stage is not begun.
fn run_stage(
    world: &mut Observed,
    stage: &[Step],
    failing: &Map<String, Value>,
    now: Millis,
    serial: &mut u32,
) -> bool {
    let mut failed = false;
    for step in stage {
        let key = step.key();
        if let Some(error) = failing.get(&key) {
            let count = world.failures.get(&key).map_or(0, |f| f.count) + 1;
            let error = error.as_str().unwrap().to_owned();
            let failure = Failure {
                count,
                at: now,
                error,
            };
            world.failures.insert(key, failure);
            failed = true;
        } else {
            *serial += 1;
            apply(world, step, *serial);
            world.failures.remove(&key);
            note_running(world, now);
        }
    }
    failed
}

/// As the loop does.
fn note_running(world: &mut Observed, now: Millis) {
    for container in &world.containers {
        if container.state == ContainerState::Running {
            world
                .running_since
                .entry(container.id.clone())
                .or_insert(now);
        }
    }
}

fn tell(step: &Step) -> String {
    match step {
        Step::Pull { image, .. } => format!("pull {image}"),
        Step::CreateNetwork { name, spec, .. } => {
            let kind = if spec.config_only {
                " (config only)"
            } else {
                ""
            };
            format!("create network {name}{kind}")
        }
        Step::RemoveNetwork { logical_name, .. } => format!("remove network {logical_name}"),
        Step::CreateVolume { name, .. } => format!("create volume {name}"),
        Step::Install {
            name,
            config,
            because,
            ..
        } => {
            let networks: Vec<_> = config.networks.keys().map(String::as_str).collect();
            let mut out = format!(
                "install {name} in {} [{}]",
                config.network_mode,
                networks.join(" ")
            );
            for port in &config.ports {
                let host = port.host.map_or_else(String::new, |p| p.to_string());
                write!(
                    out,
                    " {}:{host}->{}/{}",
                    port.host_ip, port.container, port.protocol
                )
                .unwrap();
            }
            if config.privileged {
                out.push_str(" privileged");
            }
            if because != "new" {
                write!(out, " because {because}").unwrap();
            }
            out
        }
        Step::Start { service, .. } => format!("start {service}"),
        Step::Stop { service, .. } => format!("stop {service}"),
        Step::Kill {
            service, because, ..
        } => format!("kill {service}: {because}"),
        Step::RemoveDead { service, .. } => format!("remove dead {service}"),
        Step::Rename { service, name, .. } => format!("rename {service} to {name}"),
        Step::HandOver {
            service,
            name,
            because,
            ..
        } => format!("hand over {service}, now {name}: {because}"),
        Step::RemoveVolume { logical_name, .. } => format!("remove volume {logical_name}"),
        Step::RemoveImage { image } => format!("remove image {image}"),
        Step::TakeLocks { app_id, force } => {
            let how = if *force { " by force" } else { "" };
            format!("take the locks of {app_id}{how}")
        }
        Step::ReleaseLocks { app_id } => format!("release the locks of {app_id}"),
        Step::RemoveLeftover(leftover) => format!("remove leftover {leftover:?}"),
    }
}

/// `{"container": name, "state": …, "error": …, "ever_started": …}`, `{"duplicate": name}`, `{"image": reference, "id": …}`,
/// `{"lost image": reference}`, `{"lost network": name}`, `{"foreign network": name}`, `{"detached": name}`, `{"lock": name}`,
/// `{"stale lock": app}`, `{"taken over": name}`, `{"leftover volume": name}`, `{"unused image": id}`, `{"fleet": true}`,
/// `{"full disk": bytes}`, `{"old driver": volume}`, `{"created since boot": name}`, `{"pulling": reference}`.
fn happen(world: &mut Observed, event: &Value) {
    let text = |key: &str| event[key].as_str();
    if let Some(name) = text("container") {
        let container = named(world, name);
        if let Some(state) = text("state") {
            container.state = match state {
                "created" => ContainerState::Created,
                "running" => ContainerState::Running,
                "restarting" => ContainerState::Restarting,
                "exited" => ContainerState::Exited,
                "removing" => ContainerState::Removing,
                "dead" => ContainerState::Dead,
                other => panic!("no state {other}"),
            };
        }
        if let Some(error) = text("error") {
            error.clone_into(&mut container.error);
        }
        if let Some(by_agent) = event["stopped_by_agent"].as_bool() {
            container.stopped_by_agent = by_agent;
        }
        if let Some(ever) = event["ever_started"].as_bool() {
            container.ever_started = ever;
        }
    } else if let Some(name) = text("duplicate") {
        let mut older = named(world, name).clone();
        older.id = "older".to_owned();
        older.name = format!("old_{}", older.name);
        older.created -= 1000;
        world.containers.push(older);
    } else if let Some(name) = text("detached") {
        named(world, name).config.networks.clear();
    } else if let Some(reference) = text("image") {
        world
            .images
            .insert(reference.to_owned(), image(&event["id"]));
    } else if let Some(reference) = text("lost image") {
        world.images.remove(reference).unwrap();
    } else if let Some(name) = text("lost network") {
        world.networks.retain(|n| n.name != name);
    } else if let Some(name) = text("foreign network") {
        let mut network = world.networks[0].clone();
        network.id = format!("id of {name}");
        network.name = name.to_owned();
        name.clone_into(&mut network.logical_name);
        world.networks.push(network);
    } else if !happen_beside(world, event) {
        panic!("no such event: {event}");
    }
}

/// What happens to something else than a container, an image or a network.
fn happen_beside(world: &mut Observed, event: &Value) -> bool {
    let text = |key: &str| event[key].as_str();
    if let Some(name) = text("lock") {
        let locks = world.locks.entry(1).or_default();
        locks.by_services.insert(name.to_owned());
    } else if let Some(app_id) = event["stale lock"].as_u64() {
        let app_id = u32::try_from(app_id).unwrap();
        world.locks.entry(app_id).or_default().stale = true;
    } else if let Some(name) = text("taken over") {
        world.handed_over.insert((1, name.to_owned()));
    } else if let Some(name) = text("leftover volume") {
        let left = world.leftovers.get_or_insert_default();
        left.volumes.insert(name.to_owned());
    } else if let Some(id) = text("leftover container") {
        let left = world.leftovers.get_or_insert_default();
        left.containers.insert(id.to_owned());
    } else if let Some(id) = text("unused image") {
        world.unused_images.insert(id.to_owned());
    } else if event["fleet"] == true {
        world.local_mode = false;
    } else if let Some(free) = event["full disk"].as_u64() {
        world.disk = Some(crate::model::Space {
            room: agent_api::os::Room {
                free,
                total: 1 << 30,
            },
            could_be_freed: event["could be freed"].as_u64(),
        });
    } else if let Some(name) = text("old driver") {
        let mut volumes = world.volumes.iter_mut();
        let volume = volumes.find(|v| v.logical_name == name).unwrap();
        volume.spec.driver = Some("other".to_owned());
    } else if let Some(name) = text("created since boot") {
        let id = named(world, name).id.clone();
        world.created_since_boot.insert(id);
    } else if let Some(name) = text("unnoted discard") {
        world.unnoted_discards.insert(name.to_owned());
    } else if let Some(name) = text("discard") {
        let because = "is purged".to_owned();
        world.asked.discard.insert(name.to_owned(), because);
    } else if event["firmware volume"] == true {
        let name = crate::model::EXTRA_FIRMWARE.to_owned();
        world.volumes.push(crate::model::ObservedVolume {
            logical_name: name.clone(),
            name,
            app_id: 0,
            spec: crate::model::VolumeSpec::default(),
        });
    } else if let Some(reference) = text("pulling") {
        world.pulling.insert(reference.to_owned());
    } else {
        return false;
    }
    true
}

/// `{"restart": service or null}`, `{"stop": …}`, `{"start": …}`, `{"purge": service or true}`, `{"clean volumes": true}`
/// (or an application id),
/// `{"update": true}`; each perhaps with `"force": true`.
fn request(request: &Value) -> Request {
    let service = |key: &str| request[key].as_str().map(str::to_owned);
    let has = |key: &str| request.get(key).is_some();
    Request {
        app_id: 1,
        what: if has("restart") {
            Wish::Restart(service("restart"))
        } else if has("stop") {
            Wish::Stop(service("stop"))
        } else if has("start") {
            Wish::Start(service("start"))
        } else if has("purge") {
            Wish::Purge(service("purge"))
        } else if has("clean volumes") {
            let scope = request["clean volumes"]
                .as_u64()
                .map(|id| u32::try_from(id).unwrap());
            Wish::CleanVolumes(scope.map_or(Scope::Global, Scope::App))
        } else {
            Wish::Update
        },
        force: request["force"] == true,
    }
}

fn named<'a>(world: &'a mut Observed, service: &str) -> &'a mut crate::model::ObservedContainer {
    let mut all = world.containers.iter_mut();
    all.find(|c| c.service_name == service).unwrap()
}

fn image(facts: &Value) -> ImageFacts {
    let id = facts.as_str().or(facts["id"].as_str()).unwrap();
    ImageFacts {
        id: format!("sha256:{id}"),
        command: vec!["run".to_owned()],
        exposed_ports: facts["ports"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|p| {
                (
                    u16::try_from(p.as_u64().unwrap()).unwrap(),
                    "tcp".to_owned(),
                )
            })
            .collect(),
        ..ImageFacts::default()
    }
}

fn confinement(value: &Value) -> Option<Confinement> {
    Some(Confinement {
        namespace: value["namespace"].as_str()?.to_owned(),
        address: value["address"].as_str()?.parse().unwrap(),
        allow_privileged: value["allow_privileged"].as_bool().unwrap_or(false),
    })
}

/// Fills in what every app and service needs.
fn full_target(short: &Value) -> Target {
    let mut local = short.clone();
    for app in local["apps"].as_object_mut().into_iter().flatten() {
        let app = app.1.as_object_mut().unwrap();
        for (key, value) in [("name", "app"), ("commit", "c"), ("releaseId", "1")] {
            app.entry(key).or_insert(json!(value));
        }
        for (id, service) in app
            .get_mut("services")
            .and_then(Value::as_object_mut)
            .into_iter()
            .flatten()
        {
            let service = service.as_object_mut().unwrap();
            let image = format!("local_image_{}", service["serviceName"].as_str().unwrap());
            for (key, value) in [
                ("environment", json!({})),
                ("labels", json!({})),
                ("imageId", json!(id)),
                ("image", json!(image)),
            ] {
                service.entry(key).or_insert(value);
            }
        }
    }
    target(&local)
}

#[test]
fn an_image_is_needed_as_long_as_the_target_or_a_container_has_it() {
    let service = |name: &str| json!({"serviceName": name});
    let both = json!({"apps": {"1": {"services": {"1": service("web"), "2": service("worker")}}}});
    let both = full_target(&both);
    let one = full_target(&json!({"apps": {"1": {"services": {"1": service("web")}}}}));
    let mut world = empty();
    let mut known = BTreeMap::from([("old".to_owned(), "sha256:old".to_owned())]);
    for app in both.apps.values() {
        for service in app.services.values() {
            let id = format!("sha256:{}", service.name);
            known.insert(service.image.clone(), id);
            world
                .images
                .insert(service.image.clone(), image(&json!(service.name)));
        }
    }
    let unused = |world: &Observed, target| {
        let unused = unused_images(world, target, &known);
        unused.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(unused(&world, &both), ["old"]);
    let (told, _) = rounds(&mut world, &both, &Map::new(), &mut 1);
    assert!(told.ends_with("converged\n"), "{told}");
    assert_eq!(unused(&world, &one), ["old"]);
    let (told, _) = rounds(&mut world, &one, &Map::new(), &mut 100);
    assert!(told.ends_with("converged\n"), "{told}");
    assert_eq!(unused(&world, &one), ["local_image_worker:latest", "old"]);
}
