//! A volume against what it should be. Names and labels of ours differ between agents without meaning anything.

use std::collections::BTreeMap;

use crate::model::{Confinement, VolumeSpec, labels};

/// The names of what differs; none if the volume may stay. To change anything its data must go.
pub(in crate::plan) fn volume(current: &VolumeSpec, desired: &VolumeSpec) -> Vec<String> {
    let driver = |spec: &VolumeSpec| spec.driver.clone().unwrap_or_else(|| "local".to_owned());
    let mut out = Vec::new();
    if driver(current) != driver(desired) {
        out.push("driver".to_owned());
    }
    if current.driver_opts != desired.driver_opts {
        out.push("driver_opts".to_owned());
    }
    if users(&current.labels) != users(&desired.labels) {
        out.push("labels".to_owned());
    }
    out
}

fn users(labels: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    const OURS: [&str; 4] = [
        labels::SUPERVISED,
        labels::APP_ID,
        labels::APP_UUID,
        Confinement::LABEL,
    ];
    labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !OURS.contains(key))
        .collect()
}
