//! The recorded target states lead to the recorded create bodies, and recorded containers are taken over untouched.

use bollard::models::{ContainerInspectResponse, ImageInspect, Network, NetworkInspect, Volume};
use serde_json::Value;

use super::{empty, target};
use crate::engine::{decode, encode};
use crate::model::{Observed, Plan, Secret, ServiceConfig, Step};
use crate::plan::plan;

macro_rules! wire {
    ($name:literal) => {
        serde_json::from_str(include_str!(concat!(
            "../../../../tests/fixtures/wire/agent/",
            $name,
            ".json"
        )))
        .expect(concat!("a recorded ", $name))
    };
}

fn image(name: &str, inspect: &ImageInspect, world: &mut Observed) {
    let facts = decode::image(inspect);
    world
        .images
        .insert(format!("local_image_{name}:latest"), facts);
}

/// The world in which the reference was when it pushed the compose project.
fn compose_world() -> Observed {
    let mut world = empty();
    image("web", &wire!("image-web"), &mut world);
    image("worker", &wire!("image-worker"), &mut world);
    let networks: Vec<Network> = wire!("networks");
    world.networks = networks
        .iter()
        .map(|n| decode::network(n, None).unwrap())
        .collect();
    let api: NetworkInspect = wire!("inspect-network-api");
    world.api_network = Some(decode::api_network(api));
    let volumes: Value = wire!("volumes");
    let volumes: Vec<Volume> = serde_json::from_value(volumes["Volumes"].clone()).unwrap();
    world.volumes = volumes
        .iter()
        .filter_map(|v| decode::volume(v, None).ok())
        .collect();
    let worker: ContainerInspectResponse = wire!("inspect-worker-running");
    world
        .containers
        .push(decode::container(&worker, None).unwrap());
    let key = &world.containers[0].config.environment["BALENA_SUPERVISOR_API_KEY"];
    world.api_keys = [((1, "worker".to_owned()), Secret::new(key.clone()))].into();
    world
}

fn compose_target() -> crate::model::Target {
    let sent: Value = wire!("target-compose");
    target(&sent["local"])
}

fn single_target() -> crate::model::Target {
    let sent: Value = wire!("target-single");
    target(&sent["local"])
}

fn steps(plan: Plan) -> Vec<Step> {
    match plan {
        Plan::Run(batch) => batch.0.into_iter().flatten().collect(),
        other => panic!("no steps: {other:?}"),
    }
}

/// The body of the only container that is created next.
fn created(world: &Observed, target: &crate::model::Target) -> Value {
    let steps = steps(plan(world, target, 0));
    let [
        Step::Install {
            config,
            device_name,
            ..
        },
    ] = steps.as_slice()
    else {
        panic!("not one container: {steps:?}");
    };
    serde_json::to_value(encode::container(config, device_name, "new").body).unwrap()
}

/// Without what has no order, what the client library cannot send (an empty MAC address, the name, which is in the
/// query) and what is ours alone.
fn comparable(mut body: Value) -> Value {
    let map = body.as_object_mut().unwrap();
    map.remove("name");
    map.remove("MacAddress");
    let labels = map["Labels"].as_object_mut().unwrap();
    labels.remove(ServiceConfig::DIGEST_LABEL);
    labels.remove(ServiceConfig::BECAUSE_LABEL);
    for list in ["/Env", "/HostConfig/Binds"] {
        let list = body.pointer_mut(list).unwrap().as_array_mut().unwrap();
        list.sort_by_key(ToString::to_string);
    }
    body
}

#[test]
fn a_compose_service_is_created_as_recorded() {
    let recorded: Value = wire!("create-web");
    assert_eq!(
        comparable(created(&compose_world(), &compose_target())),
        comparable(recorded)
    );
}

#[test]
fn a_single_container_is_created_as_recorded() {
    let mut world = compose_world();
    world.containers.clear();
    image("main", &wire!("image-main"), &mut world);
    world.api_keys = [(
        (1, "main".to_owned()),
        Secret::new("b73955dc431f497c9975290a3f215135".to_owned()),
    )]
    .into();
    let networks: Vec<Network> = wire!("networks-config-only");
    world.networks = vec![decode::network(&networks[0], None).unwrap()];
    let recorded: Value = wire!("create-main");
    assert_eq!(
        comparable(created(&world, &single_target())),
        comparable(recorded)
    );
}

#[test]
fn the_default_network_of_a_host_service_is_created_as_recorded() {
    let mut world = compose_world();
    world.containers.clear();
    world.networks.clear();
    image("main", &wire!("image-main"), &mut world);
    let steps = steps(plan(&world, &single_target(), 0));
    let [Step::CreateNetwork { name, spec, .. }] = steps.as_slice() else {
        panic!("not one network: {steps:?}");
    };
    let body = serde_json::to_value(encode::network(name, spec)).unwrap();
    let mut recorded: Value = wire!("create-network-config-only");
    recorded.as_object_mut().unwrap().remove("CheckDuplicate");
    assert_eq!(body, recorded);
}

#[test]
fn containers_of_the_reference_are_taken_over_untouched() {
    let mut world = compose_world();
    let web: ContainerInspectResponse = wire!("inspect-web-running");
    world
        .containers
        .push(decode::container(&web, None).unwrap());
    assert_eq!(plan(&world, &compose_target(), 0), Plan::Converged);

    let mut world = compose_world();
    let main: ContainerInspectResponse = wire!("inspect-main-running");
    world.containers = vec![decode::container(&main, None).unwrap()];
    image("main", &wire!("image-main"), &mut world);
    let key = &world.containers[0].config.environment["BALENA_SUPERVISOR_API_KEY"];
    world.api_keys = [((1, "main".to_owned()), Secret::new(key.clone()))].into();
    let networks: Vec<Network> = wire!("networks-config-only");
    world.networks = vec![decode::network(&networks[0], None).unwrap()];
    assert_eq!(plan(&world, &single_target(), 0), Plan::Converged);
}

#[test]
fn a_new_image_is_the_reason_for_the_recorded_replacement() {
    let mut world = compose_world();
    let web: ContainerInspectResponse = wire!("inspect-web-before");
    world
        .containers
        .push(decode::container(&web, None).unwrap());
    let steps = steps(plan(&world, &compose_target(), 0));
    assert!(
        matches!(steps.as_slice(), [Step::TakeLocks { app_id: 1, .. }, Step::Kill { service, because, .. }] if service == "web" && because == "image changed"),
        "{steps:?}"
    );
}

#[test]
fn from_compose_to_single_the_recorded_way() {
    let mut world = compose_world();
    image("main", &wire!("image-main"), &mut world);
    let kinds: Vec<String> = steps(plan(&world, &single_target(), 0))
        .iter()
        .map(Step::key)
        .collect();
    let kill = format!("kill {}", world.containers[0].id);
    assert_eq!(kinds, ["take-locks 1".to_owned(), kill]);
}
