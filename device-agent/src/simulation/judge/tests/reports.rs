//! Reports that say what is not so.

use std::collections::BTreeMap;

use agent_api::os::ApplyState;

use super::World;
use crate::report::Snapshot;
use crate::simulation::state::State;

/// A report about a world that is as it should be is refused.
fn refuses_report(words: &str, lie: impl FnOnce(&mut Snapshot)) {
    let world = World::new();
    let mut told = world.told.as_ref().clone();
    lie(&mut told);
    world.refuses(words, |state| {
        state.judge_report(&told, &world.view);
        state.judge_words(&told);
        state.judge_words(&world.told);
    });
}

#[test]
fn a_true_report_is_believed() {
    let world = World::new();
    let mut state = world.state();
    state.judge_report(&world.told, &world.view);
    state.judge_words(&world.told);
    assert_eq!(state.violation(), None);
}

#[test]
fn lies_about_a_service_are_refused() {
    for word in ["Installed", "restarting", "paused", "Dead", "Sleeping"] {
        refuses_report(&format!("1/a is {word}"), |told| {
            word.clone_into(&mut told.report.services[0].status);
        });
    }
    refuses_report("one:latest is Downloading", |told| {
        "Downloading".clone_into(&mut told.report.services[0].status);
    });
    for word in ["Installing", "Starting", "Stopping", "Handing over"] {
        refuses_report(&format!("is {word}"), |told| {
            word.clone_into(&mut told.report.services[0].status);
        });
        refuses_report(&format!("is {word}"), |told| {
            word.clone_into(&mut told.containers[0].status);
        });
    }
    refuses_report("has the container x", |told| {
        told.report.services[0].container_id = Some("x".to_owned());
    });
    refuses_report("1/a has no container", |told| {
        told.report.services[0].container_id = None;
    });
    refuses_report("1/a was made at", |told| {
        told.report.services[0].created_at = Some("2026-11-23T03:02:43.927Z".to_owned());
    });
    refuses_report("1/a was made because", |told| {
        told.report.services[0].because = Some("image changed".to_owned());
    });
    refuses_report("is a container of 1/a", |told| {
        told.report.services[0].service_id += 1;
    });
    refuses_report("1/a has failed", |told| {
        told.report.services[0].error = Some("port is taken".to_owned());
    });
    refuses_report("1/a holds its lock", |told| {
        told.report.services[0].locked = true;
    });
    refuses_report("1/a has ended with Some(7)", |told| {
        told.report.services[0].exit_code = Some(7);
    });
}

#[test]
fn a_container_that_has_ended_has_a_code_and_a_lock_is_told() {
    let world = World::new();
    let id = world.id();
    let mut told = world.told.as_ref().clone();
    "exited".clone_into(&mut told.report.services[0].status);
    world.refuses("1/a has ended with nothing", |state| {
        state.stop(&id).unwrap();
        state.judge_report(&told, &world.view);
    });
    let world = World::new();
    world.refuses("1/a does not hold its lock", |state| {
        state.service_locks(1, "a");
        state.now += 10;
        let reading = state.judge.reading.as_mut().unwrap();
        reading.since = state.now;
        state.judge_report(&world.told, &world.view);
    });
}

#[test]
fn what_nobody_waits_for_is_refused() {
    for words in [
        "a holds its update lock",
        "a waits for b to be started",
        "a waits for its networks and volumes",
        "a waits for the service whose network it shares",
        "a waits for its successor to take over",
        "a waits for an old container of b to be gone",
        "a goes on until every image of its release is there",
        "a goes on in its old container until the new one runs",
        "a starts when the device was started anew, as its label asks",
        "a was stopped on request, until it is started or given another target",
        "a waits for better times",
        "the engine is removing a container of a",
        "the volume data waits for a container of b to be gone",
        "the volume data is made again when it is noted that it was emptied: is the disk full?",
        "there is no room for an image: 1 MiB of 2 MiB are free",
        "start 1/a failed: port is taken",
        "kill x failed: it waits until that is noted: input/output error",
        "the target is not reached after many steps",
    ] {
        refuses_report(words, |told| {
            told.report.services[0].waiting = Some(words.to_owned());
        });
        refuses_report(words, |told| told.report.waiting = Some(words.to_owned()));
    }
    refuses_report("one:latest is Downloading", |told| {
        told.report.services[0].waiting = Some("a waits for its image".to_owned());
    });
    let still = "the machine is about to be restarted, switched off or configured";
    refuses_report(still, |told| told.report.waiting = Some(still.to_owned()));
    let world = World::new();
    let mut state = world.state();
    let which = state.asks_for_stillness();
    assert_eq!(state.false_wait_of_device(still, 0), None);
    // It has ended since the world was read.
    state.ends_stillness(which);
    assert_eq!(state.false_wait_of_device(still, 0).as_deref(), Some(still));
}

