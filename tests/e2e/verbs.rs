//! The verbs beside `push` and `logs`, as programs against a device: `ps`, `restart`, `stop`, `start`, `purge`, `info`, `local`, and
//! `push --dry-run`.

use std::collections::BTreeMap;

use bollard::query_parameters::{InspectContainerOptions, ListVolumesOptions};
use serde_json::{Value, json};
use testkit::agent::Settings;
use testkit::programs::built;
use testkit::target::IDLE;
use testkit::workstation::Output;
use testkit::{Agent, Device, Engine, Lan, Target, Workstation};

use crate::projects::{compose, running};

const USAGE: i32 = 2;
const DEVICE: i32 = 4;
const DEPLOY: i32 = 6;
const IP: &str = "10.88.7.1";
const WEB: &str = "web_1_1_10ca12e1ea5e";
const WORKER: &str = "worker_2_1_10ca12e1ea5e";
const PUSH: [&str; 5] = ["push", IP, "--source", "project", "--detached"];

/// The only line of JSON that was printed. Panics when it did not end well.
#[track_caller]
fn value(output: &Output) -> Value {
    output.success();
    serde_json::from_str(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output}"))
}

/// The services of `os ps --json`, by name.
async fn services(workstation: &Workstation) -> BTreeMap<String, Value> {
    let told = workstation.os(&["ps", IP, "--json"]).await;
    told.success();
    let lines = told.stdout.lines();
    let services = lines.map(|line| serde_json::from_str::<Value>(line).expect("a service"));
    services
        .map(|service| {
            (
                service["name"].as_str().expect("a name").to_owned(),
                service,
            )
        })
        .collect()
}

/// The device with two services that the workstation has pushed to it.
async fn pushed() -> (Device, Workstation, Lan) {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    workstation.os(&PUSH).await.success();
    (device, workstation, lan)
}

/// Files in the volume of `worker`.
async fn files(device: &Device) -> Vec<String> {
    let engine = device.engine.client().await;
    let volume = engine.inspect_volume("1_data").await.expect("the volume");
    let files = fs_err::read_dir(volume.mountpoint).expect("its files");
    let names = files.map(|file| file.expect("a file").file_name());
    names
        .map(|name| name.into_string().expect("a name"))
        .collect()
}

