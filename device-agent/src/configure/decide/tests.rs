use proptest::prelude::*;

use super::*;

const UUID: &str = "0123456789abcdef0123456789abcdef";
const NEW: &str = "ffffffffffffffffffffffffffffffff";

fn keys(value: &Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn found(file: Result<Value, &str>, last_good: Option<Value>) -> Found {
    Found {
        file: file.map(|file| keys(&file)).map_err(str::to_owned),
        is_boot_there: true,
        last_good: last_good.map(|good| keys(&good)),
        kept_uuid: None,
        new_uuid: NEW.to_owned(),
    }
}

#[test]
fn a_broken_file_leaves_the_last_good_one_in_force() {
    let good = json!({"uuid": UUID, "hostname": "kitchen", "developmentMode": true, "theirs": 7});
    let decision = decide(&found(Err("it is empty"), Some(good.clone())));
    assert_eq!(decision.in_force.source, Source::LastGood);
    assert_eq!(decision.in_force.because.as_deref(), Some("it is empty"));
    assert_eq!(Value::Object(decision.in_force.keys), good);
    assert!(decision.in_force.config.is_development);
    assert_eq!(decision.rewrite, None, "it is not ours to replace");
}

#[test]
fn with_neither_the_device_keeps_its_uuid_and_is_closed() {
    let mut found = found(Err("it is empty"), None);
    found.kept_uuid = Some(UUID.to_ascii_uppercase());
    let decision = decide(&found);
    assert_eq!(
        (decision.in_force.source, decision.uuid.as_str()),
        (Source::Defaults, UUID)
    );
    assert!(!decision.in_force.config.is_development);
    found.kept_uuid = Some("of another kind".to_owned());
    assert_eq!(decide(&found).uuid, NEW);
}

#[test]
fn a_key_that_cannot_be_used_stays_as_it_was() {
    let good = json!({"uuid": UUID, "os": {"sshKeys": [super::super::ssh_key::ED25519], "fan": {"profile": "cool"}}});
    let file = json!({"uuid": UUID, "os": {"sshKeys": "none", "fan": {"profile": "quiet"}}, "hostname": "two words"});
    let decision = decide(&found(Ok(file), Some(good)));
    assert_eq!(
        decision.in_force.config.ssh_keys.len(),
        1,
        "nobody could enter any more"
    );
    assert_eq!(
        decision.in_force.config.board.fan_profile.as_deref(),
        Some("quiet")
    );
    assert_eq!(decision.in_force.config.hostname, None);
    let told: Vec<&str> = decision
        .in_force
        .complaints
        .iter()
        .map(|told| told.key.as_str())
        .collect();
    assert_eq!(told, ["hostname", "os.sshKeys"]);
    // What counted is what will be the last good one: all of it can be used.
    assert_eq!(understand(&decision.in_force.keys).1, []);
}

#[test]
fn an_object_that_is_none_is_taken_whole_from_the_last_good_one() {
    let good = json!({"os": {"sshKeys": [super::super::ssh_key::ED25519]}});
    let decision = decide(&found(Ok(json!({"uuid": UUID, "os": [1]})), Some(good)));
    assert_eq!(decision.in_force.config.ssh_keys.len(), 1);
}

#[test]
fn a_uuid_is_kept_or_made_and_written_among_the_keys_of_others() {
    for (uuid, last_good, kept, expected) in [
        (json!(null), None, None, NEW),
        (json!("of another kind"), None, Some(UUID), UUID),
        (json!(7), Some(json!({"uuid": UUID})), None, UUID),
        (json!(""), Some(json!({"uuid": UUID})), Some(NEW), UUID),
    ] {
        let file = json!({"z": 1, "uuid": uuid, "a": {"theirs": [2, 1]}});
        let mut found = found(Ok(file), last_good);
        found.kept_uuid = kept.map(str::to_owned);
        let decision = decide(&found);
        assert_eq!(decision.uuid, expected);
        let text = serde_json::to_string(&decision.rewrite.unwrap()).unwrap();
        assert_eq!(
            text,
            format!(r#"{{"z":1,"uuid":"{expected}","a":{{"theirs":[2,1]}}}}"#)
        );
    }
    let upper = UUID.to_ascii_uppercase();
    let decision = decide(&found(Ok(json!({"uuid": upper})), None));
    assert_eq!((decision.uuid.as_str(), decision.rewrite), (UUID, None));
}

/// Whether root enters without a key.
fn opens(in_force: &InForce) -> bool {
    let plan = super::super::plan::plan(&in_force.config, UUID);
    let files = plan.parts.iter().flat_map(|part| &part.files);
    let mut options = files.filter(|file| file.path == "run/os/ssh.env");
    let options = String::from_utf8(options.next().unwrap().content.clone()).unwrap();
    options.contains("PermitEmptyPasswords=yes")
}

#[test]
fn who_asks_for_keys_and_gives_none_does_not_get_an_open_device() {
    for wrong in [
        json!(["no key"]),
        json!(super::super::ssh_key::ED25519),
        json!([""]),
        json!({}),
    ] {
        for before in [
            None,
            Some(json!({"developmentMode": true})),
            Some(json!({"developmentMode": true, "os": {"sshKeys": []}})),
            Some(json!({"developmentMode": true, "os": {"sshKeys": null}})),
            Some(json!({"developmentMode": true, "os": {"sshKeys": ["no key"]}})),
        ] {
            let file = json!({"developmentMode": true, "os": {"sshKeys": wrong}});
            let file = Ok(keys(&file));
            let now = in_force(&file, before.as_ref().map(keys).as_ref());
            assert!(!opens(&now), "{wrong} after {before:?}");
            let told = super::super::standing::sentences(&now);
            assert!(told[0].contains("without a key"), "{told:?}");
            // Also once that file is broken, or read again.
            for file in [Err("it is empty".to_owned()), file] {
                assert!(!opens(&in_force(&file, Some(&now.keys))), "{wrong}");
            }
            // Taking the key away opens it again.
            let none = Ok(keys(&json!({"developmentMode": true})));
            assert!(opens(&in_force(&none, Some(&now.keys))));
        }
    }
}

#[test]
fn an_object_that_may_have_held_keys_and_is_none_leaves_nothing_open() {
    let file = Ok(keys(&json!({"developmentMode": true, "os": [1]})));
    let fan = keys(&json!({"os": {"fan": {"profile": "cool"}}}));
    for (before, profile) in [(None, None), (Some(&fan), Some("cool"))] {
        let now = in_force(&file, before);
        assert!(!opens(&now), "after {before:?}");
        assert_eq!(now.config.board.fan_profile.as_deref(), profile);
    }
    let empty = Ok(keys(&json!({"developmentMode": true, "os": []})));
    assert!(opens(&in_force(&empty, None)), "nobody meant to shut it");
}

#[test]
fn what_is_not_true_is_no_development_mode() {
    let good = keys(&json!({"developmentMode": true, "persistentLogging": true}));
    for (word, is_on, is_told) in [
        (json!(true), true, false),
        (json!(" True"), true, false),
        (json!(false), false, false),
        (json!("FALSE"), false, false),
        (json!("off"), false, false),
        (json!("no"), false, false),
        (json!("0"), false, false),
        (json!(0), false, false),
        (json!(null), false, false),
        // The reference does not open for these, either.
        (json!("on"), false, true),
        (json!(1), false, true),
        (json!("ture"), false, true),
        (json!([true]), false, true),
    ] {
        let file = json!({"developmentMode": word, "persistentLogging": "maybe"});
        let now = in_force(&Ok(keys(&file)), Some(&good));
        assert_eq!(now.config.is_development, is_on, "{word}");
        let told = super::super::standing::sentences(&now);
        assert_eq!(told.len(), 1 + usize::from(is_told), "{told:?}");
        assert_eq!(told[0].contains("production mode"), is_told, "{told:?}");
        // What opens nothing stays as it was.
        assert!(now.config.journal.is_persistent);
    }
}

#[test]
fn what_stands_in_for_a_value_is_told() {
    let file = Ok(keys(&json!({"hostname": "two words", "country": 7})));
    let good = keys(&json!({"hostname": "kitchen"}));
    let told = super::super::standing::sentences(&in_force(&file, Some(&good)));
    assert!(told[0].ends_with("what it was before stands"), "{told:?}");
    assert!(told[1].ends_with("as if it were not there"), "{told:?}");
}

fn anything() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[ -~]{0,20}".prop_map(Value::from),
        Just(json!(super::super::ssh_key::ED25519)),
    ];
    let name = prop_oneof![
        Just("os"),
        Just("sshKeys"),
        Just("network"),
        Just("connectivity"),
        Just("uri"),
        Just("interval"),
        Just("udevRules"),
        Just("uuid"),
        Just("hostname"),
        Just("developmentMode"),
        Just("dnsServers"),
        Just("kernel"),
        Just("extraFirmwareVol"),
        Just("theirs"),
        Just("listenPort"),
        Just("balenaRootCA"),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((name.clone(), inner), 0..6).prop_map(|pairs| pairs
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect()),
        ]
    })
}

