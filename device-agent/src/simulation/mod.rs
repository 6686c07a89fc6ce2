//! The real planner, store, memory and loop against a model of an engine and of a disk, in a time of its own.
//!
//! A seed decides everything: what people ask for and when, what they do to containers by hand, kills of the agent, losses of
//! power, lost writes, errors of the engine, slow and reordered answers, lost events, full disks, second containers. After a while there are no more faults; then everything
//! must come to rest as it was asked for. `judge/` says what must hold all the time, without asking the planner.
//!
//! Nothing here waits for real time, and nothing runs beside anything else: the same seed gives the same trace.
//!
//! | module | what it is |
//! | --- | --- |
//! | `script`, `generate`, `besides`, `spec` | what a seed decides before anything happens |
//! | `run`, `agent`, `state` | the order of events; one life of the agent; all that there is |
//! | `engine`, `inspect`, `disk`, `locks`, `machine` | the models |
//! | `outside`, `execute` | the loop's way to them, call by call as the executor does it |
//! | `judge` | the invariants; `judge/tests` shows of each that it can fail |
//! | `met` | how often what they are about came about |
//!
//! `OS_SIM_SEEDS=FROM..TO` plays other seeds, `OS_SIM_SEEDS=SEED` one with its whole trace.

mod agent;
mod besides;
mod disk;
mod engine;
mod execute;
mod generate;
pub(crate) mod inspect;
mod judge;
mod locks;
mod machine;
mod met;
mod outside;
mod random;
mod run;
mod script;
mod spec;
mod state;

use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use met::Counts;
use run::run;

/// Seeds that are played when nothing else is said.
const SEEDS: Range<u64> = 0..2_000;
/// Failing seeds after which it is enough.
const MOST_FAILURES: usize = 100;
/// Lines of a trace that are shown.
const TAIL: usize = 150;
/// Seeds that broke something once, one a line with what it was.
const REGRESSIONS: &str = include_str!("regressions.txt");

/// The seeds that the environment asks for.
fn asked_for() -> Option<Range<u64>> {
    #[expect(
        clippy::disallowed_methods,
        reason = "a test has no settings but its environment"
    )]
    let text = std::env::var("OS_SIM_SEEDS").ok()?;
    let number = |text: &str| text.trim().parse().expect("OS_SIM_SEEDS=FROM..TO or SEED");
    Some(match text.split_once("..") {
        Some((from, to)) => number(from)..number(to),
        None => number(&text)..number(&text) + 1,
    })
}

/// What came of seeds.
#[derive(Debug, Default)]
struct Played {
    /// Those that fail, and why.
    failed: Vec<(u64, String)>,
    /// How often the world changed.
    changes: u64,
    counts: Counts,
}

/// Plays seeds on all processors.
fn play(seeds: Range<u64>) -> Played {
    let next = AtomicU64::new(seeds.start);
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let worker = || {
        let mut played = Played::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end || played.failed.len() >= MOST_FAILURES {
                return played;
            }
            let outcome = run(seed, false);
            played.changes += outcome.changes;
            played.counts.join(&outcome.counts);
            let failure = outcome.violation.map(|violation| (seed, violation));
            played.failed.extend(failure);
        }
    };
    let parts: Vec<Played> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(worker)).collect();
        workers.into_iter().map(|w| w.join().unwrap()).collect()
    });
    let mut all = Played::default();
    for part in parts {
        all.failed.extend(part.failed);
        all.changes += part.changes;
        all.counts.join(&part.counts);
    }
    all.failed.sort();
    all
}

/// Fails with all that is needed to look into it.
fn expect_none(failed: &[(u64, String)], whole: bool) {
    let Some((seed, violation)) = failed.first() else {
        return;
    };
    let trace = run(*seed, true).trace;
    let tail = if whole { trace.len() } else { TAIL };
    let tail = &trace[trace.len().saturating_sub(tail)..];
    let others: Vec<String> = failed
        .iter()
        .map(|(seed, what)| format!("{seed}: {what}"))
        .collect();
    panic!(
        "seed {seed}: {violation}\n{}\nfailing seeds:\n{}\nagain: OS_SIM_SEEDS={seed} cargo test --workspace --lib simulation::seeds",
        tail.join("\n"),
        others.join("\n"),
    );
}

#[test]
fn seeds() {
    let asked = asked_for();
    let whole = asked
        .as_ref()
        .is_some_and(|seeds| seeds.end == seeds.start + 1);
    let is_default = asked.is_none();
    let Played {
        failed,
        changes,
        counts,
    } = play(asked.unwrap_or(SEEDS));
    expect_none(&failed, whole);
    assert!(changes > 0, "nothing happens");
    // Shown with `--show-output`.
    println!("{counts}");
    let missing = counts.missing();
    assert!(
        !is_default || missing.is_empty(),
        "no seed brings about {missing:?}:\n{counts}"
    );
}

#[test]
fn what_once_broke() {
    let seeds = REGRESSIONS
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    for line in seeds {
        let seed: u64 = line.split_whitespace().next().unwrap().parse().unwrap();
        let failed: Vec<_> = run(seed, false)
            .violation
            .map(|what| (seed, what))
            .into_iter()
            .collect();
        expect_none(&failed, false);
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    for seed in 0..50 {
        assert_eq!(run(seed, true).trace, run(seed, true).trace, "seed {seed}");
    }
}
