//! Programs in the containers of services.

use testkit::{Device, Lan, Sshd, Workstation, programs::built};

use super::APART;
use crate::projects::compose;

const IP: &str = "10.88.7.1";

#[tokio::test]
async fn programs_run_in_services_byte_by_byte() {
    let lan = Lan::new();
    let mut device = Device::start_with(Some(&lan), |_| ()).await;
    let machine = &device.machine;
    let mut workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    workstation
        .os(&["push", IP, "--source", "project", "--detached"])
        .await
        .success();
    workstation.set("OS", built("os").to_str().expect("a path"));
    let server = Sshd::start(machine, "").await;
    let key = workstation.home().join("key");
    let path = key.display().to_string();
    workstation.machine.run(
        "ssh-keygen",
        &["-q", "-t", "ed25519", "-N", "", "-f", &path],
    );
    server.authorize(&key.with_extension("pub"));
    let socket = device.engine.socket().display().to_string();
    machine.run("ln", &["-sfn", &socket, "/run/docker.sock"]);
    let exec = async |arguments: &[&str]| {
        let mut all = vec![
            "exec",
            IP,
            "worker",
            "--quiet",
            "--accept-host-key",
            "-i",
            "key",
            "--",
        ];
        all.extend(arguments);
        workstation.os(&all).await
    };

    let output = exec(&["sh", "-c", "echo out; echo err >&2; exit 42"]).await;
    assert_eq!(output.code, 42, "{output}");
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("out\n", "err\n")
    );
    let output = exec(&["printf", "<%s>", "a b", "$HOME", ""]).await;
    assert_eq!(output.stdout, "<a b><$HOME><>", "{output}");

    let os = "\"$OS\"";
    let script = format!(
        "set -e; head -c 5000000 /dev/urandom >big; {os} exec {IP} worker -q -i key -- cat <big >back; cmp big back;
         {os} exec {IP} worker -q -i key -- sh -c 'cat >&2' <big 2>back; cmp big back;
         {os} ssh {IP} worker -q -i key -- 'echo one; wc -c' <big"
    );
    let output = workstation
        .start_program(&["bash", "-c", &script])
        .output()
        .await;
    output.success();
    assert_eq!(output.stdout, "one\n5000000\n", "{output}");

    let mut shell = workstation.start_in_terminal(&["ssh", IP, "worker", "-i", "key"]);
    shell.press("stty size; exit 9\r");
    shell.shows("24 80").await;
    assert_eq!(shell.output().await.code, 9);

    let output = workstation.os(&["ssh", IP, "nosuch", "-i", "key"]).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("it has: web, worker"), "{output}");
    let output = exec(&["/nosuch"]).await;
    assert!(matches!(output.code, 126 | 127), "{output}");

    // Pinned to the device, not to its address.
    let known = fs_err::read_to_string(workstation.home().join(".local/state/os/ssh/known_hosts"))
        .expect("known hosts");
    assert!(
        known.starts_with("5eee5eee5eee5eee5eee5eee5eee5eee "),
        "{known}"
    );

    server.stop(&device.machine).await;
    who_takes_its_place_is_refused(&mut device, &workstation, &key).await;
}

/// Whoever takes the device's place and says nothing is no new device: not even where new ones are trusted.
async fn who_takes_its_place_is_refused(
    device: &mut Device,
    workstation: &Workstation,
    key: &std::path::Path,
) {
    device.agent.kill().await;
    let other = Sshd::start(&device.machine, "").await;
    other.authorize(&key.with_extension("pub"));
    let enter = [
        "ssh",
        IP,
        "-i",
        "key",
        "--accept-host-key",
        "--",
        "echo entered",
    ];
    let output = workstation.os(&enter).await;
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("another one is known"), "{output}");
    assert!(output.stderr.contains("os ssh-forget"), "{output}");
    assert!(
        !other.process.log().contains("Accepted"),
        "nothing was shown to it"
    );
    let forget = ["ssh-forget", "5eee5eee5eee5eee5eee5eee5eee5eee"];
    workstation.os(&forget).await.success();
    let output = workstation.os(&enter).await;
    assert_eq!(output.stdout, "entered\n", "{output}");
}
