//! Keys of a service that have a form of their own and no tie to the rest of the project.
//!
//! In: the node of one key. Out: the form in which the device takes it.

use agent_api::compose::{LIMITS, SHORTEST_CHECK, is_limit};
use serde_json::{Map, Value as Json, json};

use super::{report::Report, spelling, typed, words};
use crate::project::yaml::{Node, Value};

/// Below this score the kernel may kill the system's own services first.
const OOM_SCORE_RISKY: i64 = -900;

pub(super) fn microseconds(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    if let Some(scalar) = node.scalar()
        && let Some(nanoseconds) = super::units::nanoseconds(&scalar.text)
    {
        return Some(Json::from(nanoseconds / 1000));
    }
    typed::integer(report, path, node).map(Json::from)
}

/// `source[:target[:permissions]]` or the same as a map.
pub(super) fn devices(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let items = typed::list(report, path, node)?;
    items
        .iter()
        .map(|item| device(report, path, item).map(Json::from))
        .collect()
}

fn device(report: &mut Report, path: &str, node: &Node) -> Option<String> {
    let (source, target, permissions) = if let Value::Map(entries) = &node.value {
        spelling::only(report, path, entries, &["source", "target", "permissions"]);
        let mut part = |key: &str| match node.get(key) {
            Some(value) => typed::text(report, &format!("{path}.{key}"), value).map(Some),
            None => Some(None),
        };
        (
            part("source")?.unwrap_or_default(),
            part("target")?,
            part("permissions")?,
        )
    } else {
        let text = typed::text(report, path, node)?;
        let mut parts = text.splitn(3, ':').map(str::to_owned);
        (parts.next().unwrap_or_default(), parts.next(), parts.next())
    };
    let target = target.unwrap_or_else(|| source.clone());
    let permissions = permissions.unwrap_or_else(|| "rwm".to_owned());
    // A colon ends a path in the form in which devices are sent.
    let is_path = |text: &str| text.starts_with('/') && !text.contains(':');
    if !is_path(&source) || !is_path(&target) {
        report.error_with(
            node.at,
            format!("{path}: a device is named by its path"),
            "write /dev/x or /dev/x:/dev/y:rw",
        );
        return None;
    }
    if permissions.is_empty() || !permissions.chars().all(|c| matches!(c, 'r' | 'w' | 'm')) {
        report.error(
            node.at,
            format!("{path}: {permissions:?} is not made of r, w and m"),
        );
        return None;
    }
    Some(format!("{source}:{target}:{permissions}"))
}

/// `name=address` or `name:address`, or a map of name to one or several addresses.
pub(super) fn extra_hosts(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let mut hosts = Vec::new();
    if let Value::Map(entries) = &node.value {
        for entry in entries {
            let path = format!("{path}.{}", entry.key);
            for address in typed::text_or_texts(report, &path, &entry.value)? {
                let Some(host) = agent_api::compose::extra_host(&entry.key, &address) else {
                    report.error(entry.at, format!("{path}: {address:?} is not an address"));
                    return None;
                };
                hosts.push(host);
            }
        }
        return Some(Json::from(hosts));
    }
    for item in typed::list(report, path, node)? {
        let text = typed::text(report, path, item)?;
        let parts = text.split_once('=').or_else(|| text.split_once(':'));
        let host = parts.and_then(|(name, address)| agent_api::compose::extra_host(name, address));
        let Some(host) = host else {
            report.error(item.at, format!("{path}: {text:?} is not name=address"));
            return None;
        };
        hosts.push(host);
    }
    Some(Json::from(hosts))
}

pub(super) fn healthcheck(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let entries = typed::map(report, path, node)?;
    let known = [
        "test",
        "interval",
        "timeout",
        "start_period",
        "start_interval",
        "retries",
        "disable",
    ];
    spelling::only(report, path, entries, &known);
    let mut out = Map::new();
    for entry in entries {
        let path = format!("{path}.{}", entry.key);
        let value = match entry.key.as_str() {
            "test" => test(report, &path, &entry.value),
            "interval" | "timeout" | "start_period" | "start_interval" => {
                interval(report, &path, &entry.value)
            }
            "retries" => words::retries(report, &path, &entry.value),
            "disable" => typed::boolean(report, &path, &entry.value).map(Json::from),
            _ => None,
        };
        out.extend(value.map(|value| (entry.key.clone(), value)));
    }
    Some(Json::Object(out))
}

