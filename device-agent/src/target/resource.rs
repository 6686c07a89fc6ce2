//! Networks and volumes of an application.

use std::collections::BTreeMap;

use agent_api::compose::MAX_POOLS;
use serde_json::{Map, Value};

use super::problem::{Problems, join};
use super::value::{field, is_label, object, string_map};
use crate::model::{IpamPool, NetworkSpec, VolumeSpec};

/// Null and `{}` are a network with all defaults.
pub(super) fn network(sent: &Value, path: &str, problems: &mut Problems) -> NetworkSpec {
    let Some(map) = members(sent, path, problems) else {
        return NetworkSpec::default();
    };
    let mut spec = NetworkSpec {
        driver: text(map, "driver", path, problems),
        driver_opts: texts(map, "driver_opts", path, problems),
        labels: labels(map, path, problems),
        internal: flag(map, "internal", path, problems),
        enable_ipv6: flag(map, "enable_ipv6", path, problems),
        config_only: flag(map, "config_only", path, problems),
        ..NetworkSpec::default()
    };
    if let Some(ipam) = field(map, "ipam") {
        let path = join(path, "ipam");
        if let Some(ipam) = object(Some(ipam), &path, problems) {
            spec.ipam_driver = text(ipam, "driver", &path, problems);
            spec.ipam_options = texts(ipam, "options", &path, problems);
            spec.ipam_pools = pools(field(ipam, "config"), &join(&path, "config"), problems);
        }
    }
    spec
}

/// Null and `{}` are a volume with all defaults.
pub(super) fn volume(sent: &Value, path: &str, problems: &mut Problems) -> VolumeSpec {
    let Some(map) = members(sent, path, problems) else {
        return VolumeSpec::default();
    };
    VolumeSpec {
        driver: text(map, "driver", path, problems),
        driver_opts: texts(map, "driver_opts", path, problems),
        labels: labels(map, path, problems),
    }
}

fn pools(sent: Option<&Value>, path: &str, problems: &mut Problems) -> Vec<IpamPool> {
    let list = match sent {
        None => return Vec::new(),
        Some(Value::Array(list)) if list.len() <= MAX_POOLS => list,
        Some(_) => {
            let message = format!("must be a list of up to {MAX_POOLS} address pools");
            problems.add(path, &message);
            return Vec::new();
        }
    };
    let mut out = Vec::new();
    for (index, sent) in list.iter().enumerate() {
        let path = join(path, &index.to_string());
        if let Some(pool) = object(Some(sent), &path, problems) {
            out.push(IpamPool {
                subnet: text(pool, "subnet", &path, problems),
                ip_range: text(pool, "ip_range", &path, problems),
                gateway: text(pool, "gateway", &path, problems),
                aux_addresses: texts(pool, "aux_addresses", &path, problems),
            });
        }
    }
    out
}

fn members<'a>(
    sent: &'a Value,
    path: &str,
    problems: &mut Problems,
) -> Option<&'a Map<String, Value>> {
    if sent.is_null() {
        return None;
    }
    object(Some(sent), path, problems)
}

fn text(
    map: &Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
) -> Option<String> {
    match field(map, key)? {
        Value::String(text) if text.len() <= 255 => Some(text.clone()).filter(|t| !t.is_empty()),
        _ => {
            problems.add(&join(path, key), "must be a text of up to 255 characters");
            None
        }
    }
}

fn flag(map: &Map<String, Value>, key: &str, path: &str, problems: &mut Problems) -> bool {
    match field(map, key) {
        None => false,
        Some(Value::Bool(flag)) => *flag,
        Some(_) => {
            problems.add(&join(path, key), "must be true or false");
            false
        }
    }
}

/// Options: numbers and truth values are written out, as the compose format allows them there.
fn texts(
    map: &Map<String, Value>,
    key: &str,
    path: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let path = join(path, key);
    let Some(sent) = field(map, key) else {
        return BTreeMap::new();
    };
    let written: Map<String, Value> = object(Some(sent), &path, problems)
        .into_iter()
        .flatten()
        .map(|(key, value)| {
            let value = match value {
                Value::Number(_) | Value::Bool(_) => Value::String(value.to_string()),
                other => other.clone(),
            };
            (key.clone(), value)
        })
        .collect();
    string_map(&written, &path, problems, |key| !key.is_empty())
}

fn labels(
    map: &Map<String, Value>,
    path: &str,
    problems: &mut Problems,
) -> BTreeMap<String, String> {
    let path = join(path, "labels");
    let Some(sent) = field(map, "labels") else {
        return BTreeMap::new();
    };
    let entries = object(Some(sent), &path, problems);
    string_map(entries.into_iter().flatten(), &path, problems, is_label)
}
