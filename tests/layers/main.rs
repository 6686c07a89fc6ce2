//! The Yocto layers against what they must agree with: the system tree, the virtual device, Cargo. Nothing is built, and
//! no network is asked; `os-build/layers/check` parses them.

mod disk;
mod kas;
mod packages;
mod recipes;

use std::path::{Path, PathBuf};

/// A path below the root of the repository.
fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path)
}

fn text(path: &str) -> String {
    fs_err::read_to_string(repository(path)).expect("a file of the repository")
}

/// The files below a folder with this ending, sorted.
fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![repository(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(folder).expect("a folder of the repository") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A variable of `BitBake` that is given a plain value, with its lines joined.
fn variable(text: &str, name: &str) -> Option<String> {
    let joined = text.replace("\\\n", " ");
    joined.lines().find_map(|line| {
        let (found, value) = line.split_once('=')?;
        (found.trim_end_matches([' ', '?']) == name)
            .then(|| value.trim().trim_matches('"').trim().to_owned())
    })
}

#[test]
fn every_file_is_listed() {
    testkit::source_list::assert_complete(file!());
}