#[tokio::test]
async fn services_are_shown_restarted_stopped_started_and_purged() {
    let (device, workstation, _lan) = pushed().await;
    let table = workstation.os(&["ps", IP]).await;
    table.success();
    assert!(table.stdout.starts_with("SERVICE"), "{table}");
    assert_eq!(table.stdout.matches("Running").count(), 2, "{table}");
    let told = services(&workstation).await;
    assert_eq!(told.keys().collect::<Vec<_>>(), ["web", "worker"]);
    assert!(told.values().all(|service| service["state"] == "applied"));

    let before = running(&device.engine).await;
    let restarted = value(&workstation.os(&["restart", IP, "web", "--json"]).await);
    assert_eq!(restarted["action"], "restart");
    assert_eq!(restarted["services"].as_array().map(Vec::len), Some(1));
    assert_eq!(
        restarted["services"][0]["because"],
        "a restart was asked for"
    );
    let after = running(&device.engine).await;
    assert_ne!(after[WEB], before[WEB]);
    assert_eq!(after[WORKER], before[WORKER]);

    let stopped = workstation.os(&["stop", IP, "worker"]).await;
    stopped.success();
    assert!(stopped.stderr.contains("worker  exited"), "{stopped}");
    let left = running(&device.engine).await;
    assert_eq!(left.keys().collect::<Vec<_>>(), [WEB]);
    let told = services(&workstation).await;
    let waiting = told["worker"]["waiting"].as_str().expect("a reason");
    assert!(waiting.contains("stopped on request"), "{waiting}");
    workstation.os(&["start", IP, "worker"]).await.success();
    assert_eq!(running(&device.engine).await, after);

    let volume = device.engine.client().await;
    let volume = volume.inspect_volume("1_data").await.expect("the volume");
    fs_err::write(format!("{}/kept", volume.mountpoint), "").expect("a file");
    let refused = workstation.os(&["purge", IP, "worker"]).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(refused.stderr.contains("--yes"), "{refused}");
    // `web` has no volume.
    let purge = ["purge", IP, "web", "--yes"];
    workstation.os(&purge).await.success();
    assert_eq!(files(&device).await, ["kept"]);
    let before = running(&device.engine).await;
    let purge = ["purge", IP, "worker", "--yes"];
    workstation.os(&purge).await.success();
    assert_eq!(files(&device).await, [""; 0]);
    let after = running(&device.engine).await;
    assert_eq!(after[WEB], before[WEB]);
    assert_ne!(after[WORKER], before[WORKER]);
    workstation.os(&["purge", IP, "--yes"]).await.success();
    assert_ne!(running(&device.engine).await[WEB], after[WEB]);

    let unknown = workstation.os(&["restart", IP, "nosuch"]).await;
    assert_eq!(unknown.code, DEPLOY, "{unknown}");
    assert!(unknown.stderr.contains("nosuch"), "{unknown}");
    let told = value(&workstation.os(&["info", IP, "--json"]).await);
    assert_eq!(told["info"]["uuid"], testkit::agent::UUID);
    assert!(told["disk"]["free"].as_u64().is_some(), "{told}");
    // In no fleet it is always in local mode.
    let mode = value(&workstation.os(&["local", "on", IP, "--json"]).await);
    assert_eq!(
        mode,
        json!({"enabled": true, "managed": false, "losses": []})
    );
    let refused = workstation.os(&["local", "off", IP]).await;
    assert_eq!(refused.code, DEPLOY, "{refused}");
}

#[tokio::test]
async fn a_named_service_is_judged_by_itself_and_waits_for_locks() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    let target = Target::of(&[("web", IDLE), ("worker", IDLE)]);
    let before = device.converge(&target.text()).await;
    let broken = target.with("worker", "command", json!(["/nosuch"]));
    device.post(&broken.text()).await;
    let mut reports = device
        .agent
        .endpoint()
        .lines("/os/v1/report?follow=true")
        .await;
    let failing = reports.find(|report| report["state"] == "failing").await;
    assert_eq!(failing["services"][0]["state"], "applied", "{failing}");
    assert_eq!(failing["services"][1]["state"], "failing", "{failing}");

    let restarted = value(&workstation.os(&["restart", IP, "web", "--json"]).await);
    let web = &restarted["services"][0];
    assert_eq!(web["state"], "applied", "{restarted}");
    let old = before.services[0].container_id.as_deref();
    assert_ne!(web["container_id"].as_str(), old, "{restarted}");
    workstation.os(&["stop", IP, "web"]).await.success();
    workstation.os(&["start", IP, "web"]).await.success();
    for broken in [&["restart", IP, "worker"][..], &["restart", IP]] {
        let output = workstation.os(broken).await;
        assert_eq!(output.code, DEPLOY, "{output}");
        assert!(
            output.stderr.contains("`worker` did not come up"),
            "{output}"
        );
    }

    let lock = device.agent.dir().join("services/1/web/updates.lock");
    fs_err::write(&lock, "").expect("a lock");
    let locked = workstation.os(&["stop", IP, "web"]).await;
    assert_eq!(locked.code, DEPLOY, "{locked}");
    assert!(locked.stderr.contains("os stop --force"), "{locked}");
    let forced = workstation.os(&["stop", IP, "web", "--force"]).await;
    forced.success();
}

