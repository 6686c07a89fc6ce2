//! A folder without compose file: one service from one Dockerfile.
//!
//! In: the folder and the options. Out: the project that the reference client makes of it: service `main`, privileged, in
//! the host's network, with one volume. Which Dockerfile variant is taken is decided later, when the device is known.

use std::path::{Path, PathBuf};

use serde_json::{Map, Value as Json, json};

use super::{LoadRequest, files, named, variables};
use crate::project::{
    BuildSpec, Project, ProjectError, ServiceSpec, Source,
    compose::{self, inside, is_variable_name},
};

/// The name of the only service.
const SERVICE: &str = "main";
/// Features of the device that the only service may use.
const FEATURES: &[&str] = &[
    "kernel-modules",
    "firmware",
    "dbus",
    "supervisor-api",
    "resin-api",
];

pub(super) fn load(request: &LoadRequest, root: PathBuf) -> Result<Project, ProjectError> {
    let dockerfile = if let Some(given) = &request.dockerfile {
        Some(dockerfile(&root, given)?)
    } else {
        if !request.no_parent_check
            && let Some(found) = root.parent().and_then(files::compose_file)
        {
            return Err(ProjectError::PartOfParent {
                path: request.source.clone(),
                found,
            });
        }
        has_dockerfile(&request.source, &root)?;
        None
    };
    let env_files = named(&root, "the env file", &request.env_files)?;
    let environment = variables(&root, &env_files, &request.environment)?;
    if let Some(name) = environment.keys().find(|name| !is_variable_name(name)) {
        let why = "cannot be the name of a variable (letters, digits and _)".to_owned();
        return Err(ProjectError::Env {
            given: name.clone(),
            why,
        });
    }
    let (contract, warnings) = compose::context_contract(&root, &root)?;
    let service = ServiceSpec {
        name: SERVICE.to_owned(),
        source: Source::Build(BuildSpec {
            context: root.clone(),
            dockerfile,
            ..BuildSpec::default()
        }),
        environment,
        labels: FEATURES
            .iter()
            .map(|name| (format!("io.resin.features.{name}"), "1".to_owned()))
            .collect(),
        composition: composition(),
        contract,
    };
    let volumes = Map::from_iter([("resin-data".to_owned(), json!({}))]);
    Ok(Project {
        root,
        compose_files: Vec::new(),
        services: vec![service],
        volumes,
        networks: Map::new(),
        warnings,
    })
}

fn composition() -> Map<String, Json> {
    Map::from_iter([
        ("privileged".to_owned(), Json::from(true)),
        ("tty".to_owned(), Json::from(true)),
        ("restart".to_owned(), Json::from("always")),
        ("network_mode".to_owned(), Json::from("host")),
        ("volumes".to_owned(), json!(["resin-data:/data"])),
    ])
}

/// `--dockerfile`, relative to the folder.
fn dockerfile(root: &Path, given: &str) -> Result<String, ProjectError> {
    let refuse = |why: String| ProjectError::Dockerfile {
        given: given.to_owned(),
        why,
    };
    let relative =
        inside(root, given).ok_or_else(|| refuse(format!("lies outside {}", root.display())))?;
    let path = root.join(&relative);
    if path.is_file() {
        return Ok(relative);
    }
    let why = if path.exists() {
        "is not a file"
    } else {
        "does not exist"
    };
    Err(refuse(format!("{why} in {}", root.display())))
}

/// Whether the folder can be built at all.
fn has_dockerfile(source: &Path, root: &Path) -> Result<(), ProjectError> {
    let entries = fs_err::read_dir(root).map_err(|source| ProjectError::Read {
        what: "the source folder",
        source,
    })?;
    let (mut empty, mut node_project) = (true, false);
    for entry in entries {
        let entry = entry.map_err(|source| ProjectError::Read {
            what: "the source folder",
            source,
        })?;
        let name = entry.file_name();
        empty = false;
        if name == "Dockerfile"
            || name
                .to_str()
                .is_some_and(|name| name.starts_with("Dockerfile."))
        {
            return Ok(());
        }
        node_project |= name == "package.json";
    }
    let advice = if empty {
        "the folder is empty; os new makes a project to start from"
    } else if node_project {
        "there is a package.json, which alone is no longer built; add a Dockerfile"
    } else {
        "choose another folder with --source, or a Dockerfile of another name with --dockerfile"
    };
    let looked_for = ["Dockerfile", "Dockerfile.<variant>"]
        .into_iter()
        .chain(files::NAMES.iter().copied())
        .collect();
    Err(ProjectError::NothingToPush {
        path: source.to_owned(),
        looked_for,
        advice: Some(advice.to_owned()),
    })
}
