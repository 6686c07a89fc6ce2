//! Which keys and labels the cases must have between them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::case::Case;

/// Every compose key that the reference understands.
const KEYS: [&str; 51] = [
    "cap_add",
    "cap_drop",
    "command",
    "cgroup_parent",
    "devices",
    "dns",
    "dns_opt",
    "dns_search",
    "tmpfs",
    "entrypoint",
    "environment",
    "extra_hosts",
    "group_add",
    "healthcheck",
    "image",
    "init",
    "labels",
    "network_mode",
    "networks",
    "pid",
    "pids_limit",
    "ports",
    "security_opt",
    "stop_grace_period",
    "stop_signal",
    "storage_opt",
    "sysctls",
    "ulimits",
    "userns_mode",
    "volumes",
    "restart",
    "cpu_shares",
    "cpu_quota",
    "cpus",
    "cpuset",
    "domainname",
    "hostname",
    "ipc",
    "mac_address",
    "mem_limit",
    "mem_reservation",
    "oom_kill_disable",
    "oom_score_adj",
    "privileged",
    "read_only",
    "shm_size",
    "user",
    "working_dir",
    "tty",
    "running",
    "depends_on",
];

/// Every feature label.
const FEATURES: [&str; 14] = [
    "dbus",
    "kernel-modules",
    "firmware",
    "journal-logs",
    "sysfs",
    "procfs",
    "balena-socket",
    "supervisor-api",
    "balena-api",
    "gpu",
    "host-os.board-rev",
    "extra-firmware",
    "optional",
    "requires.sw.supervisor",
];

#[test]
fn the_cases_cover_every_key_and_every_label() {
    let cases = Case::all(&[]);
    assert!(cases.len() >= 30, "{} cases", cases.len());
    let mut keys = BTreeSet::new();
    let mut features = BTreeSet::new();
    for case in &cases {
        let service = case.part("service");
        keys.extend(service.keys().cloned());
        let labels = service.get("labels").and_then(Value::as_object);
        for (name, value) in labels.into_iter().flatten() {
            if let Some(feature) = name.strip_prefix("io.balena.features.")
                && value == "1"
            {
                features.insert(feature.to_owned());
            }
        }
    }
    // Every case has an image.
    keys.insert("image".to_owned());
    keys.insert("running".to_owned());
    let missing: Vec<_> = KEYS.iter().filter(|key| !keys.contains(**key)).collect();
    assert!(missing.is_empty(), "no case has {missing:?}");
    let missing: Vec<_> = FEATURES
        .iter()
        .filter(|name| !features.contains(**name))
        .collect();
    assert!(missing.is_empty(), "no case has the features {missing:?}");
}
