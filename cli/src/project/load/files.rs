//! Which compose files a folder has.
//!
//! In: a folder. Out: the file and its overlay for development, and a warning where a choice was made.

use std::path::{Path, PathBuf};

use crate::project::Warning;

/// Names of a compose file, the one that Compose prefers first.
pub(super) const NAMES: &[&str] = &[
    "compose.yaml",
    "compose.yml",
    "docker-compose.yml",
    "docker-compose.yaml",
];
/// Names of the overlay that only a push to a local device reads.
const OVERLAYS: &[&str] = &[
    "docker-compose.dev.yml",
    "docker-compose.dev.yaml",
    "compose.dev.yml",
    "compose.dev.yaml",
];
/// Names of an overlay that Compose would read by itself and a push does not.
const UNREAD: &[&str] = &[
    "compose.override.yaml",
    "compose.override.yml",
    "docker-compose.override.yml",
    "docker-compose.override.yaml",
];

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In merge order; empty where there is no compose file.
    pub(super) files: Vec<PathBuf>,
    pub(super) warnings: Vec<Warning>,
}

/// Looks into a folder.
pub(super) fn find(root: &Path) -> Found {
    let mut found = Found::default();
    let Some(base) = one_of(root, NAMES, &mut found.warnings) else {
        return found;
    };
    found.files.push(base);
    found
        .files
        .extend(one_of(root, OVERLAYS, &mut found.warnings));
    for name in present(root, UNREAD) {
        let message = format!("{name} is not read; to use it, name all files with -f");
        found.warnings.push(Warning { at: None, message });
    }
    found
}

/// The compose file of a folder, for the question whether it has one.
pub(super) fn compose_file(folder: &Path) -> Option<PathBuf> {
    present(folder, NAMES).first().map(|name| folder.join(name))
}

fn one_of(root: &Path, names: &[&str], warnings: &mut Vec<Warning>) -> Option<PathBuf> {
    let present = present(root, names);
    let (first, others) = present.split_first()?;
    if !others.is_empty() {
        let message = format!(
            "{first} is read, {} is not; name files with -f to choose",
            others.join(", ")
        );
        warnings.push(Warning { at: None, message });
    }
    Some(root.join(first))
}

fn present<'n>(root: &Path, names: &[&'n str]) -> Vec<&'n str> {
    // A link that leads nowhere is there: it shall be reported and not overlooked.
    names
        .iter()
        .copied()
        .filter(|name| fs_err::symlink_metadata(root.join(name)).is_ok())
        .collect()
}
