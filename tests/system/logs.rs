//! `os logs --system`: the journal of a device's system, read beside it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};

use testkit::LightDevice;
use testkit::programs::built;
use testkit::until::PATIENCE;

use crate::beside;

/// `os logs` that runs, and what it prints.
struct Following {
    program: Child,
    lines: Receiver<String>,
}

impl Following {
    fn start(device: &LightDevice, home: &std::path::Path, arguments: &[&str]) -> Self {
        let address = device.address().to_string();
        let mut program = device
            .beside(built("os"), home)
            .args(["logs", &address])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("os logs");
        let output = program.stdout.take().expect("its output");
        let (sender, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody may listen any more.
                let _ = sender.send(line);
            }
        });
        Self { program, lines }
    }

    /// Reads until there is a line with this text, and returns it.
    fn find(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no {text}: {error}"));
            if line.contains(text) {
                return line;
            }
        }
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

#[tokio::test]
async fn the_systems_journal_is_followed_from_beside_the_device() {
    let device = LightDevice::development();
    let home = tempfile::tempdir().expect("a home");
    let following = Following::start(&device, home.path(), &["--system", "--tail", "1"]);
    // Whatever the last row was, those that come are behind it.
    following.find(" ");
    device.sh("logger -t probe -p user.err 'live \u{1b}[2Jone'");
    let line = following.find("live");
    assert!(
        line.contains(" probe") && line.ends_with("! live \\u{1b}[2Jone"),
        "{line}"
    );
    // One row of two lines.
    device.sh(
        "printf 'SYSLOG_IDENTIFIER=probe\\nMESSAGE=first\\nMESSAGE=second\\n' | logger --journald",
    );
    assert!(following.find("first").ends_with("| first"));
    assert!(following.find("second").ends_with("| second"));
    // Units of the system, not the agent alone.
    assert!(device.lets_in(&[]));
    following.find("sshd");
}

#[tokio::test]
async fn the_past_of_the_system_is_told_by_number_and_time_and_as_json() {
    let device = LightDevice::development();
    let home = tempfile::tempdir().expect("a home");
    let address = device.address().to_string();
    let past = |arguments: &[&str]| {
        let all = [&["logs", &address, "--system", "--no-follow"], arguments].concat();
        let output = beside::os(&device, home.path(), &all);
        output.success();
        output.stdout
    };
    // A container's lines are those of a service.
    crate::access::load_image(&device);
    device.sh("docker run --rm os-test/busybox echo of a container");
    device
        .sh("for number in $(seq 20); do logger -t probe \"row $number\"; done; journalctl --sync");
    let told = past(&["--since", "10m"]);
    let rows: Vec<&str> = told
        .lines()
        .filter_map(|line| line.split_once("| row ").map(|(_, number)| number))
        .collect();
    let expected: Vec<String> = (1..=20).map(|number| number.to_string()).collect();
    assert_eq!(rows, expected, "{told}");
    assert!(!told.contains("of a container"), "{told}");
    for unit in ["os-agent", "NetworkManager", "systemd"] {
        let whole = past(&["--tail", "100000"]);
        assert!(whole.contains(&format!(" {unit}")), "{unit}: {whole}");
    }
    assert_eq!(past(&["--tail", "3"]).lines().count(), 3);
    let json = past(&["--tail", "1000", "--json"]);
    let row = json
        .lines()
        .find(|line| line.contains("row 20"))
        .expect("the last row");
    let row: serde_json::Value = serde_json::from_str(row).expect("JSON");
    assert_eq!(row["program"], "probe", "{row}");
    // Going on where it was, nothing comes twice, and what the journal has given up meanwhile is said.
    let file = home.path().join("cursor");
    let file = file.to_str().expect("UTF-8");
    let first = past(&["--cursor-file", file, "--since", "10m"]);
    assert!(first.contains("| row 20"), "{first}");
    device.sh("logger -t probe behind; journalctl --sync");
    let second = past(&["--cursor-file", file]);
    assert!(second.contains("| behind"), "{second}");
    assert!(
        !second.contains("| row ") && !second.contains("are gone"),
        "{second}"
    );
    device.sh("for number in $(seq 5); do logger -t probe lost; done; journalctl --sync --rotate --vacuum-files=1; logger -t probe kept; journalctl --sync");
    let third = past(&["--cursor-file", file]);
    assert!(
        third.contains("of the system's journal are gone"),
        "{third}"
    );
    assert!(
        third.contains("| kept") && !third.contains("| lost"),
        "{third}"
    );
    assert_eq!(past(&["--until", "1970-01-02T00:00:00Z"]), "");
}

#[tokio::test]
async fn what_went_with_a_start_of_the_device_is_said() {
    let mut device = LightDevice::development();
    device.spend();
    let home = tempfile::tempdir().expect("a home");
    let file = home.path().join("cursor");
    let file = file.to_str().expect("UTF-8").to_owned();
    let address = device.address().to_string();
    let told = |device: &LightDevice, more: &[&str]| {
        let all = [
            "logs",
            &address,
            "--system",
            "--no-follow",
            "--cursor-file",
            &file,
        ];
        let output = beside::os(device, home.path(), &[&all, more].concat());
        output.success();
        output.stdout
    };
    told(&device, &["--since", "10m"]);
    device.stop();
    device.start_again();
    device
        .until("the agent answers", "curl -sf http://127.0.0.1:48484/ping")
        .await;
    let after = told(&device, &[]);
    assert!(after.contains("is gone"), "{after}");
    // From its first row on.
    assert!(
        after.contains(" kernel") || after.contains(" systemd"),
        "{after}"
    );
}
