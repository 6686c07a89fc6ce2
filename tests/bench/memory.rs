//! What a running process costs: its share of memory, its time on the processor.

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

/// Time on the processor so far, in milliseconds, over all of its threads.
pub(crate) fn processor_time(pid: i32) -> f64 {
    let nanoseconds = of_threads(pid, "schedstat", |text| {
        text.split(' ').next()?.parse().ok()
    });
    nanoseconds / 1_000_000.0
}

/// How often it was woken so far, over all of its threads.
pub(crate) fn wakes(pid: i32) -> f64 {
    of_threads(pid, "status", |text| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        line.trim().parse().ok()
    })
}

fn of_threads(pid: i32, file: &str, read: impl Fn(&str) -> Option<f64>) -> f64 {
    let threads = fs_err::read_dir(format!("/proc/{pid}/task")).expect("a running process");
    threads
        .flatten()
        .filter_map(|thread| read(&fs_err::read_to_string(thread.path().join(file)).ok()?))
        .sum()
}
