//! What apps.json asks for. Pure.
//!
//! ```json
//! {"config": {}, "pinDevice": false, "apps": {"<app uuid>": {"id": 1, "name": "fleet", "class": "fleet",
//!     "releases": {"<commit>": {"id": 1, "services": {}, "networks": {}, "volumes": {}}}}}}
//! {"config": {}, "apps": {"1": {"name": "app", "commit": "c0ffee", "releaseId": 1, "services": {}, "networks": {}, "volumes": {}}}}
//! ```
//! The first form is that of a fleet's target, version 3, without the device around it; the second one is older, and that of a push.

use agent_api::reference::LocalTarget;
use serde_json::{Map, Value, json};

use crate::model::Target;
use crate::target::{parse, parse_fleet};

/// Larger files are no target: one that is sent is at most so large.
pub(super) const MAX_BYTES: u64 = 10_000_000;

/// Whose target it is to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Device<'a> {
    pub(super) uuid: &'a str,
    /// Its name, unless the file says another.
    pub(super) name: &'a str,
}

/// What the file asks for; `None`: nothing, or nothing any more.
///
/// # Errors
/// What is wrong with it, with its place.
pub(super) fn understand(text: &[u8], device: Device<'_>) -> Result<Option<Target>, String> {
    if text.iter().all(u8::is_ascii_whitespace) {
        return Ok(None);
    }
    let read: Value =
        serde_json::from_slice(text).map_err(|error| format!("it is not JSON: {error}"))?;
    let Value::Object(file) = read else {
        return Err(match read.as_array() {
            Some(apps) if apps.is_empty() => return Ok(None),
            Some(_) => "it is a list of applications, as devices read it long ago: an object with `apps` is expected",
            None => "it is no JSON object",
        }
        .to_owned());
    };
    let apps = match file.get("apps") {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(apps)) if apps.is_empty() => return Ok(None),
        Some(Value::Object(apps)) => apps,
        Some(_) => return Err("`apps` is no object".to_owned()),
    };
    let target = if is_older(apps) {
        older(&file, device)
    } else {
        newer(&file, device)
    };
    target.map(Some)
}

/// Whether the file asks that the device keeps to its release, which this agent does not do.
pub(super) fn pins(text: &[u8]) -> bool {
    let read: Value = serde_json::from_slice(text).unwrap_or_default();
    read.get("pinDevice") == Some(&Value::Bool(true))
}

/// Whether applications stand under their ids, and not each with its releases under its uuid.
fn is_older(apps: &Map<String, Value>) -> bool {
    apps.iter().all(|(key, app)| {
        key.bytes().all(|byte| byte.is_ascii_digit()) && app.get("releases").is_none()
    })
}

fn newer(file: &Map<String, Value>, device: Device<'_>) -> Result<Target, String> {
    let own = json!({
        "name": file.get("name"),
        "config": file.get("config").filter(|config| !config.is_null()).unwrap_or(&json!({})),
        "apps": file.get("apps"),
    });
    let body = Map::from_iter([(device.uuid.to_owned(), own)]);
    parse_fleet(&body, device.uuid, device.name).map_err(|invalid| invalid.to_string())
}

fn older(file: &Map<String, Value>, device: Device<'_>) -> Result<Target, String> {
    let member = |name: &str| file.get(name).cloned().unwrap_or_default();
    let wrong = |name: &str, error: serde_json::Error| format!("{name}: {error}");
    let local = LocalTarget {
        name: serde_json::from_value(member("name")).map_err(|error| wrong("name", error))?,
        config: serde_json::from_value(member("config")).map_err(|error| wrong("config", error))?,
        apps: serde_json::from_value(member("apps")).map_err(|error| wrong("apps", error))?,
    };
    parse(&local, device.name).map_err(|invalid| invalid.to_string())
}
