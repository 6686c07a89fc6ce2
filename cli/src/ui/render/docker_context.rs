//! What `os docker-context` says.

use std::io;

use serde::Serialize;
use serde_json::json;

use crate::ui::{Console, style::neutralise};

/// A context that was made.
#[derive(Debug, Serialize)]
pub struct Made<'a> {
    /// Its name.
    pub context: &'a str,
    /// Where `docker` connects to.
    pub host: &'a str,
    /// The device.
    pub device: &'a str,
    /// The engine's socket there.
    pub engine: &'a str,
    /// `systemd`, or `process`: who starts what carries the connections.
    pub kept_by: &'a str,
}

/// It was made.
pub fn made(console: &Console, made: &Made<'_>) -> io::Result<()> {
    if console.is_json() {
        return console.json(made);
    }
    console.data(made.context)?;
    console.hint(&format!(
        "docker --context {} ps; or `docker context use {0}`, and everything is for {}",
        made.context,
        neutralise(made.device)
    ));
    if made.kept_by == "process" {
        console.hint("after a restart of this machine the same command starts it again");
    }
    Ok(())
}

/// It was removed, or was not there.
pub fn removed(console: &Console, name: &str, was_there: bool) -> io::Result<()> {
    if console.is_json() {
        return console.json(&json!({ "context": name, "removed": was_there }));
    }
    let word = if was_there { "removed" } else { "there is no" };
    console.say(&format!("{word} context {name}"));
    Ok(())
}

/// What the program in the background met.
pub fn carrier(console: &Console, problem: &str) {
    console.warn(problem);
}
