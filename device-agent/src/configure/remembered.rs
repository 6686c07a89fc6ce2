//! What `os-agent configure` remembers until the next start of the machine: what units know of, and which files are ours.
//!
//! In: its file's bytes. Out: the same as values. What cannot be read is as if nothing were remembered: everything is done anew.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::plan::{Plan, Seen};

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
        }
    }

    /// Files of the plan are ours before they are written.
    pub(super) fn about_to(&mut self, plan: &Plan) {
        let files = plan.parts.iter().flat_map(|part| &part.files);
        self.files.extend(files.map(|file| file.path.clone()));
    }

    /// The units of the parts know of them, but for these parts; and nothing but what is planned is ours, but for these files.
    pub(super) fn done(&mut self, plan: &Plan, undone: &BTreeSet<&str>, left: &BTreeSet<String>) {
        let files = plan.parts.iter().flat_map(|part| &part.files);
        self.files = files.map(|file| file.path.clone()).collect();
        self.files.extend(left.iter().cloned());
        let known = plan.parts.iter().filter(|part| !undone.contains(part.name));
        self.parts = known
            .map(|part| (part.name.to_owned(), part.digest()))
            .collect();
    }
}
