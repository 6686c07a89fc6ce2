//! Stories that broke something once. The judges look on.

use super::target;
use crate::simulation::run::at_rest;
use crate::simulation::script::{Action, Faults, Hand, Script};

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

#[test]
fn stillness_that_ends_while_the_world_is_read_is_not_told_any_more() {
    let mut actions = vec![
        (0, Action::Begin),
        (10, Action::Put(0, false)),
        (200_000, Action::Calm),
    ];
    // There is always something to be read, which often takes long, and something new to be told.
    for at in (40_000..160_000).step_by(600) {
        actions.push((at, Action::ByHand(Hand::Stop)));
        actions.push((at + 300, Action::ByHand(Hand::Start)));
    }
    let times = (40_000..160_000).step_by(20_000);
    actions.extend(times.map(|at| (at, Action::Still(3_000, false))));
    at_rest(Script {
        is_managed: false,
        faults: Faults {
            slow: 30,
            ..Faults::default()
        },
        specs: vec![target(|_| {})],
        actions,
    });
}
