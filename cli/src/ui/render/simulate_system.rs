//! What `os simulate --system` says.

use std::io;

use serde_json::json;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    simulate::{System, SystemEvent},
    ui::{
        Console,
        style::{self, paint},
        table,
    },
};

/// Tells events until there are no more.
pub async fn follow(console: &Console, mut events: UnboundedReceiver<SystemEvent>) {
    let name = |name: &str| paint(console.stderr_colour(), style::NAME, name);
    while let Some(event) = events.recv().await {
        match event {
            SystemEvent::Booting(system) => console.say(&format!("booting {}", name(&system))),
            SystemEvent::Said(line) => console.say(&style::neutralise(&line)),
            SystemEvent::Removed(system) => console.say(&format!("removed {}", name(&system))),
        }
    }
}

/// The devices that a command started or found running.
pub fn started(console: &Console, systems: &[System]) -> io::Result<()> {
    rows(console, systems)?;
    if let Some(System { name, address, .. }) = systems.first() {
        console.hint(&format!(
            "os push {name} builds the project in this folder and starts it there; ssh -p 22222 root@{address} opens a shell; \
             os simulate --system --stop {name} removes it"
        ));
    }
    Ok(())
}

/// All devices.
pub fn list(console: &Console, systems: &[System]) -> io::Result<()> {
    if systems.is_empty() {
        console.say("no simulated devices with the whole system");
        return Ok(());
    }
    rows(console, systems)?;
    for System { name, .. } in systems.iter().filter(|system| !system.is_running) {
        console.hint(&format!(
            "{name} does not run: os simulate --system --name {name} boots it again, os simulate --system --stop {name} removes it"
        ));
    }
    Ok(())
}

/// The devices that were removed.
pub fn removed(console: &Console, systems: &[System]) -> io::Result<()> {
    if console.is_json() {
        return systems.iter().try_for_each(|system| {
            console.json(&json!({ "name": system.name, "state": "removed" }))
        });
    }
    if systems.is_empty() {
        console.say("no simulated devices with the whole system");
    }
    Ok(())
}

fn rows(console: &Console, systems: &[System]) -> io::Result<()> {
    if console.is_json() {
        return systems.iter().try_for_each(|system| {
            console.json(&json!({
                "name": system.name,
                "address": system.address,
                "state": state(system),
                "uuid": system.uuid,
            }))
        });
    }
    let rows: Vec<_> = systems
        .iter()
        .map(|system| {
            vec![
                system.name.clone(),
                system.address.to_string(),
                state(system).to_owned(),
            ]
        })
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line.trim_end()))
}

fn state(system: &System) -> &'static str {
    if system.is_running {
        "running"
    } else {
        "stopped"
    }
}
