//! Contexts on a real file system, read back through an independent reader of tar.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{self, Read, Write},
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use tempfile::TempDir;

use super::{BuildContext, ContextError, ContextRequest, prepare};
use crate::project::{BuildSpec, dockerfile::DockerfileError};

/// A project in a temporary folder.
struct Project {
    folder: TempDir,
    build: BuildSpec,
    contexts: Vec<PathBuf>,
    each: bool,
    cache: Option<PathBuf>,
}

impl Project {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let build = BuildSpec {
            context: folder.path().to_owned(),
            ..BuildSpec::default()
        };
        let project = Self {
            folder,
            build,
            contexts: Vec::new(),
            each: false,
            cache: None,
        };
        for (path, text) in files {
            project.write(path, text);
        }
        project
    }

    fn root(&self) -> &Path {
        self.folder.path()
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.root().join(path);
        fs_err::create_dir_all(path.parent().unwrap()).unwrap();
        fs_err::write(path, text).unwrap();
    }

    fn mode(&self, path: &str, mode: u32) {
        fs_err::set_permissions(
            self.root().join(path),
            std::fs::Permissions::from_mode(mode),
        )
        .unwrap();
    }

    fn link(&self, path: &str, target: &str) {
        fs_err::os::unix::fs::symlink(target, self.root().join(path)).unwrap();
    }

    fn prepare(&self) -> Result<BuildContext, ContextError> {
        prepare(&ContextRequest {
            project_root: self.root(),
            service: "web",
            build: &self.build,
            contexts: &self.contexts,
            multi_dockerignore: self.each,
            cache_dir: self.cache.as_deref(),
            device_type: "raspberrypi4-64",
            arch: "aarch64",
        })
    }

    fn context(&self) -> BuildContext {
        self.prepare().unwrap()
    }

    fn digest(&self) -> String {
        self.context().digest
    }
}

#[derive(Debug, PartialEq, Eq)]
struct Unpacked {
    kind: tar::EntryType,
    mode: u32,
    target: Vec<u8>,
    content: Vec<u8>,
}

fn unpack(context: &BuildContext) -> BTreeMap<Vec<u8>, Unpacked> {
    let mut bytes = Vec::new();
    context.write_tar(&mut bytes).unwrap();
    assert_eq!(bytes.len() % 512, 0);
    let mut archive = tar::Archive::new(bytes.as_slice());
    let mut read = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        let header = entry.header();
        let found = Unpacked {
            kind: header.entry_type(),
            mode: header.mode().unwrap(),
            target: entry.link_name_bytes().unwrap_or_default().into_owned(),
            content,
        };
        let earlier = read.insert(entry.path_bytes().into_owned(), found);
        assert_eq!(earlier, None, "an entry came twice");
    }
    read
}

fn paths(context: &BuildContext) -> Vec<String> {
    unpack(context)
        .into_keys()
        .map(|path| String::from_utf8_lossy(&path).into_owned())
        .collect()
}

fn said(context: &BuildContext) -> String {
    context
        .warnings
        .iter()
        .map(|warning| warning.message.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

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
fn the_digest_follows_every_change_but_times() {
    let mut project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("a", "1"), ("d/b", "2")]);
    project.link("l", "a");
    let first = project.digest();
    assert_eq!(first.len(), 64);
    assert_eq!(project.digest(), first);
    let touch = || {
        let file = fs_err::OpenOptions::new()
            .write(true)
            .open(project.root().join("a"))
            .unwrap();
        file.file()
            .set_modified(std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000))
            .unwrap();
    };
    touch();
    assert_eq!(project.digest(), first, "a time counts");

    let mut seen = vec![first];
    let mut differs = |project: &Project, what: &str| {
        let digest = project.digest();
        assert!(!seen.contains(&digest), "{what} does not count");
        seen.push(digest);
    };
    project.write("a", "3");
    differs(&project, "content");
    project.mode("a", 0o755);
    differs(&project, "a mode");
    project.write("c", "");
    differs(&project, "a new file");
    fs_err::rename(project.root().join("c"), project.root().join("e")).unwrap();
    differs(&project, "a name");
    fs_err::create_dir(project.root().join("f")).unwrap();
    differs(&project, "an empty folder");
    project.mode("f", 0o711);
    differs(&project, "a folder's mode");
    fs_err::remove_file(project.root().join("l")).unwrap();
    differs(&project, "a removed link");
    project.link("l", "d");
    differs(&project, "a link's target");
    project.write("Dockerfile", "FROM scratch\nCMD x\n");
    differs(&project, "the Dockerfile");
    project.build.args.insert("A".into(), "1".into());
    differs(&project, "an argument");
    project.build.args.insert("A".into(), "2".into());
    differs(&project, "an argument's value");
    project.build.labels.insert("A".into(), "2".into());
    differs(&project, "a label");
    project.build.target = Some("x".into());
    differs(&project, "the target");
    project.build.shm_size = Some(1);
    differs(&project, "the size of shared memory");
    project.build.extra_hosts = vec!["a:1".into()];
    differs(&project, "a host");
    project.write("Dockerfile.aarch64", "FROM scratch\nCMD x\n");
    differs(&project, "another Dockerfile");
}

