//! Golden comparison: what the rules of the reference demand of an engine, beside what our agent makes of the same target.
//!
//! Everything is made twice on one engine. First by the rules and by hand (`rules.rs`, `reference.rs`), as a reference
//! device would have left it: a fresh agent takes it over without touching a container, and a change recreates the
//! containers that it concerns and says why. Then by our agent on an empty engine: inspections must be equal.

mod case;
mod compare;
mod coverage;
mod reference;
mod rules;

use std::collections::{BTreeMap, BTreeSet};

use agent_api::os::Report;
use serde_json::{Value, json};
use testkit::agent::{Agent, Settings};
use testkit::until::PATIENCE;
use testkit::{Device, Engine, Namespace, image, target::IDLE};

use crate::faults_in_a_deploy::SLOW;
use case::Case;
use reference::ByHand;
use rules::{Image, Rules};

/// What images say, in the words of a Dockerfile and in those of an engine.
async fn images(engine: &Engine) -> BTreeMap<String, Image> {
    let path = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    let command = json!(["sh", "-c", IDLE]);
    let plain = (
        vec![format!("CMD {command}"), format!("ENV {path}")],
        json!({"Cmd": command, "Env": [path]}),
    );
    let rich = (
        vec![
            format!("CMD {command}"),
            r#"ENTRYPOINT ["busybox"]"#.to_owned(),
            format!("ENV {path} USER=image GREETING=hello"),
            "WORKDIR /srv".to_owned(),
            "USER 1000".to_owned(),
            "VOLUME /cache".to_owned(),
            "EXPOSE 80".to_owned(),
            "LABEL io.resin.local.image=1 mine=image".to_owned(),
            r#"HEALTHCHECK --interval=1h --timeout=2s --retries=4 CMD ["true"]"#.to_owned(),
        ],
        json!({
            "Cmd": command, "Entrypoint": ["busybox"], "Env": [path, "USER=image", "GREETING=hello"],
            "WorkingDir": "/srv", "User": "1000", "Volumes": {"/cache": {}},
            "Labels": {"io.resin.local.image": "1", "mine": "image"},
            "Healthcheck": {"Test": ["CMD", "true"], "Interval": 3_600_000_000_000_i64, "Timeout": 2_000_000_000_i64, "Retries": 4},
        }),
    );
    // An image that asks for a feature itself, in the older spelling.
    let asking = (
        vec![
            format!("CMD {command}"),
            format!("ENV {path}"),
            "LABEL io.resin.features.supervisor-api=1".to_owned(),
        ],
        json!({"Cmd": command, "Env": [path], "Labels": {"io.resin.features.supervisor-api": "1"}}),
    );
    let client = engine.client().await;
    let mut all = BTreeMap::new();
    for (name, (changes, config)) in [("plain", plain), ("rich", rich), ("asking", asking)] {
        let id = image::make(&client, name, changes).await;
        all.insert(name.to_owned(), Image { id, config });
    }
    all
}

/// The settings of the recordings' device, on a host that says more of itself.
fn settings(machine: &Namespace, engine: &Engine) -> Settings {
    let os_release = machine.dir().join("os-release");
    fs_err::write(
        &os_release,
        "ID=balena-os\nVERSION=6.8.1\nBALENA_BOARD_REV=abc123\n",
    )
    .expect("an os-release");
    let mut settings = Settings::new(engine.socket());
    settings.more = vec![format!("--os-release={}", os_release.display())];
    settings
}

#[tokio::test]
async fn a_reference_devices_containers_are_taken_over_and_ours_are_the_same() {
    let shared = tempfile::Builder::new()
        .prefix("golden")
        .tempdir_in("/tmp")
        .expect("a folder below /tmp");
    let (machine, engine) = Engine::on_a_machine().await;
    let images = images(&engine).await;
    let socket = engine.socket();
    let cases = Case::all(&[
        ("@tmp@", shared.path().to_str().expect("a path")),
        ("@socket@", socket.to_str().expect("a path")),
    ]);
    let by_hand = ByHand::on(&engine);
    let agent = Agent::cold(&machine, settings(&machine, &engine));
    let services_dir = agent.dir().join("services").display().to_string();
    let mut device = Device {
        agent,
        engine,
        machine,
        address: None,
    };
    for batch in case::batches(&cases) {
        reference::make(&by_hand, &batch, &images, &services_dir).await;
        let reference = by_hand.containers(&batch).await;
        let resources = by_hand.resources().await;
        assert_as_the_rules_have_it(&batch, &resources);

        device.agent.resume(&device.machine).await;
        take_over(&device, &by_hand, &batch, (&reference, &resources)).await;
        change(&device, &by_hand, &batch, &reference).await;
        clear(&device, &by_hand, &batch).await;
        make_anew(&device, &by_hand, &batch, (&reference, &resources)).await;
        clear(&device, &by_hand, &batch).await;

        // The next one knows nothing.
        device.agent.kill().await;
        fs_err::remove_dir_all(device.agent.state_dir()).expect("the agent's state");
        fs_err::create_dir(device.agent.state_dir()).expect("an empty state");
    }
}

/// Inspections of containers by case, and of networks and volumes by kind and name.
type Inspections<'a> = (&'a BTreeMap<String, Value>, &'a BTreeMap<String, Value>);

