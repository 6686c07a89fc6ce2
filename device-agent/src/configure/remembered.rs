//! What `os-agent configure` remembers until the next start of the machine: what units know of, and which files are ours.
//!
//! In: its file's bytes. Out: the same as values. What cannot be read is as if nothing were remembered: everything is done anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::{Changes, Plan, Seen};

/// Its place, below the root.
pub(super) const FILE: &str = "run/os/configured.json";
/// Larger ones are not ours.
pub(super) const MAX_BYTES: u64 = 256 * 1024;

/// What is remembered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Remembered {
    /// Of each part, the digest of what its units know of.
    parts: BTreeMap<String, String>,
    /// Files that were written by us.
    files: BTreeSet<String>,
    /// Digest of the connections that `NetworkManager` knows of.
    #[serde(default)]
    pub(super) connections: Option<String>,
    /// What is left to do.
    #[serde(default)]
    undone: Undone,
}

/// What could not be done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Undone {
    /// Files that should be and are not.
    pub(super) unwritten: BTreeSet<String>,
    /// Files that should be gone and are not.
    #[serde(skip)]
    pub(super) left: BTreeSet<String>,
    /// Parts, and units that could not be told of them.
    pub(super) untold: BTreeSet<(String, String)>,
}

/// What one process knows besides, from one time to the next.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// What it remembers, and its file as it was then: that may be one that could not be written. Where the file is another one
    /// since, another process did more.
    last: Option<(Option<Vec<u8>>, Remembered)>,
    said: BTreeSet<String>,
    saying: BTreeSet<String>,
}

impl Memory {
    /// What is remembered beside what the file holds; `None` at the start of the machine.
    pub(super) fn recall(&self, file: Option<Vec<u8>>) -> Option<Remembered> {
        match &self.last {
            Some((known, remembered)) if *known == file => Some(remembered.clone()),
            _ => file.map(|bytes| Remembered::read(&bytes)),
        }
    }

    /// Ends one time.
    pub(super) fn keep(&mut self, file: Option<Vec<u8>>, remembered: Remembered) {
        self.last = Some((file, remembered));
        self.said = std::mem::take(&mut self.saying);
    }

    /// Whether a sentence was not said the time before, and not yet this time.
    pub(super) fn is_news(&mut self, sentence: &str) -> bool {
        self.saying.insert(sentence.to_owned()) && !self.said.contains(sentence)
    }
}

impl Remembered {
    pub(super) fn read(bytes: &[u8]) -> Self {
        let mut read: Self = serde_json::from_slice(bytes).unwrap_or_default();
        // Only files below the root are taken away again.
        read.files
            .retain(|path| !path.starts_with('/') && !path.split('/').any(|name| name == ".."));
        read
    }

    /// Together with what the disk shows.
    pub(super) fn seen(&self, as_planned: BTreeSet<String>) -> Seen {
        Seen {
            as_planned,
            known: self.parts.clone(),
            ours: self.files.clone(),
            unwritten: self.undone.unwritten.clone(),
            untold: self.undone.untold.clone(),
        }
    }

    /// Files of the plan are ours before they are written; and should the machine's power or this process end in between, units
    /// are told anew.
    pub(super) fn about_to(&mut self, plan: &Plan, changes: &Changes<'_>) {
        let files = plan.parts.iter().flat_map(|part| &part.files);
        self.files.extend(files.map(|file| file.path.clone()));
        for part in changes.parts() {
            self.parts.remove(part.name);
        }
    }

    /// The units of all parts know of them, and nothing but what is planned is ours, but for what is undone.
    pub(super) fn done(&mut self, plan: &Plan, undone: Undone) {
        let files = plan.parts.iter().flat_map(|part| &part.files);
        self.files = files.map(|file| file.path.clone()).collect();
        self.files.extend(undone.left.iter().cloned());
        let parts = plan.parts.iter();
        self.parts = parts
            .map(|part| (part.name.to_owned(), part.digest()))
            .collect();
        self.undone = undone;
    }
}
