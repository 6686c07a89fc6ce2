//! Rights and limits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::scalar::{billionths, bytes, flag, integer, object, pairs, text, text_set, under};
use super::{Composition, Fault, Read, put, put_some, quoted};
use crate::model::ServiceConfig;
use crate::target::value::field;

/// Reads one key; `None` when it is of another kind.
pub(super) fn key(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    rights(key, value, out).or_else(|| limits(key, value, out))
}

fn rights(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    Some(match key {
        "privileged" => put_some(&mut out.privileged, flag(value)),
        "cap_add" => put(&mut out.cap_add, capabilities(value)),
        "cap_drop" => put(&mut out.cap_drop, capabilities(value)),
        "security_opt" => put(&mut out.security_opt, security_opt(value)),
        "group_add" => put(&mut out.group_add, text_set(value)),
        "sysctls" => put(&mut out.sysctls, pairs(value)),
        "cgroup_parent" => put_some(&mut out.cgroup_parent, text(value)),
        "pid" => put_some(&mut out.pid, text(value)),
        "ipc" => put_some(&mut out.ipc, text(value)),
        "userns_mode" => put_some(&mut out.userns_mode, text(value)),
        _ => return None,
    })
}

fn limits(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    let warnings = &mut out.warnings;
    Some(match key {
        "ulimits" => put(&mut out.ulimits, ulimits(value)),
        "pids_limit" => put_some(&mut out.pids_limit, integer(value).map(|n| n.max(0))),
        "mem_limit" => size(value, key, warnings).map(|size| out.mem_limit = size),
        "mem_reservation" => size(value, key, warnings).map(|size| out.mem_reservation = size),
        "oom_kill_disable" => put_some(&mut out.oom_kill_disable, flag(value)),
        "oom_score_adj" => put_some(&mut out.oom_score_adj, integer(value)),
        "cpu_shares" => put_some(&mut out.cpu_shares, integer(value)),
        "cpu_quota" => put_some(&mut out.cpu_quota, integer(value)),
        "cpus" => put_some(&mut out.nano_cpus, cpus(value)),
        "cpuset" => put_some(&mut out.cpuset, text(value)),
        _ => return None,
    })
}

/// What is no size is no limit either: the reference takes it so, and a warning says it.
pub(super) fn size(value: &Value, key: &str, warnings: &mut Vec<String>) -> Read<Option<i64>> {
    let sent = text(value)?;
    let size = bytes(value);
    if size.is_none() {
        warnings.push(format!(
            "{key}: {} is no size and has no effect",
            quoted(&sent)
        ));
    }
    Ok(size)
}

fn capabilities(value: &Value) -> Read<BTreeSet<String>> {
    let names = text_set(value)?;
    Ok(names.iter().map(|n| ServiceConfig::capability(n)).collect())
}

/// `SELinux` labels are the device's business.
fn security_opt(value: &Value) -> Read<BTreeSet<String>> {
    let mut options = text_set(value)?;
    options.retain(|option| !option.starts_with("label=") && !option.starts_with("label:"));
    Ok(options)
}

/// A number for both limits, or `{soft, hard}`.
fn ulimits(value: &Value) -> Read<BTreeMap<String, (i64, i64)>> {
    let mut out = BTreeMap::new();
    for (name, limit) in object(value)? {
        let part = |limit: Option<&Value>| {
            limit
                .ok_or_else(|| Fault::new("needs `soft` and `hard`"))
                .and_then(integer)
                .map_err(|f| under(f, name))
        };
        let limits = match limit {
            Value::Object(map) => (part(field(map, "soft"))?, part(field(map, "hard"))?),
            both => (part(Some(both))?, part(Some(both))?),
        };
        out.insert(name.clone(), limits);
    }
    Ok(out)
}

fn cpus(value: &Value) -> Read<i64> {
    let sent = text(value)?;
    billionths(sent.trim())
        .ok_or_else(|| Fault::new(format!("{} is no number of CPUs", quoted(&sent))))
}
