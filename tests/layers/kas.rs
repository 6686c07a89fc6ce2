//! The kas files: pinned, composed of layers that exist, a board layer for each board.

use super::{files, repository, text};
use std::collections::BTreeMap;

/// `machine:` of a kas file.
fn machine(text: &str) -> Option<&str> {
    text.lines().find_map(|line| line.strip_prefix("machine: "))
}

/// A repository of the kas files: its keys, each of one line.
type Repository = BTreeMap<String, String>;

/// The repositories of all kas files but those of the overlays, which replace addresses by folders.
fn repositories() -> BTreeMap<String, Repository> {
    let mut found: BTreeMap<String, Repository> = BTreeMap::new();
    for path in files("os-build/kas", ".yml") {
        if path.to_string_lossy().contains("offline") {
            continue;
        }
        let text = fs_err::read_to_string(&path).expect("a kas file");
        let (_, repositories) = text.split_once("\nrepos:\n").expect("repositories");
        let mut name = "";
        for line in repositories.lines() {
            if line.starts_with(char::is_alphabetic) {
                break;
            }
            let indent = line.len() - line.trim_start().len();
            let Some((key, value)) = line.trim().split_once(':') else {
                continue;
            };
            if line.trim().starts_with('#') {
                continue;
            }
            if indent == 2 {
                name = key;
                found.entry(key.to_owned()).or_default();
            } else {
                let repository = found.get_mut(name).expect("a repository");
                repository.insert(key.to_owned(), value.trim().to_owned());
            }
        }
    }
    found
}

#[test]
fn foreign_layers_are_pinned() {
    let repositories = repositories();
    assert!(repositories.len() > 4, "{repositories:?}");
    for (name, repository) in &repositories {
        if name == "os" {
            continue;
        }
        let url = repository.get("url").map_or("", String::as_str);
        assert!(url.starts_with("https://"), "{name}: {url}");
        let commit = repository.get("commit").map_or("", String::as_str);
        assert!(
            commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()),
            "{name}: {commit}"
        );
    }
}

#[test]
fn clones_can_stand_in_for_every_foreign_layer() {
    let overlay = text("os-build/kas/offline.yml") + &text("os-build/kas/offline-raspberrypi.yml");
    for name in repositories().keys().filter(|name| *name != "os") {
        assert!(
            overlay.contains(&format!("\n  {name}:\n    url: null\n    path: {name}\n")),
            "{name}"
        );
    }
}

#[test]
fn the_layers_of_this_repository_exist() {
    let layers: Vec<String> = repositories()["os"]
        .keys()
        .filter(|key| key.contains('/'))
        .cloned()
        .collect();
    assert_eq!(layers.len(), 4, "{layers:?}");
    for layer in layers {
        let conf = repository(&layer).join("conf/layer.conf");
        assert!(conf.exists(), "{}", conf.display());
    }
}

#[test]
fn every_board_has_a_file_of_its_board_layer() {
    let boards: Vec<(String, String)> = files("os-build/kas", ".yml")
        .iter()
        .filter_map(|path| {
            let text = fs_err::read_to_string(path).expect("a kas file");
            let name = path.file_stem()?.to_str()?.to_owned();
            Some((name, machine(&text)?.to_owned()))
        })
        .collect();
    assert!(boards.len() >= 3, "{boards:?}");
    for (name, machine) in boards {
        assert_eq!(name, machine);
        let wanted = format!("conf/machine/include/os-{machine}.inc");
        let found = files("os-build/layers", ".inc");
        assert!(found.iter().any(|path| path.ends_with(&wanted)), "{wanted}");
    }
}
