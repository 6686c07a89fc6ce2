use std::collections::BTreeMap;

use super::{BuildSecret, Metadata, MetadataError, load};

fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }
    folder
}

fn map(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect()
}

#[test]
fn a_project_without_metadata_has_none() {
    assert_eq!(load(project(&[]).path()).unwrap(), Metadata::default());
    assert_eq!(
        load(project(&[(".balena/x", "")]).path()).unwrap(),
        Metadata::default()
    );
}

#[test]
fn variables_are_lists_or_mappings_and_a_service_s_own_win() {
    let folder = project(&[(
        ".balena/balena.yml",
        "build-variables:\n  global:\n    - A=1\n    - B=x=y\n  services:\n    web:\n      A: 2\n      C:\n      D: yes\n",
    )]);
    let metadata = load(folder.path()).unwrap();
    assert_eq!(
        metadata.build_arguments("web"),
        map(&[("A", "2"), ("B", "x=y"), ("C", ""), ("D", "yes")])
    );
    assert_eq!(
        metadata.build_arguments("other"),
        map(&[("A", "1"), ("B", "x=y")])
    );
    let old = project(&[(
        ".resin/resin.json",
        "{\n\t\"build-variables\": {\"global\": {\"A\": \"1\"}}\n}",
    )]);
    assert_eq!(
        load(old.path()).unwrap().build_arguments("web"),
        map(&[("A", "1")])
    );
}

#[test]
fn secrets_are_files_of_the_secrets_folder() {
    let folder = project(&[
        (".balena/secrets/a/key", "k"),
        (".balena/secrets/b", "k"),
        (
            ".balena/balena.yaml",
            "build-secrets:\n  global:\n    - source: a/key\n      dest: key\n  services:\n    web:\n      - {source: b, dest: d/b}\n",
        ),
    ]);
    let metadata = load(folder.path()).unwrap();
    let secret = |source: &str, dest: &str| BuildSecret {
        source: fs_err::canonicalize(folder.path())
            .unwrap()
            .join(".balena/secrets")
            .join(source),
        dest: dest.to_owned(),
    };
    assert_eq!(
        metadata.build_secrets("web"),
        [&secret("a/key", "key"), &secret("b", "d/b")]
    );
    assert_eq!(metadata.build_secrets("x"), [&secret("a/key", "key")]);
}

#[test]
fn mistakes_are_named_with_their_line() {
    let cases = [
        (
            "build-variables: x",
            ":1: build-variables must be a mapping",
        ),
        (
            "build-variables:\n  globl: {}",
            ":2: build-variables: unknown key globl; known are global and services",
        ),
        (
            "build-variables:\n  global:\n    - A",
            ":3: a build variable is written NAME=VALUE",
        ),
        (
            "build-variables:\n  global:\n    A: [1]",
            ":3: A must be text",
        ),
        (
            "build-secrets:\n  global:\n    - source: a",
            ":3: a build secret needs both source and dest",
        ),
        (
            "build-secrets:\n  global:\n    - {source: ../a, dest: b}",
            ":3: source must be a relative path without ..",
        ),
        (
            "build-secrets:\n  global:\n    - {source: none, dest: b}",
            ":3: source none is not in",
        ),
        (
            "build-secrets:\n  global:\n    - {source: a, dest: /b}",
            ":3: dest must be a relative path",
        ),
        (
            "build-secrets:\n  global:\n    - {mode: a}",
            ":3: a build secret has source and dest, not mode",
        ),
        ("a: [", ":"),
    ];
    for (text, expected) in cases {
        let folder = project(&[(".balena/balena.yml", text)]);
        let error = load(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("balena.yml:") && error.contains(expected),
            "{text:?}: {error}"
        );
    }
}

#[test]
fn unknown_keys_are_warned_about_and_two_folders_refused() {
    let folder = project(&[(".balena/balena.yml", "\nother: 1\n")]);
    let warnings = load(folder.path()).unwrap().warnings;
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0].at.as_ref().unwrap().1, 2);
    let folder = project(&[(".balena/x", ""), (".resin/x", "")]);
    assert!(matches!(
        load(folder.path()),
        Err(MetadataError::Both { .. })
    ));
}

#[test]
fn a_link_out_of_the_secrets_folder_is_no_secret() {
    let text = "build-secrets:\n  global:\n    - {source: key, dest: key}\n";
    let folder = project(&[(".balena/balena.yml", text), (".balena/secrets/x", "")]);
    let secrets = folder.path().join(".balena/secrets");
    fs_err::os::unix::fs::symlink("/etc/passwd", secrets.join("key")).unwrap();
    let error = load(folder.path()).unwrap_err().to_string();
    assert!(error.contains("source key is not in"), "{error}");
    // Nor does it help that the folder itself is the link.
    fs_err::rename(&secrets, folder.path().join("moved")).unwrap();
    fs_err::write(folder.path().join("key"), "").unwrap();
    fs_err::os::unix::fs::symlink("..", &secrets).unwrap();
    load(folder.path()).unwrap_err();
}
