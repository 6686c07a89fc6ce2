//! How long the agent's planner takes for fifty services, without any of the reading and doing around it.

use std::collections::BTreeMap;
use std::process::Command;

use testkit::programs::built;

use crate::figure::{Goal, Row, Samples, Table};

/// Situations, by the names that the measuring program gives them.
const SITUATIONS: [(&str, &str); 3] = [
    ("settled", "decision, 50 services: nothing to do"),
    ("changed", "decision, 50 services: one has changed"),
    ("first", "decision, 50 services: none is there"),
];

pub(crate) fn measure(table: &mut Table, rounds: usize) {
    let output = Command::new(built("bench-plan"))
        .arg(rounds.to_string())
        .output()
        .expect("bench-plan");
    assert!(
        output.status.success(),
        "bench-plan failed: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let told: BTreeMap<String, Vec<f64>> =
        serde_json::from_slice(&output.stdout).expect("what bench-plan prints");
    let samples = |name: &str| {
        let mut samples = Samples::default();
        told[name].iter().for_each(|took| samples.add(*took));
        samples
    };
    for (name, what) in SITUATIONS {
        // The least that can be done with a target is to read it.
        let limit = ("reading the target as JSON", samples("json"));
        table.row(&Row::beside(what, samples(name), limit, Goal::AtMost(10.0)));
    }
}
