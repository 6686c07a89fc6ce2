use fs_err as fs;

use super::*;
use crate::model::VolumeSpec;

fn target(name: &str) -> Target {
    Target {
        name: name.to_owned(),
        ..Target::default()
    }
}

fn name(store: &Store) -> Option<&str> {
    store.accepted().target.as_ref().map(|t| t.name.as_str())
}

fn filled(dir: &Path) {
    let mut store = Store::open(dir, Some(false)).unwrap();
    store.put(target("one")).unwrap();
    store.put(target("two")).unwrap();
}

#[test]
fn a_fresh_directory_has_no_target() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(store.accepted().generation, 0);
    assert_eq!(store.accepted().target, None);
    assert_eq!(store.accepted().fault.as_deref(), None);
}

#[test]
fn a_target_survives_and_its_generation_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(name(&store), Some("two"));
    assert_eq!(store.accepted().generation, 2);
    assert_eq!(store.put(target("three")).unwrap().generation, 3);
}

#[test]
fn one_agent_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Some(false)).unwrap();
    assert!(matches!(
        Store::open(dir.path(), Some(false)),
        Err(StoreError::InUse(_))
    ));
    drop(store);
    Store::open(dir.path(), Some(false)).unwrap();
}

#[test]
fn a_damaged_file_gives_way_to_the_last_good_one() {
    for damage in [
        &b""[..],
        b"{",
        b"{\"version\":1}",
        b"\0\0\0\0",
        b"[]",
        b"{\"version\":0}",
    ] {
        let dir = tempfile::tempdir().unwrap();
        filled(dir.path());
        fs::write(dir.path().join(FILE), damage).unwrap();
        let mut store = Store::open(dir.path(), Some(false)).unwrap();
        assert_eq!(name(&store), Some("one"));
        assert!(
            store
                .accepted()
                .fault
                .as_deref()
                .unwrap()
                .contains("cannot be read")
        );
        store.put(target("three")).unwrap();
        assert_eq!(store.accepted().fault.as_deref(), None);
        assert_eq!(fs::read(dir.path().join(SET_ASIDE)).unwrap(), damage);
        drop(store);
        let store = Store::open(dir.path(), Some(false)).unwrap();
        assert_eq!(name(&store), Some("three"));
        let good = store.read(LAST_GOOD).unwrap().unwrap();
        assert_eq!(good.local.unwrap().name, "one");
    }
}

#[test]
fn without_a_good_file_there_is_no_target_rather_than_an_empty_one() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "{").unwrap();
    fs::write(dir.path().join(LAST_GOOD), "{").unwrap();
    let store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(store.accepted().target, None);
    assert!(
        store
            .accepted()
            .fault
            .as_deref()
            .unwrap()
            .contains("nothing is changed")
    );
}

#[test]
fn a_newer_format_is_kept_untouched_until_a_target_arrives_and_then_set_aside() {
    let dir = tempfile::tempdir().unwrap();
    let newer = br#"{"version":99,"generation":5,"everything":"else"}"#;
    fs::write(dir.path().join(FILE), newer).unwrap();
    let mut store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(store.accepted().target, None);
    assert!(
        store
            .accepted()
            .fault
            .as_deref()
            .unwrap()
            .contains("newer agent")
    );
    assert_eq!(fs::read(dir.path().join(FILE)).unwrap(), newer);
    store.put(target("one")).unwrap();
    assert_eq!(fs::read(dir.path().join(SET_ASIDE)).unwrap(), newer);
    drop(store);
    assert_eq!(
        name(&Store::open(dir.path(), Some(false)).unwrap()),
        Some("one")
    );
}

#[test]
fn what_a_power_cut_leaves_behind_is_harmless() {
    // Cut before the rename: a half-written new file lies beside the old one.
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join("state.new"), "{\"version\":1,\"gener").unwrap();
    fs::write(dir.path().join("state.last-good.new"), "rubbish").unwrap();
    let mut store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(name(&store), Some("two"));
    assert_eq!(store.accepted().fault.as_deref(), None);
    store.put(target("three")).unwrap();
    assert_eq!(name(&store), Some("three"));
}

#[test]
fn a_cut_between_setting_aside_and_writing_leaves_the_last_good_target() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    fs::write(dir.path().join(FILE), "{").unwrap();
    let mut store = Store::open(dir.path(), Some(false)).unwrap();
    fs::create_dir(dir.path().join("state.new")).unwrap();
    assert!(store.put(target("three")).is_err());
    assert_eq!(name(&store), Some("one"));
    drop(store);
    let store = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(name(&store), Some("one"));
    assert!(store.accepted().fault.is_some());
}

#[test]
fn a_directory_that_cannot_be_written_keeps_the_old_target() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = Store::open(dir.path(), Some(false)).unwrap();
    fs::create_dir(dir.path().join("state.new")).unwrap();
    assert!(store.put(target("three")).is_err());
    assert_eq!(name(&store), Some("two"));
    drop(store);
    assert_eq!(
        name(&Store::open(dir.path(), Some(false)).unwrap()),
        Some("two")
    );
}

