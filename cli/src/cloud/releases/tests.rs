use serde_json::{Value, json};

use super::{
    Fleet, Image, InvalidState, NoRelease, Release, Wanted, answers, choose, fleets, releases,
    sizes, state,
};

const UUID: &str = "bd11cca8ca704157a37819ed42db6563";
const COMMIT: &str = "e142bd81d0a7950737a2a4a63aabecc0";
const IMAGE: &str = "127.0.0.1:55000/v2/e8c69904fcb4e0a471e76a287949830a@sha256:72e5c07a669023809548b98cb32966b92d98c1e7a90f2ec49c0399fe922e847e";

fn fleet() -> Fleet {
    Fleet {
        id: 1,
        uuid: UUID.to_owned(),
        slug: "admin/fleet1".to_owned(),
        device_type: Some("generic-aarch64".to_owned()),
        arch: Some("aarch64".to_owned()),
        running: Some(COMMIT.to_owned()),
    }
}

fn release(commit: &str) -> Release {
    Release {
        commit: commit.to_owned(),
        version: None,
        is_draft: false,
        is_invalidated: false,
    }
}

#[test]
fn a_fleet_is_what_its_cloud_says() {
    let row = json!({"id": 1, "uuid": UUID, "slug": "admin/fleet1", "app_name": "fleet1", "is_public": false,
        "is_for__device_type": [{"slug": "generic-aarch64", "is_of__cpu_architecture": [{"slug": "aarch64"}]}],
        "should_be_running__release": [{"commit": COMMIT}]});
    let read = |row: &Value| fleets(json!({"d": [row]}).to_string().as_bytes());
    assert_eq!(read(&row).unwrap(), [fleet()]);
    let mut bare = row.clone();
    bare["is_for__device_type"] = json!([]);
    bare["should_be_running__release"] = json!([]);
    let found = read(&bare).unwrap();
    assert_eq!((&found[0].arch, &found[0].running), (&None, &None));
    assert_eq!(fleets(br#"{"d":[]}"#).unwrap(), []);
    for (key, value) in [
        ("uuid", json!("../../x")),
        ("uuid", Value::Null),
        ("slug", json!("a\u{1b}[2J")),
        ("slug", json!("")),
        ("id", json!("1")),
    ] {
        let mut wrong = row.clone();
        wrong[key] = value;
        assert_eq!(read(&wrong), None, "{wrong}");
    }
    assert_eq!(fleets(b"<html>"), None);
}

#[test]
fn a_fleet_is_asked_for_by_slug_uuid_or_name() {
    let asked = |word: &str| {
        let path = answers::fleet_path(word);
        path.replace("%20", " ").replace("%27", "'")
    };
    for (word, filter) in [
        (
            "Admin/Fleet1",
            "is_host eq false and slug eq 'admin%2Ffleet1'&",
        ),
        (
            "BD11CCA8CA704157A37819ED42DB6563",
            "is_host eq false and uuid eq 'bd11cca8ca704157a37819ed42db6563'&",
        ),
        (
            "Fleet1",
            "is_host eq false and app_name eq 'Fleet1' and is_directly_accessible_by__user%2Fany%28dau%3A1 eq 1%29&",
        ),
        (
            "x' or 1 eq 1",
            "is_host eq false and app_name eq 'x'' or 1 eq 1' and is_directly_accessible_by__user%2Fany%28dau%3A1 eq 1%29&",
        ),
    ] {
        let path = asked(word);
        assert!(path.contains(filter), "{path}");
    }
}

#[test]
fn the_release_that_a_fleet_is_to_run_is_meant_unless_another_one_is_named() {
    let mut fleet = fleet();
    assert_eq!(
        Wanted::Current.of(&fleet),
        Wanted::Commit(COMMIT.to_owned())
    );
    assert_eq!(Wanted::Latest.of(&fleet), Wanted::Latest);
    fleet.running = None;
    assert_eq!(Wanted::Current.of(&fleet), Wanted::Latest);
    assert_eq!("E142".parse(), Ok(Wanted::Commit("e142".to_owned())));
    for wrong in ["", "newest", "e142 ", "e142'", &"e".repeat(65)] {
        wrong.parse::<Wanted>().unwrap_err();
    }

    let choose = |wanted: &Wanted, found: &[Release]| choose::choose(wanted, found.to_vec());
    let (one, other) = (release("aabbccdd"), release("aabb0011"));
    let mut draft = release("ffffffff");
    draft.is_draft = true;
    let mut bad = release("eeeeeeee");
    bad.is_invalidated = true;
    let all = [draft.clone(), bad, one.clone(), other.clone()];
    assert_eq!(choose(&Wanted::Latest, &all), Ok(one.clone()));
    assert_eq!(
        choose(&Wanted::Latest, &all[..2]),
        Err(NoRelease::None(Wanted::Latest))
    );
    let commit = |text: &str| Wanted::Commit(text.to_owned());
    assert_eq!(choose(&commit("aabbc"), &all), Ok(one.clone()));
    // A draft is taken by its name.
    assert_eq!(choose(&commit("ff"), &all), Ok(draft));
    let several = choose(&commit("aabb"), &all).unwrap_err();
    assert!(
        several.to_string().contains("aabbccdd, aabb0011"),
        "{several}"
    );
    assert_eq!(
        choose(&commit("abc"), &all),
        Err(NoRelease::None(commit("abc")))
    );
    let longer = release("aabbccdd00");
    assert_eq!(choose(&commit("aabbccdd"), &[longer, one.clone()]), Ok(one));
}

#[test]
fn releases_have_names_that_stand_in_addresses() {
    let recorded = br#"{"d":[{"id":1,"commit":"e142bd81d0a7950737a2a4a63aabecc0","created_at":"2026-11-23T02:03:01.209Z","status":"success","raw_version":"0.0.0","is_final":true}]}"#;
    let found = releases(recorded).unwrap();
    assert_eq!(found[0].name(), "e142bd8 (0.0.0)");
    assert!(!found[0].is_draft && !found[0].is_invalidated);
    for commit in ["", "abc", "../../etc", "E142BD81D0", "e142bd8?x=1"] {
        let body = json!({"d": [{"commit": commit}]}).to_string();
        assert_eq!(releases(body.as_bytes()), None, "{commit}");
    }
    let body = br#"{"d":[{"id":1,"image_size":1990000},{"id":2,"image_size":"17"},{"id":3},{"id":4,"image_size":"x"}]}"#;
    assert_eq!(sizes(body).unwrap(), [(1, 1_990_000), (2, 17)].into());
}

/// As recorded, changed by `change`.
fn told(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut own = json!({"name": "fleet1", "config": {"RESIN_SUPERVISOR_POLL_INTERVAL": "600000"}, "apps": {UUID: {
        "id": 1, "name": "fleet1", "is_host": false, "class": "fleet", "releases": {COMMIT: {"id": 1, "services": {"main": {
            "id": 1, "image_id": 1, "image": IMAGE, "environment": {"GREETING": "hi"}, "labels": {"io.balena.features.dbus": "1"},
            "composition": {"restart": "always", "volumes": ["data:/data"]}}}, "networks": {}, "volumes": {"data": {}}}}}}});
    change(&mut own);
    json!({UUID: own}).to_string().into_bytes()
}

#[test]
fn what_devices_read_is_handed_on_as_it_is() {
    let found = state(&told(|_| {}), UUID, COMMIT).unwrap();
    let [main] = found.services.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!((main.name.as_str(), main.image_id), ("main", Some(1)));
    assert_eq!(main.image.reference, IMAGE);
    assert_eq!(main.image.registry, "127.0.0.1:55000");
    assert_eq!(main.image.repository, "v2/e8c69904fcb4e0a471e76a287949830a");
    let apps: Value = serde_json::from_slice(&found.preloaded()).unwrap();
    let whole: Value = serde_json::from_slice(&told(|_| {})).unwrap();
    assert_eq!(apps["apps"], whole[UUID]["apps"]);
    assert_eq!(apps["config"], whole[UUID]["config"]);
    // The fleet's name is not the device's.
    assert_eq!(apps.as_object().unwrap().len(), 2);
    // The device's own system is none of it.
    let host = told(|own| {
        own["apps"]["0a0a"] =
            json!({"id": 2, "is_host": true, "releases": {"77": {"services": {"x": {}}}}});
    });
    assert_eq!(state(&host, UUID, COMMIT).unwrap(), found);
}

#[test]
fn a_state_that_no_device_could_run_is_refused() {
    let service = format!("/apps/{UUID}/releases/{COMMIT}/services");
    let with = |pointer: &str, value: Value| told(|own| *own.pointer_mut(pointer).unwrap() = value);
    let many: serde_json::Map<String, Value> = (0..257)
        .map(|number| (format!("s{number}"), json!({"image": IMAGE})))
        .collect();
    for (body, why) in [
        (b"<html>".to_vec(), InvalidState::Unusable),
        (b"{}".to_vec(), InvalidState::Unusable),
        (with("/apps", json!([])), InvalidState::Unusable),
        (with("/apps", json!({})), InvalidState::Unusable),
        (
            with(&format!("/apps/{UUID}"), json!({"id": 1})),
            InvalidState::OtherRelease(COMMIT.to_owned()),
        ),
        (
            with(&format!("/apps/{UUID}/releases"), json!({"c0ffee": {}})),
            InvalidState::OtherRelease(COMMIT.to_owned()),
        ),
        (with(&service, json!({})), InvalidState::NoServices),
        (
            with(&service, json!({"web": {"image": "redis:7"}})),
            InvalidState::NoRegistry("web".to_owned()),
        ),
        (
            with(&service, json!({"web": {}})),
            InvalidState::NoRegistry("web".to_owned()),
        ),
        (
            with(&service, Value::Object(many)),
            InvalidState::TooMuch("256 services"),
        ),
    ] {
        let text = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(state(&body, UUID, COMMIT), Err(why), "{text:.200}");
    }
}

#[test]
fn images_are_in_a_registry() {
    let tagged = Image::parse("registry2.cloud.test/v2/abc:latest").unwrap();
    assert_eq!(
        (tagged.registry.as_str(), tagged.repository.as_str()),
        ("registry2.cloud.test", "v2/abc")
    );
    for wrong in [
        "redis",
        "library/redis",
        "registry2.cloud.test/",
        "registry2.cloud.test/V2/abc",
        "registry2.cloud.test/../../containers/abc",
        "registry2.cloud.test/v2//abc",
        "registry2.cloud.test/v2/abc/",
        "../v2/abc",
        "registry2.cloud.test/v2/a b",
        "registry2.cloud.test/v2/abc:a b",
        "registry2.cloud.test&x=y/v2/abc",
        "a@b.test/v2/abc",
        &format!("registry2.cloud.test/{}", "a".repeat(600)),
    ] {
        assert_eq!(Image::parse(wrong), None, "{wrong}");
    }
}
