use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::decide::{Device, MAX_BYTES, understand};
use super::{APPS, NOTHING, Preload, TAKEN, UNREADABLE, asked, is_told_another, take};
use crate::model::{AppClass, Target};
use crate::store::disk::{Disk, OwnDisk};
use crate::store::fused::Fused;
use crate::store::{SharedStore, Store, StoreError};

const UUID: &str = "5eee5eee5eee5eee5eee5eee5eee5eee";
const FLEET: &str = "0f1ee7000f1ee7000f1ee7000f1ee700";

fn newer() -> Value {
    json!({"config": {"BALENA_SUPERVISOR_OVERRIDE_LOCK": "1"}, "pinDevice": false, "apps": {FLEET: {
        "id": 12, "name": "fleet", "class": "fleet", "is_host": false, "releases": {"c0ffee": {"id": 7,
            "services": {"web": {"id": 3, "image_id": 9, "image": "local_image_web:latest", "environment": {},
                "labels": {}, "composition": {"restart": "no"}}},
            "networks": {}, "volumes": {}}}}}})
}

fn older() -> Value {
    json!({"config": {}, "apps": {"1": {"name": "app", "commit": "c0ffee", "releaseId": 1, "networks": {}, "volumes": {},
        "services": {"1": {"imageId": 1, "serviceName": "web", "image": "local_image_web:latest", "environment": {},
            "labels": {}, "restart": "no"}}}}})
}

fn read(text: &str) -> Result<Option<Target>, String> {
    let device = Device {
        uuid: UUID,
        name: "present",
    };
    understand(text.as_bytes(), device)
}

#[test]
fn both_forms_are_targets_and_what_was_taken_asks_for_nothing() {
    let target = read(&newer().to_string()).unwrap().unwrap();
    assert_eq!(target.name, "present");
    assert_eq!(target.config["SUPERVISOR_OVERRIDE_LOCK"], "1");
    let app = &target.apps[&12];
    assert_eq!((app.uuid.as_str(), app.class), (FLEET, AppClass::Fleet));
    assert_eq!(app.services["web"].image, "local_image_web:latest");
    let target = read(&older().to_string()).unwrap().unwrap();
    assert_eq!(
        (target.apps[&1].uuid.as_str(), target.apps[&1].release_id),
        ("1", 1)
    );
    assert_eq!(target.apps[&1].services["web"].composition["restart"], "no");
    // A uuid may be a number, and is one where the image was made for a stand-alone device.
    let mut numbered = newer();
    let app = numbered["apps"][FLEET].take();
    numbered["apps"] = json!({"1": app});
    assert_eq!(
        read(&numbered.to_string()).unwrap().unwrap().apps[&12].uuid,
        "1"
    );
    let taken = std::str::from_utf8(NOTHING).unwrap();
    for nothing in [
        taken,
        "",
        " \n",
        "[]",
        r#"{"apps":{}}"#,
        r#"{"apps":null,"config":{}}"#,
    ] {
        assert_eq!(read(nothing), Ok(None), "{nothing}");
    }
}