#[test]
fn every_format_that_was_ever_written_can_be_read() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/state");
    let mut seen = 0;
    for entry in fs::read_dir(fixtures).unwrap() {
        let path = entry.unwrap().path();
        let content = format::decode(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(content.generation, 7, "{}", path.display());
        assert_eq!(
            content.local.unwrap().apps[&1].services["web"].image,
            "local_image_web:latest"
        );
        seen += 1;
    }
    assert!(seen > 0);
}

fn inventory(volumes: &[&str]) -> Inventory {
    Inventory {
        volumes: volumes.iter().map(|name| (*name).to_owned()).collect(),
        ..Inventory::default()
    }
}

#[test]
fn a_local_session_takes_over_and_gives_way_again() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    store.put_fleet(target("fleet"), None).unwrap();
    assert_eq!(
        (name(&store), store.accepted().is_local()),
        (Some("fleet"), false)
    );
    let begun = store.begin_session(inventory(&["1_data"]), None).unwrap();
    // Nothing was pushed yet: of the fleet only the name and the configuration stay.
    assert_eq!((name(&store), begun.is_local()), (Some("fleet"), true));
    store.put(target("local")).unwrap();
    drop(store);

    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    assert_eq!(name(&store), Some("local"));
    let ended = store.end_session().unwrap();
    assert_eq!(name(&store), Some("fleet"));
    assert_eq!(
        ended.ended_session.as_deref(),
        Some(&inventory(&["1_data"]))
    );
    // A session that begins before the last one is cleared away does not make its leftovers its own.
    store
        .begin_session(inventory(&["1_data", "1_left"]), None)
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
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    store.put_fleet(with(&["old"]), None).unwrap();
    store.begin_session(inventory(&["1_old"]), None).unwrap();
    store.put_fleet(with(&["data"]), None).unwrap();
    let kept = |store: &Store| store.session().unwrap().volumes.clone();
    assert_eq!(kept(&store), inventory(&["1_old"]).volumes, "it still runs");
    store.end_session().unwrap();
    store.put_fleet(with(&["more"]), None).unwrap();
    assert_eq!(kept(&store), inventory(&["1_data", "1_old"]).volumes);
    store.begin_session(Inventory::default(), None).unwrap();
    assert_eq!(
        kept(&store),
        inventory(&["1_data", "1_more", "1_old"]).volumes
    );
    // One that was made after the engine was looked at, and before the session began.
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    store.put_fleet(with(&["data"]), None).unwrap();
    store.begin_session(inventory(&["1_old"]), None).unwrap();
    assert_eq!(kept(&store), inventory(&["1_data", "1_old"]).volumes);
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
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    store.put_fleet(fleet, None).unwrap();
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
        apps(&store.begin_session(Inventory::default(), None).unwrap()),
        [8]
    );
    drop(store);
    // A device that left its fleet keeps nothing of it.
    let left = Store::open(dir.path(), Some(false)).unwrap();
    assert_eq!(apps(left.accepted()), [0; 0]);
    assert!(left.accepted().is_local());
}

#[test]
fn a_local_target_is_given_once_whatever_the_fleet_changes_beside_it() {
    let fleet = |id| Target {
        apps: [(id, app(id, AppClass::Block))].into(),
        ..target("fleet")
    };
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    let numbers = |accepted: &Accepted| (accepted.generation, accepted.given);
    assert_eq!(numbers(&store.put_fleet(fleet(7), None).unwrap()), (1, 1));
    let begun = store.begin_session(Inventory::default(), None).unwrap();
    assert_eq!(numbers(&begun), (2, 2));
    assert_eq!(numbers(&store.put(target("local")).unwrap()), (3, 3));
    assert_eq!(numbers(&store.put_fleet(fleet(8), None).unwrap()), (4, 3));
    drop(store);
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    assert_eq!(numbers(store.accepted()), (4, 3));
    assert_eq!(numbers(&store.put(target("local")).unwrap()), (5, 5));
    assert_eq!(numbers(&store.end_session().unwrap()), (6, 6));
}

#[test]
fn a_device_whose_membership_is_unknown_stays_in_the_fleet_that_it_is_in() {
    let dir = tempfile::tempdir().unwrap();
    let open = |managed| Store::open(dir.path(), managed).unwrap();
    assert!(!open(None).is_managed());
    open(Some(true)).put_fleet(target("fleet"), None).unwrap();
    let kept = open(None);
    assert!(kept.is_managed());
    assert_eq!(name(&kept), Some("fleet"));
    drop(kept);
    assert!(!open(Some(false)).is_managed());
}

#[test]
fn only_a_target_that_counts_is_a_new_generation() {
    let dir = tempfile::tempdir().unwrap();
    let mut store = Store::open(dir.path(), Some(true)).unwrap();
    let fleets = |id| Target {
        apps: [(id, app(id, AppClass::Fleet))].into(),
        ..target("fleet")
    };
    let fleet = store.put_fleet(fleets(7), None).unwrap().generation;
    let local = store
        .begin_session(Inventory::default(), None)
        .unwrap()
        .generation;
    assert_eq!(local, fleet + 1);
    assert_eq!(store.put_fleet(fleets(8), None).unwrap().generation, local);
    let left = store.end_session().unwrap().generation;
    assert_eq!(left, local + 1);
    assert_eq!(store.forget_session(left).unwrap().generation, left);
    assert_eq!(
        store.put_fleet(target("later"), None).unwrap().generation,
        left + 1
    );
}
