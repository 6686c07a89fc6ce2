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
mod tests;
