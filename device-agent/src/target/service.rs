//! One service, as it is written in a local target or in a fleet's.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::problem::{Problems, join};
use super::value::{
    NAME_RULE, id, id_key, is_label, is_name, is_variable, object, required, short_text,
    snake_case, string_map,
};
use super::{compose, contract};
use crate::model::Service;

/// Keys of a service of a local target that are no part of its composition. `serviceId` is ignored: the key under which a
/// service stands is its id.
const OWN_KEYS: &[&str] = &[
    "imageId",
    "serviceName",
    "serviceId",
    "image",
    "running",
    "environment",
    "labels",
    "contract",
    "releaseId",
    "commit",
];

/// Keys in the composition of a service of a fleet's target that say nothing: what stands beside the composition counts, and
/// an image was built long ago.
const SAID_BESIDE: &[&str] = &[
    "image",
    "build",
    "running",
    "environment",
    "labels",
    "contract",
];

/// How a target is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Services by their ids, with the compose keys among their own.
    Local,
    /// Services by their names, with the compose keys in `composition`.
    Fleet,
}

/// Where something stands, and in what.
#[derive(Debug, Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) path: &'a str,
    pub(super) form: Form,
}

impl At<'_> {
    /// Where the compose keys of the service stand that is here.
    pub(super) fn composition(self) -> String {
        match self.form {
            Form::Local => self.path.to_owned(),
            Form::Fleet => join(self.path, "composition"),
        }
    }
}

/// Reads a service; `None` when something is wrong that leaves nothing to be read.
pub(super) fn read(
    key: &str,
    sent: &Value,
    at: At<'_>,
    problems: &mut Problems,
) -> Option<Service> {
    let path = at.path;
    let map = object(Some(sent), path, problems)?;
    let (id, name, image_id) = names(key, map, at, problems);
    let image = required(map, "image", path, problems, short_text)
        .and_then(|image| reference(image, &join(path, "image"), problems));
    let running = match map.get("running") {
        None | Some(Value::Null) => true,
        Some(Value::Bool(running)) => *running,
        Some(_) => {
            problems.add(&join(path, "running"), "must be true or false");
            true
        }
    };
    let environment = strings(map, "environment", path, problems, is_variable);
    let labels = strings(map, "labels", path, problems, is_label);
    let composition = composition(map, at, problems);
    let contract = contract(map, path, problems);
    Some(Service {
        name: name?,
        id: id?,
        image_id: image_id?,
        image: image?,
        running,
        environment,
        labels,
        composition,
        contract,
    })
}

/// A map of texts that must be there.
fn strings(
    map: &Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
    is_key: impl Fn(&str) -> bool,
) -> BTreeMap<String, String> {
    let at = join(path, key);
    let sent = object(map.get(key), &at, problems);
    string_map(sent.into_iter().flatten(), &at, problems, is_key)
}

/// Id, name and image id.
fn names(
    key: &str,
    map: &Map<String, Value>,
    at: At<'_>,
    problems: &mut Problems,
) -> (Option<u32>, Option<String>, Option<u32>) {
    let path = at.path;
    match at.form {
        Form::Local => {
            let of_key = id_key(key).map_err(|message| problems.add(path, message));
            let name = required(map, "serviceName", path, problems, |value| {
                short_text(value).and_then(|n| is_name(n).then_some(n).ok_or(NAME_RULE))
            });
            let image_id = required(map, "imageId", path, problems, id);
            (of_key.ok(), name.map(ToOwned::to_owned), image_id)
        }
        Form::Fleet => {
            let name = is_name(key).then(|| key.to_owned());
            if name.is_none() {
                problems.add(path, NAME_RULE);
            }
            let own = required(map, "id", path, problems, id);
            (own, name, required(map, "image_id", path, problems, id))
        }
    }
}

/// The compose keys as they are written in compose files.
fn composition(
    map: &Map<String, Value>,
    at: At<'_>,
    problems: &mut Problems,
) -> Map<String, Value> {
    let path = at.composition();
    let (sent, others) = match at.form {
        Form::Local => (Some(map), OWN_KEYS),
        Form::Fleet => {
            let sent = map.get("composition").filter(|sent| !sent.is_null());
            let sent = sent.and_then(|sent| object(Some(sent), &path, problems));
            (sent, SAID_BESIDE)
        }
    };
    let composition: Map<String, Value> = sent
        .into_iter()
        .flatten()
        .filter(|(key, _)| !others.contains(&key.as_str()))
        .map(|(key, value)| (snake_case(key), value.clone()))
        .collect();
    for fault in compose::read(&composition).1 {
        problems.add(&join(&path, &fault.at), &fault.message);
    }
    composition
}

/// The contract as it was sent, if it can be read.
fn contract(map: &Map<String, Value>, path: &str, problems: &mut Problems) -> Option<Value> {
    let sent = map.get("contract").filter(|sent| !sent.is_null())?;
    for problem in contract::read(sent).err().into_iter().flatten() {
        let at = join(path, "contract");
        let at = if problem.path.is_empty() {
            at
        } else {
            format!("{at}.{}", problem.path)
        };
        problems.add(&at, &problem.message);
    }
    Some(sent.clone())
}

/// An image reference; without tag or digest it gets `:latest`, as the engine would read it.
fn reference(image: &str, path: &str, problems: &mut Problems) -> Option<String> {
    if image.contains(char::is_whitespace) {
        problems.add(path, "an image reference has no spaces");
        return None;
    }
    let last = image.rsplit('/').next().unwrap_or(image);
    let named = image.contains('@') || last.contains(':') || image.starts_with("sha256:");
    Some(if named {
        image.to_owned()
    } else {
        format!("{image}:latest")
    })
}
