//! How fast files are copied: `os cp`, and `scp` to and from the same server.
//!
//! One large file both ways, without and with a delay, and a folder of many small files without one. Each round copies to a place where
//! nothing is.

use std::time::Duration;

use testkit::Workstation;

use crate::desk::{command, os, server_for_key, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::relay;

/// The large file's bytes, without and with the delay.
const AMOUNTS: [(Duration, u32); 2] = [
    (Duration::ZERO, 200_000_000),
    (Duration::from_millis(20), 50_000_000),
];
/// The small files, and the bytes of each.
const SMALL: (u32, u32) = (2_000, 4_096);
/// The server, and the relay before it.
const PORTS: (u16, u16) = (22222, 22223);

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let _server = server_for_key(&workstation).await;
    let (files, size) = SMALL;
    let content = vec![b'x'; usize::try_from(size).expect("a size")];
    for number in 0..files {
        workstation.write(format!("small/{}/{number}", number % 20), &content);
    }
    for (delay, amount) in AMOUNTS {
        let port = if delay.is_zero() { PORTS.0 } else { PORTS.1 };
        if !delay.is_zero() {
            relay::start(machine, PORTS, delay / 2);
        }
        let content = vec![b'x'; usize::try_from(amount).expect("an amount")];
        workstation.write("large", content);
        let bench = Bench {
            workstation: &workstation,
            port: port.to_string(),
            rounds,
        };
        let delay = format!("{} ms of delay", delay.as_millis());
        bench.both_ways(table, "large", &format!("{amount} bytes, {delay}"), amount);
        if port == PORTS.0 {
            let what = format!("{files} files of {size} bytes, {delay}");
            bench.both_ways(table, "small", &what, files * size);
        }
    }
}

struct Bench<'a> {
    workstation: &'a Workstation,
    port: String,
    rounds: usize,
}

impl Bench<'_> {
    fn both_ways(&self, table: &mut Table, source: &str, what: &str, amount: u32) {
        let there = self.workstation.home().join("there");
        let there = |name: &str| format!("127.0.0.1:{}", there.join(name).display());
        let at_home = format!(
            "127.0.0.1:{}",
            self.workstation.home().join(source).display()
        );
        let ways = [
            (
                "to the device",
                source.to_owned(),
                there("ours"),
                there("theirs"),
            ),
            (
                "from the device",
                at_home,
                "there/ours".to_owned(),
                "there/theirs".to_owned(),
            ),
        ];
        for (way, from, ours, theirs) in ways {
            let (mut fast, mut peer) = (Samples::default(), Samples::default());
            for round in 0..=self.rounds {
                let pair = [
                    self.ours(&from, &ours, amount),
                    self.theirs(&from, &theirs, amount),
                ];
                if round > 0 {
                    fast.add(pair[0]);
                    peer.add(pair[1]);
                }
            }
            let what = format!("copy: {way}, {what}");
            let row = Row::beside(&what, fast, ("scp", peer), Goal::AtLeastTimes(1.0));
            table.row(&row.in_unit(Unit::Megabytes));
        }
    }

    fn ours(&self, from: &str, to: &str, amount: u32) -> f64 {
        let words = [
            "cp",
            "--quiet",
            "--port",
            &self.port,
            "--accept-host-key",
            "--identity",
            "key",
            from,
            to,
        ];
        self.rate(os(self.workstation, &words), amount)
    }

    fn theirs(&self, from: &str, to: &str, amount: u32) -> f64 {
        let mut scp = command(self.workstation, "scp");
        scp.args(["-q", "-r", "-p", "-i", "key", "-P", &self.port])
            .args([
                "-o",
                "StrictHostKeyChecking=no",
                "-o",
                "UserKnownHostsFile=/dev/null",
            ])
            .args([from, to].map(|place| place.replace("127.0.0.1:", "root@127.0.0.1:")));
        self.rate(scp, amount)
    }

    /// Megabytes a second, from the program's start to its end.
    fn rate(&self, mut command: std::process::Command, amount: u32) -> f64 {
        let there = self.workstation.home().join("there");
        drop(fs_err::remove_dir_all(&there));
        fs_err::create_dir(&there).expect("a folder");
        let finished = timed(&self.workstation.machine, &mut command);
        f64::from(amount) / finished.took.as_secs_f64() / 1e6
    }
}
