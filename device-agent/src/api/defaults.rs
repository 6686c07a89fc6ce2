//! Configuration variables that every device has, in the order in which the reference lists them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

/// Name and default.
const DEFAULTS: [(&str, &str); 18] = [
    ("SUPERVISOR_POLL_INTERVAL", "900000"),
    ("SUPERVISOR_INSTANT_UPDATE_TRIGGER", "true"),
    (LOCAL_MODE, "true"),
    ("SUPERVISOR_CONNECTIVITY_CHECK", "true"),
    ("SUPERVISOR_LOG_CONTROL", "true"),
    ("SUPERVISOR_API_REQUEST_TIMEOUT", "59000"),
    ("SUPERVISOR_DELTA", "false"),
    ("SUPERVISOR_DELTA_REQUEST_TIMEOUT", "59000"),
    ("SUPERVISOR_DELTA_APPLY_TIMEOUT", "0"),
    ("SUPERVISOR_DELTA_RETRY_COUNT", "30"),
    ("SUPERVISOR_DELTA_RETRY_INTERVAL", "10000"),
    ("SUPERVISOR_DELTA_VERSION", "2"),
    ("SUPERVISOR_OVERRIDE_LOCK", "false"),
    ("SUPERVISOR_PERSISTENT_LOGGING", "false"),
    ("HOST_FIREWALL_MODE", ""),
    ("HOST_DISCOVERABILITY", "true"),
    ("SUPERVISOR_HARDWARE_METRICS", "true"),
    ("SUPERVISOR_VPN_CONTROL", "true"),
];

/// An unmanaged device is in local mode, whatever an earlier fleet left in its configuration.
const LOCAL_MODE: &str = "SUPERVISOR_LOCAL_MODE";

/// The defaults, overlaid by what was stored; stored variables without a default follow in their own order.
pub(super) fn overlaid(stored: &BTreeMap<String, String>) -> Map<String, Value> {
    let mut config = Map::new();
    for (name, default) in DEFAULTS {
        config.insert(name.to_owned(), Value::from(default));
    }
    for (name, value) in stored {
        if name != LOCAL_MODE {
            config.insert(name.clone(), Value::from(value.clone()));
        }
    }
    config
}