#[tokio::test]
async fn a_fleets_device_is_reached_by_its_socket_and_with_its_key() {
    let lan = Lan::new();
    let (machine, engine) = Engine::on_a_machine().await;
    // As through the fleet's tunnel: out of local mode a device shuts its API to its local network.
    lan.join_as(&machine, "tun0");
    let settings = Settings::new(engine.socket());
    let dir = machine.dir().join(&settings.place);
    fs_err::create_dir_all(&dir).expect("the agent's directory");
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    fs_err::write(dir.join("config.json"), config.to_string()).expect("config.json");
    let agent = Agent::start(&machine, settings).await;
    let workstation = Workstation::new(Some(&lan));
    let socket = agent.socket().display().to_string();

    // Nothing was given: what may be is said.
    for verb in [&["local", "on", IP][..], &["ps", IP], &["logs", IP], &PUSH] {
        compose(&workstation, "project");
        let output = workstation.os(verb).await;
        assert_eq!(output.code, DEVICE, "{output}");
        assert!(output.stderr.contains("wants an API key"), "{output}");
        for way in ["OSCLI_API_KEY", "--api-key-file", "--socket"] {
            assert!(output.stderr.contains(way), "{way}: {output}");
        }
        // A push takes none of them: it says what opens the device to it.
        let open = "os local on DEVICE --api-key-file";
        assert!(output.stderr.contains(open), "{output}");
    }

    // A key: of a file, of standard input, of the environment.
    let key = agent.endpoint().get("/os/v1/key").await.json();
    let key = key["key"].as_str().expect("a key").to_owned();
    workstation.write("key", format!("{key}\n"));
    let status = ["local", "status", IP, "--api-key-file", "key"];
    let told = workstation.os(&status).await;
    told.success();
    assert_eq!(told.stdout, "off\n", "{told}");
    let os = built("os").display().to_string();
    let piped = format!("{os} local status {IP} --api-key-file - < key");
    let told = workstation.start_program(&["sh", "-c", &piped]);
    assert_eq!(told.output().await.stdout, "off\n");
    workstation.write("wrong", "0123456789abcdef0123456789abcdef");
    let told = workstation.os(&["ps", IP, "--api-key-file", "wrong"]).await;
    assert_eq!(told.code, DEVICE, "{told}");
    assert!(told.stderr.contains("refuses the API key"), "{told}");
    assert!(!told.stderr.contains("0123456789abcdef"), "{told}");
    let nobody = workstation.os(&["ps", "--api-key-file", "key"]).await;
    assert_eq!(nobody.code, USAGE, "{nobody}");
    let mut other = Workstation::new(Some(&lan));
    other.set("OSCLI_API_KEY", &key);
    let on = value(&other.os(&["local", "on", IP, "--json"]).await);
    assert_eq!(
        (&on["enabled"], &on["managed"]),
        (&json!(true), &json!(true))
    );
    // Now it is open, and takes what is pushed.
    workstation.os(&PUSH).await.success();

    // The socket: root needs no key there.
    let told = value(
        &workstation
            .os(&["info", "--socket", &socket, "--json"])
            .await,
    );
    assert_eq!(told["info"]["local_mode"], true, "{told}");
    let both = workstation.os(&["ps", IP, "--socket", &socket]).await;
    assert_eq!(both.code, USAGE, "{both}");
    let restarted = workstation
        .os(&["restart", "--socket", &socket, "web"])
        .await;
    restarted.success();
    assert!(restarted.stderr.contains("web  Running"), "{restarted}");
    assert!(!restarted.stderr.contains("worker  "), "{restarted}");
    // On the device itself the agent's own socket is found.
    let run = "/run/os-agent";
    workstation.machine.run("mkdir", &["-p", run]);
    let link = format!("{run}/agent.sock");
    workstation.machine.run("ln", &["-s", &socket, &link]);
    let refused = workstation.os(&["local", "off"]).await;
    assert_eq!(refused.code, DEPLOY, "{refused}");
    assert!(refused.stderr.contains("--discard"), "{refused}");
    let off = workstation.os(&["local", "off", "--discard"]).await;
    off.success();
    assert_eq!(off.stdout, "off\n", "{off}");
    let nothing = workstation.os(&["ps", IP]).await;
    assert_eq!(nothing.code, DEVICE, "{nothing}");
}

