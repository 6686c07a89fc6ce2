//! Target states as they are sent → [`Target`], validated.
//!
//! What comes in: the `local` part of `POST /v2/local/target-state`, or a fleet's target state ([`parse_fleet`]). What goes out: a target from which nothing can be
//! misread, or every problem with its path. Pure. What a composition asks for is read here too ([`compose`]), so that a
//! wrong port is refused when it is sent and not when it is applied.
//!
//! Bounds, above which a target is refused: [`MAX_APPS`], [`MAX_ITEMS`] services, networks or volumes of one app and
//! entries of one list or map (but of `ports` more), [`MAX_PORTS`] published ports in all, 255 characters of a name, [`MAX_TEXT`] bytes of any
//! other text. The size of the whole body is bounded where it is received.

mod app;
pub mod compose;
pub mod contract;
mod fleet;
mod order;
mod problem;
mod resource;
mod service;
#[cfg(test)]
mod tests;
mod value;

pub use agent_api::compose::{MAX_ITEMS, MAX_PORTS, MAX_TEXT};
use agent_api::reference::LocalTarget;

use crate::model::Target;

pub use fleet::parse_fleet;
pub use problem::{Invalid, Problem};

use problem::Problems;

/// Apps of a target.
pub const MAX_APPS: usize = 64;

/// Reads a target. `present_name` is kept when the target names no device.
///
/// `SUPERVISOR_LOCAL_MODE` in its configuration is carried along and means nothing: a device without a fleet is always
/// in local mode.
pub fn parse(local: &LocalTarget, present_name: &str) -> Result<Target, Invalid> {
    let mut problems = Problems::default();
    let name = local.name.as_deref().unwrap_or(present_name);
    if !is_device_name(name) {
        problems.add("name", DEVICE_NAME_RULE);
    }
    let config = value::config(local.config.iter().flatten(), "config", &mut problems);
    let mut apps = std::collections::BTreeMap::new();
    let sent = local.apps.iter().flatten();
    if local.apps.as_ref().is_some_and(|a| a.len() > MAX_APPS) {
        problems.add("apps", &format!("there are more than {MAX_APPS} apps"));
    }
    let mut ports = 0;
    for (key, sent) in sent.take(MAX_APPS) {
        let path = problem::join("apps", key);
        if let Some(app) = app::read(key, sent, &path, &mut ports, &mut problems) {
            apps.insert(app.id, app);
        }
    }
    let sent = apps.values();
    let sent = sent.map(|app| (problem::join("apps", &app.id.to_string()), app));
    app::check_names(sent, &mut problems);
    problems.or(Target {
        name: name.to_owned(),
        config,
        apps,
        force: false,
    })
}

/// The rule of [`is_device_name`] in words.
const DEVICE_NAME_RULE: &str = "a device's name is one line of 1 to 255 characters";

/// Whether a device can be called that.
pub(crate) fn is_device_name(name: &str) -> bool {
    (1..=255).contains(&name.chars().count()) && !name.contains(['\n', '\r'])
}
