//! Every seed, and every input that once broke a parser, through the same functions as the fuzz targets.

#[path = "src/lib.rs"]
mod targets;

use std::{
    panic::catch_unwind,
    path::{Path, PathBuf},
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The names in a folder, sorted.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs_err::read_dir(folder).expect("a folder");
    let mut names: Vec<String> = entries
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    names
}

#[test]
fn every_seed_and_every_past_finding_holds() {
    let mut broken = Vec::new();
    for (target, _) in targets::ALL {
        for kind in ["seeds", "regressions"] {
            let inputs = folder().join(kind).join(target);
            if kind == "regressions" && !inputs.exists() {
                continue;
            }
            for name in names(&inputs) {
                let input = fs_err::read(inputs.join(&name)).expect("an input");
                if catch_unwind(|| targets::run(target, &input)).is_err() {
                    broken.push(format!("{kind}/{target}/{name}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "does not hold for {broken:#?}");
}

#[test]
fn every_target_is_built_and_has_seeds() {
    let listed: Vec<&str> = targets::ALL.iter().map(|(name, _)| *name).collect();
    assert!(listed.is_sorted(), "out of order: {listed:?}");
    let programs: Vec<String> = listed.iter().map(|name| format!("{name}.rs")).collect();
    assert_eq!(names(&folder().join("targets")), programs);
    assert_eq!(names(&folder().join("seeds")), listed);
    let manifest = fs_err::read_to_string(folder().join("Cargo.toml")).expect("the manifest");
    for name in listed {
        assert!(
            manifest.contains(&format!("\"targets/{name}.rs\"")),
            "{name}"
        );
        assert!(
            !names(&folder().join("seeds").join(name)).is_empty(),
            "{name}"
        );
        let program = folder().join("targets").join(format!("{name}.rs"));
        let program = fs_err::read_to_string(program).expect("a program");
        assert!(
            program.contains(&format!("run(\"{name}\", input)")),
            "{name}"
        );
    }
    for name in names(&folder().join("regressions")) {
        assert!(
            targets::ALL.iter().any(|(known, _)| *known == name),
            "{name}"
        );
    }
}
