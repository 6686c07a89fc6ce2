//! What the agent must remember and no engine tells: API keys that services were given, and which containers it stopped
//! itself. Kept in the state directory, replaced whole.
//!
//! Losing it is not fatal: services get new keys (and are recreated once), and a service that was stopped on purpose
//! stays as it is. So a file that cannot be read counts as empty and is reported.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use fs_err as fs;
use serde::{Deserialize, Serialize};

use crate::host::random_hex;
use crate::report::ServiceKey;
use crate::store::replace_file;

/// Name in the state directory.
const FILE: &str = "memory.json";
/// Between application id and service name, which cannot hold it.
const SEPARATOR: char = '/';

/// See the module.
#[derive(Debug)]
pub(crate) struct Memory {
    file: PathBuf,
    content: Content,
}

#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Content {
    /// By `<application id>/<service name>`.
    api_keys: BTreeMap<String, String>,
    /// Engine container ids.
    stopped: BTreeSet<String>,
}

impl Memory {
    /// Reads what is there. The second value says what was wrong with it.
    pub(crate) fn open(dir: &Path) -> (Self, Option<String>) {
        let file = dir.join(FILE);
        let (content, fault) = match fs::read(&file) {
            Ok(text) => match serde_json::from_slice(&text) {
                Ok(content) => (content, None),
                Err(error) => (
                    Content::default(),
                    Some(format!(
                        "{} is damaged and was given up: {error}",
                        file.display()
                    )),
                ),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Content::default(), None),
            Err(error) => (Content::default(), Some(error.to_string())),
        };
        (Self { file, content }, fault)
    }

    pub(crate) fn has_stopped(&self, id: &str) -> bool {
        self.content.stopped.contains(id)
    }

    pub(crate) fn api_keys(&self) -> BTreeMap<ServiceKey, String> {
        self.content
            .api_keys
            .iter()
            .filter_map(|(name, key)| {
                let (app, service) = name.split_once(SEPARATOR)?;
                Some(((app.parse().ok()?, service.to_owned()), key.clone()))
            })
            .collect()
    }

    /// Makes keys for the services that lack one, and forgets those of services that are not wanted any more.
    pub(crate) fn keep_api_keys(&mut self, wanted: &BTreeSet<ServiceKey>) -> io::Result<()> {
        let mut content = self.content.clone();
        let names: BTreeSet<String> = wanted
            .iter()
            .map(|(app, service)| format!("{app}{SEPARATOR}{service}"))
            .collect();
        content.api_keys.retain(|name, _| names.contains(name));
        for name in names {
            if let Entry::Vacant(place) = content.api_keys.entry(name) {
                place.insert(random_hex()?);
            }
        }
        self.replace(content)
    }

    /// Remembers that the agent stopped a container.
    pub(crate) fn note_stopped(&mut self, id: &str) -> io::Result<()> {
        let mut content = self.content.clone();
        content.stopped.insert(id.to_owned());
        self.replace(content)
    }

    /// Forgets containers that do not exist any more, or run.
    pub(crate) fn keep_stopped(&mut self, still: impl Fn(&str) -> bool) -> io::Result<()> {
        let mut content = self.content.clone();
        content.stopped.retain(|id| still(id));
        self.replace(content)
    }

    /// Writes only what has changed: flash wears out.
    fn replace(&mut self, content: Content) -> io::Result<()> {
        if content != self.content {
            replace_file(&self.file, &serde_json::to_vec(&content)?)?;
            self.content = content;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_stops_survive_and_are_forgotten_in_time() {
        let dir = tempfile::tempdir().unwrap();
        let (mut memory, fault) = Memory::open(dir.path());
        assert_eq!(fault, None);
        let wanted = BTreeSet::from([(1, "web".to_owned()), (1, "worker".to_owned())]);
        memory.keep_api_keys(&wanted).unwrap();
        memory.note_stopped("abc").unwrap();
        let keys = memory.api_keys();
        assert_eq!(keys.len(), 2);
        assert_ne!(
            keys[&(1, "web".to_owned())],
            keys[&(1, "worker".to_owned())]
        );

        let (mut memory, _) = Memory::open(dir.path());
        assert_eq!(memory.api_keys(), keys);
        assert!(memory.has_stopped("abc"));
        memory.keep_stopped(|_| false).unwrap();
        memory
            .keep_api_keys(&BTreeSet::from([(1, "web".to_owned())]))
            .unwrap();
        assert!(!memory.has_stopped("abc"));
        assert_eq!(memory.api_keys().len(), 1);
    }

    #[test]
    fn a_damaged_file_counts_as_empty() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(FILE), "{").unwrap();
        let (mut memory, fault) = Memory::open(dir.path());
        assert!(fault.unwrap().contains("damaged"));
        memory.note_stopped("abc").unwrap();
        assert_eq!(Memory::open(dir.path()).1, None);
    }
}
