//! Every folder of `testdata/` is a project; what becomes of it is the snapshot of its name.
//!
//! `case.json` in a folder holds the options of the command line and the environment of the process.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use serde_json::{Value as Json, json};

use super::{LoadRequest, Project, ServiceSpec, Source, load};

fn testdata() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/project/testdata")
}

fn request(folder: &Path) -> LoadRequest {
    let options: Json = match fs_err::read_to_string(folder.join("case.json")) {
        Ok(text) => serde_json::from_str(&text).unwrap(),
        Err(_) => json!({}),
    };
    let known = [
        "source",
        "files",
        "dockerfile",
        "no_parent_check",
        "environment",
        "env",
        "env_files",
    ];
    let options = options.as_object().unwrap();
    assert!(
        options.keys().all(|key| known.contains(&key.as_str())),
        "{folder:?} has an option that means nothing"
    );
    let texts = |key: &str| -> Vec<String> {
        options
            .get(key)
            .map(|value| serde_json::from_value(value.clone()).unwrap())
            .unwrap_or_default()
    };
    let environment: BTreeMap<String, String> = options
        .get("environment")
        .map(|value| serde_json::from_value(value.clone()).unwrap())
        .unwrap_or_default();
    LoadRequest {
        source: options.get("source").map_or_else(
            || folder.to_owned(),
            |sub| folder.join(sub.as_str().unwrap()),
        ),
        compose_files: texts("files").into_iter().map(PathBuf::from).collect(),
        dockerfile: options
            .get("dockerfile")
            .map(|name| name.as_str().unwrap().to_owned()),
        no_parent_check: options.contains_key("no_parent_check"),
        environment,
        env: texts("env"),
        env_files: texts("env_files").into_iter().map(PathBuf::from).collect(),
    }
}

fn service(service: &ServiceSpec) -> Json {
    let source = match &service.source {
        Source::Image(image) => json!({ "image": image }),
        Source::Build(build) => json!({
            "context": build.context,
            "dockerfile": build.dockerfile,
            "target": build.target,
            "args": build.args,
            "labels": build.labels,
            "shm_size": build.shm_size,
            "extra_hosts": build.extra_hosts,
            "cache_from": build.cache_from,
            "tag": build.tag,
        }),
    };
    let mut out = json!({
        "name": service.name,
        "source": source,
        "environment": service.environment,
        "labels": service.labels,
        "composition": service.composition,
        "contract": service.contract,
    });
    for key in ["environment", "labels", "contract"] {
        let empty = out
            .get(key)
            .is_some_and(|value| value.is_null() || *value == json!({}));
        if empty {
            out.as_object_mut().unwrap().shift_remove(key);
        }
    }
    let source = out.get_mut("source").unwrap().as_object_mut().unwrap();
    source.retain(|_, value| !(value.is_null() || *value == json!({}) || *value == json!([])));
    out
}

fn shown(project: &Project) -> String {
    let warnings = project.warnings.iter().map(|warning| match &warning.at {
        Some((path, line)) => format!("{}:{line}: {}", path.display(), warning.message),
        None => warning.message.clone(),
    });
    let json = json!({
        "root": project.root,
        "compose_files": project.compose_files,
        "services": project.services.iter().map(service).collect::<Vec<_>>(),
        "volumes": project.volumes,
        "networks": project.networks,
        "warnings": warnings.collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&json).unwrap()
}

#[test]
fn every_folder_is_what_its_snapshot_says() {
    let root = fs_err::canonicalize(testdata()).unwrap();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(root.join("snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    let folders = fs_err::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let mut folders: Vec<_> = folders
        .filter(|path| path.is_dir() && !path.ends_with("snapshots"))
        .collect();
    folders.sort();
    assert!(folders.len() > 40, "the folders of testdata/ are missing");
    let mut names = BTreeSet::new();
    for folder in folders {
        let name = folder.file_name().unwrap().to_str().unwrap().to_owned();
        let text = match load(&request(&folder)) {
            Ok(project) => shown(&project),
            Err(error) => match error.hint() {
                Some(hint) => format!("{error}\nhint: {hint}"),
                None => error.to_string(),
            },
        };
        let text = text
            .replace(folder.to_str().unwrap(), "<root>")
            .replace(root.to_str().unwrap(), "<testdata>");
        settings.bind(|| insta::assert_snapshot!(name.clone(), text));
        names.insert(format!("{name}.snap"));
    }
    let snapshots = fs_err::read_dir(root.join("snapshots")).unwrap();
    let snapshots: BTreeSet<_> = snapshots
        .map(|entry| entry.unwrap().file_name().to_str().unwrap().to_owned())
        .collect();
    assert_eq!(snapshots, names, "a snapshot without a folder");
}
