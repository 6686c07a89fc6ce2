//! `os simulate --system`: devices with the whole system beside a workstation, whose network is one of its own here.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use testkit::programs::built;
use testkit::workstation::Output;
use testkit::{Namespace, until};

use crate::tree::repository;

/// A workstation: this machine's files and rights, another network.
#[derive(Debug)]
struct Desk {
    machine: Namespace,
    home: tempfile::TempDir,
    network: String,
}

/// Where packages and devices are kept.
fn target_folder() -> PathBuf {
    let program = built("os");
    let above = program.parent().and_then(Path::parent);
    above.expect("target/<profile>/os").to_owned()
}

impl Desk {
    fn new(name: &str) -> Self {
        Self {
            machine: Namespace::new(),
            home: tempfile::tempdir().expect("a home"),
            network: format!("os-{name}-{}", std::process::id()),
        }
    }

    fn command(&self, before: &[&str], arguments: &[&str]) -> Output {
        let output = Command::new("nsenter")
            .args(["--target", &self.machine.init().to_string(), "--net", "--"])
            .args(before)
            .arg(built("os"))
            .args(arguments)
            .env("HOME", self.home.path())
            .env("XDG_RUNTIME_DIR", self.home.path())
            .env("OS_LIGHT_NETWORK", &self.network)
            .env("CARGO_TARGET_DIR", target_folder())
            .current_dir(self.home.path())
            .output()
            .expect("nsenter");
        Output {
            code: output.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    fn os(&self, arguments: &[&str]) -> Output {
        self.command(&[], arguments)
    }

    fn found(&self, arguments: &[&str]) -> Vec<Value> {
        let found = self.os(arguments);
        found.success();
        found
            .stdout
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // Nothing is left of a test that failed.
        let sources = repository("");
        let sources = sources.to_str().expect("a path");
        drop(self.os(&["simulate", "--system", "--sources", sources, "--stop"]));
        let kept = target_folder().join("virtual/light").join(&self.network);
        drop(fs_err::remove_dir_all(kept));
    }
}

#[tokio::test]
async fn devices_with_the_whole_system_are_booted_found_used_and_removed() {
    let desk = Desk::new("desk");
    let sources = repository("");
    let sources = sources.to_str().unwrap();
    let system = ["simulate", "--system", "--sources", sources];
    let simulate = |more: &[&str]| desk.os(&[&system, more].concat());
    let interfaces = || desk.machine.run("ip", &["-brief", "link"]);
    let before = interfaces();

    simulate(&["--name", "demo"]).success();
    simulate(&["--name", "other"]).success();
    let again = simulate(&["--name", "demo"]);
    again.success();
    assert!(!again.stderr.contains("booting"), "{again}");
    let listed = desk.found(&[&system[..], &["--list", "--json"]].concat());
    assert_eq!(listed.len(), 2);
    assert!(listed.iter().all(|device| device["state"] == "running"));
    let uuid = listed[0]["uuid"].as_str().expect("a uuid");
    until("os scan finds both", async || {
        let found = desk.found(&["scan", "--json"]);
        let has = |name: &str| found.iter().any(|device| device["name"] == name);
        (has("demo") && has("other")).then_some(())
    })
    .await;
    let project = desk.home.path().join("project");
    fs_err::create_dir(&project).unwrap();
    fs_err::write(project.join("Dockerfile"), "FROM scratch\nCOPY busybox /bin/sh\nCMD [\"/bin/sh\", \"sh\", \"-c\", \"echo pushed; exec sleep 1000\"]\n").unwrap();
    // Without a compose file it would be privileged, as the reference's is, which not every machine can do.
    fs_err::write(
        project.join("docker-compose.yml"),
        "services: { main: { build: . } }\n",
    )
    .unwrap();
    fs_err::copy("/bin/busybox", project.join("busybox")).unwrap();
    desk.os(&["push", "demo", "--source", "project", "--detached"])
        .success();

    // Its key was announced, and is kept: the name means this device, and no other.
    let keys = desk.home.path().join(".local/state/os/ssh/known_hosts");
    let is_kept = || fs_err::read_to_string(&keys).is_ok_and(|text| text.contains(uuid));
    assert!(is_kept());

    let unknown = simulate(&["--stop", "nobody"]);
    assert_ne!(unknown.code, 0);
    assert!(
        unknown.stderr.contains("there are: demo, other"),
        "{unknown}"
    );
    simulate(&["--stop", "other"]).success();
    simulate(&["--stop"]).success();
    assert_eq!(interfaces(), before, "nothing is left on the workstation");
    assert!(!is_kept(), "the next one of that name is another device");
    let none = simulate(&["--list"]);
    assert!(
        none.stderr
            .contains("no simulated devices with the whole system"),
        "{none}"
    );
}

#[test]
fn what_is_missing_is_told_with_the_way_to_get_it() {
    let desk = Desk::new("bare");
    let elsewhere = desk.home.path().to_str().unwrap().to_owned();
    let without = desk.os(&["simulate", "--system", "--sources", &elsewhere]);
    assert_eq!(without.code, 1);
    assert!(
        without.stderr.contains("os-build/virtual/light-device")
            && without.stderr.contains("--sources"),
        "{without}"
    );
    let sources = repository("");
    let of_person = [
        "setpriv",
        "--reuid=65534",
        "--regid=65534",
        "--clear-groups",
    ];
    let person = desk.command(
        &of_person,
        &[
            "simulate",
            "--system",
            "--sources",
            sources.to_str().unwrap(),
        ],
    );
    assert_eq!(person.code, 1, "{person}");
    assert!(
        person.stderr.contains("only root") && person.stderr.contains("sudo"),
        "{person}"
    );
}
