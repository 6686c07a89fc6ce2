//! Devices are reached by SSH where they have it, and nobody gets around that.

use std::path::PathBuf;

use serde_json::{Value, json};
use testkit::agent::Settings;
use testkit::{Agent, Engine, Lan, Namespace, Sshd, Workstation, lan::Address};

use crate::projects::{compose, running};

const DEVICE: i32 = 4;
/// What a device is called, and its uuid.
pub(crate) const NAME: &str = "kitchen";
pub(crate) const UUID: &str = "1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a";
const IP: &str = "10.88.7.1";
/// Nobody in the network gets to the API.
const SHUT: &str = "for t in iptables ip6tables; do $t -I INPUT -i lan0 -p tcp --dport 48484 -j REJECT --reject-with tcp-reset; done";
const OPEN: &str = "for t in iptables ip6tables; do $t -D INPUT -i lan0 -p tcp --dport 48484 -j REJECT --reject-with tcp-reset; done";

/// A device with an SSH server. The order of the fields is the order in which they end.
pub(crate) struct Device {
    _agent: Agent,
    pub(crate) sshd: Sshd,
    pub(crate) machine: Namespace,
    address: Address,
}

impl Device {
    /// Without an engine, called `name`, in a network.
    async fn start(lan: &Lan, name: &str, uuid: &str) -> Self {
        let machine = Namespace::new();
        let engine = machine.dir().join("no-engine.sock");
        Self::on(machine, engine, lan, (name, uuid)).await
    }

    pub(crate) async fn on(
        machine: Namespace,
        engine: PathBuf,
        lan: &Lan,
        called: (&str, &str),
    ) -> Self {
        let address = lan.join(&machine);
        let sshd = Sshd::start(&machine, "").await;
        let mut settings = Settings::new(engine);
        called.0.clone_into(&mut settings.hostname);
        called.1.clone_into(&mut settings.uuid);
        "all".clone_into(&mut settings.announce);
        announce(&machine, &sshd);
        let agent = Agent::start(&machine, settings).await;
        agent.announced().await;
        // Where a device has them.
        let link = format!(
            "mkdir -p /run/os-agent && ln -sfn {} /run/os-agent/agent.sock",
            agent.socket().display()
        );
        machine.run("sh", &["-c", &link]);
        Self {
            _agent: agent,
            sshd,
            machine,
            address,
        }
    }

    pub(crate) fn lets_in(&self, workstation: &Workstation) {
        self.sshd
            .authorize(&workstation.home().join(".ssh/id_ed25519.pub"));
    }

    pub(crate) fn sh(&self, script: &str) {
        self.machine.run("sh", &["-c", script]);
    }
}

/// Puts the server's public key where the agent looks for it.
fn announce(machine: &Namespace, sshd: &Sshd) {
    let key = sshd.public_key().display().to_string();
    let copy = format!(
        "mkdir -p /etc/ssh/hostkeys && cp {key} /etc/ssh/hostkeys/ssh_host_ed25519_key.pub"
    );
    machine.run("sh", &["-c", &copy]);
}

/// A workstation of somebody who has a key, on which every command makes a connection of its own.
pub(crate) fn workstation(lan: &Lan) -> Workstation {
    let mut workstation = Workstation::new(Some(lan));
    workstation.set("OSCLI_SSH_KEEP", "0");
    let file = workstation
        .write(".ssh/id_ed25519", "")
        .display()
        .to_string();
    let make = format!("rm {file} && ssh-keygen -q -t ed25519 -N '' -C 'a person' -f {file}");
    workstation.machine.run("sh", &["-c", &make]);
    workstation
}

