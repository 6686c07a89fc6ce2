//! Every judge can fail: a story without faults has come to rest, then something is told, done or found that is not right.

mod besides;
mod reports;
mod stories;

use std::sync::{Arc, MutexGuard};

use super::View;
use crate::model::{ContainerState, Inventory, Request, Step, Wish};
use crate::report::Snapshot;
use crate::simulation::agent::Agent;
use crate::simulation::run::at_rest;
use crate::simulation::script::{Action, Faults, Script};
use crate::simulation::spec::{AppSpec, Contract, NetworkChoice, ServiceSpec, Spec};
use crate::simulation::state::{Sim, State};

fn service(change: impl FnOnce(&mut ServiceSpec)) -> ServiceSpec {
    let mut service = ServiceSpec {
        image: "one:latest".to_owned(),
        level: 1,
        running: true,
        waits_for: [].into(),
        network: NetworkChoice::Default,
        volume: Some("data".to_owned()),
        strategy: None,
        patience: 5_000,
        is_one_shot: false,
        has_api: false,
        requires_restart: false,
        contract: Contract::Nothing,
        is_optional: false,
    };
    change(&mut service);
    service
}

/// An application with the service `a`.
fn target(change: impl FnOnce(&mut ServiceSpec)) -> Spec {
    let app = AppSpec {
        is_block: false,
        has_commit: true,
        revision: 1,
        services: [("a".to_owned(), service(change))].into(),
        internal: false,
        volumes: [("data".to_owned(), 0)].into(),
    };
    Spec {
        name: "t0".to_owned(),
        apps: [(1, app)].into(),
        ..Spec::default()
    }
}

struct World {
    sim: Sim,
    told: Arc<Snapshot>,
    view: View,
    // Its tasks are what the world waits for.
    _agent: Agent,
}

impl World {
    /// See [`target`]: as it is applied.
    fn with(change: impl FnOnce(&mut ServiceSpec)) -> Self {
        let spec = target(change);
        let (sim, agent) = at_rest(Script {
            is_managed: false,
            faults: Faults::default(),
            specs: vec![spec],
            actions: vec![
                (0, Action::Begin),
                (1, Action::Calm),
                (10, Action::Put(0, false)),
            ],
        });
        let (told, view) = (agent.report(), agent.view());
        Self {
            sim,
            told,
            view,
            _agent: agent,
        }
    }

    fn new() -> Self {
        Self::with(|_| {})
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.sim.lock()
    }

    fn id(&self) -> String {
        let state = self.state();
        state.engine.containers.keys().next().unwrap().clone()
    }

    /// Its judges say this of what is done.
    fn refuses(&self, words: &str, act: impl FnOnce(&mut State)) {
        let mut state = self.state();
        assert_eq!(state.violation(), None);
        act(&mut state);
        let violation = state.violation().unwrap_or_default();
        assert!(
            violation.contains(words),
            "{words:?} is not in {violation:?}"
        );
    }
}

/// A container like the one that is there.
fn twin(state: &mut State, change: impl FnOnce(&mut super::super::engine::Container)) -> String {
    let mut twin = state.engine.containers.values().next().unwrap().clone();
    "twin-of-the-other".clone_into(&mut twin.told.id);
    change(&mut twin);
    let id = twin.told.id.clone();
    state.engine.containers.insert(id.clone(), twin);
    id
}

#[test]
fn two_that_live_are_refused() {
    World::new().refuses("lives more than once", |state| {
        let id = twin(state, |_| {});
        state.judge_running(&id);
    });
    // During a hand-over there may be two.
    let world = World::new();
    let mut state = world.state();
    let id = twin(&mut state, |twin| twin.told.is_predecessor = true);
    state.judge_running(&id);
    assert_eq!(state.violation(), None);
}

#[test]
fn a_locked_service_is_not_touched() {
    let world = World::new();
    let id = world.id();
    world.refuses("hold their locks", |state| {
        state.service_locks(1, "a");
        state.judge_disturbance(&id, "stopped");
    });
}

#[test]
fn a_container_is_not_stopped_before_that_is_noted() {
    let world = World::new();
    let id = world.id();
    world.refuses("that is not noted", |state| state.judge_noted(&id));
}

#[test]
fn a_volume_does_not_go_unasked() {
    World::new().refuses("goes without being asked for", |state| {
        state.engine.containers.clear();
        state.remove_volume("1_data").unwrap();
    });
}

#[test]
fn what_was_confirmed_is_not_lost() {
    let accepted = |world: &World| world.state().judge.confirmed.clone().unwrap();
    let world = World::new();
    let mut found = accepted(&world);
    found.generation -= 1;
    world.refuses("was confirmed and is lost", |state| {
        state.judge_store(&found, 0, None);
    });
    let world = World::new();
    let mut found = accepted(&world);
    found.fault = Some("torn".to_owned());
    world.refuses("is damaged: torn", |state| {
        state.judge_store(&found, 0, None);
    });
    let world = World::new();
    let found = accepted(&world);
    world.refuses("request Some(1) was confirmed and is lost", |state| {
        let sent = state.sends_request(&restart(), &world.view);
        state.hears_of_request(sent, &Ok(1), &world.view);
        state.judge_store(&found, 0, None);
    });
}

