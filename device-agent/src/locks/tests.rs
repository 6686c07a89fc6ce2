use std::os::unix::fs::symlink;

use super::*;

struct Place {
    dir: tempfile::TempDir,
    held: Held,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        for service in ["web", "worker"] {
            fs::create_dir_all(dir.path().join("1").join(service)).unwrap();
        }
        Self {
            dir,
            held: Held::default(),
        }
    }

    fn file(&self, service: &str, name: &str) -> PathBuf {
        self.dir.path().join("1").join(service).join(name)
    }

    fn locks(&self) -> AppLocks {
        read(self.dir.path(), &self.held).locks[&1].clone()
    }

    fn take(&self, force: bool) -> Result<(), LockError> {
        self.held.take(self.dir.path(), 1, force)
    }
}

#[test]
fn locks_are_taken_for_all_services_and_let_go_of() {
    let place = Place::new();
    assert_eq!(place.locks(), AppLocks::default());
    place.take(false).unwrap();
    for service in ["web", "worker"] {
        for name in LOCK_FILES {
            assert!(place.file(service, name).exists(), "{service} {name}");
        }
    }
    let locks = place.locks();
    assert!(locks.by_agent && !locks.stale && locks.by_services.is_empty());
    place.held.release(place.dir.path(), 1);
    assert_eq!(place.locks(), AppLocks::default());
    assert!(!place.file("web", "updates.lock").exists());
}

#[test]
fn a_service_that_comes_while_the_locks_are_held_cannot_take_its_own() {
    let place = Place::new();
    let join = || place.held.join(place.dir.path(), 1, "late");
    fs::create_dir(place.dir.path().join("1/late")).unwrap();
    join().unwrap();
    let lock = place.file("late", "updates.lock");
    assert!(!lock.exists(), "nothing is held yet");
    place.take(false).unwrap();
    fs::remove_dir_all(place.dir.path().join("1/late")).unwrap();
    fs::create_dir(place.dir.path().join("1/late")).unwrap();
    for _ in 0..2 {
        join().unwrap();
        for name in LOCK_FILES {
            let path = place.file("late", name);
            assert_eq!(state(&path, false), LockFile::Foreign, "{name} is free");
        }
    }
    place.held.release(place.dir.path(), 1);
    assert!(!lock.exists());
}

#[test]
fn a_file_of_a_service_is_a_lock_and_none_is_taken_beside_it() {
    for name in LOCK_FILES {
        let place = Place::new();
        fs::write(place.file("worker", name), "").unwrap();
        assert_eq!(place.locks().by_services, ["worker".to_owned()].into());
        let refused = place.take(false).unwrap_err().to_string();
        assert_eq!(refused, "Lockfile exists for { appId: 1, service: worker }");
        assert!(!place.file("web", name).exists(), "half of them are held");
        place.take(true).unwrap();
        assert!(place.locks().by_services.is_empty());
    }
}

#[test]
fn whatever_has_the_name_is_a_lock_and_is_not_followed() {
    let place = Place::new();
    let outside = place.dir.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("precious"), "").unwrap();
    let lock = place.file("web", "updates.lock");
    symlink(&outside, &lock).unwrap();
    assert_eq!(place.locks().by_services, ["web".to_owned()].into());
    place.take(true).unwrap();
    assert!(outside.join("precious").exists());
    place.held.release(place.dir.path(), 1);

    fs::create_dir_all(lock.join("deep")).unwrap();
    assert!(place.take(false).is_err());
    place.take(true).unwrap();
    assert!(lock.is_file());
}

#[test]
fn what_a_killed_agent_left_is_stale_unless_somebody_holds_it() {
    let place = Place::new();
    place.take(false).unwrap();
    let Place { dir, held } = place;
    drop(held);
    // Another agent, which knows nothing of the first.
    let other = Place {
        dir,
        held: Held::default(),
    };
    let held = other.locks();
    assert_eq!(held.by_services.len(), 0, "{held:?}");
    assert!(held.stale && !held.by_agent);
    let file = open(&other.file("web", "updates.lock")).unwrap();
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
    assert_eq!(other.locks().by_services, ["web".to_owned()].into());
    assert!(other.take(false).is_err());
    drop(file);
    other.take(false).unwrap();
    assert!(other.locks().by_agent);
}

#[test]
fn markers_are_seen_and_taken_away() {
    for name in HANDOVER_FILES {
        let place = Place::new();
        fs::write(place.file("web", name), "").unwrap();
        let signs = read(place.dir.path(), &place.held);
        assert_eq!(signs.handed_over, [(1, "web".to_owned())].into());
        clear_markers(place.dir.path(), 1, "web").unwrap();
        assert!(read(place.dir.path(), &place.held).handed_over.is_empty());
    }
}

#[test]
fn what_is_no_directory_of_a_service_holds_no_lock() {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir_all(dir.path().join("no number/web")).unwrap();
    fs::write(dir.path().join("2"), "").unwrap();
    assert!(read(dir.path(), &Held::default()).locks.is_empty());
    assert!(
        read(&dir.path().join("nowhere"), &Held::default())
            .locks
            .is_empty()
    );
}

#[tokio::test]
async fn a_lock_that_comes_or_goes_is_told() {
    let place = Place::new();
    let (happened, mut told) = tokio::sync::broadcast::channel(16);
    let watching = tokio::spawn(watch(place.dir.path().to_owned(), happened));
    let mut next = async |change: &dyn Fn()| {
        // The watch begins some time after its task does.
        loop {
            change();
            let soon = std::time::Duration::from_millis(200);
            if let Ok(Ok(event)) = tokio::time::timeout(soon, told.recv()).await {
                return event;
            }
            assert!(!watching.is_finished());
        }
    };
    let lock = place.file("web", "updates.lock");
    let other = crate::engine::events::Happened::Other;
    assert_eq!(next(&|| fs::write(&lock, "").unwrap()).await, other);
    // A service that came later.
    let late = place.file("late", "handover-complete");
    fs::create_dir(late.parent().unwrap()).unwrap();
    assert_eq!(next(&|| fs::write(&late, "").unwrap()).await, other);
}

#[test]
fn the_locks_of_all_applications_are_taken_or_none() {
    let place = Place::new();
    let other = place.dir.path().join("2/web");
    fs::create_dir_all(&other).unwrap();
    let theirs = other.join("updates.lock");
    fs::write(&theirs, "").unwrap();
    let all = |force: bool| place.held.take_all(place.dir.path(), force);
    let refused = all(false).unwrap_err().to_string();
    assert_eq!(refused, "Lockfile exists for { appId: 2, service: web }");
    assert!(place.held.apps().is_empty(), "some are held");
    assert!(!place.file("web", "updates.lock").exists());
    // What was held before stays so, and is not told as taken.
    place.take(false).unwrap();
    all(false).unwrap_err();
    assert_eq!(place.held.apps(), [1]);
    assert_eq!(all(true).unwrap(), [2]);
    assert_eq!(place.held.apps(), [1, 2]);
}
