//! What `os scan` shows: a line for each device, as JSON or as columns.

use std::{collections::BTreeMap, io};

use serde::Serialize;

use crate::{
    discovery::{
        Address, Change, Device, Origin,
        remembered::{FileError, SetAside},
    },
    ui::{
        Console,
        style::{self, neutralise, paint},
        table,
    },
};

/// Column widths; rows come one by one, so that later ones cannot widen them.
const WIDTHS: [usize; 8] = [14, 7, 15, 20, 11, 15, 9, 7];
const HEAD: [&str; 9] = [
    "NAME",
    "UUID",
    "TYPE",
    "OS",
    "VARIANT",
    "AGENT",
    "CAN",
    "SSH",
    "ADDRESSES",
];

/// What is known of a device's SSH server without asking it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Standing {
    /// Its key is kept.
    Known,
    /// No key of it is kept yet.
    New,
    /// It announces another key than those that are kept: it will be refused.
    Changed,
    /// It has none.
    None,
}

impl Standing {
    fn word(self) -> &'static str {
        match self {
            Self::Known => "known",
            Self::New => "new",
            Self::Changed => "changed",
            Self::None => "-",
        }
    }
}

/// Shows devices.
#[derive(Debug)]
pub struct Renderer<'a> {
    console: &'a Console,
    watch: bool,
    /// Lines that stand on the screen, by device.
    shown: BTreeMap<u32, String>,
    any: bool,
}

/// One line of `--json`.
#[derive(Serialize)]
struct Line<'a> {
    /// `found`, `updated` or `gone`.
    event: &'static str,
    /// Identity of the device within this scan.
    id: u32,
    /// `agent`, `reference`, `simulated` or `machine`.
    kind: &'static str,
    /// Verbs that work with it.
    can: Vec<&'static str>,
    /// What is known of its SSH server.
    ssh: Standing,
    #[serde(flatten)]
    device: &'a Device,
}

impl<'a> Renderer<'a> {
    /// Shows devices on a console.
    #[must_use]
    pub fn new(console: &'a Console, watch: bool) -> Self {
        if watch {
            console.say("watching the local network; Ctrl-C ends it");
        }
        Self {
            console,
            watch,
            shown: BTreeMap::new(),
            any: false,
        }
    }

    /// Shows what happened to a device.
    ///
    /// # Errors
    /// When stdout cannot be written.
    pub fn seen(
        &mut self,
        id: u32,
        change: Change,
        device: &Device,
        ssh: Standing,
    ) -> io::Result<()> {
        self.any = true;
        if self.console.is_json() {
            return self.console.json(&Line {
                event: word(change),
                id,
                kind: kind(device),
                can: can(device, ssh),
                ssh,
                device,
            });
        }
        match change {
            Change::Gone => {
                let gone = self.shown.remove(&id).is_some();
                if self.watch && gone {
                    self.console
                        .data(&format!("- {}", neutralise(&device.name)))?;
                }
                Ok(())
            }
            // The variant comes within moments, and a line that was printed stays as it is.
            Change::Found | Change::Updated
                if device.variant.is_none() && device.origin != Origin::Machine =>
            {
                Ok(())
            }
            Change::Found | Change::Updated => self.row(id, device, ssh),
        }
    }

    fn row(&mut self, id: u32, device: &Device, ssh: Standing) -> io::Result<()> {
        let cells = cells(device, ssh);
        let facts = cells.join(" ");
        let mark = match (self.watch, self.shown.get(&id)) {
            (_, Some(shown)) if *shown == facts => return Ok(()),
            // The line is there; more addresses of a device are no news to a person.
            (false, Some(_)) => return Ok(()),
            (false, None) => "",
            (true, None) => "+ ",
            (true, Some(_)) => "~ ",
        };
        if self.shown.is_empty() && mark != "~ " {
            self.head(if self.watch { "  " } else { "" });
        }
        self.shown.insert(id, facts);
        let line = table::line(&cells, &WIDTHS);
        let name = cells.first().map_or(0, String::len);
        let line = match line.split_at_checked(name) {
            Some((name, rest)) => paint(self.console.stdout_colour(), style::NAME, name) + rest,
            None => line,
        };
        self.console.data(&format!("{mark}{line}"))
    }

