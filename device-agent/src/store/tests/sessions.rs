//! Targets of a fleet and local sessions: which target counts, and what a session leaves.

use fs_err as fs;

use super::*;
use crate::model::{AppClass, VolumeSpec};

fn inventory(volumes: &[&str]) -> Inventory {
    Inventory {
        volumes: volumes.iter().map(|name| (*name).to_owned()).collect(),
        ..Inventory::default()
    }
}

#[test]
fn a_local_session_takes_over_and_gives_way_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(target("fleet")).unwrap();
    assert_eq!(
        (name(&store), store.accepted().is_local()),
        (Some("fleet"), false)
    );
    let begun = store.begin_session(inventory(&["1_data"])).unwrap();
    // Nothing was pushed yet: of the fleet only the name and the configuration stay.
    assert_eq!((name(&store), begun.is_local()), (Some("fleet"), true));
    store.put(target("local")).unwrap();
    drop(store);

    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    assert_eq!(name(&store), Some("local"));
    let ended = store.end_session().unwrap();
    assert_eq!(name(&store), Some("fleet"));
    assert_eq!(
        ended.ended_session.as_deref(),
        Some(&inventory(&["1_data"]))
    );
    // A session that begins before the last one is cleared away does not make its leftovers its own.
    store
        .begin_session(inventory(&["1_data", "1_left"]))
        .unwrap();
    assert_eq!(store.session().as_deref(), Some(&inventory(&["1_data"])));
    let present = store.accepted().generation;
    store.forget_session(present).unwrap();
    assert!(store.session().is_some(), "it goes on");
    let ended = store.end_session().unwrap();
    store.forget_session(present).unwrap();
    assert!(store.session().is_some(), "it was looked at too early");
    let forgotten = store.forget_session(ended.generation).unwrap();
    assert_eq!(forgotten.ended_session, None);
    assert_eq!(name(&store), Some("fleet"));
}

#[test]
fn locks_are_overridden_of_what_was_sent_with_that_word() {
    let dir = tempfile::tempdir().unwrap();
    let with = |name: &str, apps: &[(u32, AppClass)], force: bool| Target {
        apps: apps
            .iter()
            .map(|(id, class)| (*id, app(*id, *class)))
            .collect(),
        force,
        ..target(name)
    };
    let fleets = [(1, AppClass::Fleet), (2, AppClass::Block)];
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    let forced = |accepted: &Accepted| accepted.forced.iter().copied().collect::<Vec<_>>();
    let alone = store.put_fleet(with("fleet", &fleets, true)).unwrap();
    assert_eq!(forced(&alone), [1, 2]);
    // The word of the fleet counts for what stays of its target.
    let begun = store.begin_session(inventory(&[])).unwrap();
    assert!(forced(&begun).contains(&2));
    let local = store
        .put(with("local", &[(7, AppClass::Fleet)], true))
        .unwrap();
    assert_eq!(forced(&local), [7]);
    let local = store
        .put(with("local", &[(7, AppClass::Fleet)], false))
        .unwrap();
    assert!(forced(&local).is_empty());
}

#[test]
fn in_a_session_it_is_known_which_volumes_the_fleet_has() {
    let dir = tempfile::tempdir().unwrap();
    let app = crate::model::App {
        volumes: [("data".to_owned(), VolumeSpec::default())].into(),
        ..app(7, AppClass::Fleet)
    };
    let mut fleet = target("fleet");
    fleet.apps.insert(7, app);
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    let alone = store.put_fleet(fleet).unwrap();
    assert!(alone.fleet_volumes.is_empty());
    store.begin_session(inventory(&[])).unwrap();
    let local = store.put(target("local")).unwrap();
    assert_eq!(*local.fleet_volumes, ["7_data".to_owned()].into());
    drop(store);
    // A device that has left its fleet keeps nothing of it.
    let store = Store::open(dir.path(), Some(false), None).unwrap();
    assert!(store.accepted().fleet_volumes.is_empty());
}