#[test]
fn a_file_that_changes_before_it_is_sent_never_makes_a_whole_archive() {
    let big = "x".repeat(600_000);
    for (what, change) in [
        (
            "it became shorter",
            Box::new(|path: &Path| fs_err::write(path, "x").unwrap()) as Box<dyn Fn(&Path)>,
        ),
        (
            "it became longer",
            Box::new(|path: &Path| {
                fs_err::OpenOptions::new()
                    .append(true)
                    .open(path)
                    .unwrap()
                    .write_all(b"x")
                    .unwrap()
            }),
        ),
        (
            "it was written to or replaced",
            Box::new(|path: &Path| {
                fs_err::remove_file(path).unwrap();
                fs_err::write(path, "y".repeat(600_000)).unwrap();
            }),
        ),
        (
            "it is gone",
            Box::new(|path: &Path| fs_err::remove_file(path).unwrap()),
        ),
        (
            "it is no file any more",
            Box::new(|path: &Path| {
                fs_err::remove_file(path).unwrap();
                fs_err::os::unix::fs::symlink("/etc/passwd", path).unwrap();
            }),
        ),
        (
            "it is no file any more",
            Box::new(|path: &Path| {
                fs_err::remove_file(path).unwrap();
                fs_err::create_dir(path).unwrap();
            }),
        ),
    ] {
        let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("big", &big)]);
        let context = project.context();
        change(&project.root().join("big"));
        let mut bytes = Vec::new();
        let error = context.write_tar(&mut bytes).unwrap_err();
        assert!(error.is_transient(), "{error}");
        assert!(
            error
                .to_string()
                .contains("/big changed while the build context was read"),
            "{error}"
        );
        assert!(error.to_string().contains(what), "{what}: {error}");
        assert!(
            !bytes.ends_with(&[0; 1024]),
            "{what}: the archive has an end"
        );
    }
}

/// Changes a file while its content is on its way, after its header and a first piece were written.
struct Meddler<'a> {
    path: &'a Path,
    change: &'a dyn Fn(&Path),
    taken: usize,
}

impl Write for Meddler<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let before = self.taken;
        self.taken += bytes.len();
        if before <= 100_000 && self.taken > 100_000 {
            (self.change)(self.path);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_file_that_changes_while_it_is_sent_stops_the_sending() {
    let project = Project::new(&[("Dockerfile", "FROM scratch\n"), ("big", "")]);
    let path = project.root().join("big");
    let shrink = |path: &Path| fs_err::write(path, "short").unwrap();
    let grow = |path: &Path| {
        fs_err::OpenOptions::new()
            .append(true)
            .open(path)
            .unwrap()
            .write_all(b"more")
            .unwrap();
    };
    for (change, what) in [(&shrink as &dyn Fn(&Path), "shorter"), (&grow, "longer")] {
        fs_err::write(&path, vec![b'x'; 3_000_000]).unwrap();
        let context = project.context();
        let error = context
            .write_tar(&mut Meddler {
                path: &path,
                change,
                taken: 0,
            })
            .unwrap_err();
        assert!(
            matches!(error, ContextError::Changed { .. }) && error.to_string().contains(what),
            "{error}"
        );
    }
}

#[test]
fn the_other_end_s_refusal_is_told() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::from(io::ErrorKind::BrokenPipe))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let project = Project::new(&[("Dockerfile", "FROM scratch\n")]);
    let error = project.context().write_tar(&mut Full).unwrap_err();
    assert!(matches!(error, ContextError::Write(_)), "{error}");
}

#[test]
fn more_than_eight_gigabytes_have_a_header() {
    let project = Project::new(&[("Dockerfile", "FROM scratch\n")]);
    let sparse = fs_err::File::create(project.root().join("huge")).unwrap();
    sparse.set_len(9 << 30).unwrap();
    let entry = super::walk::single(project.root(), b"huge")
        .unwrap()
        .unwrap();
    let mut head = Head(Vec::new());
    let error = super::archive::write(project.root(), &[entry], &mut head).unwrap_err();
    assert!(matches!(error, ContextError::Write(_)), "{error}");
    let header = tar::Header::from_byte_slice(&head.0[..512]);
    assert_eq!(header.size().unwrap(), 9 << 30);
}

/// Takes a little and then no more.
struct Head(Vec<u8>);

