//! Everything that a device gives, and the programs of others, through the tunnel.

use testkit::cloud::{Cloud, DOMAIN};
use testkit::{Engine, Lan, Namespace, Sshd, Workstation};

use super::{ABSENT, APART, Device, LEAVE, NAME, TOKEN, USUAL, UUID, hides, prepare};
use crate::{
    projects::compose,
    ssh_config::{self, first_contact, run},
    ssh_first,
};

const DEVICE: i32 = 4;

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
