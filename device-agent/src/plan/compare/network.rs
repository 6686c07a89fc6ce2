//! A network against what it should be.

use std::collections::BTreeMap;

use crate::model::{Confinement, IpamPool, NetworkSpec, labels};

/// The names of what differs; none if the network may stay.
pub(in crate::plan) fn network(current: &NetworkSpec, desired: &NetworkSpec) -> Vec<String> {
    let mut out = Vec::new();
    let mut differs = |name: &str, differs: bool| {
        if differs {
            out.push(name.to_owned());
        }
    };
    differs("config_only", current.config_only != desired.config_only);
    differs("internal", current.internal != desired.internal);
    differs("enable_ipv6", current.enable_ipv6 != desired.enable_ipv6);
    differs("labels", users(&current.labels) != users(&desired.labels));
    // A name without addresses has neither driver nor addresses to compare.
    if !desired.config_only {
        differs(
            "driver",
            or(current.driver.as_ref(), "bridge") != or(desired.driver.as_ref(), "bridge"),
        );
        differs(
            "driver_opts",
            !options_equal(&current.driver_opts, &desired.driver_opts),
        );
        differs(
            "ipam.driver",
            or(current.ipam_driver.as_ref(), "default")
                != or(desired.ipam_driver.as_ref(), "default"),
        );
        differs(
            "ipam.options",
            !options_equal(&current.ipam_options, &desired.ipam_options),
        );
        differs("ipam.config", !pools_serve(current, desired));
    }
    out
}

fn or<'a>(driver: Option<&'a String>, default: &'a str) -> &'a str {
    driver.map_or(default, String::as_str)
}

/// Labels that were asked for: ours differ between versions of agents without meaning anything.
fn users(labels: &BTreeMap<String, String>) -> BTreeMap<&str, &str> {
    const OURS: [&str; 5] = [
        labels::SUPERVISED,
        labels::APP_ID,
        labels::APP_UUID,
        labels::IPAM_CONFIG,
        Confinement::LABEL,
    ];
    labels
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| !OURS.contains(key))
        .collect()
}

/// Engines add options of their own, which begin with the driver's prefix.
fn options_equal(current: &BTreeMap<String, String>, desired: &BTreeMap<String, String>) -> bool {
    let asked = desired
        .iter()
        .all(|(key, value)| current.get(key) == Some(value));
    let extra = current
        .keys()
        .any(|key| !desired.contains_key(key) && !key.starts_with("com.docker."));
    asked && !extra
}

/// Where no addresses are asked for, the engine's choice is fine unless others were asked for before. Of those that are
/// asked for, the engine fills in what is left open.
fn pools_serve(current: &NetworkSpec, desired: &NetworkSpec) -> bool {
    if desired.ipam_pools.is_empty() {
        return !current.labels.contains_key(labels::IPAM_CONFIG);
    }
    let serves = |(current, desired): (&IpamPool, &IpamPool)| {
        let one = |current: &Option<String>, desired: &Option<String>| {
            desired.is_none() || current == desired
        };
        one(&current.subnet, &desired.subnet)
            && one(&current.ip_range, &desired.ip_range)
            && one(&current.gateway, &desired.gateway)
            && current.aux_addresses == desired.aux_addresses
    };
    current.ipam_pools.len() == desired.ipam_pools.len()
        && current
            .ipam_pools
            .iter()
            .zip(&desired.ipam_pools)
            .all(serves)
}
