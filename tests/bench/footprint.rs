//! What the whole system costs: its size, the memory of each of its processes while nothing happens, and how long it boots.
//!
//! On a light device, so without a kernel; of pages that several processes share, each has its part (PSS).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::json;
use testkit::LightDevice;

use crate::desk::pause;
use crate::figure::{Goal, Row, Samples, Table, Unit};

/// MiB: a root partition of `os-build/system/partitions.toml`.
const ROOT_PARTITION: f64 = 640.0;
/// Until what starts with the system has come to rest.
const SETTLES: Duration = Duration::from_secs(20);
/// Processes with less are told together.
const LEAST: f64 = 0.5;

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let [mut size, mut all, mut ssh, mut engine, mut everything] =
        [(); 5].map(|()| Samples::default());
    let mut processes: BTreeMap<String, Samples> = BTreeMap::new();
    for _ in 0..rounds {
        let mut device = LightDevice::cold();
        device.spend();
        device.write_config(json!({"developmentMode": true}).to_string());
        let began = Instant::now();
        let times = std::thread::scope(|scope| {
            let booting = scope.spawn(|| device.try_start());
            for (samples, answers) in [
                (&mut ssh, &(|| device.answers_ssh()) as &dyn Fn() -> bool),
                (&mut engine, &|| device.accepts(2375)),
            ] {
                while !answers() {
                    pause(Duration::from_millis(20));
                }
                samples.time(began.elapsed());
            }
            booting.join().expect("the start")
        });
        times.success();
        everything.time(began.elapsed());
        pause(SETTLES);
        let used = device.sh("du -xsm / | cut -f1");
        size.add(used.parse().expect("MiB"));
        let of_processes = memory(&device);
        all.add(of_processes.values().sum());
        for (name, mebibytes) in of_processes {
            processes.entry(name).or_default().add(mebibytes);
        }
    }
    let mut alone = |what: &str, unit: Unit, samples: Samples, goal: Goal| {
        table.row(&Row::alone(what, unit, samples, goal));
    };
    alone(
        "system: size of the root",
        Unit::Mebibytes,
        size,
        Goal::AtMost(ROOT_PARTITION),
    );
    alone(
        "system: boot until SSH",
        Unit::Milliseconds,
        ssh,
        Goal::None,
    );
    alone(
        "system: boot until the engine",
        Unit::Milliseconds,
        engine,
        Goal::None,
    );
    alone(
        "system: boot until everything",
        Unit::Milliseconds,
        everything,
        Goal::None,
    );
    alone(
        "system: PSS of all processes at rest",
        Unit::Mebibytes,
        all,
        Goal::None,
    );
    for (name, samples) in processes {
        alone(
            &format!("system: PSS of {name}"),
            Unit::Mebibytes,
            samples,
            Goal::None,
        );
    }
}

/// MiB of each program on the device.
fn memory(device: &LightDevice) -> BTreeMap<String, f64> {
    let text = device.sh(
        "for process in /proc/[0-9]*; do pss=$(awk '/^Pss:/ { print $2 }' $process/smaps_rollup 2>/dev/null) && \
         [ -n \"$pss\" ] && echo \"$pss $(cat $process/comm)\"; done; :",
    );
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let Some((kibibytes, name)) = line.split_once(' ') else {
            continue;
        };
        // What measures is no part of it.
        if ["sh", "awk", "cat"].contains(&name) {
            continue;
        }
        let mebibytes = kibibytes.parse::<f64>().expect("KiB") / 1024.0;
        *found.entry(name.to_owned()).or_insert(0.0) += mebibytes;
    }
    let (large, small): (BTreeMap<_, _>, BTreeMap<_, _>) = found
        .into_iter()
        .partition(|(_, mebibytes)| *mebibytes >= LEAST);
    let rest: f64 = small.values().sum();
    large
        .into_iter()
        .chain([("all smaller ones".to_owned(), rest)])
        .collect()
}
