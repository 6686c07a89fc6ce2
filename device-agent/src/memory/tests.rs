//! What is remembered survives, and what need not be is forgotten.

use fs_err as fs;

use super::*;

#[test]
fn keys_and_stops_survive_and_are_forgotten_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, fault) = Memory::open(dir.path());
    assert_eq!(fault, None);
    let wanted = BTreeSet::from([(1, "web".to_owned()), (1, "worker".to_owned())]);
    memory.keep_api_keys(&wanted, &BTreeMap::new()).unwrap();
    memory.note_stopped(&["abc".to_owned()]).unwrap();
    let keys = memory.api_keys();
    assert_eq!(keys.len(), 2);
    assert_ne!(
        keys[&(1, "web".to_owned())],
        keys[&(1, "worker".to_owned())]
    );

    let (mut memory, _) = Memory::open(dir.path());
    assert_eq!(memory.api_keys(), keys);
    assert!(memory.has_stopped("abc"));
    memory.keep_stopped(|_| false);
    memory
        .keep_api_keys(&BTreeSet::from([(1, "web".to_owned())]), &BTreeMap::new())
        .unwrap();
    assert!(!memory.has_stopped("abc"));
    assert_eq!(memory.api_keys().len(), 1);
}

#[test]
fn images_are_remembered_until_they_are_gone() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    let image = |name: &str| BTreeMap::from([(name.to_owned(), "sha256:1".to_owned())]);
    memory.note_images(image("a")).unwrap();
    memory.note_images(image("b")).unwrap();
    memory.forget_image("a").unwrap();
    assert_eq!(*Memory::open(dir.path()).0.images(), image("b"));
    fs::rename(dir.path(), dir.path().with_extension("away")).unwrap();
    memory.forget_image("b").unwrap_err();
    assert!(memory.images().is_empty());
    fs::rename(dir.path().with_extension("away"), dir.path()).unwrap();
}

#[test]
fn the_release_that_was_reached_survives() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    let releases = BTreeMap::from([(1, "10ca12e1ea5e".to_owned())]);
    memory.note_releases(releases.clone()).unwrap();
    assert_eq!(*Memory::open(dir.path()).0.releases(), releases);
}

#[test]
fn what_is_done_is_not_done_again_when_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    let mut asked = Asked::default();
    asked
        .discard
        .insert("1_data".to_owned(), "is purged".to_owned());
    memory.keep_asked(asked).unwrap();
    fs::rename(dir.path(), dir.path().with_extension("away")).unwrap();
    memory.settle_asked(Asked::default()).unwrap_err();
    assert!(memory.asked().discard.is_empty());
    let unnoted = BTreeSet::from(["1_data".to_owned()]);
    assert_eq!(memory.unnoted_discards(), unnoted);
    fs::rename(dir.path().with_extension("away"), dir.path()).unwrap();
    assert!(!Memory::open(dir.path()).0.asked().discard.is_empty());
    memory.settle_asked(Asked::default()).unwrap();
    assert!(Memory::open(dir.path()).0.asked().discard.is_empty());
    assert!(memory.unnoted_discards().is_empty());
}

#[test]
fn what_is_to_be_stopped_counts_when_it_is_written_and_what_is_started_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    memory.note_stopped(&["a".to_owned()]).unwrap_err();
    // It goes on, and may end by itself.
    assert!(!memory.has_stopped("a"));
    fs::rename(&away, dir.path()).unwrap();
    memory.note_stopped(&["a".to_owned()]).unwrap();
    assert!(memory.has_stopped("a"));
    assert!(Memory::open(dir.path()).0.has_stopped("a"));
    fs::rename(dir.path(), &away).unwrap();
    memory.note_started("a").unwrap_err();
    assert!(!memory.has_stopped("a"));
    fs::rename(&away, dir.path()).unwrap();
}