#[tokio::test]
async fn everything_goes_through_ssh_where_nothing_else_is_open() {
    let lan = Lan::new();
    let machine = Namespace::new();
    let engine = Engine::start_closed(&machine).await;
    let device = Device::on(machine, engine.socket(), &lan, (NAME, UUID)).await;
    let socket = engine.socket().display().to_string();
    device.sh(&format!("ln -sfn {socket} /run/docker.sock && {SHUT}"));
    let workstation = workstation(&lan);
    device.lets_in(&workstation);
    compose(&workstation, "project");

    // Nobody is asked: the device announces the key that it shows.
    let pushed = workstation
        .os(&[
            "push",
            NAME,
            "--source",
            "project",
            "--detached",
            "--verbose",
        ])
        .await;
    pushed.success();
    assert!(!pushed.stderr.contains("warning"), "{pushed}");
    assert!(
        pushed.stderr.contains(&device.sshd.fingerprint()),
        "{pushed}"
    );
    assert!(pushed.stderr.contains("agent.sock of kitchen"), "{pushed}");
    assert_eq!(running(&engine).await.len(), 2);
    let status = workstation.os(&["ps", NAME, "--json"]).await;
    status.success();
    assert_eq!(status.stdout.lines().count(), 2, "{status}");
    let restarted = workstation.os(&["restart", NAME, "web"]).await;
    restarted.success();
    assert!(restarted.stderr.contains("web  Running"), "{restarted}");
    let told = workstation
        .os(&["logs", NAME, "--tail", "100", "--no-follow"])
        .await;
    told.success();
    assert!(told.stdout.contains("hello from worker"), "{told}");
    workstation.os(&["info", NAME]).await.success();
    let scan = workstation.os(&["scan", "--json"]).await;
    let found: Value = serde_json::from_str(scan.stdout.lines().next().expect("a device"))
        .unwrap_or_else(|error| panic!("{error}: {scan}"));
    assert_eq!(found["ssh"], json!("known"), "{scan}");

    // Changes are brought over it, too.
    let push = workstation.start(&["push", NAME, "--source", "project"]);
    push.says("watching the files of web, worker").await;
    workstation.write("project/worker/message", "hello again from worker\n");
    push.shows("hello again from worker").await;
    drop(push);

    // A log is followed over the end of the connection.
    let logs = workstation.start(&["logs", NAME, "--verbose"]);
    logs.says("Streaming logs").await;
    let here = workstation.address.expect("in a network").v4;
    device.sh(&format!("ss --kill --tcp dst {here} sport = :22222"));
    let again = workstation.os(&["restart", NAME, "worker"]).await;
    again.success();
    logs.shows("hello from worker").await;
}

#[tokio::test]
async fn a_device_whose_key_is_kept_is_not_reached_without_proof() {
    let lan = Lan::new();
    let mut device = Device::start(&lan, NAME, UUID).await;
    let workstation = workstation(&lan);
    device.lets_in(&workstation);
    workstation.os(&["info", NAME]).await.success();

    // Somebody shuts SSH, and would have the rest by its open ports.
    device.sshd.process.terminate().await;
    for name in [NAME, IP, UUID] {
        let shut = workstation.os(&["info", name]).await;
        assert_eq!(shut.code, DEVICE, "{shut}");
        assert!(shut.stderr.contains("known by its SSH key"), "{shut}");
        assert_eq!(shut.stdout, "");
    }
    let plain = workstation.os(&["info", NAME, "--plain"]).await;
    plain.success();

    // Another server answers in the place of the first.
    device.sshd = Sshd::start(&device.machine, "").await;
    device.lets_in(&workstation);
    let changed = workstation.os(&["info", NAME]).await;
    assert_eq!(changed.code, DEVICE, "{changed}");
    assert!(changed.stderr.contains("flashed anew"), "{changed}");
    assert!(!device.sshd.process.log().contains("Accepted"));
}

#[tokio::test]
async fn whoever_takes_a_devices_name_uuid_or_place_is_told_from_it() {
    let lan = Lan::new();
    let device = Device::start(&lan, NAME, UUID).await;
    let workstation = workstation(&lan);
    device.lets_in(&workstation);
    workstation.os(&["info", NAME]).await.success();
    lan.unplug(device.address);

    // A spoofed answer: the name and the uuid are the device's, address and key somebody else's.
    let other = Device::start(&lan, NAME, UUID).await;
    other.lets_in(&workstation);
    for name in [NAME, UUID] {
        let spoofed = workstation.os(&["info", name]).await;
        assert_eq!(spoofed.code, DEVICE, "{spoofed}");
        assert!(spoofed.stderr.contains("another one is known"), "{spoofed}");
    }
    assert!(!other.sshd.process.log().contains("Accepted"));
    lan.unplug(other.address);

    // The name alone, by a device of its own.
    let third = Device::start(&lan, NAME, "2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b").await;
    third.lets_in(&workstation);
    let named = workstation.os(&["info", NAME]).await;
    assert_eq!(named.code, DEVICE, "{named}");
    assert!(!third.sshd.process.log().contains("Accepted"));
}

#[tokio::test]
async fn a_key_that_is_not_the_announced_one_is_refused() {
    let lan = Lan::new();
    let mut device = Device::start(&lan, NAME, UUID).await;
    device.sshd.process.terminate().await;
    device.sshd = Sshd::start(&device.machine, "").await;
    let workstation = workstation(&lan);
    device.lets_in(&workstation);
    for more in [&[][..], &["--accept-host-key"]] {
        let refused = workstation.os(&[&["info", NAME], more].concat()).await;
        assert_eq!(refused.code, DEVICE, "{refused}");
        assert!(
            refused.stderr.contains("announces another one"),
            "{refused}"
        );
    }
    assert!(!device.sshd.process.log().contains("Accepted"));
}

