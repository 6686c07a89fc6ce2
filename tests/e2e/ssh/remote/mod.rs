//! Devices that are in no network of ours, reached through the tunnel of their cloud.

mod clouds;
mod home;
mod programs;

use testkit::cloud::{Cloud, DOMAIN};
use testkit::{Lan, Namespace, Sshd, Workstation, programs::built, workstation::Output};

use super::APART;
use crate::ssh_first::{self, Device, NAME, UUID};

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2VjcmV0LW9mLWFubg";

/// Known to the cloud, and not connected.
const ABSENT: &str = "2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b";
/// The cloud whose token the reference's client keeps where nobody has named one.
const USUAL: &str = "balena-cloud.com";
/// Takes a device out of its network.
const LEAVE: &str = "ip link set lan0 down";

/// A workstation without a network, a device likewise, and a cloud that both reach.
struct Afar {
    workstation: Workstation,
    device: Namespace,
    server: Sshd,
    cloud: Cloud,
}

impl Afar {
    async fn new(settings: &str) -> Self {
        let mut workstation = Workstation::new(None);
        let device = Namespace::new();
        let server = Sshd::start(&device, settings).await;
        prepare(&mut workstation, &server);
        let cloud = Cloud::start(&workstation.machine, &device, TOKEN, &[UUID, ABSENT]);
        workstation.set("OSCLI_CLOUD", DOMAIN);
        workstation.set("OSCLI_CLOUD_CA", cloud.authority());
        Self {
            workstation,
            device,
            server,
            cloud,
        }
    }

    async fn ssh(&self, arguments: &[&str]) -> Output {
        let all = [&["ssh", "-i", "key", "--accept-host-key"], arguments].concat();
        self.workstation.os(&all).await
    }

    fn entries(&self) -> usize {
        self.server.process.log().matches("Accepted ").count()
    }
}

fn prepare(workstation: &mut Workstation, server: &Sshd) {
    workstation.set("OS", built("os").to_str().expect("a path"));
    let key = workstation.home().join("key");
    let path = key.display().to_string();
    let make = ["-q", "-t", "ed25519", "-N", "", "-f", &path];
    workstation.machine.run("ssh-keygen", &make);
    server.authorize(&key.with_extension("pub"));
}

fn hides(output: &Output) {
    let text = output.to_string();
    assert!(!text.contains("c2VjcmV0"), "{text}");
}

#[tokio::test]
async fn a_device_elsewhere_is_entered_by_its_uuid_and_known_by_it() {
    let mut afar = Afar::new("").await;
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let output = afar
        .ssh(&[UUID, "--verbose", "--", "echo there; exit 7"])
        .await;
    assert_eq!(
        (output.code, output.stdout.as_str()),
        (7, "there\n"),
        "{output}"
    );
    assert!(
        output
            .stderr
            .contains("does not answer in the local network")
            && output
                .stderr
                .contains(&format!("through the cloud {DOMAIN}")),
        "{output}"
    );
    hides(&output);
    assert_eq!(
        afar.cloud.asked(),
        [format!("CONNECT {UUID}.balena:22222 HTTP/1.0")],
        "a whole uuid needs no question"
    );
    // By its beginning too, over the connection that is kept.
    let output = afar
        .ssh(&[
            "1a1a1a1",
            "--remote",
            "--",
            "cat /proc/sys/kernel/random/boot_id",
        ])
        .await;
    output.success();
    assert_eq!(afar.entries(), 1, "{}", afar.server.process.log());
    assert_eq!(afar.cloud.asked().len(), 2, "{:?}", afar.cloud.asked());
    let known = afar
        .workstation
        .home()
        .join(".local/state/os/ssh/known_hosts");
    let known = fs_err::read_to_string(known).expect("host keys");
    assert!(known.starts_with(UUID), "{known}");
    // Whoever is at the end of the tunnel has to be the device.
    afar.server.stop(&afar.device).await;
    let _other = Sshd::start(&afar.device, "").await;
    let output = afar.ssh(&[UUID, "--remote", "--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("was refused"), "{output}");
}

/// A device of the local network that lets nobody in, and a workstation there.
async fn engineless() -> (Lan, Device, Workstation) {
    let lan = Lan::new();
    let machine = Namespace::new();
    let engine = machine.dir().join("no-engine.sock");
    let device = Device::on(machine, engine, &lan, (NAME, UUID)).await;
    let workstation = ssh_first::workstation(&lan);
    (lan, device, workstation)
}

/// What is written of a name counts wherever the device is, but for where it is.
#[tokio::test]
async fn the_configuration_of_a_name_counts_in_the_cloud_too() {
    let mut afar = Afar::new("").await;
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    afar.ssh(&[UUID, "--", "true"]).await.success();
    let names =
        format!("Host kitchen.os\n    HostName {UUID}\n    HostKeyAlias {UUID}\n    Port 22222\n");
    afar.workstation.write(".local/state/os/ssh/names", names);
    afar.workstation.write(
        ".ssh/config",
        "Host kitchen\n  IdentityFile ~/key\n  HostName 10.9.9.9\n  ProxyJump nobody@10.9.9.8\n",
    );
    let output = afar
        .workstation
        .os(&["ssh", "kitchen", "--verbose", "--", "echo in"])
        .await;
    assert_eq!(output.stdout, "in\n", "{output}");
    for option in ["HostName", "ProxyJump"] {
        let words = format!("{option} of the SSH configuration");
        assert!(output.stderr.contains(&words), "{option}: {output}");
    }
}

/// Devices of a fleet let in people by the names that they have in the cloud.
#[tokio::test]
async fn who_is_not_root_is_let_in_by_the_name_that_the_cloud_has() {
    let mut afar = Afar::new("PermitRootLogin no").await;
    let account = "echo 'ann:x:4321:4321::/tmp:/bin/sh' >>/etc/passwd; echo 'ann:*:19000::::::' >>/etc/shadow";
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    // That it was of no use once says nothing of the next time.
    let denied = afar.ssh(&[UUID, "--remote", "--", "id -un"]).await;
    assert_eq!(denied.code, APART, "{denied}");
    afar.device.run("sh", &["-c", account]);
    let output = afar
        .ssh(&[UUID, "--remote", "--verbose", "--", "id -un"])
        .await;
    assert_eq!(
        output.stdout,
        "ann\n",
        "{output}\n{}",
        afar.server.process.log()
    );
    assert!(output.stderr.contains("root is not let in"), "{output}");
    // The next command does not try root first, and comes over the connection that is kept.
    let asked = afar.cloud.asked().len();
    let output = afar.ssh(&[UUID, "--remote", "--", "id -un"]).await;
    assert_eq!(output.stdout, "ann\n", "{output}");
    assert_eq!(afar.cloud.asked().len(), asked, "{:?}", afar.cloud.asked());
    // What a context goes by later cannot be a variable of now.
    let context = ["docker-context", UUID, "--remote"];
    let output = afar.workstation.os(&context).await;
    assert!(output.stderr.contains("written nowhere"), "{output}");
    // An account that was named is the one.
    let named = format!("root@{UUID}");
    let output = afar.ssh(&[&named, "--remote", "--", "true"]).await;
    assert!(output.stderr.contains("does not let root in"), "{output}");
}
