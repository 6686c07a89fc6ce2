//! What `os simulate` says.

use std::io;

use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::{
    discovery::simulated::Record,
    simulate::{Event, Identity, Leftover, Removed, Status},
    ui::{
        Console,
        style::{self, paint},
        table,
    },
};

/// Tells events until there are no more.
pub async fn follow(console: &Console, mut events: UnboundedReceiver<Event>) {
    while let Some(event) = events.recv().await {
        tell(console, &event);
    }
}

fn tell(console: &Console, event: &Event) {
    let name = |name: &str| paint(console.stderr_colour(), style::NAME, name);
    match event {
        Event::Waiting => {
            console.say("waiting for another `os simulate` of yours to finish");
        }
        Event::Starting(identity) => console.detail(&format!(
            "starting the agent of {} on {}",
            identity.name, identity.address
        )),
        Event::Started(record) => console.detail(&format!(
            "{} answers, process {}",
            record.device.name, record.agent_pid
        )),
        Event::AlreadyRunning(record) => console.say(&format!(
            "{} is running since {}",
            name(&record.device.name),
            record.started_at
        )),
        Event::Stopping(identity) => console.detail(&format!("stopping {}", identity.name)),
        Event::Stopped(identity, removed) => console.say(&format!(
            "removed {}{}",
            name(&identity.name),
            counts(*removed)
        )),
        Event::Left(identity, left) => {
            for leftover in left {
                console.warn(&format!("{}: {}", identity.name, left_behind(leftover)));
            }
        }
    }
}

fn counts(removed: Removed) -> String {
    let parts: Vec<String> = [
        (removed.containers, "container"),
        (removed.networks, "network"),
        (removed.volumes, "volume"),
        (removed.images, "image"),
    ]
    .into_iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, word)| format!("{count} {word}{}", if count == 1 { "" } else { "s" }))
    .collect();
    if parts.is_empty() {
        String::new()
    } else {
        format!(" with {}", parts.join(", "))
    }
}

fn left_behind(leftover: &Leftover) -> String {
    let Leftover {
        kind,
        name,
        because,
    } = leftover;
    let sentence = format!("the {kind} {name} is left: {}", style::neutralise(because));
    if *kind == "folder" {
        // Services run as root in their containers, and so do the files that they write into it belong to root.
        return format!(
            "{sentence} (sudo rm -r {} removes it)",
            shlex::try_quote(name).unwrap_or_default()
        );
    }
    sentence
}

/// The devices that a command started or found running.
pub fn started(console: &Console, records: &[Record], all: &[Status]) -> io::Result<()> {
    let statuses: Vec<_> = all
        .iter()
        .filter(|status| {
            records
                .iter()
                .any(|record| record.namespace == status.identity.namespace)
        })
        .collect();
    rows(console, &statuses)?;
    if let Some(first) = records.first() {
        let name = &first.device.name;
        console.hint(&format!(
            "os push {name} builds the project in this folder and starts it there; os simulate --stop removes {}",
            if records.len() == 1 { "the device" } else { "the devices" }
        ));
    }
    Ok(())
}

/// All devices.
pub fn list(console: &Console, all: &[Status]) -> io::Result<()> {
    if all.is_empty() {
        console.say("no simulated devices");
        return Ok(());
    }
    rows(console, &all.iter().collect::<Vec<_>>())?;
    for status in all.iter().filter(|status| status.record.is_none()) {
        let name = &status.identity.name;
        console.hint(&format!(
            "{name} does not run: os simulate --name {name} starts it again, os simulate --stop {name} removes it"
        ));
    }
    Ok(())
}

/// The devices that were removed.
pub fn stopped(console: &Console, devices: &[Identity]) -> io::Result<()> {
    if console.is_json() {
        return devices.iter().try_for_each(|device| {
            console.json(&json!({ "name": device.name, "state": "removed" }))
        });
    }
    if devices.is_empty() {
        console.say("no simulated devices");
    }
    Ok(())
}

fn rows(console: &Console, statuses: &[&Status]) -> io::Result<()> {
    if console.is_json() {
        return statuses
            .iter()
            .try_for_each(|status| console.json(&value(status)));
    }
    let rows: Vec<_> = statuses
        .iter()
        .map(|Status { identity, record }| {
            vec![
                identity.name.clone(),
                identity.address.to_string(),
                identity.device_type.clone(),
                state(record.as_ref()).to_owned(),
                if identity.allow_privileged {
                    "privileged allowed".to_owned()
                } else {
                    String::new()
                },
            ]
        })
        .collect();
    table::align(&rows)
        .iter()
        .try_for_each(|line| console.data(line.trim_end()))
}

fn value(status: &Status) -> Value {
    let Status { identity, record } = status;
    json!({
        "name": identity.name,
        "uuid": identity.uuid,
        "address": identity.address,
        "device_type": identity.device_type,
        "arch": identity.arch,
        "allow_privileged": identity.allow_privileged,
        "state": state(record.as_ref()),
        "pid": record.as_ref().map(|record| record.agent_pid),
        "started_at": record.as_ref().map(|record| &record.started_at),
        "namespace": identity.namespace,
        "engine": identity.engine_socket,
    })
}

fn state(record: Option<&Record>) -> &'static str {
    if record.is_some() {
        "running"
    } else {
        "stopped"
    }
}
