//! An installed tree, and the files that it is made of.

use std::path::{Path, PathBuf};
use std::process::Command;

use fs_err as fs;

/// A folder of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .join(path)
}

/// The words of each line of a file of `os-build/`, without comments.
pub(crate) fn words(path: &str) -> Vec<Vec<String>> {
    let text = fs::read_to_string(repository("os-build").join(path)).expect("a list");
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default())
        .map(|line| line.split_whitespace().map(str::to_owned).collect())
        .filter(|words: &Vec<String>| !words.is_empty())
        .collect()
}

/// The tree, installed for one test.
pub(crate) struct Tree {
    folder: tempfile::TempDir,
}

impl Tree {
    pub(crate) fn install() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let installed = Command::new(repository("os-build/system/install.sh"))
            .arg(folder.path())
            .status()
            .expect("install.sh runs");
        assert!(installed.success(), "install.sh: {installed}");
        Self { folder }
    }

    /// A place in it, by its path on the device.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.folder.path().join(path.trim_start_matches('/'))
    }

    /// The text of a unit of ours.
    pub(crate) fn unit(&self, name: &str) -> Option<String> {
        ["etc/systemd/system", "usr/lib/systemd/system"]
            .iter()
            .find_map(|folder| fs::read_to_string(self.place(folder).join(name)).ok())
    }

    /// Every file and link in it, by its path on the device.
    pub(crate) fn files(&self) -> Vec<String> {
        let mut found = Vec::new();
        let mut folders = vec![self.folder.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder").flatten() {
                let path = entry.path();
                if entry.file_type().expect("a kind").is_dir() {
                    folders.push(path);
                } else {
                    let below = path.strip_prefix(self.folder.path()).expect("below it");
                    found.push(format!("/{}", below.display()));
                }
            }
        }
        found.sort();
        found
    }
}
