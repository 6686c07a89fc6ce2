//! Stories that broke something once. The judges look on.

use super::target;
use crate::simulation::run::at_rest;
use crate::simulation::script::{Action, Faults, Script};

#[test]
fn what_cannot_be_noted_is_not_stopped() {
    let (sim, agent) = at_rest(Script {
        is_managed: false,
        faults: Faults::default(),
        specs: vec![target(|_| {})],
        actions: vec![
            (0, Action::Begin),
            (10, Action::Put(0, false)),
            (20_000, Action::FillDisk(true)),
            (20_010, Action::Duplicate),
            (30_000, Action::Kill(None)),
            (40_000, Action::FillDisk(false)),
            (60_000, Action::Calm),
        ],
    });
    assert_eq!(sim.lock().engine.containers.len(), 1);
    drop(agent);
}
