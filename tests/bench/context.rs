//! A context of 10,000 files and 200 MB: what it takes to know whether it has changed, and to send it.

use std::process::Command;

use testkit::{Workstation, programs::built};

use crate::desk::{command, os, peak_memory, timed};
use crate::figure::{Goal, Row, Samples, Table, Unit};
use crate::project::{ADDRESS, desk};
use crate::push::compose;

const FOLDERS: u64 = 100;
const FILES_EACH: u64 = 100;
const BYTES: usize = 20_000;
/// As the goal for a push: 32 MB.
const MEMORY: f64 = 32.0;

pub(crate) async fn measure(table: &mut Table, rounds: usize) {
    let (_lan, _device, workstation) = desk().await;
    write_project(&workstation);
    alone(table, &workstation, rounds);
    pushed(table, &workstation, rounds);
}

/// Files whose contents differ and do not compress.
fn write_project(workstation: &Workstation) {
    let compose = "services:\n  big:\n    build: .\n";
    workstation.write("big/docker-compose.yml", compose);
    let dockerfile = "FROM os-test/busybox\nCOPY . /app\nCMD [\"sh\", \"-c\", \"trap 'exit 0' TERM; sleep 1000000 & wait\"]\n";
    workstation.write("big/Dockerfile", dockerfile);
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for folder in 0..FOLDERS {
        for file in 0..FILES_EACH {
            let mut contents = Vec::with_capacity(BYTES);
            while contents.len() < BYTES {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                contents.extend_from_slice(&state.to_le_bytes());
            }
            workstation.write(format!("big/data/{folder}/{file}.bin"), contents);
        }
    }
}

/// The context by itself, by the program `bench-context`.
fn alone(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let home = workstation.home();
    let ours = |mode: &str, cache: &str| {
        let mut program = command(workstation, built("bench-context"));
        program
            .arg(mode)
            .arg(home.join("big"))
            .arg(home.join(cache));
        program
    };
    let shell = |line: &str| {
        let mut shell = command(workstation, "sh");
        shell.current_dir(home.join("big")).args(["-c", line]);
        shell
    };
    let cold = || {
        let _ = fs_err::remove_dir_all(home.join("cold"));
        ours("digest", "cold")
    };
    let tar = || {
        let mut piped = shell("\"$0\" tar \"$1\" \"$2\" | cat > /dev/null");
        piped
            .arg(built("bench-context"))
            .arg(home.join("big"))
            .arg(home.join("warm"));
        piped
    };
    timed(&workstation.machine, &mut ours("digest", "warm"));
    compare(
        table,
        workstation,
        rounds,
        ("context, 10,000 files, 200 MB: first digest", &cold),
        ("sha256sum of all, 2 at a time", &|| {
            shell("find . -type f -print0 | xargs -0 -n 500 -P 2 sha256sum > /dev/null")
        }),
        Goal::Times(1.0),
    );
    compare(
        table,
        workstation,
        rounds,
        ("context, 10,000 files: unchanged", &|| {
            ours("digest", "warm")
        }),
        ("find: stat of all", &|| {
            shell("find . -type f -printf '%s %T@ %p\\n' > /dev/null")
        }),
        Goal::AtMost(130.0),
    );
    compare(
        table,
        workstation,
        rounds,
        ("context, 200 MB: unchanged, and as tar", &tar),
        ("tar -c | cat", &|| shell("tar -cf - . | cat > /dev/null")),
        Goal::Times(1.2),
    );
    for (what, program) in [
        ("first digest", cold()),
        ("unchanged", ours("digest", "warm")),
        ("tar", tar()),
    ] {
        let mut memory = Samples::default();
        memory.add(peak_memory(workstation, &program));
        let what = format!("context, 200 MB: memory, {what}");
        table.row(&Row::alone(
            &what,
            Unit::Mebibytes,
            memory,
            Goal::AtMost(MEMORY),
        ));
    }
}

type Side<'a> = (&'static str, &'a dyn Fn() -> Command);

fn compare(
    table: &mut Table,
    workstation: &Workstation,
    rounds: usize,
    (what, ours): Side<'_>,
    (peer, theirs): Side<'_>,
    goal: Goal,
) {
    let (mut own, mut their) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let took = timed(&workstation.machine, &mut ours()).took;
        let other = timed(&workstation.machine, &mut theirs()).took;
        if round > 0 {
            own.time(took);
            their.time(other);
        }
    }
    table.row(&Row::beside(what, own, (peer, their), goal));
}

/// The same as a project.
fn pushed(table: &mut Table, workstation: &Workstation, rounds: usize) {
    let push = || {
        os(
            workstation,
            &["push", ADDRESS, "--source", "big", "--detached"],
        )
    };
    let their = || compose(workstation, "big");
    let peer = "docker-compose up --build";
    let mut memory = Samples::default();
    memory.add(peak_memory(workstation, &push()));
    table.row(&Row::alone(
        "push, 200 MB, cold: memory",
        Unit::Mebibytes,
        memory,
        Goal::AtMost(MEMORY),
    ));
    timed(&workstation.machine, &mut their());
    compare(
        table,
        workstation,
        rounds.min(3),
        ("push, 10,000 files, 200 MB: unchanged", &push),
        (peer, &their),
        Goal::Times(0.1),
    );
    let (mut own, mut theirs) = (Samples::default(), Samples::default());
    own.add(peak_memory(workstation, &push()));
    theirs.add(peak_memory(workstation, &their()));
    let row = Row::beside(
        "push, 10,000 files, unchanged: memory",
        own,
        (peer, theirs),
        Goal::AtMost(MEMORY),
    );
    table.row(&row.in_unit(Unit::Mebibytes));
}
