//! What every part of the system should be, and what that makes of what it is.
//!
//! In: a [`Config`] and the device's uuid; then what was seen on the disk. Out: a [`Plan`], then [`Changes`]. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::config::Config;
use super::parts;

/// A file that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PlannedFile {
    /// Below the root, without the first slash.
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) content: Vec<u8>,
}

/// What is done with a unit whose input changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// Reads its input again, or is restarted where it cannot. A unit that does not run stays so.
    Reload,
    /// Is restarted. A unit that does not run stays so.
    Restart,
    /// Runs anew, whether or not it runs now.
    Run,
}

/// A unit and what is done with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UnitDeed {
    pub(crate) unit: &'static str,
    pub(crate) deed: Deed,
}

/// A part of the system: some keys, and what they become.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Part {
    /// Its name in what is remembered.
    pub(crate) name: &'static str,
    /// The keys of config.json that it is made of, for people: the reason of whatever is done.
    pub(crate) keys: &'static str,
    pub(crate) files: Vec<PlannedFile>,
    /// What counts besides its files: values that its units read from config.json themselves.
    pub(crate) input: Vec<u8>,
    pub(crate) units: Vec<UnitDeed>,
}

impl Part {
    /// The same for the same files and input, and for nothing else.
    pub(crate) fn digest(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let mut add = |bytes: &[u8]| {
            hasher.update(&bytes.len().to_be_bytes());
            hasher.update(bytes);
        };
        for file in &self.files {
            add(file.path.as_bytes());
            add(&file.mode.to_be_bytes());
            add(&file.content);
        }
        add(&self.input);
        hasher.finalize().to_hex().to_string()
    }
}

/// Everything that is to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) hostname: String,
    /// In the order in which their units are to know of them.
    pub(crate) parts: Vec<Part>,
}

/// Plans.
pub(crate) fn plan(config: &Config, uuid: &str) -> Plan {
    let short = || uuid.chars().take(7).collect();
    let hostname = config.hostname.clone().unwrap_or_else(short);
    Plan {
        parts: parts::all(config, uuid, &hostname),
        hostname,
    }
}

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Of the files of the plan, those that are as planned.
    pub(crate) as_planned: BTreeSet<String>,
    /// Of each part, the digest of what its units know of.
    pub(crate) known: BTreeMap<String, String>,
    /// Files that were written by us, some day.
    pub(crate) ours: BTreeSet<String>,
    /// Files that could not be written last time. The units of their parts were told of what could.
    pub(crate) unwritten: BTreeSet<String>,
    /// Parts, and units that could not be told of them.
    pub(crate) untold: BTreeSet<(String, String)>,
}

/// Why something is done about a part.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Why {
    /// It is another one than its units know.
    Changed,
    /// These files of it could not be written last time: its units are told once one is.
    Unwritten(Vec<String>),
    /// All is written, and not every unit knows.
    Untold,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changes<'a> {
    pub(crate) write: Vec<&'a PlannedFile>,
    /// Files of ours that are not to be any more.
    pub(crate) remove: Vec<String>,
    parts: Vec<(&'a Part, Why)>,
    untold: BTreeSet<(String, String)>,
}

/// Compares.
pub(crate) fn changes<'a>(plan: &'a Plan, seen: &Seen) -> Changes<'a> {
    let is_there = |file: &PlannedFile| seen.as_planned.contains(&file.path);
    let all = || plan.parts.iter().flat_map(|part| &part.files);
    let wanted: BTreeSet<&str> = all().map(|file| file.path.as_str()).collect();
    let why = |part: &Part| {
        let missing = part.files.iter().filter(|file| !is_there(file));
        let missing: Vec<String> = missing.map(|file| file.path.clone()).collect();
        let is_known = seen.known.get(part.name) == Some(&part.digest());
        if !is_known || missing.iter().any(|path| !seen.unwritten.contains(path)) {
            Some(Why::Changed)
        } else if !missing.is_empty() {
            Some(Why::Unwritten(missing))
        } else {
            let is_untold = seen.untold.iter().any(|(name, _)| name == part.name);
            is_untold.then_some(Why::Untold)
        }
    };
    let parts = plan.parts.iter();
    Changes {
        write: all().filter(|file| !is_there(file)).collect(),
        remove: seen
            .ours
            .iter()
            .filter(|path| !wanted.contains(path.as_str()))
            .cloned()
            .collect(),
        parts: parts.filter_map(|part| Some((part, why(part)?))).collect(),
        untold: seen.untold.clone(),
    }
}

impl<'a> Changes<'a> {
    /// Parts about which something is done.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &'a Part> {
        self.parts.iter().map(|(part, _)| *part)
    }

    /// Whom to tell when these files could not be written: each unit once, in the order of the parts, with the reasons: keys of
    /// config.json.
    pub(crate) fn units(&self, unwritten: &BTreeSet<String>) -> Vec<(UnitDeed, Vec<&'static str>)> {
        let mut units: Vec<(UnitDeed, Vec<&'static str>)> = Vec::new();
        for (part, why) in &self.parts {
            let is_news = match why {
                Why::Changed => true,
                Why::Unwritten(files) => files.iter().any(|file| !unwritten.contains(file)),
                Why::Untold => false,
            };
            let is_owed = |unit: &str| {
                let mut owed = self.untold.iter();
                owed.any(|(name, other)| name == part.name && other == unit)
            };
            let told = part.units.iter();
            for wish in told.filter(|wish| is_news || is_owed(wish.unit)) {
                match units.iter_mut().find(|(known, _)| known.unit == wish.unit) {
                    Some((known, keys)) => {
                        known.deed = known.deed.max(wish.deed);
                        keys.push(part.keys);
                    }
                    None => units.push((wish.clone(), vec![part.keys])),
                }
            }
        }
        units
    }
}
