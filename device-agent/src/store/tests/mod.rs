//! The files: what survives, and what is not used.

mod sessions;

use fs_err as fs;

use super::*;

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
    let mut store = Store::open(dir, Some(false), None).unwrap();
    store.put(target("one")).unwrap();
    store.put(target("two")).unwrap();
}

#[test]
fn a_fresh_directory_has_no_target() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Some(false), None).unwrap();
    assert_eq!(store.accepted().generation, 0);
    assert_eq!(store.accepted().target, None);
    assert_eq!(store.accepted().fault.as_deref(), None);
}

#[test]
fn a_target_survives_and_its_generation_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = Store::open(dir.path(), Some(false), None).unwrap();
    assert_eq!(name(&store), Some("two"));
    assert_eq!(store.accepted().generation, 2);
    assert_eq!(store.put(target("three")).unwrap().generation, 3);
}

#[test]
fn one_agent_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), Some(false), None).unwrap();
    assert!(matches!(
        Store::open(dir.path(), Some(false), None),
        Err(StoreError::InUse(_))
    ));
    drop(store);
    Store::open(dir.path(), Some(false), None).unwrap();
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
        let mut store = Store::open(dir.path(), Some(false), None).unwrap();
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
        let store = Store::open(dir.path(), Some(false), None).unwrap();
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
    let store = Store::open(dir.path(), Some(false), None).unwrap();
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
    let mut store = Store::open(dir.path(), Some(false), None).unwrap();
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
        name(&Store::open(dir.path(), Some(false), None).unwrap()),
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
    let mut store = Store::open(dir.path(), Some(false), None).unwrap();
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
    let mut store = Store::open(dir.path(), Some(false), None).unwrap();
    fs::create_dir(dir.path().join("state.new")).unwrap();
    assert!(store.put(target("three")).is_err());
    assert_eq!(name(&store), Some("one"));
    drop(store);
    let store = Store::open(dir.path(), Some(false), None).unwrap();
    assert_eq!(name(&store), Some("one"));
    assert!(store.accepted().fault.is_some());
}

#[test]
fn a_directory_that_cannot_be_written_keeps_the_old_target() {
    let dir = tempfile::tempdir().unwrap();
    filled(dir.path());
    let mut store = Store::open(dir.path(), Some(false), None).unwrap();
    fs::create_dir(dir.path().join("state.new")).unwrap();
    assert!(store.put(target("three")).is_err());
    assert_eq!(name(&store), Some("two"));
    drop(store);
    assert_eq!(
        name(&Store::open(dir.path(), Some(false), None).unwrap()),
        Some("two")
    );
}

#[test]
fn a_word_about_volumes_that_was_written_beside_the_applications_is_theirs() {
    let written = include_bytes!("../../../../tests/fixtures/state/v2.json");
    let local = format::decode(written).unwrap().local.unwrap();
    assert_eq!(local.apps[&1].discard_volumes, ["data".to_owned()].into());
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