proptest! {
    #[test]
    fn what_counts_can_be_used_and_counts_again(file in anything(), good in anything()) {
        let object = |value: &Value| value.as_object().cloned();
        let found = Found {
            file: object(&file).ok_or_else(|| "it is not a JSON object".to_owned()),
            is_boot_there: true,
            last_good: object(&good),
            kept_uuid: None,
            new_uuid: NEW.to_owned(),
        };
        let decision = decide(&found);
        prop_assert!(is_uuid(&decision.uuid));
        let (again, complaints) = understand(&decision.in_force.keys);
        prop_assert!(complaints.iter().all(|complaint| !complaint.is_unusable), "{:?}", complaints);
        prop_assert_eq!(&again, &decision.in_force.config);
        // As the last good one of a file that broke since, it asks for the same.
        let broken = Found {
            file: Err("it is empty".to_owned()),
            is_boot_there: true,
            last_good: Some(decision.in_force.keys.clone()),
            kept_uuid: None,
            new_uuid: "e".repeat(32),
        };
        prop_assert_eq!(&decide(&broken).in_force.config, &decision.in_force.config);
        // Beside what it became as the last good one, as whoever reads it later finds it, too.
        let later = in_force(&found.file, Some(&decision.in_force.keys));
        prop_assert_eq!(&later.config, &decision.in_force.config);
        // Others' keys survive.
        if let Some(theirs) = object(&file).and_then(|file| file.get("theirs").cloned()) {
            prop_assert_eq!(decision.in_force.keys.get("theirs"), Some(&theirs));
            if let Some(rewrite) = &decision.rewrite {
                prop_assert_eq!(rewrite.get("theirs"), Some(&theirs));
            }
        }
    }
}
