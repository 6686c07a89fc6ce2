//! `os --version`: what starting the program costs.

use testkit::{Namespace, Workstation, programs::built};

use crate::desk::{command, os, peak_memory, reference, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};

/// A program that takes seconds is started less often.
const SLOW: usize = 5;

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let workstation = Workstation::new(None);
    let machine: &Namespace = &workstation.machine;
    let mut ours = Samples::default();
    let mut nothing = Samples::default();
    let mut docker = Samples::default();
    for round in 0..=rounds {
        let times = [
            timed(machine, &mut os(&workstation, &["--version"])).took,
            timed(machine, &mut command(&workstation, "/bin/true")).took,
            timed(machine, command(&workstation, "docker").arg("--version")).took,
        ];
        if round > 0 {
            ours.time(times[0]);
            nothing.time(times[1]);
            docker.time(times[2]);
        }
    }
    let row = Row::beside(
        "os --version",
        ours.clone(),
        ("/bin/true", nothing),
        Goal::Times(3.0),
    );
    table.row(&row);
    let row = Row::beside(
        "os --version",
        ours.clone(),
        ("docker --version", docker),
        Goal::None,
    );
    table.row(&row);

    let mut slow = Samples::default();
    let mut memory = Samples::default();
    for round in 0..=SLOW {
        let Some(mut client) = reference(&workstation, &["--version"]) else {
            table.note("the reference client is not installed; its rows are missing".to_owned());
            break;
        };
        let took = timed(machine, &mut client).took;
        if round > 0 {
            slow.time(took);
            memory.add(peak_memory(&workstation, &client));
        }
    }
    if slow.median().is_some() {
        let row = Row::beside(
            "os --version",
            ours,
            ("reference client", slow),
            Goal::Times(0.01),
        );
        table.row(&row);
    }
    let mut own = Samples::default();
    own.add(peak_memory(&workstation, &os(&workstation, &["--version"])));
    let row = Row::beside(
        "os --version: memory",
        own,
        ("reference client", memory),
        Goal::None,
    );
    table.row(&row.in_unit(Unit::Mebibytes));

    let mut size = Samples::default();
    size.add(mebibytes(&built("os")));
    let mut engine = Samples::default();
    let client = ["/usr/local/bin/docker", "/usr/bin/docker"].map(std::path::PathBuf::from);
    if let Some(client) = client.iter().find(|path| path.is_file()) {
        engine.add(mebibytes(client));
    }
    let row = Row::beside(
        "os: size of the program",
        size,
        ("docker", engine),
        Goal::None,
    );
    table.row(&row.in_unit(Unit::Mebibytes));
}

/// Size of a file.
pub(crate) fn mebibytes(path: &std::path::Path) -> f64 {
    let bytes = fs_err::metadata(path).expect("a file").len();
    // Far below 2^52.
    #[expect(
        clippy::cast_precision_loss,
        reason = "sizes of programs are exact in a f64"
    )]
    let bytes = bytes as f64;
    bytes / 1024.0 / 1024.0
}
