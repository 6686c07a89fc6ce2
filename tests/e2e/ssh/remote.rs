//! Devices that are in no network of ours, reached through the tunnel of their cloud.

use testkit::cloud::{Cloud, DOMAIN, Tunnel};
use testkit::{Engine, Lan, Namespace, Sshd, Workstation, programs::built, workstation::Output};

use super::APART;
use crate::{
    projects::compose,
    ssh_first::{Device, UUID},
};

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2VjcmV0LW9mLWFubg";
/// Known to the cloud, and not connected.
const ABSENT: &str = "2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b";
const DEVICE: i32 = 4;

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

#[tokio::test]
async fn a_token_is_seen_by_nobody_else() {
    let mut afar = Afar::new("").await;
    afar.workstation.write("token", format!("{TOKEN}\n"));
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let script = r#"
        "$OS" ssh -i key --accept-host-key --remote "$1" -- 'echo ready; sleep 300' >ready 2>&1 & pid=$!
        until grep -q ready ready; do sleep 0.05; kill -0 $pid || exit 9; done
        cat /proc/[0-9]*/cmdline | tr '\0' '\n'
        keeper=$(pgrep -x os-ssh-keeper); echo "keeper $keeper"
        tr '\0' '\n' </proc/$keeper/environ
        kill $pid; cat ready"#;
    let seen = afar
        .workstation
        .start_program(&["bash", "-c", script, "bash", UUID])
        .output()
        .await;
    seen.success();
    assert!(seen.stdout.contains("keeper "), "{seen}");
    hides(&seen);
    // A file is read once: it may be a pipe.
    for named in ["--token-file <(cat token)", "--token-file - <token"] {
        let script = format!(
            r#"unset OSCLI_TOKEN; OSCLI_SSH_KEEP=0 "$OS" ssh -i key --remote 1a1a1a1 {named} -- 'echo in'"#
        );
        let output = afar
            .workstation
            .start_program(&["bash", "-c", &script])
            .output()
            .await;
        assert_eq!(output.stdout, "in\n", "{named}: {output}");
    }
    // Nor does it lie anywhere but where it was put.
    let found = ["grep", "-rl", "c2VjcmV0", "."];
    let found = afar.workstation.start_program(&found).output().await;
    assert_eq!(found.stdout, "./token\n", "{found}");
}

#[tokio::test]
async fn what_the_cloud_says_instead_is_told_with_what_to_do() {
    let mut afar = Afar::new("").await;
    let asked = async |afar: &Afar, uuid: &str| {
        let output = afar.ssh(&[uuid, "--remote", "--", "true"]).await;
        assert_eq!(output.code, APART, "{output}");
        hides(&output);
        output.stderr
    };
    afar.workstation.set("OSCLI_TOKEN", "wrong");
    let said = asked(&afar, UUID).await;
    assert!(
        said.contains("(407)") && said.contains("OSCLI_TOKEN"),
        "{said}"
    );
    let said = asked(&afar, "1a1a1a1").await;
    assert!(said.contains("does not take the token"), "{said}");
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let said = asked(&afar, ABSENT).await;
    assert!(said.contains("not connected to the cloud (503)"), "{said}");
    let said = asked(&afar, "abcdef0").await;
    assert!(said.contains("knows no device of yours"), "{said}");
    let output = afar
        .ssh(&[UUID, "--remote", "--port", "2", "--", "true"])
        .await;
    assert!(
        output.stderr.contains("(500)") && output.stderr.contains("--port"),
        "{output}"
    );
    let endless = format!("HTTP/1.0 200 OK\r\nX: {}", "x".repeat(20_000));
    for (answer, words) in [
        (
            "HTTP/1.0 302 Found\r\nLocation: https://other.test/\r\n\r\n",
            "elsewhere (302)",
        ),
        ("HTTP/1.0 403 Forbidden\r\n\r\n", "(403)"),
        ("HTTP/1.1 405 Method Not Allowed\r\n\r\n", "no tunnel (405)"),
        ("SSH-2.0-OpenSSH_9.2\r\n", "it is not HTTP"),
        (&endless, "longer than 8192 bytes"),
        // What speaks no SSH behind the header is as it is elsewhere.
        (
            "HTTP/1.0 200 OK\r\n\r\nhello\r\nHTTP\r\n\r\n",
            "come to terms",
        ),
    ] {
        afar.cloud.tunnel(Tunnel::Says(answer.to_owned()));
        let said = asked(&afar, UUID).await;
        assert!(said.contains(words), "{words}: {said}");
    }
    assert_eq!(afar.entries(), 0);
}

