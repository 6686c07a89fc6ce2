//! Decisions about real folders.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use super::decide::{Begun, Decision, Known, Then, decide};
use crate::engine::Mounts;
use crate::project::{
    BuildSpec,
    context::{BuildContext, ContextRequest, prepare},
    dockerfile::{Base, Recipe, recipe},
};

struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[&str]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for file in files {
            folder.write(file, "first");
        }
        folder
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.0.path().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn remove(&self, path: &str) {
        fs_err::remove_file(self.0.path().join(path)).unwrap();
    }

    fn read(&self, dockerfile: &str) -> BuildContext {
        self.write("Dockerfile", dockerfile);
        let root: &Path = self.0.path();
        prepare(&ContextRequest {
            project_root: root,
            service: "web",
            build: &BuildSpec {
                context: root.to_owned(),
                ..BuildSpec::default()
            },
            contexts: &[],
            multi_dockerignore: false,
            cache_dir: None,
            device_type: "board",
            arch: "amd64",
            is_live: true,
        })
        .unwrap()
    }
}

fn recipe_of(context: &BuildContext) -> Recipe {
    let base = |_: &str| Some(Base::default());
    recipe(&context.dockerfile_text, None, &BTreeMap::new(), &base).unwrap()
}

/// What is decided for a change, in short.
fn decided(dockerfile: &str, files: &[&str], change: impl FnOnce(&Folder)) -> String {
    decided_with(dockerfile, files, (&[], Begun::default()), change)
}

fn decided_with(
    dockerfile: &str,
    files: &[&str],
    (folders, begun): (&[&str], Begun),
    change: impl FnOnce(&Folder),
) -> String {
    let folder = Folder::new(files);
    let before = folder.read(dockerfile);
    change(&folder);
    let text = fs_err::read_to_string(folder.0.path().join("Dockerfile")).unwrap();
    let after = folder.read(&text);
    let recipe = recipe_of(&before);
    let folders: BTreeSet<String> = folders.iter().map(|&folder| folder.to_owned()).collect();
    let known = Known {
        recipe: &recipe,
        folders: &folders,
        mounts: &Mounts::default(),
        begun: &begun,
    };
    let text = |path: &[u8]| String::from_utf8_lossy(path).into_owned();
    match decide(known, &before, &after) {
        Decision::Nothing => "nothing".to_owned(),
        Decision::Rebuild(because) => format!("rebuild: {because}"),
        Decision::Bring(bring) => {
            let mut words = Vec::new();
            words.extend(bring.remove.iter().map(|path| format!("-{}", text(path))));
            words.extend(
                bring
                    .remove_folders
                    .iter()
                    .map(|path| format!("-{}/", text(path))),
            );
            words.extend(bring.put.iter().map(|(path, _)| format!("+{}", text(path))));
            for then in &bring.then {
                match then {
                    Then::Run(run) => words.push(format!("$ {}", run.text)),
                    Then::Put(put) => {
                        words.extend(put.iter().map(|(path, _)| format!("again {}", text(path))));
                    }
                }
            }
            words.extend(bring.restart.then(|| "restart".to_owned()));
            words.join(" ")
        }
    }
}

const SIMPLE: &str = "FROM a\nWORKDIR /app\nCOPY src .\nCOPY a.conf /etc/\nCMD x\n";
const FILES: [&str; 5] = ["src/one", "src/two/three", "a.conf", "README", "Dockerfile"];

#[test]
fn what_is_not_in_the_image_needs_nothing() {
    assert_eq!(decided(SIMPLE, &FILES, |_| {}), "nothing");
    assert_eq!(
        decided(SIMPLE, &FILES, |folder| folder.write("README", "second")),
        "nothing"
    );
    assert_eq!(
        decided(SIMPLE, &FILES, |folder| folder.remove("README")),
        "nothing"
    );
}

#[test]
fn files_are_put_removed_and_moved() {
    let edited = decided(SIMPLE, &FILES, |folder| {
        folder.write("src/one", "second");
        folder.write("src/new/deep", "first");
        folder.write("a.conf", "second");
    });
    assert_eq!(
        edited,
        "+app/new +app/new/deep +app/one +etc/a.conf restart"
    );
    let deep = ["src/a/one", "src/a/b/two", "Dockerfile"];
    let moved = decided(SIMPLE, &deep, |folder| {
        folder.remove("src/a/b/two");
        fs_err::remove_dir(folder.0.path().join("src/a/b")).unwrap();
        folder.write("src/a/four", "first");
    });
    assert_eq!(moved, "-/app/a/b/two -/app/a/b/ +app/a/four restart");
    let other_kind = decided(SIMPLE, &FILES, |folder| {
        folder.remove("src/one");
        folder.write("src/one/inside", "first");
    });
    assert_eq!(other_kind, "-/app/one +app/one +app/one/inside restart");
}

