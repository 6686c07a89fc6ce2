//! Names of services that devices had when they were last asked, so that they are completed without asking the network.
//!
//! The file is a cache: one that is of no use is begun anew, and not being able to write it is no reason to stop.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Context, reach::Reached};
use crate::{
    agent::Kind,
    discovery::record_file::{self, FileError},
};

/// Devices that are kept, the one asked last first.
const MOST_DEVICES: usize = 64;
/// Services of one device that are kept.
const MOST_SERVICES: usize = 256;

/// The services of one device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Seen {
    /// What the device may be called on a command line: names, uuid, addresses.
    names: Vec<String>,
    services: Vec<String>,
}

/// Keeps the names of a device's services.
pub(super) fn learn<'a>(
    context: &Context,
    reached: &Reached,
    services: impl Iterator<Item = &'a str>,
) {
    let mut services: Vec<String> = services.map(str::to_owned).collect();
    services.sort();
    services.dedup();
    services.truncate(MOST_SERVICES);
    let names = names(reached);
    let kept = keep(
        &context.environment.paths.seen_services(),
        Seen { names, services },
    );
    if let Err(error) = kept {
        context
            .console
            .detail(&format!("the services cannot be remembered: {error}"));
    }
}

fn names(reached: &Reached) -> Vec<String> {
    let device = &reached.device;
    let mut names = vec![device.name.clone()];
    names.extend(device.uuid.clone());
    names.extend(
        device
            .addresses
            .iter()
            .map(|address| address.ip.to_string()),
    );
    if let Kind::Ours(info) = &reached.kind {
        names.extend([info.hostname.clone(), info.uuid.clone()]);
    }
    names.sort();
    names.dedup();
    names
}

/// Whether a device had a service of this name.
pub(super) fn has(context: &Context, name: &str) -> bool {
    let all = load(&context.environment.paths.seen_services());
    all.iter()
        .any(|seen| seen.services.iter().any(|service| service == name))
}

fn keep(path: &Path, seen: Seen) -> Result<(), FileError> {
    let mut all = load(path);
    if all.first() == Some(&seen) {
        return Ok(());
    }
    all.retain(|known| !known.names.iter().any(|name| seen.names.contains(name)));
    all.insert(0, seen);
    all.truncate(MOST_DEVICES);
    record_file::replace(path, &all)
}

/// What is kept; nothing when there is no file or it is of no use.
pub(super) fn load(path: &Path) -> Vec<Seen> {
    record_file::read(path).ok().flatten().unwrap_or_default()
}

/// The services of the devices that are among these words; those of all devices when none is.
pub(super) fn of_line<'a>(all: &[Seen], words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let bare = |word: &'a str| word.strip_suffix(".local").unwrap_or(word);
    let words: Vec<&str> = words.map(bare).collect();
    let is_named = |seen: &&Seen| seen.names.iter().any(|name| words.contains(&name.as_str()));
    let mut meant: Vec<&Seen> = all.iter().filter(is_named).collect();
    if meant.is_empty() {
        meant = all.iter().collect();
    }
    let services = meant.iter().flat_map(|seen| &seen.services);
    let mut services: Vec<String> = services.cloned().collect();
    services.sort();
    services.dedup();
    services
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(name: &str, services: &[&str]) -> Seen {
        Seen {
            names: vec![name.to_owned()],
            services: services.iter().map(|&name| name.to_owned()).collect(),
        }
    }

    #[test]
    fn a_device_is_kept_once_with_what_it_had_last() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("os/services.json");
        keep(&path, seen("a", &["web"])).unwrap();
        keep(&path, seen("b", &["worker"])).unwrap();
        keep(&path, seen("a", &["web", "db"])).unwrap();
        let all = [seen("a", &["web", "db"]), seen("b", &["worker"])];
        assert_eq!(load(&path), all);
        fs_err::write(&path, "rubbish").unwrap();
        assert_eq!(load(&path), []);
        keep(&path, seen("a", &["web"])).unwrap();
        assert_eq!(load(&path), [seen("a", &["web"])]);
    }

    #[test]
    fn the_services_of_the_device_that_is_named_are_offered() {
        let all = [seen("a", &["web", "db"]), seen("b", &["worker"])];
        let of = |line: &[&str]| of_line(&all, line.iter().copied());
        assert_eq!(of(&["os", "restart", "a.local"]), ["db", "web"]);
        assert_eq!(of(&["os", "restart", "b"]), ["worker"]);
        assert_eq!(of(&["os", "logs"]), ["db", "web", "worker"]);
    }
}