#[tokio::test]
async fn nothing_is_said_to_a_cloud_that_nobody_vouches_for() {
    let mut afar = Afar::new("").await;
    afar.workstation.set("OSCLI_TOKEN", TOKEN);
    let other = Namespace::new();
    let other = Cloud::start(&other, &afar.device, TOKEN, &[UUID]);
    for authority in ["", other.authority()] {
        afar.workstation.set("OSCLI_CLOUD_CA", authority);
        for uuid in [UUID, "1a1a1a1"] {
            let output = afar.ssh(&[uuid, "--remote", "--", "true"]).await;
            assert_eq!(output.code, APART, "{output}");
            assert!(
                output.stderr.contains("does not prove who it is")
                    && output.stderr.contains("OSCLI_CLOUD_CA"),
                "{output}"
            );
            hides(&output);
        }
    }
    assert!(afar.cloud.asked().is_empty(), "{:?}", afar.cloud.asked());
}

#[tokio::test]
async fn a_cloud_is_asked_only_by_those_whom_it_lets_in() {
    let afar = Afar::new("").await;
    let output = afar.ssh(&[UUID, "--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("no device answers") && output.stderr.contains("OSCLI_TOKEN"),
        "{output}"
    );
    let output = afar.ssh(&[UUID, "--remote", "--", "true"]).await;
    assert!(output.stderr.contains("nobody lets us in"), "{output}");
    // What the reference keeps is for its cloud, and not for the one that was named.
    afar.workstation.write(".balena/token", TOKEN);
    let output = afar.ssh(&[UUID, "--remote", "--", "true"]).await;
    assert!(output.stderr.contains("nobody lets us in"), "{output}");
    for name in ["kitchen", "10.0.0.1"] {
        let output = afar.ssh(&[name, "--remote", "--", "true"]).await;
        assert!(output.stderr.contains("by their uuids"), "{output}");
    }
    assert!(afar.cloud.asked().is_empty(), "{:?}", afar.cloud.asked());
    afar.workstation
        .write(".balenarc.yml", format!("balenaUrl: {DOMAIN}\n"));
    let output = afar.ssh(&[UUID, "--remote", "--", "echo there"]).await;
    assert_eq!(output.stdout, "there\n", "{output}");
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

#[tokio::test]
async fn everything_goes_through_the_tunnel() {
    // The device has a network, in which nobody is.
    let lan = Lan::new();
    let machine = Namespace::new();
    let engine = Engine::start_closed(&machine).await;
    let device = Device::on(machine, engine.socket(), &lan, ("kitchen", UUID)).await;
    device.sh(&format!(
        "ln -sfn {} /run/docker.sock",
        engine.socket().display()
    ));
    let mut workstation = Workstation::new(None);
    prepare(&mut workstation, &device.sshd);
    let cloud = Cloud::start(&workstation.machine, &device.machine, TOKEN, &[UUID]);
    workstation.set("OSCLI_CLOUD", DOMAIN);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.set("OSCLI_TOKEN", TOKEN);
    compose(&workstation, "project");
    let how = ["-i", "key", "--accept-host-key", "--remote"];
    let os = async |arguments: &[&str], rest: &[&str]| {
        workstation.os(&[arguments, &how, rest].concat()).await
    };
    let pushed = os(&["push", UUID, "--source", "project", "--detached"], &[]).await;
    pushed.success();
    let services = os(&["ps", UUID, "--json"], &[]).await;
    assert!(services.stdout.contains("worker"), "{services}");
    let ran = os(
        &["exec", UUID, "worker"],
        &["--", "sh", "-c", "echo out; exit 42"],
    )
    .await;
    assert_eq!((ran.code, ran.stdout.as_str()), (42, "out\n"), "{ran}");
    let tunnel = workstation.start(&[&["tunnel", UUID, "22222:8022"], &how[..]].concat());
    tunnel.says("8022").await;
    let greeting = "exec 3<>/dev/tcp/127.0.0.1/8022; head -c 7 <&3";
    let greeting = workstation
        .start_program(&["bash", "-c", greeting])
        .output()
        .await;
    assert_eq!(greeting.stdout, "SSH-2.0", "{greeting}");
    drop(tunnel);
    let remembered = workstation.home().join(".local/state/os/devices.json");
    assert!(!remembered.exists(), "it has no place in the local network");
    // All of it over one connection.
    let connects = cloud.asked();
    assert_eq!(connects.len(), 1, "{connects:?}");
    let plain = os(&["ps", UUID, "--plain"], &[]).await;
    assert_eq!(plain.code, 2, "{plain}");
    let nobody = workstation.os(&["ps", "2b2b2b2"]).await;
    assert_eq!(nobody.code, DEVICE, "{nobody}");
}