#[test]
fn what_the_fleet_names_since_a_session_has_ended_is_no_leftover_of_it() {
    let with = |volumes: &[&str]| {
        let named = volumes.iter().map(|name| (*name).to_owned());
        let volumes = named.map(|name| (name, VolumeSpec::default())).collect();
        let app = crate::model::App {
            volumes,
            ..app(1, AppClass::Fleet)
        };
        Target {
            apps: [(1, app)].into(),
            ..target("fleet")
        }
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(with(&["old"])).unwrap();
    store.begin_session(inventory(&["1_old"])).unwrap();
    store.put_fleet(with(&["data"])).unwrap();
    let kept = |store: &Store| store.session().unwrap().volumes.clone();
    assert_eq!(kept(&store), inventory(&["1_old"]).volumes, "it still runs");
    store.end_session().unwrap();
    store.put_fleet(with(&["more"])).unwrap();
    assert_eq!(kept(&store), inventory(&["1_data", "1_old"]).volumes);
    store.begin_session(Inventory::default()).unwrap();
    assert_eq!(
        kept(&store),
        inventory(&["1_data", "1_more", "1_old"]).volumes
    );
    // One that was made after the engine was looked at, and before the session began.
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(with(&["data"])).unwrap();
    store.begin_session(inventory(&["1_old"])).unwrap();
    assert_eq!(kept(&store), inventory(&["1_data", "1_old"]).volumes);
    // And one that was made then for the target before: the step was under way when the present one came.
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(with(&["before"])).unwrap();
    store.put_fleet(with(&["data"])).unwrap();
    store.begin_session(Inventory::default()).unwrap();
    assert_eq!(kept(&store), inventory(&["1_before", "1_data"]).volumes);
}

fn app(id: u32, class: AppClass) -> crate::model::App {
    crate::model::App {
        id,
        uuid: id.to_string(),
        name: id.to_string(),
        commit: None,
        release_id: 1,
        services: std::collections::BTreeMap::new(),
        networks: std::collections::BTreeMap::new(),
        volumes: std::collections::BTreeMap::new(),
        discard_volumes: BTreeSet::new(),
        class,
    }
}

#[test]
fn in_a_session_only_the_fleets_own_applications_give_way() {
    let fleet = Target {
        apps: [(7, app(7, AppClass::Fleet)), (8, app(8, AppClass::Block))].into(),
        ..target("fleet")
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(fleet).unwrap();
    let apps = |accepted: &Accepted| -> Vec<u32> {
        accepted
            .target
            .as_ref()
            .unwrap()
            .apps
            .keys()
            .copied()
            .collect()
    };
    assert_eq!(apps(store.accepted()), [7, 8]);
    assert_eq!(
        apps(&store.begin_session(Inventory::default()).unwrap()),
        [8]
    );
    let pushed = |store: &Store| store.proposed(target("local")).apps.into_keys();
    assert_eq!(pushed(&store).collect::<Vec<_>>(), [8]);
    drop(store);
    // A device that left its fleet keeps nothing of it.
    let left = Store::open(dir.path(), Some(false), None).unwrap();
    assert_eq!(apps(left.accepted()), [0; 0]);
    assert_eq!(pushed(&left).count(), 0);
    assert!(left.accepted().is_local());
}

#[test]
fn a_word_about_volumes_is_about_the_applications_of_the_target_that_it_came_with() {
    let with = |id, class, discard: &[&str]| {
        let data = ("data".to_owned(), VolumeSpec::default());
        let app = crate::model::App {
            volumes: [data].into(),
            ..app(id, class)
        };
        let mut target = Target {
            apps: [(id, app)].into(),
            ..target("it")
        };
        let names = discard.iter().map(|name| (*name).to_owned());
        target.let_go(&names.collect());
        target
    };
    let let_go = |target: &Target| -> Vec<u32> {
        let apps = target.apps.values();
        let apps = apps.filter(|app| app.discard_volumes.contains("data"));
        apps.map(|app| app.id).collect()
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(with(8, AppClass::Block, &[])).unwrap();
    store.begin_session(Inventory::default()).unwrap();
    let pushed = with(1, AppClass::Fleet, &["data"]);
    assert_eq!(let_go(&store.proposed(pushed.clone())), [1]);
    assert_eq!(let_go(&store.put(pushed).unwrap().target.unwrap()), [1]);
    let fleet = with(8, AppClass::Block, &["data", "other"]);
    assert_eq!(
        let_go(&store.put_fleet(fleet).unwrap().target.unwrap()),
        [1, 8]
    );
    store.put(with(1, AppClass::Fleet, &[])).unwrap();
    drop(store);
    let store = Store::open(dir.path(), Some(true), None).unwrap();
    let target = store.accepted().target.as_deref().unwrap();
    assert_eq!(let_go(target), [8]);
    assert_eq!(
        target.apps[&8].discard_volumes.len(),
        1,
        "there is no other"
    );
}

#[test]
fn a_local_target_is_given_once_whatever_the_fleet_changes_beside_it() {
    let fleet = |id| Target {
        apps: [(id, app(id, AppClass::Block))].into(),
        ..target("fleet")
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    let numbers = |accepted: &Accepted| (accepted.generation, accepted.given);
    assert_eq!(numbers(&store.put_fleet(fleet(7)).unwrap()), (1, 1));
    let begun = store.begin_session(Inventory::default()).unwrap();
    assert_eq!(numbers(&begun), (2, 2));
    assert_eq!(numbers(&store.put(target("local")).unwrap()), (3, 3));
    assert_eq!(numbers(&store.put_fleet(fleet(8)).unwrap()), (4, 3));
    drop(store);
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    assert_eq!(numbers(store.accepted()), (4, 3));
    assert_eq!(numbers(&store.put(target("local")).unwrap()), (5, 5));
    assert_eq!(numbers(&store.end_session().unwrap()), (6, 6));
}

#[test]
fn a_device_whose_membership_is_unknown_stays_in_the_fleet_that_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let open = |managed| Store::open(dir.path(), managed, None).unwrap();
    assert!(!open(None).is_managed());
    open(Some(true)).put_fleet(target("fleet")).unwrap();
    let kept = open(None);
    assert!(kept.is_managed());
    assert_eq!(name(&kept), Some("fleet"));
    drop(kept);
    assert!(!open(Some(false)).is_managed());
}

#[test]
fn only_a_target_that_counts_is_a_new_generation() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    let fleets = |id| Target {
        apps: [(id, app(id, AppClass::Fleet))].into(),
        ..target("fleet")
    };
    let fleet = store.put_fleet(fleets(7)).unwrap().generation;
    let local = store
        .begin_session(Inventory::default())
        .unwrap()
        .generation;
    assert_eq!(local, fleet + 1);
    assert_eq!(store.put_fleet(fleets(8)).unwrap().generation, local);
    let left = store.end_session().unwrap().generation;
    assert_eq!(left, local + 1);
    assert_eq!(store.forget_session(left).unwrap().generation, left);
    assert_eq!(
        store.put_fleet(target("later")).unwrap().generation,
        left + 1
    );
}

#[test]
fn a_fleet_that_says_the_same_again_asks_for_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    let fleet = |force| Target {
        apps: [(7, app(7, AppClass::Fleet))].into(),
        force,
        ..target("fleet")
    };
    assert_eq!(store.put_fleet(fleet(false)).unwrap().generation, 1);
    assert_eq!(store.put_fleet(fleet(false)).unwrap().generation, 1);
    // Locks are overridden once.
    assert_eq!(store.put_fleet(fleet(true)).unwrap().generation, 2);
    assert_eq!(store.put_fleet(fleet(true)).unwrap().generation, 3);
    // Who pushes the same again may have built other images under the same names.
    store.begin_session(Inventory::default()).unwrap();
    store.put(target("local")).unwrap();
    let pushed = store.accepted().generation;
    assert_eq!(store.put(target("local")).unwrap().generation, pushed + 1);
    drop(store);

    // What could not be read gives way to the same target, too.
    let file = dir.path().join(FILE);
    fs::copy(&file, dir.path().join(LAST_GOOD)).unwrap();
    fs::write(&file, "{").unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    assert!(store.accepted().fault.is_some());
    store.put_fleet(fleet(true)).unwrap();
    assert_eq!(store.accepted().fault, None);
}

#[test]
fn in_a_session_an_application_of_the_fleet_gives_way_to_a_local_one_of_its_uuid() {
    let fleet = Target {
        apps: [(
            8,
            crate::model::App {
                uuid: "1".to_owned(),
                ..app(8, AppClass::Block)
            },
        )]
        .into(),
        ..target("fleet")
    };
    let local = Target {
        apps: [(1, app(1, AppClass::Fleet))].into(),
        ..target("local")
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), None).unwrap();
    store.put_fleet(fleet).unwrap();
    store.begin_session(Inventory::default()).unwrap();
    let apps = |store: &Store| -> Vec<u32> {
        let target = store.accepted().target.clone();
        target.unwrap().apps.keys().copied().collect()
    };
    assert_eq!(apps(&store), [8]);
    let proposed = store.proposed(local.clone());
    store.put(local).unwrap();
    assert_eq!(apps(&store), [1]);
    assert_eq!(Some(&proposed), store.accepted().target.as_deref());
}

#[test]
fn volumes_of_a_simulated_device_are_adopted_by_their_names_on_the_engine() {
    let confinement = Confinement {
        namespace: "abc1234".to_owned(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        allow_privileged: false,
    };
    let with_volume = crate::model::App {
        volumes: [("data".to_owned(), VolumeSpec::default())].into(),
        ..app(1, AppClass::Fleet)
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true), Some(confinement)).unwrap();
    store.begin_session(Inventory::default()).unwrap();
    store.end_session().unwrap();
    store
        .put_fleet(Target {
            apps: [(1, with_volume)].into(),
            ..target("fleet")
        })
        .unwrap();
    store.begin_session(Inventory::default()).unwrap();
    let kept = store.session().unwrap().volumes.clone();
    assert_eq!(kept, inventory(&["abc1234_1_data"]).volumes);
}