#[test]
fn a_service_that_runs_is_waited_for_only_when_its_image_was_built_anew() {
    let world = World::new();
    let mut state = world.state();
    let words = "b waits for a to be started";
    let now = state.now;
    assert_eq!(state.false_wait(1, words, now).as_deref(), Some(words));
    state.rebuild("one:latest");
    assert_eq!(state.false_wait(1, words, now), None);
}

#[test]
fn a_stop_that_could_not_be_noted_is_believed_with_the_words_of_the_disk() {
    let waits = |words: &str| {
        let world = World::new();
        let mut state = world.state();
        let refusals = &mut state.judge.losses.refusals;
        refusals.insert("input/output error".to_owned());
        state.false_wait(1, words, 0)
    };
    let words = "kill x failed: it waits until that is noted: input/output error";
    assert_eq!(waits(words), None);
    for lie in [
        "start 1/a failed: it waits until that is noted: input/output error",
        "kill x failed: it waits until that is noted: no storage space",
        "kill x failed: input/output error",
    ] {
        assert_eq!(waits(lie).as_deref(), Some(lie));
    }
}

#[test]
fn lies_about_the_device_are_refused() {
    refuses_report("was never stored", |told| told.report.generation += 1);
    refuses_report("was never made", |told| told.report.asked += 1);
    refuses_report("nothing is told of", |told| {
        told.report.services.clear();
        told.containers.clear();
    });
    refuses_report("the lists of containers differ", |told| {
        told.containers.clear();
    });
    refuses_report("is ContainerStatus", |told| told.containers[0].app_id = 2);
    refuses_report("is here, which is not told", |told| {
        told.report.images[0].engine_id = None;
    });
    refuses_report("is not here as", |told| {
        told.report.images[0].engine_id = Some("sha256:one:latest-7".to_owned());
    });
    refuses_report("10 % of one:latest are here", |told| {
        told.report.images[0].download_progress = Some(10);
    });
    refuses_report("of all images are here", |told| told.progress = Some(5));
    refuses_report("was never to be at c7", |told| {
        told.releases = BTreeMap::from([(1, "c7".to_owned())]);
    });
    refuses_report("1 is not told to be at c1", |told| told.releases.clear());
    refuses_report("nothing waits for it", |told| told.wants_restart = true);
    refuses_report("nothing says why", |told| {
        told.report.state = ApplyState::Failing;
    });
}

#[test]
fn what_is_not_applied_is_not_told_to_be() {
    type Act = fn(&mut State);
    let acts: [(&str, Act); 3] = [
        ("volume 1_data is missing", |state| {
            state.engine.volumes.clear();
        }),
        ("network 1_back", |state| state.engine.networks.clear()),
        ("level of", |state| {
            for container in state.engine.containers.values_mut() {
                container.told.config.environment.clear();
            }
        }),
    ];
    for (words, act) in acts {
        let world = World::new();
        world.refuses(words, |state| {
            act(state);
            state.judge_report(&world.told, &world.view);
        });
    }
}

#[test]
fn something_told_before_a_reading_is_refused() {
    let world = World::new();
    world.refuses("before anything was read", |state| {
        state.mourn();
        state.judge_report(&world.told, &world.view);
    });
}