    fn head(&self, indent: &str) {
        let cells: Vec<String> = HEAD.iter().map(|cell| (*cell).to_owned()).collect();
        let line = table::line(&cells, &WIDTHS);
        self.console.say(&paint(
            self.console.stderr_colour(),
            style::FAINT,
            &format!("{indent}{line}"),
        ));
    }

    /// The scan is over.
    pub fn end(&self) {
        if !self.any {
            self.console.say("no device answered in the local network");
            self.console.hint(
                "is it switched on, and in the same network as this machine? A device whose address is known is reached without a scan: \
                 `os push <address>`. `os simulate` starts one on this machine.",
            );
        }
    }

    /// The file of remembered devices was of no use.
    pub fn set_aside(&self, aside: &SetAside) {
        let text = match &aside.moved_to {
            Some(path) => format!(
                "{}; it is now {}, and a new one was begun",
                aside.because,
                path.display()
            ),
            None => format!(
                "{}; devices that were seen before are not known",
                aside.because
            ),
        };
        self.console.warn(&text);
    }

    /// What was found could not be remembered.
    pub fn not_remembered(&self, fault: &FileError) {
        self.console.warn(&format!(
            "{fault}; the devices that were found will not be remembered"
        ));
    }
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Found => "found",
        Change::Updated => "updated",
        Change::Gone => "gone",
    }
}

fn kind(device: &Device) -> &'static str {
    match (&device.origin, &device.agent_version) {
        (Origin::Simulated { .. }, _) => "simulated",
        (Origin::Machine, _) => "machine",
        (_, Some(_)) => "agent",
        (_, None) => "reference",
    }
}

/// What works with a device: in development mode its API and engine are open, otherwise only SSH is, for those whom it knows.
fn can(device: &Device, ssh: Standing) -> Vec<&'static str> {
    let is_open = match (&device.origin, device.variant.as_deref()) {
        (Origin::Simulated { .. }, _) | (_, Some("development")) => ssh != Standing::Changed,
        _ => ssh == Standing::Known,
    };
    if is_open {
        vec!["push", "logs"]
    } else {
        Vec::new()
    }
}

fn cells(device: &Device, ssh: Standing) -> Vec<String> {
    let or_dash = |value: &Option<String>| {
        value
            .as_deref()
            .map_or_else(|| "-".to_owned(), |text| neutralise(text).into_owned())
    };
    let agent = match (kind(device), &device.agent_version) {
        ("reference", _) => "reference".to_owned(),
        ("simulated", Some(version)) => format!("{} simulated", neutralise(version)),
        ("machine", Some(version)) => format!("{} machine", neutralise(version)),
        ("machine", None) => "machine".to_owned(),
        (_, version) => or_dash(version),
    };
    let can = can(device, ssh);
    vec![
        neutralise(&device.name).into_owned(),
        device
            .uuid
            .as_ref()
            .map_or_else(|| "-".to_owned(), |uuid| uuid.chars().take(7).collect()),
        or_dash(&device.device_type),
        or_dash(&device.os_version),
        or_dash(&device.variant),
        agent,
        if can.is_empty() {
            "-".to_owned()
        } else {
            can.join(",")
        },
        ssh.word().to_owned(),
        device
            .addresses
            .iter()
            .map(|address| shown(*address))
            .collect::<Vec<_>>()
            .join(" "),
    ]
}

fn shown(address: Address) -> String {
    match address.scope {
        0 => address.ip.to_string(),
        scope => format!("{}%{scope}", address.ip),
    }
}
