//! A real journal on a machine of the tests, for engines that log to it as a device's does.
//!
//! In: a machine. Out: a [`Journal`] that takes what is written to `/run/systemd/journal` there, and that `journalctl` reads on
//! that machine. It keeps everything in memory, and nothing of the host's journal is in sight.

use crate::namespace::Namespace;
use crate::process::Process;
use crate::until::until;

/// Where Debian puts the program.
const PROGRAM: &str = "/lib/systemd/systemd-journald";
/// A flood is part of the tests.
const SETTINGS: &str = "[Journal]\nStorage=volatile\nReadKMsg=no\nAudit=no\nRateLimitIntervalSec=0\nForwardToSyslog=no\n\
                        ForwardToWall=no\nRuntimeMaxUse=64M\n";

/// A running journal.
#[derive(Debug)]
pub struct Journal {
    _process: Process,
}

impl Journal {
    /// Starts it and returns when it listens.
    pub async fn start(machine: &Namespace) -> Self {
        let settings = machine.dir().join("journald.conf");
        fs_err::write(&settings, SETTINGS).expect("the journal's settings");
        // The machine has its own /etc and /run.
        let install = "mkdir -p /run/systemd/journal /run/log/journal /etc/systemd/journald.conf.d && \
                       cp journald.conf /etc/systemd/journald.conf.d/test.conf && \
                       { [ -s /etc/machine-id ] || echo 5eee5eee5eee5eee5eee5eee5eee5eee >/etc/machine-id; }";
        machine.run("sh", &["-c", install]);
        let log = machine.dir().join("journald.log");
        let process = Process::start("systemd-journald", machine.command(PROGRAM), &log).await;
        until("the journal listens", async || {
            let answer = machine
                .command("test")
                .args(["-S", "/run/systemd/journal/socket"])
                .status();
            answer.expect("nsenter").success().then_some(())
        })
        .await;
        Self { _process: process }
    }
}