#[test]
fn a_target_is_taken_up_although_that_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    memory.begin_generation(1, 1, BTreeSet::new()).unwrap();
    let mut asked = Asked::default();
    asked.stopped.insert(Asked::service(1, "web"));
    memory.keep_asked(asked).unwrap();
    let away = dir.path().with_extension("away");
    fs::rename(dir.path(), &away).unwrap();
    let forced = BTreeSet::from([1]);
    memory.begin_generation(2, 2, forced).unwrap_err();
    assert!(memory.asked().stopped.is_empty());
    assert!(memory.asked().force.contains(&1));
    // A container that is known to wait goes on waiting.
    fs::rename(&away, dir.path()).unwrap();
    let waiting = BTreeSet::from(["a".to_owned()]);
    assert_eq!(memory.seen_since("one", &waiting).unwrap(), waiting);
    fs::rename(dir.path(), &away).unwrap();
    memory.settle_asked(Asked::default()).unwrap_err();
    assert_eq!(memory.seen_since("one", &waiting).unwrap(), waiting);
    let more = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
    memory.seen_since("one", &more).unwrap_err();
    fs::rename(&away, dir.path()).unwrap();
}

#[test]
fn a_target_overrides_locks_once_and_until_it_is_reached() {
    let dir = tempfile::tempdir().unwrap();
    let (mut memory, _) = Memory::open(dir.path());
    let forced = BTreeSet::from([1]);
    memory.begin_generation(1, 1, forced.clone()).unwrap();
    assert_eq!(memory.asked().force, forced);
    // Something else has changed before it was reached.
    memory.begin_generation(2, 1, forced.clone()).unwrap();
    assert_eq!(memory.asked().force, forced);
    memory.forget_force(1).unwrap();
    // And afterwards.
    memory.begin_generation(3, 1, forced.clone()).unwrap();
    assert_eq!(memory.asked().force, BTreeSet::new());
    memory.begin_generation(4, 4, forced.clone()).unwrap();
    assert_eq!(memory.asked().force, forced);
    memory.begin_generation(5, 5, BTreeSet::new()).unwrap();
    assert_eq!(memory.asked().force, BTreeSet::new());
    // It came and something else changed before it was looked at.
    memory.begin_generation(7, 6, forced.clone()).unwrap();
    assert_eq!(memory.asked().force, forced);
}

#[test]
fn a_container_waits_for_one_restart_of_the_machine() {
    let dir = tempfile::tempdir().unwrap();
    let ids = |ids: &[&str]| -> BTreeSet<String> { ids.iter().map(|&id| id.into()).collect() };
    let seen = |boot, waiting: &[&str]| {
        let (mut memory, _) = Memory::open(dir.path());
        memory.seen_since(boot, &ids(waiting)).unwrap()
    };
    assert_eq!(seen("one", &["a"]), ids(&["a"]));
    assert_eq!(seen("one", &["a", "b"]), ids(&["a", "b"]));
    assert_eq!(seen("two", &["a", "b", "c"]), ids(&["c"]));
    assert_eq!(seen("two", &["c"]), ids(&["c"]));
    assert_eq!(Memory::open(dir.path()).0.content.seen_in.len(), 1);
    assert_eq!(seen("two", &[]), ids(&[]));
    let before = fs::metadata(dir.path().join(FILE)).unwrap();
    seen("three", &[]);
    let after = fs::metadata(dir.path().join(FILE)).unwrap();
    let inode = |file: &std::fs::Metadata| std::os::unix::fs::MetadataExt::ino(file);
    assert_eq!(inode(&before), inode(&after), "written for nothing");
}

#[test]
fn a_damaged_file_counts_as_empty() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join(FILE), "{").unwrap();
    let (mut memory, fault) = Memory::open(dir.path());
    assert!(fault.unwrap().contains("damaged"));
    memory.note_stopped(&["abc".to_owned()]).unwrap();
    assert_eq!(Memory::open(dir.path()).1, None);
}
