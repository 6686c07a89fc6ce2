//! What arrives, and how.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
};

use super::{Project, paths, said, unpack};
use crate::project::{context::ContextError, dockerfile::DockerfileError};

#[test]
fn everything_a_folder_can_hold_arrives_as_it_is() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        ("bin/run", "x"),
        ("empty", ""),
    ]);
    fs_err::create_dir(project.root().join("hollow")).unwrap();
    project.mode("hollow", 0o700);
    project.mode("bin/run", 0o4755);
    project.link("dangling", "no/such/file");
    project.link("bin/absolute", "/etc/passwd");
    project.link("loop", "loop");
    project.link("out", "../../secret");
    project.link("bin/folder", "../hollow/");
    let long = format!("{}/{}", "d".repeat(120), "f".repeat(200));
    project.write(&long, "long");
    project.link("far", &"t/".repeat(100));
    fs_err::hard_link(
        project.root().join("bin/run"),
        project.root().join("bin/again"),
    )
    .unwrap();
    let odd = project.root().join(OsStr::from_bytes(b"caf\xe9"));
    fs_err::write(&odd, "odd").unwrap();

    let context = project.context();
    let read = unpack(&context);
    let get = |path: &str| &read[path.as_bytes()];
    assert_eq!(
        (get("hollow/").kind, get("hollow/").mode),
        (tar::EntryType::Directory, 0o700)
    );
    assert_eq!(
        (get("bin/run").mode, get("bin/run").content.as_slice()),
        (0o4755, b"x".as_slice())
    );
    assert_eq!(
        (get("bin/again").kind, get("bin/again").content.as_slice()),
        (tar::EntryType::Regular, b"x".as_slice())
    );
    for (link, target) in [
        ("dangling", "no/such/file"),
        ("bin/absolute", "/etc/passwd"),
        ("loop", "loop"),
        ("out", "../../secret"),
        ("bin/folder", "../hollow/"),
        ("far", &"t/".repeat(100)),
    ] {
        assert_eq!(
            (get(link).kind, get(link).target.as_slice()),
            (tar::EntryType::Symlink, target.as_bytes()),
            "{link}"
        );
    }
    assert_eq!(get(&long).content, b"long");
    assert_eq!(read[b"caf\xe9".as_slice()].content, b"odd");
    assert_eq!(get("empty").content, b"");
    assert_eq!((context.files, context.bytes), (6, 13 + 1 + 1 + 4 + 3));
    assert_eq!(context.warnings, []);
    let order: Vec<_> = read.keys().collect();
    assert_eq!(order.len(), 15);
}

#[test]
fn what_an_image_cannot_hold_is_left_out_and_named() {
    let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("a/b", "")]);
    let fifo = project.root().join("a/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &fifo,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::from_bits_truncate(0o600),
        0,
    )
    .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(project.root().join("sock")).unwrap();
    let context = project.context();
    assert_eq!(paths(&context), ["Dockerfile", "a/", "a/b"]);
    let said = said(&context);
    assert!(said.contains("FIFO of the workstation: a/pipe"), "{said}");
    assert!(said.contains("socket of the workstation: sock"), "{said}");
}

#[test]
fn what_may_not_be_read_is_named() {
    if rustix::process::geteuid().is_root() {
        // Root may read everything, so the same test runs as somebody else.
        let folder = tempfile::tempdir().unwrap();
        fs_err::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let program = folder.path().join("test");
        fs_err::copy(std::env::current_exe().unwrap(), &program).unwrap();
        let output = std::process::Command::new("setpriv")
            .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
            .arg(program)
            .args([
                "--exact",
                "project::context::tests::arrival::what_may_not_be_read_is_named",
            ])
            .current_dir("/")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "{said}"
        );
        return;
    }
    for (locked, mode) in [("d/file", 0o000), ("d", 0o300), ("d", 0o600)] {
        let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("d/file", "x")]);
        project.mode(locked, mode);
        let error = project.prepare().unwrap_err();
        project.mode("d", 0o700);
        assert!(
            matches!(error, ContextError::Unreadable { .. }),
            "{locked} {mode:o}: {error:?}"
        );
        let said = error.to_string();
        assert!(
            said.contains("/d") && said.contains("chmod") && said.contains(".dockerignore"),
            "{said}"
        );
        // Ignored, it is in nobody's way.
        project.write(".dockerignore", "d");
        project.mode(locked, mode);
        assert_eq!(paths(&project.context()), [".dockerignore", "Dockerfile"]);
        project.mode("d", 0o700);
    }
}

