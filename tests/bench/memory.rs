//! What a running process costs: its share of memory, its time on the processor.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::time::Duration;

/// Proportional set size in MiB.
pub(crate) fn pss(pid: i32) -> Option<f64> {
    let rollup = fs_err::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
    let kibibytes: f64 = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Pss:"))?
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .ok()?;
    Some(kibibytes / 1024.0)
}

/// Time on the processor, by the scheduler's own account: the ticks of `stat` are too coarse for a process at rest.
#[derive(Debug)]
pub(crate) struct Processor {
    pid: i32,
    /// Nanoseconds of each thread when it was looked at last.
    threads: BTreeMap<OsString, u64>,
}

impl Processor {
    /// Begins to look at a process.
    pub(crate) fn of(pid: i32) -> Self {
        let threads = threads(pid);
        Self { pid, threads }
    }

    /// Milliseconds since it was looked at last. What a thread did since then that has ended is not in it.
    pub(crate) fn spent(&mut self) -> f64 {
        let now = threads(self.pid);
        let nanoseconds = now.iter().map(|(thread, now)| {
            let before = self.threads.get(thread).copied().unwrap_or_default();
            now.saturating_sub(before)
        });
        let spent = Duration::from_nanos(nanoseconds.sum());
        self.threads = now;
        spent.as_secs_f64() * 1000.0
    }
}

fn threads(pid: i32) -> BTreeMap<OsString, u64> {
    let tasks = fs_err::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    let threads: BTreeMap<OsString, u64> = tasks
        .flatten()
        .filter_map(|task| {
            let told = fs_err::read_to_string(task.path().join("schedstat")).ok()?;
            Some((
                task.file_name(),
                told.split(' ').next()?.parse::<u64>().ok()?,
            ))
        })
        .collect();
    assert!(
        !threads.is_empty(),
        "the kernel does not tell the time of threads (schedstat)"
    );
    threads
}

/// How often its main thread has waited for something so far.
pub(crate) fn waits(pid: i32) -> u64 {
    let status = fs_err::read_to_string(format!("/proc/{pid}/status")).expect("a running process");
    status
        .lines()
        .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
        .and_then(|number| number.trim().parse().ok())
        .expect("a number")
}
