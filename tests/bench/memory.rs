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

/// Time on the processor so far, in milliseconds; threads that have ended count.
pub(crate) fn processor_time(pid: i32) -> f64 {
    let stat = fs_err::read_to_string(format!("/proc/{pid}/stat")).expect("a running process");
    // The name may hold anything, so read from the last parenthesis.
    let (_, fields) = stat.rsplit_once(") ").expect("its fields");
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks = ticks.map(|ticks| ticks.parse::<f64>().expect("ticks"));
    // Of 10 ms everywhere.
    ticks.sum::<f64>() * 10.0
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
