//! Which configuration counts: the one in the file, with the last good one in place of what cannot be used.
//!
//! In: what was found. Out: what is [`InForce`], for everybody who reads config.json; a [`Decision`], for whoever configures. Pure.

use serde::Serialize;
use serde_json::{Map, Value, json};

use super::config::{Config, DEVELOPMENT_MODE, OS, SSH_KEYS, understand};
use super::reader::Complaint;
use crate::settings::is_uuid;

/// What was found.
#[derive(Debug, Clone)]
pub(crate) struct Found {
    /// The keys in config.json, or why there are none.
    pub(crate) file: Result<Map<String, Value>, String>,
    /// Whether there is a config.json, whatever is in it: then the boot partition is there, too.
    pub(crate) is_boot_there: bool,
    /// The keys that counted last.
    pub(crate) last_good: Option<Map<String, Value>>,
    /// The uuid that the device had last.
    pub(crate) kept_uuid: Option<String>,
    /// A uuid for a device that never had one.
    pub(crate) new_uuid: String,
}

/// Where the configuration comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Source {
    /// config.json.
    File,
    /// The copy of the last config.json that could be used.
    LastGood,
    /// There is neither.
    Defaults,
}

/// What counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InForce {
    pub(crate) source: Source,
    /// Why config.json itself does not count.
    pub(crate) because: Option<String>,
    pub(crate) complaints: Vec<Complaint>,
    /// All keys that count, those of others among them.
    pub(crate) keys: Map<String, Value>,
    /// With the uuid that the device was given last, where config.json names none.
    pub(crate) config: Config,
}

/// What counts on a device, which has a uuid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) in_force: InForce,
    /// The device's; always there.
    pub(crate) uuid: String,
    /// What config.json has to hold instead, as it names no uuid.
    pub(crate) rewrite: Option<Map<String, Value>>,
}

/// Decides between the keys in config.json, or why there are none, and those that counted last.
pub(crate) fn in_force(
    file: &Result<Map<String, Value>, String>,
    last_good: Option<&Map<String, Value>>,
) -> InForce {
    let nothing = Map::new();
    let (source, because, keys) = match (file, last_good) {
        (Ok(keys), _) => (Source::File, None, keys.clone()),
        (Err(words), Some(keys)) => (Source::LastGood, Some(words.clone()), keys.clone()),
        (Err(words), None) => (Source::Defaults, Some(words.clone()), Map::new()),
    };
    let (_, mut complaints) = understand(&keys);
    let keys = mended(keys, &mut complaints, last_good.unwrap_or(&nothing));
    let (mut config, _) = understand(&keys);
    let of_last_good = || understand(last_good?).0.uuid;
    config.uuid = config.uuid.or_else(of_last_good);
    InForce {
        source,
        because,
        complaints,
        keys,
        config,
    }
}

/// Decides.
pub(crate) fn decide(found: &Found) -> Decision {
    let mut in_force = in_force(&found.file, found.last_good.as_ref());
    let kept = found.kept_uuid.as_deref().filter(|uuid| is_uuid(uuid));
    let uuid = in_force
        .config
        .uuid
        .clone()
        .or_else(|| kept.map(str::to_ascii_lowercase))
        .unwrap_or_else(|| found.new_uuid.clone());
    in_force.config.uuid = Some(uuid.clone());
    let keys = &mut in_force.keys;
    if keys
        .get("uuid")
        .and_then(Value::as_str)
        .is_none_or(|text| !is_uuid(text.trim()))
    {
        keys.insert("uuid".to_owned(), Value::from(uuid.clone()));
    }
    Decision {
        rewrite: found
            .file
            .as_ref()
            .ok()
            .and_then(|file| with_uuid(file, &uuid)),
        in_force,
        uuid,
    }
}

/// The keys with a uuid, where they have none that can be used. Nothing else in the file is ours to mend: whoever wrote it is
/// to find it as they left it.
fn with_uuid(file: &Map<String, Value>, uuid: &str) -> Option<Map<String, Value>> {
    let has_one = understand(file).0.uuid.is_some();
    (!has_one).then(|| {
        let mut file = file.clone();
        file.insert("uuid".to_owned(), Value::from(uuid));
        file
    })
}

/// The keys with the last good value in place of each that cannot be used, and what is so instead in the complaints.
fn mended(
    mut keys: Map<String, Value>,
    complaints: &mut [Complaint],
    last_good: &Map<String, Value>,
) -> Map<String, Value> {
    for complaint in complaints
        .iter_mut()
        .filter(|complaint| complaint.is_unusable)
    {
        let before = value_at(last_good, &complaint.key);
        let (value, words) = instead(&complaint.key, value_at(&keys, &complaint.key), before);
        put(&mut keys, &complaint.key, value);
        complaint.instead = Some(words);
    }
    // The last good ones were all usable, once. Should a rule have changed since, absent is better than wrong.
    let (_, rest) = understand(&keys);
    for wrong in rest.iter().filter(|wrong| wrong.is_unusable) {
        let (value, words) = instead(&wrong.key, value_at(&keys, &wrong.key), None);
        put(&mut keys, &wrong.key, value);
        if let Some(told) = complaints.iter_mut().find(|told| told.key == wrong.key) {
            told.instead = Some(words);
        }
    }
    keys
}

/// What takes the place of a value that cannot be used, beside the one before it. Who has just tried to shut the device is not to
/// have it open because of a slip.
fn instead(
    key: &str,
    now: Option<&Value>,
    before: Option<&Value>,
) -> (Option<Value>, &'static str) {
    let before = before.filter(|value| !value.is_null());
    let has_keys = |value: Option<&Value>| {
        let lines = value.and_then(Value::as_array);
        lines.is_some_and(|lines| !lines.is_empty())
    };
    let closed = "until then SSH lets nobody in without a key";
    // What some programs write for an object without anything in it.
    let is_empty = now == Some(&json!([]));
    match key {
        DEVELOPMENT_MODE => (
            Some(Value::Bool(false)),
            "the device is in production mode until then",
        ),
        SSH_KEYS if !has_keys(before) => (Some(Value::Bool(false)), closed),
        // There may have been people's keys in what cannot be read.
        OS if !is_empty && !has_keys(before.and_then(|os| os.get("sshKeys"))) => {
            let mut os = before
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            os.insert("sshKeys".to_owned(), Value::Bool(false));
            (Some(Value::Object(os)), closed)
        }
        _ if before.is_some() => (before.cloned(), "what it was before stands"),
        _ => (None, "it is as if it were not there"),
    }
}

fn value_at<'a>(keys: &'a Map<String, Value>, key: &str) -> Option<&'a Value> {
    let mut names = key.split('.');
    let mut value = keys.get(names.next()?)?;
    for name in names {
        value = value.get(name)?;
    }
    Some(value)
}

fn put(keys: &mut Map<String, Value>, key: &str, value: Option<Value>) {
    let (above, name) = match key.rsplit_once('.') {
        Some((above, name)) => (Some(above), name),
        None => (None, key),
    };
    let mut within = keys;
    for step in above.into_iter().flat_map(|above| above.split('.')) {
        let Some(Value::Object(inner)) = within.get_mut(step) else {
            return;
        };
        within = inner;
    }
    match value {
        Some(value) => drop(within.insert(name.to_owned(), value)),
        // Whatever stands behind it keeps its place.
        None => drop(within.shift_remove(name)),
    }
}

#[cfg(test)]
mod tests {
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
        let good =
            json!({"uuid": UUID, "hostname": "kitchen", "developmentMode": true, "theirs": 7});
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
}
