//! A real system bus on a machine of the tests, with the real program on it that ends machines. There is no service manager behind
//! it, so that the machine stays.
//!
//! In: a machine. Out: a [`Logind`] that says what it was asked for.

use std::process::Stdio;

use crate::namespace::Namespace;
use crate::process::Process;
use crate::until::until;

/// Where every program looks for the bus.
const SOCKET: &str = "/run/dbus/system_bus_socket";
/// Everybody on the machine may do everything: who may end it is not what is tested.
const BUS: &str = r#"<busconfig>
  <type>system</type>
  <listen>unix:path=/run/dbus/system_bus_socket</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="*"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
"#;
/// Hands off the consoles and keys of the machine that the tests run on.
const SETTINGS: &str =
    "[Login]\nNAutoVTs=0\nReserveVT=0\nHandlePowerKey=ignore\nHandleLidSwitch=ignore\n";

/// The running programs. The order of the fields is the order in which they end.
#[derive(Debug)]
pub struct Logind {
    logind: Process,
    _bus: Process,
}

impl Logind {
    /// Starts both and returns when they answer.
    pub async fn start(machine: &Namespace) -> Self {
        let conf = machine.dir().join("bus.conf");
        fs_err::write(&conf, BUS).expect("the bus' settings");
        fs_err::write(machine.dir().join("logind.conf"), SETTINGS).expect("the settings");
        // The machine has its own /run and /etc.
        let install = "mkdir -p /run/dbus /run/systemd /etc/systemd && cp logind.conf /etc/systemd/logind.conf";
        machine.run("sh", &["-c", install]);
        let mut command = machine.command("dbus-daemon");
        command
            .args(["--nofork", "--nopidfile", "--config-file"])
            .arg(&conf);
        let bus = Process::start("dbus-daemon", command, &machine.dir().join("bus.log")).await;
        let is_there = format!("test -S {SOCKET}");
        until("the bus listens", async || {
            let mut command = machine.command("sh");
            let status = command.args(["-c", &is_there]).status().expect("nsenter");
            status.success().then_some(())
        })
        .await;
        let mut command = machine.command("env");
        command.args([
            "SYSTEMD_LOG_TARGET=console",
            "SYSTEMD_LOG_LEVEL=debug",
            "/lib/systemd/systemd-logind",
        ]);
        let log = machine.dir().join("logind.log");
        let logind = Process::start("systemd-logind", command, &log).await;
        until("logind answers", async || {
            let log = logind.log();
            assert!(logind.ended().is_none(), "logind ended:\n{log}");
            Self::answers(machine).then_some(())
        })
        .await;
        Self { logind, _bus: bus }
    }

    /// Asks it whether it is there. Once it answers, it has done what others had asked it for before.
    pub fn answers(machine: &Namespace) -> bool {
        let mut ping = machine.command("dbus-send");
        ping.args([
            "--system",
            "--print-reply",
            "--dest=org.freedesktop.login1",
            "/",
            "org.freedesktop.DBus.Peer.Ping",
        ]);
        // That it is not there yet is said on standard error.
        let output = ping.stdin(Stdio::null()).output().expect("nsenter");
        output.status.success()
    }

    /// What it has said.
    pub fn log(&self) -> String {
        self.logind.log()
    }
}