fn restart() -> Request {
    Request {
        app_id: 1,
        what: Wish::Restart(None),
        force: false,
    }
}

#[test]
fn promises_are_kept() {
    let broken = |what: Wish, prepare: fn(&mut State, &str)| {
        let world = World::new();
        let id = world.id();
        let mut state = world.state();
        prepare(&mut state, &id);
        let request = Request { what, ..restart() };
        let sent = state.sends_request(&request, &world.view);
        state.hears_of_request(sent, &Ok(1), &world.view);
        state.broken_promises(1, &world.view).join(", ")
    };
    let none = |_: &mut State, _: &str| {};
    assert!(broken(Wish::Restart(None), none).contains("was to be replaced"));
    assert!(broken(Wish::Purge(None), none).contains("was to be purged"));
    let ended = |state: &mut State, id: &str| {
        state.stop(id).unwrap();
        state.now += 10;
        state.judge.reading.as_mut().unwrap().since = state.now;
    };
    assert!(broken(Wish::Start(None), ended).contains("was to be started"));
}

#[test]
fn nothing_is_changed_while_somebody_wants_that() {
    let world = World::new();
    let id = world.id();
    world.refuses("while nothing is to be changed", |state| {
        state.begins_stillness(true);
        state.judge_step(&Step::Stop {
            app_id: 1,
            service: "a".to_owned(),
            id,
            image: String::new(),
        });
    });
}

fn kill(id: String, because: &str) -> Step {
    Step::Kill {
        app_id: 1,
        service: "a".to_owned(),
        id,
        image: String::new(),
        because: because.to_owned(),
        recreates: true,
    }
}

#[test]
fn a_container_goes_for_the_reason_that_is_told() {
    for because in [
        "env.LEVEL changed",
        "image changed",
        "a restart was asked for",
        "a purge was asked for",
        "its application has nothing to run",
        "its service is not in the target state",
        "its service is to be stopped",
        "there is a newer container of this service",
        "its successor has ended",
        "neither it nor its successor runs",
        "network back changed",
        "network back is made anew",
        "volume data is purged",
        "volume data is not in the target state",
        "volume data is to go",
        "volume data label.v changed",
        "somebody felt like it",
    ] {
        let world = World::new();
        let id = world.id();
        world.refuses(because, |state| state.judge_step(&kill(id, because)));
    }
    let world = World::with(|service| service.strategy = Some("hand-over"));
    let id = world.id();
    let because = "its successor has taken over";
    world.refuses(because, |state| state.judge_step(&kill(id, because)));
}

#[test]
fn a_container_comes_for_the_reason_for_which_the_one_before_went() {
    let world = World::new();
    let id = world.id();
    let name = world.state().engine.containers[&id].told.name.clone();
    let install = Step::Install {
        app_id: 1,
        service: "a".to_owned(),
        service_id: 1,
        name,
        config: Box::default(),
        device_name: String::new(),
        because: "new".to_owned(),
    };
    world.refuses("is made because of \"new\"", |state| {
        for container in state.engine.containers.values_mut() {
            container.told.config.environment.clear();
        }
        state.judge_step(&kill(id, "env.LEVEL changed"));
        assert_eq!(state.violation(), None);
        state.judge_step(&install);
    });
}

#[test]
fn a_hand_over_is_asked_for_and_takes_its_time() {
    let world = World::new();
    let id = world.id();
    world.refuses("for which nobody has asked", |state| {
        state.judge_hand_over(&id);
    });
    let world = World::with(|service| service.strategy = Some("hand-over"));
    world.refuses("says nothing", |state| {
        // The reading sees the successor run.
        let id = twin(state, |twin| twin.told.is_predecessor = true);
        for container in state.engine.containers.values_mut() {
            container.history = vec![(state.now, ContainerState::Running)];
        }
        state.locks.clear_marks();
        state.now += 100;
        state.judge.reading.as_mut().unwrap().since = state.now;
        state.judge_end_of_hand_over(&id, "its successor has run for 100 ms");
    });
}

#[test]
fn a_service_that_waits_for_a_restart_of_the_machine_does_not_run_before() {
    let world = World::with(|service| service.requires_restart = true);
    assert_eq!(world.state().boots, 1, "it was started anew once");
    let id = world.id();
    world.refuses("before the machine was started anew", |state| {
        let boots = state.boots;
        let container = state.engine.containers.get_mut(&id).unwrap();
        container.born_in = boots;
        state.judge_first_run(&id);
    });
}

#[test]
fn what_came_in_a_session_goes_with_it() {
    let world = World::new();
    let mut state = world.state();
    state.engine.containers.clear();
    let volumes = std::mem::take(&mut state.engine.volumes);
    state.sends_begin(&Inventory::default());
    state.engine.volumes = volumes;
    state.sends_end();
    state.hears_of_end();
    let mut view = world.view.clone();
    view.is_local = false;
    let left = state.left_behind(&view);
    assert_eq!(left, ["volume 1_data is left of a session"]);
}