#[test]
fn what_only_a_build_knows_is_built() {
    // The image below may have a file of this name.
    let gone = decided(SIMPLE, &FILES, |folder| folder.remove("src/one"));
    assert_eq!(
        gone,
        "rebuild: /app/one is gone, and the image may have another one below it"
    );
    // Somebody else may have files in it.
    let other_kind = decided(SIMPLE, &FILES, |folder| {
        folder.remove("src/two/three");
        fs_err::remove_dir(folder.0.path().join("src/two")).unwrap();
        folder.write("src/two", "first");
    });
    assert_eq!(other_kind, "rebuild: /app/two is no folder any more");
    for text in [
        "FROM a\nCOPY way/config /etc/\n",
        "FROM a\nCOPY way /etc/\n",
    ] {
        let behind = decided(text, &["ways/dev/config", "README"], |folder| {
            let link = folder.0.path().join("way");
            fs_err::os::unix::fs::symlink("ways/dev", link).unwrap();
        });
        assert_eq!(
            behind, "rebuild: what is copied is behind the link way",
            "{text}"
        );
    }
}

#[test]
fn what_was_begun_is_done_again() {
    let text = "FROM a\nCOPY package.json .\nRUN install\nCOPY src src\n";
    let begun = |path: &str| Begun {
        first: Some(0),
        paths: BTreeSet::from([path.as_bytes().to_vec()]),
    };
    let files = ["package.json", "src/a/one"];
    assert_eq!(
        decided_with(text, &files, (&[], begun("package.json")), |_| {}),
        "+package.json $ install again src/a again src/a/one restart"
    );
    assert_eq!(
        decided_with(text, &files, (&[], begun("src/a/new")), |_| {}),
        "-/src/a/new $ install again src/a again src/a/one restart"
    );
}

#[test]
fn the_last_copy_to_a_place_is_there() {
    let text = "FROM a\nCOPY one /x\nCOPY two /x\n";
    let files = ["one", "two"];
    assert_eq!(
        decided(text, &files, |folder| folder.write("one", "second")),
        "nothing"
    );
    assert_eq!(
        decided(text, &files, |folder| folder.write("two", "second")),
        "+x restart"
    );
    let into = (&["/x"][..], Begun::default());
    let edited = decided_with(text, &files, into, |folder| folder.write("one", "second"));
    assert_eq!(edited, "+x/one restart");
}

#[test]
fn commands_behind_a_copy_are_run_again() {
    let text =
        "FROM a\nRUN zero\nCOPY package.json .\nRUN install\nCOPY src src\nRUN build\nCMD x\n";
    let files = ["package.json", "src/one"];
    assert_eq!(
        decided(text, &files, |folder| folder
            .write("package.json", "second")),
        "+package.json $ install again src/one $ build restart"
    );
    assert_eq!(
        decided(text, &files, |folder| folder.write("src/one", "second")),
        "+src/one $ build restart"
    );
    // What is copied twice counts from the first time on.
    let twice = "FROM a\nCOPY package.json .\nRUN install\nCOPY . .\nRUN build\nCMD x\n";
    assert_eq!(
        decided(twice, &files, |folder| folder
            .write("package.json", "second")),
        "+package.json $ install again Dockerfile again package.json again src again src/one $ build restart"
    );
    let hidden = "FROM a\nCOPY package.json /x\nRUN use\nCOPY src/one /x\nCMD x\n";
    assert_eq!(
        decided(hidden, &files, |folder| folder
            .write("package.json", "second")),
        "rebuild: `use` has to be run again, and a file that it used was replaced behind it"
    );
    let mounted = text.replace("RUN build", "RUN --mount=type=cache,target=/c build");
    assert_eq!(
        decided(&mounted, &files, |folder| folder.write("src/one", "second")),
        "rebuild: `build` has to be run again, and it has mounts that are there in builds only"
    );
}

#[test]
fn behind_a_live_command_nothing_is_restarted() {
    let text = "FROM a\nCOPY package.json .\nRUN install\n#dev-cmd-live=npm run dev\nCOPY src src\nRUN build\nCMD x\n";
    let files = ["package.json", "src/one"];
    assert_eq!(
        decided(text, &files, |folder| folder.write("src/one", "second")),
        "+src/one"
    );
    assert_eq!(
        decided(text, &files, |folder| folder
            .write("package.json", "second")),
        "+package.json $ install again src/one restart"
    );
}

#[test]
fn an_image_is_built_anew_where_that_is_the_only_way() {
    let edit = |folder: &Folder| folder.write("src/one", "second");
    for (text, expected) in [
        (
            "FROM a AS b\nCOPY src .\nFROM c\nCOPY --from=b /x /x\n",
            "rebuild: src/one has changed, and stage b is made of it",
        ),
        (
            "FROM a\nADD src.tar /\nCOPY $X /\n",
            "rebuild: src/one has changed, and the names of a COPY of it are not known",
        ),
    ] {
        assert_eq!(decided(text, &FILES, edit), expected);
    }
    let changed = decided(SIMPLE, &FILES, |folder| {
        folder.write("Dockerfile", "FROM b\n");
    });
    assert_eq!(changed, "rebuild: its Dockerfile has changed");
    // What has no meaning in it is no change of it.
    let ignored = decided(SIMPLE, &FILES, |folder| {
        folder.write(".dockerignore", "src/two/three\nsrc/new\n");
        folder.write("src/new", "first");
        folder.write("src/two/four", "first");
    });
    assert_eq!(ignored, "-/app/two/three +app/two/four restart");
}