#[tokio::test]
async fn a_device_that_lets_nobody_in_is_reached_without_ssh_and_that_is_said_once() {
    let lan = Lan::new();
    let device = Device::start(&lan, NAME, UUID).await;
    let workstation = workstation(&lan);
    let first = workstation.os(&["info", NAME]).await;
    first.success();
    assert!(first.stderr.contains("does not let us in"), "{first}");
    assert!(first.stderr.contains("said once"), "{first}");
    let second = workstation.os(&["info", NAME]).await;
    second.success();
    assert!(!second.stderr.contains("warning"), "{second}");
    let detailed = workstation.os(&["info", NAME, "--verbose"]).await;
    assert!(detailed.stderr.contains("without SSH"), "{detailed}");
    // Now it does, and never less from then on.
    device.lets_in(&workstation);
    let entered = workstation.os(&["info", NAME, "--verbose"]).await;
    entered.success();
    assert!(!entered.stderr.contains("without SSH"), "{entered}");
    device.sh("for file in sshd-*/authorized_keys; do : >$file; done");
    let stopped = workstation.os(&["info", NAME]).await;
    assert_eq!(stopped.code, DEVICE, "{stopped}");
    // Neither way is open.
    let other = workstation_without_key(&lan);
    device.sh(SHUT);
    let nothing = other.os(&["info", NAME]).await;
    assert_eq!(nothing.code, DEVICE, "{nothing}");
    assert!(nothing.stderr.contains("does not let root in"), "{nothing}");
    device.sh(OPEN);
    other.os(&["info", NAME]).await.success();
}

#[tokio::test]
async fn a_refusal_by_any_command_is_no_reason_to_stop_later() {
    let lan = Lan::new();
    let device = Device::start(&lan, NAME, UUID).await;
    let workstation = workstation(&lan);
    let refused = workstation.os(&["ssh", NAME, "--", "true"]).await;
    assert!(refused.stderr.contains("does not let root in"), "{refused}");
    // Its key is kept by now, and it was never known by it.
    workstation.os(&["info", NAME]).await.success();
    device.lets_in(&workstation);
    workstation.os(&["ssh", NAME, "--", "true"]).await.success();
    device.sh("for file in sshd-*/authorized_keys; do : >$file; done");
    let stopped = workstation.os(&["info", NAME]).await;
    assert_eq!(stopped.code, DEVICE, "{stopped}");
}

#[tokio::test]
async fn an_answer_of_the_plain_api_vouches_for_no_key() {
    let lan = Lan::new();
    let device = Device::start(&lan, NAME, UUID).await;
    let workstation = workstation(&lan);
    device.lets_in(&workstation);
    let refused = workstation.os(&["ssh", IP, "--", "true"]).await;
    assert!(refused.stderr.contains("--accept-host-key"), "{refused}");
    assert!(!device.sshd.process.log().contains("Accepted"));
    let forgotten = workstation.os(&["ssh-forget", NAME]).await;
    assert_eq!(forgotten.code, DEVICE, "{forgotten}");
    // What it announces in the network does; and is forgotten without its key, too.
    workstation.os(&["scan"]).await.success();
    let forgotten = workstation.os(&["ssh-forget", NAME]).await;
    forgotten.success();
    assert!(forgotten.stderr.contains("announced"), "{forgotten}");
    workstation.os(&["ssh", NAME, "--", "true"]).await.success();
}

fn workstation_without_key(lan: &Lan) -> Workstation {
    Workstation::new(Some(lan))
}

#[tokio::test]
async fn a_device_of_a_fleet_that_shuts_its_network_out_is_explained() {
    let lan = Lan::new();
    let machine = Namespace::new();
    lan.join(&machine);
    let settings = Settings::new(machine.dir().join("no-engine.sock"));
    let dir = machine.dir().join(&settings.place);
    fs_err::create_dir_all(&dir).expect("the agent's directory");
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    fs_err::write(dir.join("config.json"), config.to_string()).expect("config.json");
    let agent = Agent::start(&machine, settings).await;
    let workstation = Workstation::new(Some(&lan));
    let is_shut = async || {
        let told = workstation.os(&["ps", IP]).await;
        told.stderr
            .contains("refused the connection")
            .then_some(told)
    };
    let told = testkit::until("the port is shut", is_shut).await;
    assert_eq!(told.code, DEVICE, "{told}");
    for part in ["not in local mode", "os local on", "os ssh"] {
        assert!(told.stderr.contains(part), "{part}: {told}");
    }
    // By SSH it is opened, without any key of its API.
    let sshd = Sshd::start(&machine, "").await;
    announce(&machine, &sshd);
    let link = format!(
        "mkdir -p /run/os-agent && ln -sfn {} /run/os-agent/agent.sock",
        agent.socket().display()
    );
    machine.run("sh", &["-c", &link]);
    let mut workstation = self::workstation(&lan);
    sshd.authorize(&workstation.home().join(".ssh/id_ed25519.pub"));
    let status = ["local", "status", IP, "--accept-host-key"];
    let told = workstation.os(&status).await;
    told.success();
    assert_eq!(told.stdout, "off\n", "{told}");
    // And no key that is lying about goes around it.
    workstation.set("OSCLI_API_KEY", "0123456789abcdef");
    workstation.os(&["local", "status", IP]).await.success();
}
