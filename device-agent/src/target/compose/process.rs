//! What runs and how it ends.

use agent_api::compose::is_signal;
use serde_json::Value;

use super::scalar::{billionths, flag, nanoseconds, object, text, words};
use super::{Composition, Fault, Read, health, put, put_some, quoted};

/// Reads one key; `None` when it is of another kind.
pub(super) fn key(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    Some(match key {
        "command" => put_some(&mut out.command, words(value)),
        "entrypoint" => put_some(&mut out.entrypoint, words(value)),
        "user" => put_some(&mut out.user, text(value)),
        "working_dir" => put_some(&mut out.working_dir, text(value)),
        "tty" => put_some(&mut out.tty, flag(value)),
        "init" => put_some(&mut out.init, flag(value)),
        "restart" => {
            out.restart = Some(restart(value, &mut out.warnings));
            Ok(())
        }
        "stop_signal" => put_some(&mut out.stop_signal, signal(value)),
        "stop_grace_period" => put_some(&mut out.stop_grace_period, seconds(value)),
        "hostname" => put_some(&mut out.hostname, text(value)),
        "domainname" => put_some(&mut out.domainname, text(value)),
        "healthcheck" => put_some(&mut out.healthcheck, health::read(value, &mut out.warnings)),
        "depends_on" => put(&mut out.depends_on, depends_on(value)),
        _ => return None,
    })
}

/// What is not one of the four policies means `always`, as on the reference: one with a number of retries, too, and a
/// `false` that was a bare `no` where the compose file was read as YAML 1.1.
fn restart(value: &Value, warnings: &mut Vec<String>) -> String {
    let sent = match value {
        Value::String(text) => text.trim().to_lowercase(),
        other => {
            warnings.push(no_policy(&other.to_string()));
            return "always".to_owned();
        }
    };
    if matches!(
        sent.as_str(),
        "always" | "unless-stopped" | "on-failure" | "no"
    ) {
        return sent;
    }
    warnings.push(no_policy(&sent));
    "always".to_owned()
}

fn no_policy(sent: &str) -> String {
    format!("{} is no restart policy; `always` is taken", quoted(sent))
}

/// A signal as the engine takes it: by name with or without `SIG`, or by number. Nothing means the image's.
fn signal(value: &Value) -> Read<String> {
    let sent = text(value)?;
    if is_signal(&sent) {
        Ok(sent)
    } else {
        Err(Fault::new(format!("{} is no signal", quoted(&sent))))
    }
}

/// A duration as Go writes it, or a number of seconds; parts of a second are rounded up.
fn seconds(value: &Value) -> Read<i64> {
    let sent = text(value)?;
    let ns = billionths(sent.trim()).or_else(|| nanoseconds(&sent));
    ns.map(|ns| ns.div_euclid(1_000_000_000) + i64::from(ns.rem_euclid(1_000_000_000) > 0))
        .ok_or_else(|| Fault::new(format!("{} is no duration such as `1m30s`", quoted(&sent))))
}

/// A list of names, or the map form, of which only the names count: a service waits until the others were started.
fn depends_on(value: &Value) -> Read<std::collections::BTreeSet<String>> {
    match value {
        Value::Object(_) => Ok(object(value)?.keys().cloned().collect()),
        _ => super::scalar::text_set(value),
    }
}
