//! What `os config` says.

use std::{io, path::Path};

use serde_json::Value;

use crate::{
    provision::config::{self, Document},
    ui::{
        Console,
        style::{self, neutralise_lines},
    },
};

/// A whole configuration.
pub fn all(console: &Console, value: &Value, is_hidden: bool) -> io::Result<()> {
    if console.is_json() {
        return console.json(value);
    }
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    console.data(&shown(console, &text))?;
    if is_hidden && text.contains(config::HIDDEN) {
        console.hint("--show-secrets shows what is hidden");
    }
    Ok(())
}

/// One value; a text as it is.
pub fn one(console: &Console, value: &Value) -> io::Result<()> {
    match value {
        Value::String(text) if !console.is_json() => console.data(&shown(console, text)),
        value => console.json(value),
    }
}

/// What comes of an image must not steer a terminal.
fn shown(console: &Console, text: &str) -> String {
    if console.stdout_terminal() {
        neutralise_lines(text)
    } else {
        text.to_owned()
    }
}

/// The keys that devices read.
pub fn keys(console: &Console) -> io::Result<()> {
    if console.is_json() {
        return console.json(&config::names().collect::<Vec<_>>());
    }
    config::names().try_for_each(|name| console.data(name))
}

/// A configuration that was made.
pub fn generated(console: &Console, document: &Document) -> io::Result<()> {
    console.data(&String::from_utf8_lossy(&document.bytes()))
}

/// One that was written to a file.
pub fn written(console: &Console, path: &Path) -> io::Result<()> {
    if console.is_json() {
        return console.json(&serde_json::json!({ "file": path.display().to_string() }));
    }
    console.say(&format!("wrote {}", style::shown(path)));
    Ok(())
}

/// A list of nobody, by which a device lets in as many as without it.
pub fn empty_keys(console: &Console) {
    console.warn(
        "`os.sshKeys` is an empty list, which devices take as none: in development mode everybody may log in; `false` is for nobody",
    );
}
