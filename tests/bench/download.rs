//! A file of 1 GB from a server on this machine: to a file, beside curl. Ours is checked, kept in the cache, and unpacked from there.

use std::process::{Child, Command};

use testkit::Workstation;

use crate::desk::{command, os, peak_memory, shell, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};

const URL: &str = "http://127.0.0.1:8080/os.img";
const URL_PACKED: &str = "http://127.0.0.1:8080/os.img.gz";

/// The server. Dropping it ends it.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn server(workstation: &Workstation) -> Server {
    let script = "mkdir srv && cd srv && head -c 1000000000 /dev/urandom >os.img && sha256sum os.img >SHA256SUMS && \
                  head -c 400000000 os.img >packed && truncate -s 4000000000 packed && gzip -1 <packed >os.img.gz && rm packed";
    workstation.machine.run("sh", &["-c", script]);
    let server = workstation
        .machine
        .command("busybox")
        .args(["httpd", "-f", "-p", "127.0.0.1:8080", "-h", "srv"])
        .spawn();
    let server = Server(server.expect("busybox"));
    let until = [
        "--silent",
        "--retry",
        "20",
        "--retry-connrefused",
        "--output",
        "/dev/null",
    ];
    let until = [&until[..], &["http://127.0.0.1:8080/SHA256SUMS"]].concat();
    workstation.machine.run("curl", &until);
    server
}

fn curl(workstation: &Workstation) -> Command {
    let mut curl = command(workstation, "curl");
    curl.args(["--silent", "--fail", "--output", "theirs.img", URL]);
    curl
}

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    let machine = &workstation.machine;
    let _server = server(&workstation);
    let (mut ours, mut theirs, mut summed) =
        (Samples::default(), Samples::default(), Samples::default());
    let (mut packed, mut piped) = (Samples::default(), Samples::default());
    let sum = format!("curl --silent --fail {URL} | tee theirs.img | sha256sum");
    let unpacked = format!(
        "curl --silent --fail {URL_PACKED} | gzip -d | dd of=theirs.img bs=1M conv=sparse status=none"
    );
    for _ in 0..rounds {
        let clean = || {
            timed(machine, &mut os(&workstation, &["cache", "clean"]));
            timed(machine, &mut shell(&workstation, "rm -f *.img; sync"));
        };
        clean();
        ours.time(timed(machine, &mut os(&workstation, &["download", URL])).took);
        clean();
        theirs.time(timed(machine, &mut curl(&workstation)).took);
        clean();
        summed.time(timed(machine, &mut shell(&workstation, &sum)).took);
        clean();
        packed.time(timed(machine, &mut os(&workstation, &["download", URL_PACKED])).took);
        clean();
        piped.time(timed(machine, &mut shell(&workstation, &unpacked)).took);
    }
    let peer = ("curl -o", theirs);
    table.row(&Row::beside(
        "download, 1 GB",
        ours.clone(),
        peer,
        Goal::None,
    ));
    let peer = ("curl | tee | sha256sum", summed);
    table.row(&Row::beside(
        "download, 1 GB, checked",
        ours,
        peer,
        Goal::Times(1.0),
    ));
    let peer = ("curl | gzip -d | dd", piped);
    table.row(&Row::beside(
        "download, 4 GB packed",
        packed,
        peer,
        Goal::Times(1.0),
    ));
    timed(machine, &mut os(&workstation, &["cache", "clean"]));
    let mut memory = Samples::default();
    let arguments = ["download", URL_PACKED, "--force"];
    memory.add(peak_memory(&workstation, &os(&workstation, &arguments)));
    let what = "download, 4 GB packed, peak memory";
    table.row(&Row::alone(
        what,
        Unit::Mebibytes,
        memory,
        Goal::AtMost(64.0),
    ));
}
