//! The packages of the image and those of the virtual device, by `os-build/layers/packages.map`.

use super::text;
use std::collections::{BTreeMap, BTreeSet};

/// Lines without comments and without what is blank.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

fn of_the_virtual_device() -> BTreeSet<String> {
    lines(&text("os-build/virtual/packages"))
        .map(str::to_owned)
        .collect()
}

/// What the package groups bring along, weakly or not, but for variables: those are a board's.
fn of_the_image() -> BTreeSet<String> {
    let recipe = text("os-build/layers/meta-os/recipes-core/packagegroups/packagegroup-os.bb")
        .replace("\\\n", " ");
    let groups: Vec<&str> = recipe
        .lines()
        .filter(|line| line.starts_with("RDEPENDS:") || line.starts_with("RRECOMMENDS:"))
        .collect();
    assert!(!groups.is_empty());
    groups
        .iter()
        .flat_map(|line| line.split_once('=').expect("a value").1.split_whitespace())
        .map(|word| word.trim_matches('"'))
        .filter(|word| !word.is_empty() && !word.starts_with("${"))
        .map(str::to_owned)
        .collect()
}

/// Debian's names to those of the image.
fn map() -> Vec<(String, Vec<String>)> {
    let text = text("os-build/layers/packages.map");
    let map: Vec<(String, Vec<String>)> = lines(&text)
        .map(|line| {
            let mut words = line.split_whitespace().map(str::to_owned);
            (words.next().expect("a name"), words.collect())
        })
        .collect();
    for line in text.lines().filter(|line| {
        line.starts_with("- ")
            || line
                .split_whitespace()
                .nth(1)
                .is_some_and(|word| word == "-")
    }) {
        assert!(line.contains('#'), "no reason: {line}");
    }
    map
}

#[test]
fn both_sides_have_the_packages_of_the_map() {
    let mut debian = BTreeMap::new();
    let mut image = BTreeSet::new();
    for (name, packages) in map() {
        assert!(!packages.is_empty(), "{name} is mapped to nothing");
        if name != "-" {
            assert!(
                debian.insert(name.clone(), packages.clone()).is_none(),
                "{name} twice"
            );
        }
        image.extend(packages.into_iter().filter(|package| package != "-"));
    }
    let mapped: BTreeSet<String> = debian.into_keys().collect();
    let difference = |left: &BTreeSet<String>, right: &BTreeSet<String>| -> Vec<String> {
        left.difference(right).cloned().collect()
    };
    let device = of_the_virtual_device();
    assert_eq!(
        (difference(&device, &mapped), difference(&mapped, &device)),
        (vec![], vec![]),
        "on the virtual device and not in the map; in the map and not on the virtual device"
    );
    let groups = of_the_image();
    assert_eq!(
        (difference(&groups, &image), difference(&image, &groups)),
        (vec![], vec![]),
        "in the package groups and not in the map; in the map and not in the package groups"
    );
}
