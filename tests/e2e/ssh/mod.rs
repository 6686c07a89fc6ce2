//! `os ssh`, `os exec` and `os tunnel` against OpenSSH's server.

mod configured;
mod copies;
mod dropbear;
mod kept;
mod keys;
mod programs;
mod remote;
mod restarts;
mod service_files;
mod services;
mod streams;
mod trust;
mod tunnel;

use std::path::PathBuf;

use testkit::{Namespace, Sshd, Workstation, programs::built, workstation::Output};

/// What `os ssh` and `os exec` end with when nothing was run.
const APART: i32 = 255;
const HERE: &str = "127.0.0.1";

/// Bytes that a machine has sent and taken in the local network.
fn lan_bytes(machine: &Namespace) -> u64 {
    let told = machine.run("ip", &["-j", "-s", "link", "show", "lan0"]);
    let told: serde_json::Value = serde_json::from_str(&told).expect("JSON");
    let stats = &told[0]["stats64"];
    let of = |way: &str| stats[way]["bytes"].as_u64().expect("a number");
    of("rx") + of("tx")
}

/// A workstation with a server beside it, which lets the key `~/key` in.
struct Pair {
    workstation: Workstation,
    server: Sshd,
}

impl Pair {
    async fn new(settings: &str) -> Self {
        let mut workstation = Workstation::new(None);
        workstation.set("OS", built("os").to_str().expect("a path"));
        let server = Sshd::start(&workstation.machine, settings).await;
        Self::of(workstation, server)
    }

    /// With a server that is there already.
    fn of(workstation: Workstation, server: Sshd) -> Self {
        let pair = Self {
            workstation,
            server,
        };
        pair.make_key("key", &["-t", "ed25519"]);
        pair.server.authorize(&pair.at("key.pub"));
        pair
    }

    fn at(&self, name: &str) -> PathBuf {
        self.workstation.home().join(name)
    }

    fn path(&self, name: &str) -> String {
        self.at(name).display().to_string()
    }

    fn make_key(&self, name: &str, options: &[&str]) {
        let path = self.path(name);
        let named: &[&str] = if options.contains(&"-N") {
            &[]
        } else {
            &["-N", ""]
        };
        let mut arguments = vec!["-q", "-C", "a person", "-f", &path];
        arguments.extend(named);
        arguments.extend(options);
        self.workstation.machine.run("ssh-keygen", &arguments);
    }

    /// `os ssh` with the key, which accepts the server.
    async fn ssh(&self, arguments: &[&str]) -> Output {
        self.with_key("key", arguments).await
    }

    async fn with_key(&self, key: &str, arguments: &[&str]) -> Output {
        let mut all = vec![
            "ssh",
            HERE,
            "--quiet",
            "--accept-host-key",
            "--identity",
            key,
        ];
        all.extend(arguments);
        self.workstation.os(&all).await
    }

    /// A script of a shell in the home; `$OS` is the program.
    async fn sh(&self, script: &str) -> Output {
        self.workstation
            .start_program(&["bash", "-c", script])
            .output()
            .await
    }
}