#[test]
fn what_is_wrong_is_said_with_its_place() {
    let mut nameless = newer();
    nameless["apps"][FLEET]["name"] = Value::Null;
    let mut portless = older();
    portless["apps"]["1"]["services"]["1"]["ports"] = json!(["x"]);
    for (text, words) in [
        (r#"{"apps":"#.to_owned(), "it is not JSON"),
        ("7".to_owned(), "it is no JSON object"),
        (
            r#"[{"appId":1}]"#.to_owned(),
            "an object with `apps` is expected",
        ),
        (r#"{"apps":[1]}"#.to_owned(), "`apps` is no object"),
        (r#"{"config":7,"apps":{"1":{}}}"#.to_owned(), "config:"),
        (nameless.to_string(), &format!("apps.{FLEET}.name")),
        (portless.to_string(), "apps.1.services.1.ports.0"),
    ] {
        let told = read(&text).unwrap_err();
        assert!(told.contains(words), "{text}: {told}");
    }
}

/// A data partition beside a state directory.
struct Place {
    dir: tempfile::TempDir,
    disk: Arc<dyn Disk>,
}

impl Place {
    fn new(apps: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let disk = Arc::new(OwnDisk);
        let place = Self { dir, disk };
        fs_err::create_dir(place.dir.path().join("data")).unwrap();
        fs_err::write(place.file(APPS), apps).unwrap();
        place
    }

    fn file(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join("data").join(name)
    }

    fn has(&self, name: &str) -> Option<String> {
        fs_err::read_to_string(self.file(name)).ok()
    }

    fn store(&self, managed: bool) -> SharedStore {
        let state = self.dir.path().join("state");
        // Children of other tests have the lock of one that was dropped until they are programs of their own.
        let mut tries = std::iter::repeat_with(|| Store::open(&state, Some(managed), None));
        let is_free =
            |opened: &Result<Store, StoreError>| !matches!(opened, Err(StoreError::InUse(_)));
        let opened = tries.by_ref().take(100_000).find(is_free);
        SharedStore::new(opened.expect("its lock").unwrap()).0
    }

    fn preload(&self) -> Preload {
        Preload {
            data: self.dir.path().join("data"),
            uuid: UUID.to_owned(),
            name: "present".to_owned(),
            disk: Arc::clone(&self.disk),
        }
    }

    async fn take(&self, store: &SharedStore) {
        let preload = self.preload();
        if let Some(asked) = asked(&preload) {
            take(&preload, store, asked).await;
        }
    }
}

#[tokio::test]
async fn the_first_target_is_the_preloaded_one_and_no_later_one_is() {
    for managed in [true, false] {
        let place = Place::new(&newer().to_string());
        let store = place.store(managed);
        place.take(&store).await;
        let accepted = store.accepted();
        let target = accepted.target.clone().expect("a target");
        assert_eq!(target.apps[&12].uuid, FLEET);
        assert_eq!(accepted.is_local(), !managed);
        assert_eq!(store.look(|store| store.fleet().is_some()), managed);
        assert_eq!(place.has(TAKEN), Some(newer().to_string()));
        assert_eq!(place.has(APPS).as_deref(), Some("{}\n"));
        // As after a cut before it was renamed, and as another one that somebody puts there.
        fs_err::write(place.file(APPS), older().to_string()).unwrap();
        place.take(&store).await;
        assert_eq!(store.accepted(), accepted);
        assert_eq!(place.has(APPS).as_deref(), Some("{}\n"));
    }
}

#[tokio::test]
async fn a_device_that_was_told_something_keeps_it() {
    let place = Place::new(&newer().to_string());
    let store = place.store(false);
    let pushed = read(&older().to_string()).unwrap().unwrap();
    let told = pushed.clone();
    let accepted = store.change(move |store| store.put(told)).await.unwrap();
    place.take(&store).await;
    assert_eq!(store.accepted(), accepted);
    drop(store);
    // What it was told cannot be read any more.
    let place = Place::new(&newer().to_string());
    fs_err::create_dir(place.dir.path().join("state")).unwrap();
    fs_err::write(place.dir.path().join("state/state.json"), "{").unwrap();
    let store = place.store(false);
    place.take(&store).await;
    assert_eq!(store.accepted().target, None);
}

#[tokio::test]
async fn what_cannot_be_used_is_set_aside_and_said() {
    let most = usize::try_from(MAX_BYTES).unwrap();
    for text in ["{".to_owned(), " ".repeat(most + 1)] {
        let place = Place::new(&text);
        let store = place.store(false);
        place.take(&store).await;
        assert_eq!(store.accepted().target, None);
        assert_eq!(place.has(UNREADABLE), Some(text));
        assert_eq!(place.has(APPS).as_deref(), Some("{}\n"));
    }
}

#[tokio::test]
async fn what_was_stored_before_a_cut_is_not_another_target() {
    for managed in [true, false] {
        let place = Place::new(&newer().to_string());
        let preload = place.preload();
        let target = asked(&preload).unwrap().unwrap().unwrap();
        let store = place.store(managed);
        assert!(!is_told_another(&store, &target));
        place.take(&store).await;
        drop(store);
        let store = place.store(managed);
        assert!(!is_told_another(&store, &target));
        let other = read(&older().to_string()).unwrap().unwrap();
        assert!(is_told_another(&store, &other));
    }
}

#[tokio::test]
async fn a_cut_of_power_at_any_moment_leaves_the_target_and_an_empty_file() {
    for is_last_done in [true, false] {
        for operations in 1.. {
            let mut place = Place::new(&newer().to_string());
            let fused: Arc<Fused> = Arc::new(Fused::new(operations, is_last_done));
            place.disk = fused.clone();
            // One power feeds the state and the data.
            let state = place.dir.path().join("state");
            if let Ok(store) = Store::open_on(fused.clone(), &state, Some(false), None) {
                place.take(&SharedStore::new(store).0).await;
            }
            // Whatever the moment, apps.json is there: without it archives would be forgotten.
            assert!(place.has(APPS).is_some(), "{operations}");
            let has_happened = fused.is_blown();
            place.disk = Arc::new(OwnDisk);
            let store = place.store(false);
            place.take(&store).await;
            let target = store.accepted().target.expect("a target");
            assert_eq!(target.apps[&12].uuid, FLEET, "{operations}");
            assert_eq!(place.has(APPS).as_deref(), Some("{}\n"), "{operations}");
            assert_eq!(place.has(TAKEN), Some(newer().to_string()), "{operations}");
            if !has_happened {
                assert!(operations > 4);
                break;
            }
        }
    }
}

#[test]
fn archives_are_files_of_this_name_in_their_order() {
    let dir = tempfile::tempdir().unwrap();
    let found = |dir: &Path| super::load::archives(dir);
    assert!(found(&dir.path().join("none")).is_empty());
    for name in ["b.tar", "a.tar", "c.txt", "tar"] {
        fs_err::write(dir.path().join(name), "").unwrap();
    }
    fs_err::create_dir(dir.path().join("d.tar")).unwrap();
    std::os::unix::fs::symlink("a.tar", dir.path().join("e.tar")).unwrap();
    assert_eq!(
        found(dir.path()),
        [dir.path().join("a.tar"), dir.path().join("b.tar")]
    );
}
