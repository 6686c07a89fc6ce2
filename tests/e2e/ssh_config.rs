//! Plain `ssh`, `scp`, `sftp` and `rsync` by the names of devices, against real servers; and everybody who is not the device, refused.

use testkit::agent::Settings;
use testkit::workstation::Output;
use testkit::{Agent, Lan, Namespace, OpenSsh, Workstation};

/// A device without an engine: nothing is pushed.
struct Device {
    agent: Agent,
    sshd: OpenSsh,
    machine: Namespace,
}

impl Device {
    async fn start(lan: &Lan, person: &Workstation, name: &str, uuid: &str) -> Self {
        let machine = Namespace::new();
        lan.join(&machine);
        let mut settings = Settings::new(machine.dir().join("no-engine.sock"));
        "all".clone_into(&mut settings.announce);
        name.clone_into(&mut settings.hostname);
        settings.uuid = uuid.repeat(16);
        let sshd = OpenSsh::start(&machine, &["ed25519", "rsa"], &key(person)).await;
        let agent = Agent::start(&machine, settings).await;
        agent.announced().await;
        Self {
            agent,
            sshd,
            machine,
        }
    }

    /// A new system on the same device.
    async fn reflash(&mut self, person: &Workstation, kinds: &[&str]) {
        self.sshd.stop().await;
        self.sshd = OpenSsh::start(&self.machine, kinds, &key(person)).await;
    }
}

/// A workstation whose user has a key, and plain `ssh` taking devices.
pub(crate) async fn workstation(lan: Option<&Lan>) -> Workstation {
    let person = Workstation::new(lan);
    let home = person.home();
    let home = home.to_str().expect("a path");
    // `ssh` looks for the home in the system's table, not in the environment.
    let table = format!("sed -i 's#^root:.*#root:x:0:0:root:{home}:/bin/bash#' /etc/passwd");
    person.machine.run("sh", &["-c", &table]);
    person.write(".ssh/config", "# mine\nHost *\n  ConnectTimeout 20\n");
    person.machine.run(
        "ssh-keygen",
        &[
            "-q",
            "-t",
            "ed25519",
            "-N",
            "",
            "-f",
            &format!("{home}/.ssh/id_ed25519"),
        ],
    );
    person.os(&["ssh-config", "--install"]).await.success();
    person
}

fn key(person: &Workstation) -> String {
    fs_err::read_to_string(person.home().join(".ssh/id_ed25519.pub")).expect("the person's key")
}

pub(crate) async fn run(person: &Workstation, line: &str) -> Output {
    person.start_program(&["sh", "-c", line]).output().await
}

fn known_hosts(person: &Workstation) -> String {
    fs_err::read_to_string(person.home().join(".local/state/os/ssh/known_hosts"))
        .unwrap_or_default()
}

/// Connects for the first time, and says yes to the question; gives back the question.
pub(crate) async fn first_contact(person: &Workstation, device: &str) -> String {
    let answer = person.write(
        "answer",
        "#!/bin/sh\nprintf '%s' \"$1\" > \"$HOME/question\"\necho yes\n",
    );
    person
        .machine
        .run("chmod", &["+x", answer.to_str().expect("a path")]);
    let line = format!(
        "SSH_ASKPASS={} SSH_ASKPASS_REQUIRE=force ssh {device}.os echo in",
        answer.display()
    );
    let first = run(person, &line).await;
    first.success();
    assert_eq!(first.stdout, "in\n", "{first}");
    fs_err::read_to_string(person.home().join("question")).expect("a question")
}

#[tokio::test]
async fn plain_tools_take_a_device_by_its_name_and_know_it_by_its_uuid() {
    let lan = Lan::new();
    let person = workstation(Some(&lan)).await;
    let kitchen = Device::start(&lan, &person, "kitchen", "1a").await;
    let uuid = "1a".repeat(16);
    let unknown = run(&person, "ssh -o BatchMode=yes kitchen.os true").await;
    assert!(
        unknown.code == 255 && unknown.stderr.contains("Host key verification failed"),
        "{unknown}"
    );
    let question = first_contact(&person, "kitchen").await;
    assert!(
        question.contains(&uuid) && question.contains("SHA256:"),
        "{question}"
    );
    let kept = known_hosts(&person);
    assert!(
        kept.lines().count() == 1 && kept.starts_with(&format!("{uuid} ssh-ed25519 ")),
        "{kept}"
    );

    // From here on nobody can be asked.
    person.write(
        ".ssh/config",
        format!(
            "{}BatchMode yes\n",
            fs_err::read_to_string(person.home().join(".ssh/config")).unwrap()
        ),
    );
    for name in ["kitchen", &uuid, &uuid[..7]] {
        let again = run(
            &person,
            &format!("printf in | ssh {name}.os 'cat; printf err >&2; exit 7'"),
        )
        .await;
        assert_eq!(
            (again.code, again.stdout.as_str(), again.stderr.as_str()),
            (7, "in", "err"),
            "{again}"
        );
    }
    run(
        &person,
        "head -c 9000000 /dev/urandom > sent && ssh kitchen.os cat < sent > back && cmp sent back",
    )
    .await
    .success();
    // The device's folder is seen by the test at the same path.
    let place = kitchen.machine.dir().display().to_string();
    run(
        &person,
        &format!("scp sent kitchen.os:{place}/by-scp && cmp sent {place}/by-scp"),
    )
    .await
    .success();
    run(
        &person,
        &format!("echo 'get {place}/by-scp by-sftp' | sftp -b - kitchen.os && cmp sent by-sftp"),
    )
    .await
    .success();
    run(&person, &format!("mkdir folder && cp sent folder/ && rsync -a folder/ kitchen.os:{place}/by-rsync/ && cmp sent {place}/by-rsync/sent")).await.success();
    let many = "for n in 1 2 3 4 5 6; do ssh kitchen.os echo $n & done; wait";
    let many = run(&person, many).await;
    assert_eq!(many.stdout.lines().count(), 6, "{many}");
    assert_eq!(known_hosts(&person), kept);

    let absent = run(&person, "ssh nobody.os true").await;
    assert!(
        absent.code == 255 && absent.stderr.contains("no device answers to `nobody`"),
        "{absent}"
    );
    drop(kitchen.agent);
}