impl Write for Head {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() > 4096 {
            return Err(io::Error::from(io::ErrorKind::WriteZero));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn ignored_folders_are_not_even_read() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "node_modules\nkeep\n!keep/a\n"),
        // Would be warned about if it were seen.
        ("node_modules/x/.dockerignore", ""),
        ("node_modules/x/Dockerfile", ""),
        ("keep/a", ""),
        ("keep/b", ""),
    ]);
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "keep/", "keep/a"]
    );
    assert_eq!(context.warnings, []);
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
                "project::context::tests::what_may_not_be_read_is_named",
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
fn version_control_and_metadata_stay_at_home() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".git/config", ""),
        ("sub/.git", "gitdir: x"),
        (".balena/balena.yml", ""),
        (".balena/secrets/s", "secret"),
        (".resin/x", ""),
        (".gitignore", ""),
        ("sub/.balena/x", ""),
    ]);
    assert_eq!(
        paths(&project.context()),
        [
            ".gitignore",
            "Dockerfile",
            "sub/",
            "sub/.balena/",
            "sub/.balena/x"
        ]
    );
}

#[test]
fn the_engine_gets_dockerfile_and_ignore_file_even_when_they_are_ignored() {
    let mut project = Project::new(&[
        (".dockerignore", "*\n"),
        ("docker/prod.df", "FROM scratch\n"),
        ("x", ""),
    ]);
    project.build.dockerfile = Some("./docker/../docker/prod.df".into());
    let context = project.context();
    assert_eq!(context.dockerfile, "docker/prod.df");
    assert_eq!(
        paths(&context),
        [".dockerignore", "docker/", "docker/prod.df"]
    );
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
fn a_file_named_like_the_dockerfile_decides_what_is_ignored() {
    let project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "a"),
        ("Dockerfile.dockerignore", "b"),
        ("a", ""),
        ("b", ""),
    ]);
    let context = project.context();
    assert_eq!(
        paths(&context),
        [
            ".dockerignore",
            "Dockerfile",
            "Dockerfile.dockerignore",
            "a"
        ]
    );
    assert!(
        said(&context).contains("not used, because only Dockerfile.dockerignore counts"),
        "{}",
        said(&context)
    );
}

#[test]
fn the_project_s_ignore_file_holds_for_its_services() {
    let mut project = Project::new(&[
        (".dockerignore", "web/tmp\ntmp2\n"),
        ("web/Dockerfile", "FROM scratch\n"),
        ("web/.dockerignore", "keep"),
        ("web/tmp/x", ""),
        ("web/tmp2", ""),
        ("web/keep", ""),
    ]);
    project.build.context = project.root().join("web");
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "keep", "tmp2"]
    );
    assert!(
        said(&context).contains("web/.dockerignore"),
        "{}",
        said(&context)
    );

    project.each = true;
    project.contexts = vec![project.root().join("web")];
    let context = project.context();
    assert_eq!(
        paths(&context),
        [".dockerignore", "Dockerfile", "tmp/", "tmp/x", "tmp2"]
    );
    assert_eq!(context.warnings, []);

    project.each = false;
    project.write(".dockerignore", "web\n!web/keep\n");
    let context = project.context();
    assert_eq!(paths(&context), ["Dockerfile", "keep"]);
    assert!(
        said(&context).contains("ignores the build context of service web"),
        "{}",
        said(&context)
    );
}

#[test]
fn each_service_s_folder_obeys_its_own_ignore_file() {
    let mut project = Project::new(&[
        ("Dockerfile", "FROM scratch\n"),
        (".dockerignore", "*.log\nservices\n"),
        ("a.log", ""),
        ("services/other", ""),
        ("services/web/Dockerfile", "FROM scratch\n"),
        ("services/web/.dockerignore", "tmp\n"),
        ("services/web/b.log", ""),
        ("services/web/tmp", ""),
        ("services/web2/c.log", ""),
        ("lib/.dockerignore", "x"),
    ]);
    project.each = true;
    project.contexts = vec![
        project.root().to_owned(),
        project.root().join("services/web"),
    ];
    let context = project.context();
    assert_eq!(
        paths(&context),
        [
            ".dockerignore",
            "Dockerfile",
            "lib/",
            "lib/.dockerignore",
            "services/",
            "services/web/",
            "services/web/.dockerignore",
            "services/web/Dockerfile",
            "services/web/b.log",
        ]
    );
    assert_eq!(
        said(&context),
        "not used, because its folder is no service's build context: lib/.dockerignore"
    );
}

#[test]
fn a_context_outside_the_project_obeys_its_own_ignore_file() {
    let mut project = Project::new(&[
        ("app/.dockerignore", "a\n"),
        ("shared/Dockerfile", "FROM scratch\n"),
        ("shared/.dockerignore", "b\n"),
        ("shared/a", ""),
        ("shared/b", ""),
    ]);
    project.build.context = project.root().join("app/../shared");
    let context = prepare(&ContextRequest {
        project_root: &project.root().join("app"),
        service: "web",
        build: &project.build,
        contexts: &[],
        multi_dockerignore: false,
        cache_dir: None,
        device_type: "x",
        arch: "y",
    })
    .unwrap();
    assert_eq!(paths(&context), [".dockerignore", "Dockerfile", "a"]);
    project.build.context = project.root().join("app");
    assert!(project.prepare().is_err());
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
