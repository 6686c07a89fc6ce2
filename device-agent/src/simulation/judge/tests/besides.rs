//! Purges of one service, and contracts.

use super::{World, kill};
use crate::model::{Request, Step, Wish};
use crate::simulation::spec::Contract;

fn purge(service: &str) -> Request {
    Request {
        app_id: 1,
        what: Wish::Purge(Some(service.to_owned())),
        force: false,
    }
}

#[test]
fn a_purge_of_one_service_empties_what_it_has() {
    let world = World::new();
    let mut state = world.state();
    let sent = state.sends_request(&purge("a"), &world.view);
    state.hears_of_request(sent, &Ok(1), &world.view);
    let broken = state.broken_promises(1, &world.view).join(", ");
    assert!(broken.contains("1_data was to be purged"), "{broken}");
    assert!(broken.contains("was to be replaced"), "{broken}");
    state.engine.containers.clear();
    state.remove_volume("1_data").unwrap();
    assert_eq!(state.violation(), None);
}

#[test]
fn a_purge_of_one_service_is_not_about_what_others_have() {
    World::new().refuses("goes without being asked for", |state| {
        state.sends_request(&purge("b"), &super::View::default());
        state.engine.containers.clear();
        state.remove_volume("1_data").unwrap();
    });
    for because in ["a purge was asked for", "volume data is purged"] {
        let world = World::new();
        let id = world.id();
        world.refuses(because, |state| {
            state.sends_request(&purge("b"), &super::View::default());
            state.judge_step(&kill(id, because));
        });
    }
}

#[test]
fn nothing_of_a_rejected_release_is_begun() {
    let pull = Step::Pull {
        app_id: 1,
        service: "a".to_owned(),
        image: "one:latest".to_owned(),
    };
    let network = Step::RemoveNetwork {
        id: "net".to_owned(),
        logical_name: "front".to_owned(),
    };
    for step in [pull, network] {
        let world = World::with(|service| service.contract = Contract::Unmet);
        world.refuses("though the release is rejected", |state| {
            let spec = crate::model::NetworkSpec::default();
            state.create_network("1_front", "front", &spec).unwrap();
            let (_, mut network) = state.engine.networks.pop_first().unwrap();
            network.app_id = 1;
            state.engine.networks.insert("net".to_owned(), network);
            state.judge_step(&step);
        });
    }
    let world = World::with(|service| {
        service.contract = Contract::Unmet;
        service.is_optional = true;
    });
    world.refuses("though the release does without it", |state| {
        state.judge_step(&Step::Start {
            app_id: 1,
            service: "a".to_owned(),
            id: String::new(),
            image: String::new(),
        });
    });
}

#[test]
fn a_disk_that_lies_excuses_what_was_confirmed_and_no_lost_data() {
    let world = World::new();
    let mut state = world.state();
    let confirmed = state.judge.confirmed.clone().unwrap();
    state.is_betrayed();
    let found = crate::store::Accepted {
        generation: 0,
        ..confirmed
    };
    state.judge_store(&found, 0, Some(&"it was torn".to_owned()));
    assert_eq!(state.violation(), None);
    drop(state);
    // A service has run with it.
    world.refuses("goes without being asked for", |state| {
        state.engine.containers.clear();
        state.remove_volume("1_data").unwrap();
    });
}
