//! The recipes of what this repository builds: crates, versions, the compiler, the licence.

use super::{files, repository, text, variable};
use fs_err::File;
use std::process::{Command, Stdio};

#[test]
fn the_crates_of_the_recipe_are_those_of_cargo_lock() {
    let lock = File::open(repository("Cargo.lock")).expect("Cargo.lock");
    let output = Command::new(repository("os-build/layers/crates"))
        .stdin(lock.into_parts().0)
        .stderr(Stdio::inherit())
        .output()
        .expect("the script starts");
    assert!(output.status.success());
    let written = String::from_utf8(output.stdout).expect("text");
    let committed = text("os-build/layers/meta-os/recipes-core/os-agent/os-agent-crates.inc");
    assert!(
        written == committed,
        "the crates of the recipe are not those of Cargo.lock: os-build/layers/crates says how to write them"
    );
    // The script reads by lines: what it counts as a crate is what Cargo does.
    let crates = text("Cargo.lock").matches("\nsource = ").count();
    assert_eq!(written.matches("crate://crates.io/").count(), crates);
    assert_eq!(written.matches(".sha256sum] = ").count(), crates);
}

#[test]
fn crates_from_elsewhere_are_refused() {
    let lock = tempfile::NamedTempFile::new().expect("a file");
    fs_err::write(
        lock.path(),
        "[[package]]\nname = \"other\"\nversion = \"1.0.0\"\nsource = \"git+https://example.com/other#1\"\n",
    )
    .expect("written");
    let output = Command::new(repository("os-build/layers/crates"))
        .stdin(File::open(lock.path()).expect("a file").into_parts().0)
        .output()
        .expect("the script starts");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("other comes from git+"), "{said}");
}

/// A key of the workspace's manifest, as it stands there.
fn of_the_workspace(key: &str) -> String {
    text("Cargo.toml")
        .lines()
        .find_map(|line| line.strip_prefix(&format!("{key} = ")).map(str::to_owned))
        .unwrap_or_else(|| panic!("no {key} in Cargo.toml"))
        .trim_matches('"')
        .to_owned()
}

#[test]
fn versions_are_those_of_the_workspace() {
    let version = of_the_workspace("version");
    let distro = text("os-build/layers/meta-os/conf/distro/os.conf");
    assert_eq!(variable(&distro, "DISTRO_VERSION"), Some(version.clone()));
    for name in ["os-agent", "os-system"] {
        let recipes = files("os-build/layers/meta-os", &format!("{name}_{version}.bb"));
        assert_eq!(recipes.len(), 1, "a recipe {name}_{version}.bb");
    }
}

#[test]
fn recipes_of_ours_have_the_licence_of_the_workspace() {
    let licence = of_the_workspace("license");
    for recipe in files("os-build/layers", ".bb") {
        let text = fs_err::read_to_string(&recipe).expect("a recipe");
        assert_eq!(
            variable(&text, "LICENSE").as_deref(),
            Some(licence.as_str()),
            "{}",
            recipe.display()
        );
    }
}