#[test]
fn a_template_is_sent_as_text_under_a_name_of_its_own() {
    let project = Project::new(&[
        ("Dockerfile.template", "FROM %%BALENA_ARCH%%/x\nCOPY . /\n"),
        (".os.Dockerfile", "mine"),
        ("a", ""),
    ]);
    let context = project.context();
    assert_eq!(context.dockerfile, ".os.Dockerfile.1");
    assert_eq!(context.base_images, ["aarch64/x"]);
    let read = unpack(&context);
    assert_eq!(
        read[b".os.Dockerfile.1".as_slice()].content,
        b"FROM aarch64/x\nCOPY . /\n"
    );
    assert_eq!(
        read[b".dockerignore".as_slice()].content,
        b".dockerignore\n.os.Dockerfile.1\n"
    );
    assert_eq!(read[b".os.Dockerfile".as_slice()].content, b"mine");
    assert_eq!(
        read[b"Dockerfile.template".as_slice()].content,
        b"FROM %%BALENA_ARCH%%/x\nCOPY . /\n"
    );
    let bytes: usize = read.values().map(|entry| entry.content.len()).sum();
    assert_eq!(
        (context.files, context.bytes),
        (5, u64::try_from(bytes).unwrap())
    );

    project.write(".dockerignore", "a");
    let read = unpack(&project.context());
    assert_eq!(
        read[b".dockerignore".as_slice()].content,
        b"a\n.os.Dockerfile.1\n"
    );
}

#[test]
fn a_dockerfile_from_elsewhere_is_sent_as_text() {
    let mut project = Project::new(&[
        ("shared/Dockerfile", "FROM scratch\n"),
        ("web/a", ""),
        (".balena/Dockerfile", "FROM x\n"),
    ]);
    project.build.context = project.root().join("web");
    project.build.dockerfile = Some("../shared/Dockerfile".into());
    let context = project.context();
    assert_eq!(
        (
            context.dockerfile.as_str(),
            context.dockerfile_text.as_str()
        ),
        (".os.Dockerfile", "FROM scratch\n")
    );
    assert_eq!(paths(&context), [".dockerignore", ".os.Dockerfile", "a"]);
    project.build.context = project.root().to_owned();
    project.build.dockerfile = Some(".balena/Dockerfile".into());
    assert_eq!(project.context().dockerfile, ".os.Dockerfile");
    // A link to it is followed.
    project.build.dockerfile = None;
    project.link("Dockerfile", "shared/Dockerfile");
    assert_eq!(project.context().dockerfile, "shared/Dockerfile");
}

#[test]
fn what_is_no_folder_is_said() {
    let mut project = Project::new(&[("file", "")]);
    let cases = [
        ("file", "is not a folder"),
        ("none", "does not exist"),
        ("https://example.com/a/b.git", "is a remote address"),
        ("git@example.com:a/b", "is a remote address"),
    ];
    for (context, expected) in cases {
        project.build.context = project.root().join(context);
        let error = project.prepare().unwrap_err().to_string();
        assert!(
            error.contains(expected) && error.contains("web"),
            "{context}: {error}"
        );
    }
    project.build.context = project.root().to_owned();
    let error = project.prepare().unwrap_err();
    assert!(
        matches!(&error, ContextError::Dockerfile(DockerfileError::Missing { tried, .. }) if tried.len() == 4),
        "{error}"
    );
}

/// Owners in the headers that are not 0:0.
fn owners(project: &Project) -> BTreeMap<String, (u64, u64)> {
    let mut bytes = Vec::new();
    project.context().write_tar(&mut bytes).unwrap();
    let mut archive = tar::Archive::new(bytes.as_slice());
    let entries = archive.entries().unwrap().map(Result::unwrap);
    entries
        .map(|entry| {
            let owner = (entry.header().uid().unwrap(), entry.header().gid().unwrap());
            (entry.path().unwrap().display().to_string(), owner)
        })
        .filter(|(_, owner)| *owner != (0, 0))
        .collect()
}

#[test]
fn everything_belongs_to_root_but_folders_whose_links_the_engine_would_not_compare() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        ("a", ""),
        ("b/c/d", ""),
        ("e/f", ""),
    ]);
    assert_eq!(owners(&project), BTreeMap::new());
    project.link("b/c/python", "/usr/bin/python3.11");
    let first = owners(&project);
    assert_eq!(first.keys().collect::<Vec<_>>(), ["b/c/"]);
    assert_eq!(owners(&project), first);
    fs_err::remove_file(project.root().join("b/c/python")).unwrap();
    project.link("b/c/python", "/usr/bin/python3.12");
    assert_ne!(owners(&project), first);
    project.link("b/l", "x");
    let before = owners(&project);
    project.link("l", "x");
    let both = owners(&project);
    assert_eq!(both.keys().collect::<Vec<_>>(), ["b/", "b/c/"]);
    assert_ne!(both["b/"], before["b/"]);
    assert_eq!(both["b/c/"], before["b/c/"]);
    let mapped = |number: u64| (1..65536).contains(&number);
    assert!(
        both.values()
            .all(|&(user, group)| mapped(user) && mapped(group)),
        "{both:?}"
    );
    let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("a", "")]);
    project.link("l", "x");
    assert_eq!(owners(&project).keys().collect::<Vec<_>>(), ["a"]);
}