/// A time between checks; none means the image's.
fn interval(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let nanoseconds = typed::nanoseconds(report, path, node)?;
    if nanoseconds != 0 && nanoseconds < SHORTEST_CHECK.unsigned_abs() {
        report.error(node.at, format!("{path} must be at least 1ms"));
        return None;
    }
    Some(Json::from(super::units::duration_text(nanoseconds)))
}

fn test(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    if matches!(node.value, Value::Scalar(_)) {
        return typed::text(report, path, node).map(|line| json!(["CMD-SHELL", line]));
    }
    let words = typed::texts(report, path, node)?;
    if let Some("NONE" | "CMD" | "CMD-SHELL") = words.first().map(String::as_str) {
        Some(Json::from(words))
    } else {
        report.error(
            node.at,
            format!("{path} as a list must begin with CMD, CMD-SHELL or NONE"),
        );
        None
    }
}

pub(super) fn ulimits(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let mut out = Map::new();
    for entry in typed::map(report, path, node)? {
        if !LIMITS.contains(&entry.key.as_str()) {
            spelling::unknown(report, path, entry, LIMITS.iter().copied());
            continue;
        }
        let path = format!("{path}.{}", entry.key);
        let value = if let Value::Map(parts) = &entry.value.value {
            spelling::only(report, &path, parts, &["soft", "hard"]);
            let mut part = |key: &str| {
                if let Some(value) = entry.value.get(key) {
                    typed::integer(report, &format!("{path}.{key}"), value)
                } else {
                    report.error(entry.at, format!("{path} needs the key {key}"));
                    None
                }
            };
            let (soft, hard) = (part("soft")?, part("hard")?);
            if !is_limit(soft, hard) {
                let message = format!("{path}: the soft limit is above the hard one");
                report.error_with(entry.at, message, "-1 is no limit");
                return None;
            }
            json!({ "soft": soft, "hard": hard })
        } else {
            Json::from(typed::integer(report, &path, &entry.value)?)
        };
        out.insert(entry.key.clone(), value);
    }
    Some(Json::Object(out))
}

pub(super) fn oom_score(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let score = typed::integer(report, path, node)?;
    if !(-1000..=1000).contains(&score) {
        report.error(
            node.at,
            format!("{path} must be between -1000 and 1000, not {score}"),
        );
        return None;
    }
    if score <= OOM_SCORE_RISKY {
        report.warn(
            node.at,
            format!("{path} of {score} lets the kernel end the device's own services first"),
        );
    }
    Some(Json::from(score))
}

pub(super) fn pids(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let limit = typed::integer(report, path, node)?;
    if limit < 0 {
        report.error_with(
            node.at,
            format!("{path} must not be negative"),
            "leave it out for no limit",
        );
        return None;
    }
    Some(Json::from(limit))
}

pub(super) fn pid(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let mode = typed::text(report, path, node)?;
    if mode == "host" || mode.starts_with("service:") {
        return Some(Json::from(mode));
    }
    report.error_with(
        node.at,
        format!("{path} cannot be {mode:?}"),
        "use host or service:<name>",
    );
    None
}

pub(super) fn restart(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let policy = typed::text(report, path, node)?;
    let (name, count) = policy.split_once(':').unwrap_or((&policy, "0"));
    let valid = match name {
        "no" | "always" | "unless-stopped" => name == policy,
        "on-failure" => count.parse::<u32>().is_ok(),
        _ => false,
    };
    if !valid {
        let message = format!("{path} cannot be {policy:?}");
        report.error_with(
            node.at,
            message,
            "use \"no\", always, unless-stopped or on-failure",
        );
        return None;
    }
    if name != policy {
        // A device takes a policy that it does not know for `always`.
        report.warn(
            node.at,
            format!(
                "{path}: devices do not count the retries; the service restarts on every failure"
            ),
        );
    }
    Some(Json::from(name))
}

pub(super) fn security_opt(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let options = typed::texts(report, path, node)?;
    if let Some(option) = options
        .iter()
        .find(|option| !option.starts_with("no-new-privileges"))
    {
        report.error(
            node.at,
            format!("{path} can only be no-new-privileges, not {option:?}"),
        );
        return None;
    }
    Some(Json::from(options))
}