#[tokio::test]
async fn who_shows_another_key_is_refused_until_the_device_is_forgotten() {
    let lan = Lan::new();
    let person = workstation(Some(&lan)).await;
    let mut kitchen = Device::start(&lan, &person, "kitchen", "1a").await;
    first_contact(&person, "kitchen").await;
    kitchen.reflash(&person, &["ed25519"]).await;
    // As somebody who is in a hurry would try it, too.
    for option in ["BatchMode=yes", "StrictHostKeyChecking=accept-new"] {
        let changed = run(&person, &format!("ssh -o {option} kitchen.os true")).await;
        assert!(
            changed.code == 255 && changed.stderr.contains("HOST IDENTIFICATION HAS CHANGED"),
            "{changed}"
        );
    }
    // Who hides behind a kind of key that is not known would be taken for new.
    kitchen.reflash(&person, &["rsa"]).await;
    for option in ["BatchMode=yes", "StrictHostKeyChecking=accept-new"] {
        let other = run(&person, &format!("ssh -o {option} kitchen.os true")).await;
        assert!(
            other.code == 255 && other.stderr.contains("no matching host key type"),
            "{other}"
        );
    }
    let forgot = person.os(&["ssh-forget", "kitchen"]).await;
    forgot.success();
    assert!(
        forgot.stderr.contains("SHA256:") && forgot.stderr.contains(&"1a".repeat(16)),
        "{forgot}"
    );
    assert_eq!(known_hosts(&person), "");
    first_contact(&person, "kitchen").await;
    assert!(known_hosts(&person).contains(" ssh-rsa "));
    let again = person.os(&["ssh-forget", "cellar"]).await;
    assert!(
        again.code == 4 && again.stderr.contains("no host key of `cellar`"),
        "{again}"
    );
}

#[tokio::test]
async fn devices_that_change_addresses_are_not_confused() {
    let lan = Lan::new();
    let person = workstation(Some(&lan)).await;
    let kitchen = Device::start(&lan, &person, "kitchen", "1a").await;
    let cellar = Device::start(&lan, &person, "cellar", "2b").await;
    for name in ["kitchen", "cellar"] {
        first_contact(&person, name).await;
    }
    // 10.88.7.2 and 10.88.7.3, and the same in IPv6.
    let becomes = |device: &Device, old: u8, new: u8| {
        let line = format!(
            "ip addr del 10.88.7.{old}/24 dev lan0; ip addr add 10.88.7.{new}/24 brd + dev lan0; \
             ip -6 addr del fd88:7::{old}/64 dev lan0; ip -6 addr add fd88:7::{new}/64 dev lan0 nodad; \
             ip route replace 224.0.0.0/4 dev lan0"
        );
        device.machine.run("sh", &["-c", &line]);
    };
    becomes(&kitchen, 2, 4);
    becomes(&cellar, 3, 2);
    becomes(&kitchen, 4, 3);
    for (name, device) in [("kitchen", &kitchen), ("cellar", &cellar)] {
        let path = device.machine.dir().join("sshd/log");
        let before = fs_err::metadata(&path).unwrap().len();
        run(&person, &format!("ssh -o BatchMode=yes {name}.os true"))
            .await
            .success();
        assert!(
            fs_err::metadata(&path).unwrap().len() > before,
            "{name} was reached"
        );
    }
}

#[tokio::test]
async fn who_takes_the_name_or_the_uuid_of_a_device_is_refused() {
    let lan = Lan::new();
    let person = workstation(Some(&lan)).await;
    let kitchen = Device::start(&lan, &person, "kitchen", "1a").await;
    first_contact(&person, "kitchen").await;
    drop(kitchen);
    // Its name, from a machine that says truly that it is another one.
    let namesake = Device::start(&lan, &person, "kitchen", "6e").await;
    let refused = run(&person, "ssh -o StrictHostKeyChecking=no kitchen.os true").await;
    assert!(
        refused.code == 255 && refused.stderr.contains("os ssh-forget kitchen"),
        "{refused}"
    );
    assert!(
        !namesake.sshd.log().contains("Connection"),
        "{}",
        namesake.sshd.log()
    );
    drop(namesake);
    // Its uuid, too.
    let double = Device::start(&lan, &person, "kitchen", "1a").await;
    let refused = run(
        &person,
        "ssh -o StrictHostKeyChecking=accept-new kitchen.os true",
    )
    .await;
    assert!(
        refused.code == 255 && refused.stderr.contains("HOST IDENTIFICATION HAS CHANGED"),
        "{refused}"
    );
    assert!(
        !double.sshd.log().contains("Accepted"),
        "{}",
        double.sshd.log()
    );
}
