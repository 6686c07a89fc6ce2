//! Devices that are in no network of ours, reached through the tunnel of their cloud.

use testkit::cloud::{Cloud, DOMAIN, Tunnel};
use testkit::{Engine, Lan, Namespace, Sshd, Workstation, programs::built, workstation::Output};

use super::APART;
use crate::{
    projects::compose,
    ssh_config::{self, first_contact, run},
    ssh_first::{self, Device, NAME, UUID},
};

const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2VjcmV0LW9mLWFubg";
/// Known to the cloud, and not connected.
const ABSENT: &str = "2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b2b";
const DEVICE: i32 = 4;
/// The cloud whose token the reference's client keeps where nobody has named one.
const USUAL: &str = "balena-cloud.com";

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
    afar.cloud.refuses("429 Too Many Requests");
    let output = afar.ssh(&["1a1a1a1", "--quiet", "--", "true"]).await;
    // What the local network came to is not lost behind it.
    for words in ["asked too often", "whole uuid", "no device answers"] {
        assert!(output.stderr.contains(words), "{words}: {output}");
    }
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

/// The token that the reference's client keeps, where nothing names the cloud that it is for.
#[tokio::test]
async fn a_token_of_an_unnamed_cloud_goes_out_only_where_that_is_wanted() {
    let (lan, device, mut workstation) = engineless().await;
    let cloud = Cloud::called(
        USUAL,
        &workstation.machine,
        &device.machine,
        TOKEN,
        &[ABSENT],
    );
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.write(".balena/token", TOKEN);
    let output = workstation.os(&["ssh", ABSENT, "--", "true"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(
        output.stderr.contains("no device answers")
            && output.stderr.contains("--remote")
            && !output.stderr.contains("it is reached through"),
        "{output}"
    );
    // One that is here and does not let root in.
    let output = workstation.os(&["ssh", NAME, "--", "true"]).await;
    assert!(output.stderr.contains("does not let root in"), "{output}");
    // What plain `ssh` runs: it has none of our options.
    let name = format!("{ABSENT}.os");
    let output = workstation.os(&["ssh-proxy", &name, ABSENT, "22"]).await;
    assert!(
        output.stderr.contains(&format!("OSCLI_CLOUD={USUAL} lets"))
            && !output.stderr.contains("--remote")
            && !output.stderr.contains("--token-file"),
        "{output}"
    );
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    let output = workstation
        .os(&["ssh", ABSENT, "--remote", "--", "true"])
        .await;
    let told = format!("through the cloud {USUAL}");
    assert!(output.stderr.contains(&told), "{output}");
    assert_eq!(cloud.asked().len(), 1, "{:?}", cloud.asked());
    drop(lan);
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

/// Authorities that a variable names count for the process that keeps the connection, too.
#[tokio::test]
async fn authorities_of_the_environment_vouch_for_a_cloud() {
    for variable in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
        let mut afar = Afar::new("").await;
        afar.workstation.set("OSCLI_TOKEN", TOKEN);
        afar.workstation.set("OSCLI_CLOUD_CA", "");
        let authority = fs_err::read(afar.cloud.authority()).expect("a certificate");
        let file = afar.workstation.write("authorities/one.pem", authority);
        afar.workstation.machine.run(
            "openssl",
            &[
                "rehash",
                &file.parent().expect("a folder").display().to_string(),
            ],
        );
        let place = if variable == "SSL_CERT_FILE" {
            file.as_path()
        } else {
            file.parent().expect("a folder")
        };
        afar.workstation.set(variable, &place.display().to_string());
        for uuid in ["1a1a1a1", UUID] {
            let output = afar.ssh(&[uuid, "--remote", "--", "echo in"]).await;
            assert_eq!(output.stdout, "in\n", "{variable}: {output}");
        }
        assert_eq!(afar.entries(), 1, "{}", afar.server.process.log());
    }
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

/// A device of the local network, which its cloud reaches, too.
async fn at_home() -> (Lan, Device, Workstation, Cloud) {
    let (lan, device, mut workstation) = engineless().await;
    device.lets_in(&workstation);
    let cloud = Cloud::start(&workstation.machine, &device.machine, TOKEN, &[UUID]);
    workstation.set("OSCLI_CLOUD", DOMAIN);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.set("OSCLI_TOKEN", TOKEN);
    (lan, device, workstation, cloud)
}

const LEAVE: &str = "ip link set lan0 down";

/// What is remembered of a device leads nowhere when it has left.
#[tokio::test]
async fn a_device_that_has_left_the_network_is_reached_through_its_cloud() {
    let (_lan, device, workstation, cloud) = at_home().await;
    let enter = ["ssh", NAME, "--", "echo in"];
    workstation.os(&enter).await.success();
    // So it is remembered where it is.
    workstation.os(&["info", NAME]).await.success();
    workstation.os(&["scan"]).await.success();
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    device.sh(LEAVE);
    for command in [&enter[..], &["info", NAME]] {
        let output = workstation.os(command).await;
        output.success();
        let told = format!("through the cloud {DOMAIN}");
        assert_eq!(output.stderr.matches(&told).count(), 1, "{output}");
    }
}

/// A tunnel goes the way that it began with.
#[tokio::test]
async fn a_tunnel_in_the_local_network_does_not_wander_off_into_the_cloud() {
    let (_lan, device, workstation, cloud) = at_home().await;
    let quick = "ServerAliveInterval 1\nServerAliveCountMax 1\n";
    workstation.write(".ssh/config", quick);
    let tunnel = workstation.start(&["tunnel", NAME, "22222:8022"]);
    tunnel.says("8022").await;
    workstation.os(&["scan"]).await.success();
    device.sh(LEAVE);
    tunnel.says("next attempt in").await;
    let greeting = "exec 3<>/dev/tcp/127.0.0.1/8022; head -c 7 <&3";
    let greeting = workstation.start_program(&["bash", "-c", greeting]);
    device.sh("ip link set lan0 up");
    assert_eq!(greeting.output().await.stdout, "SSH-2.0");
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    drop(tunnel);
}

/// Nobody waits for a cloud that has nothing to do with it.
#[tokio::test]
async fn a_denial_in_the_local_network_does_not_wait_for_a_cloud() {
    let (_lan, _device, mut workstation) = engineless().await;
    // It takes connections, and says nothing.
    let names = format!("echo 127.0.0.1 api.{DOMAIN} tunnel.{DOMAIN} >>/etc/hosts");
    workstation.machine.run("sh", &["-c", &names]);
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 443));
    let _silent = workstation.machine.listen(at).expect("a free port");
    workstation.set("OSCLI_CLOUD", DOMAIN);
    workstation.set("OSCLI_TOKEN", TOKEN);
    // That it is asked, and shown the token, is said once.
    let told = format!("the cloud {DOMAIN} is asked");
    for count in [1, 0] {
        let output = workstation.os(&["ssh", NAME, "--", "true"]).await;
        assert_eq!(output.stderr.matches(&told).count(), count, "{output}");
    }
    let before = std::time::Instant::now();
    let output = workstation
        .os(&["ssh", NAME, "--verbose", "--", "true"])
        .await;
    let took = before.elapsed();
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("does not let root in"), "{output}");
    assert!(output.stderr.contains("within 2 s"), "{output}");
    assert!(took < std::time::Duration::from_secs(8), "{took:?}");
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

/// What names the cloud may name another one when a context connects again.
#[tokio::test]
async fn a_context_keeps_to_the_cloud_that_it_was_made_with() {
    let device = Namespace::new();
    let engine = Engine::start_closed(&device).await;
    let mut server = Sshd::start(&device, "").await;
    let link = format!("ln -sfn {} /run/docker.sock", engine.socket().display());
    device.run("sh", &["-c", &link]);
    let mut workstation = Workstation::new(None);
    prepare(&mut workstation, &server);
    let cloud = Cloud::start(&workstation.machine, &device, TOKEN, &[UUID]);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.write("token", TOKEN);
    workstation.write(".balenarc.yml", format!("balenaUrl: {DOMAIN}\n"));
    let how = ["--token-file", "token", "-i", "key", "--accept-host-key"];
    let made = [&["docker-context", UUID], &how[..]].concat();
    workstation.os(&made).await.success();
    let listed = format!("docker --context {UUID}.os ps");
    run(&workstation, &listed).await.success();
    workstation.write(".balenarc.yml", "balenaUrl: other.test\n");
    let before = cloud.asked().len();
    server.cut(&device).await;
    server.start_again(&device).await;
    run(&workstation, &listed).await.success();
    assert!(cloud.asked().len() > before, "it connects again");
    let removed = workstation.os(&["docker-context", UUID, "--remove"]).await;
    removed.success();
}

/// What a variable held when a context was made has nothing to do with the token that the reference's client keeps.
#[tokio::test]
async fn a_context_of_a_device_here_takes_no_token_to_a_cloud_that_nobody_named() {
    let lan = Lan::new();
    let machine = Namespace::new();
    let engine = Engine::start_closed(&machine).await;
    let device = Device::on(machine, engine.socket(), &lan, (NAME, UUID)).await;
    let link = format!("ln -sfn {} /run/docker.sock", engine.socket().display());
    device.sh(&link);
    let mut workstation = ssh_first::workstation(&lan);
    device.lets_in(&workstation);
    let cloud = Cloud::called(USUAL, &workstation.machine, &device.machine, TOKEN, &[UUID]);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.set("OSCLI_TOKEN", "of-another-cloud");
    workstation.write(".balena/token", TOKEN);
    let made = workstation.os(&["docker-context", NAME]).await;
    made.success();
    let record = ".local/state/os/docker/kitchen.os.json";
    let record = fs_err::read_to_string(workstation.home().join(record)).expect("a record");
    assert!(!record.contains("cloud"), "{record}");
    device.sshd.cut(&device.machine).await;
    device.sh(LEAVE);
    let left = "docker --context kitchen.os ps";
    assert_ne!(run(&workstation, left).await.code, 0);
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
}

/// The real `ssh` and what is made of it.
#[tokio::test]
async fn plain_tools_reach_a_device_elsewhere() {
    let mut person = ssh_config::workstation(None).await;
    let device = Namespace::new();
    let server = Sshd::start(&device, "").await;
    server.authorize(&person.home().join(".ssh/id_ed25519.pub"));
    let cloud = Cloud::start(&person.machine, &device, TOKEN, &[UUID, ABSENT]);
    person.set("OSCLI_CLOUD", DOMAIN);
    person.set("OSCLI_CLOUD_CA", cloud.authority());
    // Without a token it is as it was.
    let nobody = run(&person, &format!("ssh {UUID}.os true")).await;
    assert!(
        nobody.code == APART
            && nobody.stderr.contains("no device answers")
            && nobody.stderr.contains("OSCLI_TOKEN"),
        "{nobody}"
    );
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    person.set("OSCLI_TOKEN", TOKEN);
    // A name that nothing was written down of.
    let name = format!("{UUID}.os");
    let unnamed = person.os(&["ssh-proxy", &name, &name, "22222"]).await;
    assert!(
        unnamed.stderr.contains("was not told which device")
            && unnamed.stderr.contains("names has to be writable"),
        "{unnamed}"
    );
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    // By its beginning: the cloud is asked whose it is. Its key is asked about under its uuid.
    let question = first_contact(&person, "1a1a1a1").await;
    assert!(question.contains(UUID), "{question}");
    let asked = cloud.asked();
    assert!(
        asked.iter().any(|line| line.contains("startswith")),
        "{asked:?}"
    );
    let known = person.home().join(".local/state/os/ssh/known_hosts");
    let known = fs_err::read_to_string(known).expect("host keys");
    assert!(known.starts_with(UUID), "{known}");
    let mine = fs_err::read_to_string(person.home().join(".ssh/config")).expect("settings");
    person.write(".ssh/config", format!("{mine}BatchMode yes\n"));
    let again = format!("printf in | ssh {UUID}.os 'cat; printf err >&2; exit 7'");
    let again = run(&person, &again).await;
    assert_eq!((again.code, again.stdout.as_str()), (7, "in"), "{again}");
    let told = format!("through the cloud {DOMAIN}");
    assert_eq!(again.stderr.matches(&told).count(), 1, "{again}");
    assert!(again.stderr.ends_with("err"), "{again}");
    hides(&again);
    // A megabyte more than what is carried at once, both ways.
    let place = device.dir().display().to_string();
    let copied = format!(
        "head -c 9000000 /dev/urandom >sent && scp sent 1a1a1a1.os:{place}/there && cmp sent {place}/there \
         && scp 1a1a1a1.os:{place}/there back && cmp sent back"
    );
    run(&person, &copied).await.success();
    let offline = run(&person, &format!("ssh {ABSENT}.os true")).await;
    assert!(
        offline.code == APART && offline.stderr.contains("not connected to the cloud (503)"),
        "{offline}"
    );
    person.set("OSCLI_TOKEN", "wrong");
    let wrong = run(&person, &format!("ssh {UUID}.os true")).await;
    assert!(
        wrong.code == APART && wrong.stderr.contains("(407)"),
        "{wrong}"
    );
}
