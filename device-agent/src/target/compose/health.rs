//! Health checks.

use agent_api::compose::SHORTEST_CHECK;
use serde_json::Value;

use super::scalar::{flag, integer, nanoseconds, object, text, texts, under};
use super::{Fault, Read, quoted, unused};
use crate::target::value::field;

/// What a service changes in the health check of its image; absent fields keep the image's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HealthcheckChange {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
    pub test: Option<Vec<String>>,
    /// Nanoseconds.
    pub interval: Option<i64>,
    /// Nanoseconds.
    pub timeout: Option<i64>,
    /// Nanoseconds.
    pub start_period: Option<i64>,
    /// Failures until unhealthy.
    pub retries: Option<i64>,
}

/// Members of `healthcheck` that mean something.
const MEMBERS: [&str; 6] = [
    "test",
    "interval",
    "timeout",
    "start_period",
    "retries",
    "disable",
];

/// The key `healthcheck`.
pub(super) fn read(value: &Value, warnings: &mut Vec<String>) -> Read<HealthcheckChange> {
    let map = object(value)?;
    unused("healthcheck", map, &MEMBERS, warnings);
    let get = |name: &str| field(map, name);
    let disable = get("disable").map(flag).transpose();
    if disable.map_err(|f| under(f, "disable"))? == Some(true) {
        return Ok(HealthcheckChange {
            test: Some(vec!["NONE".to_owned()]),
            ..HealthcheckChange::default()
        });
    }
    let time = |name: &str| {
        get(name)
            .map(duration)
            .transpose()
            .map_err(|f| under(f, name))
    };
    Ok(HealthcheckChange {
        test: get("test")
            .map(test)
            .transpose()
            .map_err(|f| under(f, "test"))?,
        interval: time("interval")?,
        timeout: time("timeout")?,
        start_period: time("start_period")?,
        retries: get("retries")
            .map(retries)
            .transpose()
            .map_err(|f| under(f, "retries"))?,
    })
}

fn test(value: &Value) -> Read<Vec<String>> {
    let test = match value {
        Value::Array(_) => texts(value)?,
        _ => vec!["CMD-SHELL".to_owned(), text(value)?],
    };
    match test.first().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(test),
        Some(_) => Err(Fault::new(
            "a list must begin with `NONE`, `CMD` or `CMD-SHELL`",
        )),
    }
}

fn retries(value: &Value) -> Read<i64> {
    match integer(value)? {
        negative if negative < 0 => Err(Fault::new("must not be negative")),
        retries => Ok(retries),
    }
}

/// Zero means the image's, or the engine's.
fn duration(value: &Value) -> Read<i64> {
    let sent = text(value)?;
    let time = nanoseconds(&sent)
        .ok_or_else(|| Fault::new(format!("{} is no duration such as `1m30s`", quoted(&sent))))?;
    if time == 0 || time >= SHORTEST_CHECK {
        Ok(time)
    } else {
        Err(Fault::new(format!("{} is less than 1ms", quoted(&sent))))
    }
}