#[tokio::test]
async fn a_dry_run_tells_of_everything_and_changes_nothing() {
    let (device, workstation, _lan) = pushed().await;
    let worker = async || {
        let engine = device.engine.client().await;
        let container = engine.inspect_container(WORKER, None::<InspectContainerOptions>);
        container.await.expect("the container").id
    };
    let before = worker().await;
    let dry =
        |more: &[&'static str]| [&["push", IP, "--source", "project", "--dry-run"], more].concat();
    let write = |volumes: &str, of_worker: &str| {
        workstation.write(
            "project/docker-compose.yml",
            format!(
                "services:\n  web:\n    build: ./web\n    ports: [\"8081:8080\"]\n    depends_on: [worker]\n\
                 \x20   environment:\n      GREETING: hello\n\
                 \x20 worker:\n    build: ./worker\n    volumes: [\"{of_worker}:/data\"]\n\
                 volumes:\n  {volumes}\n"
            ),
        );
    };
    let says = |output: &Output, line: &str| {
        output.success();
        assert!(output.stdout.contains(line), "`{line}`: {output}");
    };
    // The project names another volume, and `worker` has another context.
    write("more: {}", "more");
    workstation.write("project/worker/message", "something else\n");
    let told = workstation.os(&dry(&[])).await;
    says(&told, "web: its image is on the device");
    says(&told, "web: its container stays");
    says(&told, "worker: build from ");
    says(&told, "worker: gets another container because of ");
    says(&told, "volume more: is made, empty");
    says(
        &told,
        "volume data: the project does not name it; it stays on the device with its data",
    );
    says(&told, "network default: stays");
    assert!(told.stderr.contains("nothing was changed"), "{told}");
    // A volume that is configured otherwise stays, unless its data is let go.
    write("data: {labels: {x: \"1\"}}", "data");
    let told = workstation.os(&dry(&[])).await;
    says(&told, "unless --discard-volume data lets its data go");
    let told = workstation.os(&dry(&["--discard-volume", "data"])).await;
    says(&told, "volume data: all its data is LOST");
    let told = value(
        &workstation
            .os(&dry(&["--discard-volume", "data", "--json"]))
            .await,
    );
    let volume = &told["changes"]["volumes"][0];
    assert_eq!(
        (&volume["name"], &volume["action"]),
        (&json!("data"), &json!("recreate")),
        "{told}"
    );

    assert_eq!(worker().await, before);
    let engine = device.engine.client().await;
    let volumes = engine.list_volumes(None::<ListVolumesOptions>).await;
    let volumes = volumes.expect("volumes").volumes.expect("volumes");
    let names: Vec<&str> = volumes.iter().map(|volume| volume.name.as_str()).collect();
    assert_eq!(names, ["1_data"]);
}

#[tokio::test]
async fn a_dry_run_of_a_release_that_the_device_would_refuse_fails_as_its_push_would() {
    let (_device, workstation, _lan) = pushed().await;
    workstation.write(
        "project/worker/contract.yml",
        "type: sw.container\nslug: worker\nname: worker\nrequires:\n- {type: sw.supervisor, version: '>=99.0.0'}\n",
    );
    let dry = ["push", IP, "--source", "project", "--dry-run"];
    let told = workstation.os(&dry).await;
    assert_eq!(told.code, DEPLOY, "{told}");
    assert!(
        told.stdout.contains("would refuse this release: "),
        "{told}"
    );
    let push = ["push", IP, "--source", "project", "--detached"];
    let pushed = workstation.os(&push).await;
    assert_eq!(pushed.code, DEPLOY, "{pushed}");
}
