//! Machines have a network and processes of their own, meet in their network only, and leave nothing behind.

use std::path::Path;

use testkit::process::Signal;
use testkit::{Lan, Namespace, Process};

#[test]
fn a_machine_has_its_own_network_processes_and_run_directory() {
    let machine = Namespace::new();
    assert_eq!(machine.run("cat", &["/proc/1/comm"]).trim(), "tini");
    assert!(!machine.run("ls", &["/run"]).contains("docker"));
    let links = machine.run("ip", &["-brief", "link"]);
    assert_eq!(links.lines().count(), 1, "{links}");
}

#[test]
fn a_machine_leaves_nothing_behind() {
    let machine = Namespace::new();
    let (dir, init) = (machine.dir().to_owned(), machine.init());
    fs_err::write(dir.join("file"), "x").unwrap();
    drop(machine);
    assert!(!dir.exists());
    assert!(!Path::new(&format!("/proc/{init}")).exists());
}

#[test]
fn machines_meet_in_their_network() {
    let lan = Lan::new();
    let (one, two) = (Namespace::new(), Namespace::new());
    lan.join(&one);
    let second = lan.join(&two);
    let reach = |to: &str| {
        let ping = one
            .command("busybox")
            .args(["ping", "-c1", "-W1", to])
            .output()
            .unwrap();
        ping.status.success()
    };
    assert!(reach("10.88.7.2") && reach("fd88:7::2"));
    lan.unplug(second);
    assert!(!reach("10.88.7.2"), "the plug was pulled");
    lan.replug(second);
    assert!(reach("10.88.7.2"));
}

#[tokio::test]
async fn a_process_is_signalled_and_its_log_is_kept() {
    let machine = Namespace::new();
    let mut command = machine.command("sh");
    command.args([
        "-c",
        "echo started; trap 'echo ended; exit 7' TERM; while :; do sleep 0.01; done",
    ]);
    let process = Process::start("loop", command, &machine.dir().join("log")).await;
    testkit::until("it has started", async || {
        process.log().contains("started").then_some(())
    })
    .await;
    process.signal(Signal::TERM);
    assert_eq!(process.wait().await.code(), Some(7));
    assert_eq!(process.log(), "started\nended\n");
}
