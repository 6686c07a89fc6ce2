use std::{collections::BTreeMap, os::unix::fs::PermissionsExt};

use super::*;

/// All files below `folder`: path, content, whether it may be executed.
fn tree(folder: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in fs_err::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let name = path.strip_prefix(folder).unwrap().to_str().unwrap();
            let executable = path.metadata().unwrap().permissions().mode() & 0o100 != 0;
            found.insert(name.to_owned(), (fs_err::read(&path).unwrap(), executable));
        }
    }
    found
}

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../templates")
}

#[test]
fn every_folder_and_file_of_the_repository_is_carried() {
    let mut folders: Vec<String> = fs_err::read_dir(source())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    folders.sort();
    let names: Vec<_> = ALL.iter().map(|template| template.name).collect();
    assert_eq!(folders, names);

    for template in ALL {
        let carried: BTreeMap<_, _> = template
            .files
            .iter()
            .map(|file| {
                (
                    file.path.to_owned(),
                    (file.content.to_vec(), file.executable),
                )
            })
            .collect();
        assert!(
            carried == tree(&source().join(template.name)),
            "{} differs from its folder",
            template.name
        );
    }
}

#[test]
fn a_project_is_written_as_it_is_in_the_repository() {
    let home = tempfile::tempdir().unwrap();
    for template in ALL {
        let folder = home.path().join("new").join(template.name);
        template.write(&folder).unwrap();
        assert!(tree(&folder) == tree(&source().join(template.name)));
    }
}

#[test]
fn files_that_are_there_are_kept_and_nothing_is_added() {
    let home = tempfile::tempdir().unwrap();
    fs_err::write(home.path().join("Dockerfile"), "FROM mine").unwrap();
    let error = find("web").unwrap().write(home.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("{} already has Dockerfile", home.path().display())
    );
    assert_eq!(
        tree(home.path()).into_iter().collect::<Vec<_>>(),
        [("Dockerfile".to_owned(), (b"FROM mine".to_vec(), false))]
    );
}

#[test]
fn a_dangling_link_is_not_written_through() {
    let home = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink("elsewhere", home.path().join("start.sh")).unwrap();
    let error = find("web").unwrap().write(home.path()).unwrap_err();
    assert!(matches!(error, WriteError::Occupied { .. }), "{error}");
}

#[test]
fn what_was_begun_is_taken_back_when_it_cannot_be_finished() {
    let home = tempfile::tempdir().unwrap();
    // `public` has to be a folder; the files before it are written first.
    fs_err::write(home.path().join("public"), "a file").unwrap();
    let error = find("web").unwrap().write(home.path()).unwrap_err();
    assert!(matches!(error, WriteError::Write { .. }), "{error}");
    assert_eq!(
        tree(home.path()).into_keys().collect::<Vec<_>>(),
        ["public"]
    );
}