/// A fresh agent touches nothing that is as the rules have it.
async fn take_over(
    device: &Device,
    by_hand: &ByHand,
    batch: &[Case],
    (reference, resources): Inspections<'_>,
) {
    let report = device.converge(&case::target(batch, false)).await;
    let taken = by_hand.containers(batch).await;
    for (name, before) in reference {
        let after = &taken[name];
        let why = because(&report, name);
        assert_eq!(after["Id"], before["Id"], "{name} was recreated: {why:?}");
        assert_eq!(after["RestartCount"], 0, "{name}");
        let started = |inspect: &Value| inspect["State"]["StartedAt"].clone();
        assert_eq!(started(after), started(before), "{name} was restarted");
    }
    let id = |inspect: &Value| (inspect["Id"].clone(), inspect["CreatedAt"].clone());
    let left = by_hand.resources().await;
    assert_same_names(&left, resources);
    for (name, after) in &left {
        assert_eq!(id(after), id(&resources[name]), "{name} was made anew");
    }
}

/// What changes in one field is recreated, and the field is named.
async fn change(
    device: &Device,
    by_hand: &ByHand,
    batch: &[Case],
    reference: &BTreeMap<String, Value>,
) {
    let report = device.converge(&case::target(batch, true)).await;
    let changed = by_hand.containers(batch).await;
    for case in batch {
        let same = changed[&case.name]["Id"] == reference[&case.name]["Id"];
        let told = because(&report, &case.name);
        match case.because() {
            Some(field) => {
                assert!(!same, "{} was not recreated", case.name);
                assert_eq!(told, Some(format!("{field} changed")), "{}", case.name);
            }
            None => assert!(same, "{} was recreated: {told:?}", case.name),
        }
    }
}

/// Our agent asks the engine for the same.
async fn make_anew(
    device: &Device,
    by_hand: &ByHand,
    batch: &[Case],
    (reference, resources): Inspections<'_>,
) {
    device.converge(&case::target(batch, false)).await;
    let wanted = comparable(reference);
    let made = comparable(&by_hand.containers(batch).await);
    let mut differences = Vec::new();
    for (name, wanted) in &wanted {
        compare::differences(name, wanted, &made[name], &mut differences);
    }
    let all = by_hand.resources().await;
    assert_same_names(&all, resources);
    for (name, made) in &all {
        let (wanted, made) = (compare::resource(&resources[name]), compare::resource(made));
        compare::differences(name, &wanted, &made, &mut differences);
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// Networks and volumes that cases need, and no others but one that belongs to no application and stays.
fn assert_as_the_rules_have_it(batch: &[Case], resources: &BTreeMap<String, Value>) {
    let (networks, volumes) = (rules::network_bodies(batch), rules::volume_bodies(batch));
    let networks = networks.keys().map(|name| format!("network {name}"));
    let volumes = volumes.keys().map(|name| format!("volume {name}"));
    let wanted: BTreeSet<String> = networks.chain(volumes).collect();
    let mut there: BTreeSet<String> = resources.keys().cloned().collect();
    there.remove("volume extra-firmware");
    assert_eq!(there, wanted);
}

fn assert_same_names(made: &BTreeMap<String, Value>, wanted: &BTreeMap<String, Value>) {
    let names = |all: &BTreeMap<String, Value>| all.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(made), names(wanted));
}

/// An engine as it was before.
async fn clear(device: &Device, by_hand: &ByHand, batch: &[Case]) {
    // On a busy machine an engine keeps a network in use for a while after its last container, or never answers, and the
    // device tries again.
    let generation = device.post(r#"{"local":{"apps":{}}}"#).await;
    device
        .settled_at_last_within(generation, PATIENCE + SLOW)
        .await;
    for name in rules::volume_bodies(batch).keys() {
        by_hand.delete(&format!("/volumes/{name}")).await;
    }
    if rules::network_bodies(batch).contains_key("supervisor0") {
        by_hand.delete("/networks/supervisor0").await;
    }
}

fn comparable(containers: &BTreeMap<String, Value>) -> BTreeMap<String, Value> {
    let names = reference::ids(containers);
    containers
        .iter()
        .map(|(name, inspect)| (name.clone(), compare::container(inspect, &names)))
        .collect()
}

fn because(report: &Report, service: &str) -> Option<String> {
    let mut all = report.services.iter();
    all.find(|found| found.name == service)?.because.clone()
}

/// The rules are written down here once more; the recording says whether rightly.
#[test]
fn the_rules_lead_to_the_recorded_request() {
    let recorded = testkit::wire::json("20.create-web.json");
    let text = json!({
        "service": {"environment": {"GREETING": "hello"}, "ports": ["8081:8080"]},
        "config": {"ExposedPorts": {"8080/tcp": {}}},
        "host": {"PortBindings": {"8080/tcp": [{"HostIp": "", "HostPort": "8081"}]}},
    });
    let case = Case::new("web", 1, text);
    let image = Image {
        id: recorded["Image"].as_str().expect("an id").to_owned(),
        config: json!({
            "Cmd": ["/bin/sh", "/app/run.sh"], "WorkingDir": "/app",
            "Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "Labels": {"io.resin.local.image": "1", "io.resin.local.service": "web"},
        }),
    };
    let rules = Rules {
        images: &BTreeMap::from([("plain".to_owned(), image)]),
        services_dir: "/tmp/balena-supervisor/services",
        containers: &BTreeMap::new(),
    };
    let mut made = rules.container(&case);
    let mut recorded = recorded;
    recorded.as_object_mut().expect("a body").remove("name");
    for body in [&mut made, &mut recorded] {
        let variables = body["Env"].as_array_mut().expect("variables");
        variables.sort_by_key(Value::to_string);
    }
    assert_eq!(made, recorded);
}
