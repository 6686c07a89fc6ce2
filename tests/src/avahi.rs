//! A real Avahi on a machine of the tests: how devices of the reference announce themselves.
//!
//! In: a machine and its host name. Out: an [`Avahi`] that announces the reference's one record (an SSH server with the
//! subtype that discovery asks for, no TXT). It needs no D-Bus, and keeps its files on its machine.

use crate::namespace::Namespace;
use crate::process::Process;
use crate::until::until;

/// The reference's service file.
const SERVICE: &str = r#"<?xml version="1.0" standalone='no'?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name replace-wildcards="yes">%h</name>
  <service>
    <type>_ssh._tcp</type>
    <subtype>_resin-device._sub._ssh._tcp</subtype>
    <port>22222</port>
  </service>
</service-group>
"#;

/// A running daemon.
#[derive(Debug)]
pub struct Avahi {
    process: Process,
}

impl Avahi {
    /// Starts the daemon and returns when its records are announced.
    pub async fn start(machine: &Namespace, hostname: &str) -> Self {
        let settings = machine.dir().join("avahi-daemon.conf");
        let text = format!(
            "[server]\nhost-name={hostname}\nuse-ipv4=yes\nuse-ipv6=yes\nenable-dbus=no\n[publish]\npublish-workstation=no\n"
        );
        fs_err::write(&settings, text).expect("the daemon's settings");
        fs_err::write(machine.dir().join("ssh.service"), SERVICE).expect("the service file");
        // The machine has its own /etc.
        let install = "rm -rf /etc/avahi/services && mkdir -p /etc/avahi/services /run/avahi-daemon && \
                       cp ssh.service /etc/avahi/services/";
        machine.run("sh", &["-c", install]);
        let mut command = machine.command("avahi-daemon");
        command
            .args([
                "--no-drop-root",
                "--no-chroot",
                "--no-rlimits",
                "--debug",
                "--file",
            ])
            .arg(&settings);
        let process =
            Process::start("avahi-daemon", command, &machine.dir().join("avahi.log")).await;
        until("Avahi has announced its service", async || {
            process
                .log()
                .contains("successfully established")
                .then_some(())
        })
        .await;
        Self { process }
    }

    /// What the daemon has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }
}
