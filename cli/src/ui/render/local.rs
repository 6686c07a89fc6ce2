//! What `os local` says.

use std::io;

use agent_api::os::LocalMode;

use crate::ui::{Console, style::neutralise};

/// Whether it is on, and what switching it off would remove.
pub fn mode(console: &Console, mode: &LocalMode) -> io::Result<()> {
    if console.is_json() {
        return console.json(mode);
    }
    console.data(if mode.enabled { "on" } else { "off" })?;
    if !mode.managed {
        console.say("the device belongs to no fleet: it is always in local mode");
    }
    for loss in &mode.losses {
        let text = format!("switching it off removes the {} {}", loss.kind, loss.name);
        console.say(&neutralise(&text));
    }
    Ok(())
}
