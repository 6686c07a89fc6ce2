//! Rights and limits.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;

use agent_api::compose::{
    IPC_MODES, LIMITS, PID_MODES, USER_MODES, capability, is_capability, is_limit, is_namespace,
};
use serde_json::Value;

use super::scalar::{billionths, bytes, each, flag, integer, object, pairs, text, text_set, under};
use super::{Composition, Fault, Read, put, put_some, quoted};
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
        "pid" => pid(value, out),
        "ipc" => put_some(&mut out.ipc, mode(value, IPC_MODES)),
        "userns_mode" => put_some(&mut out.userns_mode, mode(value, USER_MODES)),
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
        "oom_score_adj" => {
            number(value, key, -1000..=1000, warnings).map(|n| out.oom_score_adj = n)
        }
        "cpu_shares" => number(value, key, 0..=i64::MAX, warnings).map(|n| out.cpu_shares = n),
        "cpu_quota" => number(value, key, -1..=i64::MAX, warnings).map(|n| out.cpu_quota = n),
        "cpus" => cpus(value, warnings).map(|cpus| out.nano_cpus = cpus),
        "cpuset" => put_some(&mut out.cpuset, text(value)),
        _ => return None,
    })
}

/// A workstation that names a service here requires a device that can do it by the service's contract, which is told apart from what
/// cannot be read at all.
fn pid(value: &Value, out: &mut Composition) -> Read<()> {
    if let Some(service) = value
        .as_str()
        .and_then(|sent| sent.strip_prefix("service:"))
    {
        let warning = format!("pid: the processes of {} cannot be shared", quoted(service));
        out.warnings.push(warning);
        return Ok(());
    }
    put_some(&mut out.pid, mode(value, PID_MODES))
}

/// One of the words that the engine takes, or the namespace of a container.
fn mode(value: &Value, words: &[&str]) -> Read<String> {
    let sent = text(value)?;
    if is_namespace(&sent, words) {
        Ok(sent)
    } else {
        Err(Fault::new(format!(
            "{} is no such namespace",
            quoted(&sent)
        )))
    }
}

/// What is no number has no effect: the reference takes it so, and a warning says it. A number that is out of the
/// engine's range is refused.
fn number(
    value: &Value,
    key: &str,
    range: RangeInclusive<i64>,
    warnings: &mut Vec<String>,
) -> Read<Option<i64>> {
    let sent = text(value)?;
    match integer(value) {
        Ok(number) if range.contains(&number) => Ok(Some(number)),
        Ok(_) => Err(Fault::new(format!("{} is out of range", quoted(&sent)))),
        Err(_) => {
            warnings.push(no_number(key, &sent));
            Ok(None)
        }
    }
}

fn no_number(key: &str, sent: &str) -> String {
    format!("{key}: {} is no number and has no effect", quoted(sent))
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
    let names = each(value, |entry| {
        let sent = text(entry)?;
        if is_capability(&sent) {
            Ok(capability(&sent))
        } else {
            Err(Fault::new(format!("{} is no capability", quoted(&sent))))
        }
    })?;
    Ok(names.into_iter().collect())
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
        if !LIMITS.contains(&name.as_str()) {
            return Err(under(Fault::new("is no limit"), name));
        }
        let part = |limit: Option<&Value>| {
            limit
                .ok_or_else(|| Fault::new("needs `soft` and `hard`"))
                .and_then(integer)
                .map_err(|f| under(f, name))
        };
        let (soft, hard) = match limit {
            Value::Object(map) => (part(field(map, "soft"))?, part(field(map, "hard"))?),
            both => (part(Some(both))?, part(Some(both))?),
        };
        if !is_limit(soft, hard) {
            return Err(under(Fault::new("`soft` is above `hard`"), name));
        }
        out.insert(name.clone(), (soft, hard));
    }
    Ok(out)
}

fn cpus(value: &Value, warnings: &mut Vec<String>) -> Read<Option<i64>> {
    // A number may have come in the notation with an exponent, which is not written here.
    let sent = match value.as_f64() {
        Some(number) => number.to_string(),
        None => text(value)?,
    };
    let cpus = billionths(sent.trim());
    if cpus.is_none() && sent.trim().starts_with('-') {
        return Err(Fault::new(format!("{} is out of range", quoted(&sent))));
    }
    if cpus.is_none() {
        warnings.push(no_number("cpus", &sent));
    }
    Ok(cpus)
}
