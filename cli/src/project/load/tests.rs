use std::os::unix::fs::symlink;

use serde_json::{Value as Json, json};

use super::*;
use crate::project::{ServiceSpec, Source};

fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, content) in files {
        let path = folder.path().join(name);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, content).unwrap();
    }
    folder
}

fn loaded(folder: &tempfile::TempDir) -> Result<Project, ProjectError> {
    load(&LoadRequest {
        source: folder.path().to_owned(),
        ..LoadRequest::default()
    })
}

fn failure(folder: &tempfile::TempDir) -> String {
    // Files are named as they are found from the current folder.
    loaded(folder)
        .unwrap_err()
        .to_string()
        .replace(&format!("{}/", folder.path().display()), "")
}

/// A service as the recorded bodies have it, without what is only known when it has been built.
fn on_the_wire(service: &ServiceSpec) -> Json {
    let mut out = service.composition.clone();
    out.insert("environment".to_owned(), json!(service.environment));
    out.insert("labels".to_owned(), json!(service.labels));
    Json::Object(out)
}

fn as_recorded(project: &Project, recorded: &str) {
    let recorded: Json = serde_json::from_str(recorded).unwrap();
    let services = recorded["services"].as_object().unwrap();
    assert_eq!(project.services.len(), services.len());
    for (service, recorded) in project.services.iter().zip(services.values()) {
        let mut recorded = recorded.as_object().unwrap().clone();
        assert_eq!(recorded["serviceName"], json!(service.name));
        for added_later in ["imageId", "serviceName", "serviceId", "image", "running"] {
            recorded.remove(added_later);
        }
        assert_eq!(on_the_wire(service), Json::Object(recorded));
    }
    assert_eq!(json!(project.volumes), recorded["volumes"]);
    assert_eq!(json!(project.networks), recorded["networks"]);
}

#[test]
fn a_dockerfile_becomes_what_the_reference_client_sends() {
    let folder = folder(&[("Dockerfile", b"FROM scratch\n")]);
    as_recorded(&loaded(&folder).unwrap(), include_str!("wire/single.json"));
}

#[test]
fn a_compose_file_becomes_what_the_reference_client_sends() {
    let text = fs_err::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/project/testdata/golden-two-services/docker-compose.yml"),
    );
    let folder = folder(&[
        ("docker-compose.yml", &text.unwrap()),
        ("web/Dockerfile", b"FROM scratch\n"),
        ("worker/Dockerfile", b"FROM scratch\n"),
    ]);
    let project = loaded(&folder).unwrap();
    as_recorded(&project, include_str!("wire/two-services.json"));
    let Source::Build(build) = &project.services[0].source else {
        panic!("built")
    };
    assert_eq!(build.context, project.root.join("web"));
}

#[test]
fn an_empty_folder_says_so() {
    let folder = folder(&[]);
    let error = loaded(&folder).unwrap_err();
    assert!(error.to_string().contains("found no Dockerfile"), "{error}");
    assert_eq!(
        error.hint().unwrap(),
        "the folder is empty; os new makes a project to start from"
    );
}

#[test]
fn bad_options_are_found_before_the_folder_is_read() {
    let request = LoadRequest {
        source: PathBuf::from("/does/not/exist"),
        env: vec!["NO VALUE".to_owned()],
        ..LoadRequest::default()
    };
    assert!(matches!(load(&request), Err(ProjectError::Env { .. })));
}

#[test]
fn a_file_that_is_no_text_is_refused() {
    let folder = folder(&[("compose.yml", b"services: \xff\n")]);
    assert_eq!(
        failure(&folder),
        "compose.yml:1:1: the file is not UTF-8 text"
    );
}

#[test]
fn a_file_of_any_size_ends() {
    let folder = folder(&[("compose.yml", &vec![b' '; 2 << 20])]);
    assert_eq!(
        failure(&folder),
        "compose.yml:1:1: the file is larger than 1024 KiB"
    );
}

#[test]
fn a_pipe_is_not_waited_for() {
    let folder = folder(&[("Dockerfile", b"FROM scratch\n")]);
    let pipe = folder.path().join("compose.yml");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
    assert_eq!(
        failure(&folder),
        "compose.yml:1:1: the file is a pipe, a socket or a device, not a regular file"
    );
}

#[test]
fn a_dangling_compose_file_is_named() {
    let folder = folder(&[("Dockerfile", b"FROM scratch\n")]);
    symlink("nowhere", folder.path().join("compose.yml")).unwrap();
    assert!(
        failure(&folder).contains("compose.yml"),
        "{}",
        failure(&folder)
    );
}

#[test]
fn secrets_of_env_files_are_not_repeated() {
    for text in [
        "TOKEN=s3cret$\n",
        "TOKEN=\"s3cret\n",
        "TOKEN='x' s3cret\n",
        "A=1\ns3 cret\n",
        "TOKEN=${s3cret\n",
    ] {
        for (name, compose) in [
            (".env", "services: {a: {image: x}}\n"),
            ("own.env", "services: {a: {image: x, env_file: own.env}}\n"),
        ] {
            let folder = folder(&[("compose.yml", compose.as_bytes()), (name, text.as_bytes())]);
            let failure = failure(&folder);
            assert!(failure.starts_with(name), "{failure}");
            assert!(
                !failure.contains("s3cret") && !failure.contains("cret\n"),
                "{text}: {failure}"
            );
        }
    }
}

#[test]
fn files_of_f_count_from_the_source_folder() {
    let folder = folder(&[
        ("sub/one.yml", b"services: {a: {build: .}}\n"),
        ("sub/Dockerfile", b"FROM scratch\n"),
    ]);
    let request = LoadRequest {
        source: folder.path().to_owned(),
        compose_files: vec![PathBuf::from("sub/one.yml")],
        ..LoadRequest::default()
    };
    let project = load(&request).unwrap();
    let Source::Build(build) = &project.services[0].source else {
        panic!("built")
    };
    assert_eq!(build.context, project.root.join("sub"));
}

#[test]
fn a_linked_compose_file_counts_from_where_it_stands() {
    let folder = folder(&[
        ("shared/one.yml", b"services: {a: {build: ctx}}\n"),
        ("ctx/Dockerfile", b"FROM scratch\n"),
    ]);
    symlink("shared/one.yml", folder.path().join("link.yml")).unwrap();
    let request = LoadRequest {
        source: folder.path().to_owned(),
        compose_files: vec![folder.path().join("link.yml")],
        ..LoadRequest::default()
    };
    let project = load(&request).unwrap();
    let Source::Build(build) = &project.services[0].source else {
        panic!("built")
    };
    assert_eq!(build.context, project.root.join("ctx"));
}
