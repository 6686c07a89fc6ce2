//! What a build gets of a folder: the engine's own client and ours agree, case by case, on a real engine.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use bollard::Docker;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptions, RemoveContainerOptions};
use futures_util::StreamExt;
use os_cli::project::BuildSpec;
use os_cli::project::context::{BuildContext, ContextError, ContextRequest, prepare};
use testkit::Engine;

const FILES: [&str; 4] = ["basics", "exceptions", "invalid", "wildcards"];

/// One case of `tests/fixtures/dockerignore`; the first of them tells how they are written.
#[derive(Debug, Default)]
struct Case {
    name: String,
    ignore: Vec<String>,
    tree: Vec<String>,
    kept: BTreeSet<String>,
    /// What the engine's older builder keeps, where it differs.
    older: Option<BTreeSet<String>>,
    fails: bool,
}

fn cases() -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/dockerignore");
    let mut cases: Vec<Case> = Vec::new();
    for name in FILES {
        let text = fs_err::read_to_string(folder.join(name).with_extension("case")).expect("cases");
        let mut section = "";
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("=== ") {
                let name = name.to_owned();
                cases.push(Case {
                    name,
                    ..Case::default()
                });
                section = "";
            }
            let Some(case) = cases.last_mut() else {
                continue;
            };
            match line {
                "ignore:" | "tree:" | "kept:" => section = line,
                "kept by the older builder:" => {
                    section = line;
                    case.older = Some(BTreeSet::new());
                }
                "error:" => {
                    section = line;
                    case.fails = true;
                }
                _ => add(case, section, line),
            }
        }
    }
    cases
}

fn add(case: &mut Case, section: &str, line: &str) {
    let shown = [
        ("<SP>", " "),
        ("<TAB>", "\t"),
        ("<CR>", "\r"),
        ("<BOM>", "\u{feff}"),
    ];
    let line = shown.iter().fold(line.to_owned(), |line, (shown, meant)| {
        line.replace(shown, meant)
    });
    match section {
        "ignore:" => case.ignore.push(line),
        _ if line.is_empty() => {}
        "tree:" => case.tree.push(line),
        "kept:" => drop(case.kept.insert(line)),
        "kept by the older builder:" => drop(case.older.as_mut().map(|older| older.insert(line))),
        _ => {}
    }
}

/// The engine's own client, with the builder that a device's engine has.
struct Client {
    host: String,
    config: tempfile::TempDir,
}

impl Client {
    fn new(engine: &Engine) -> Self {
        Self {
            host: format!("unix://{}", engine.socket().display()),
            config: tempfile::tempdir().expect("a folder"),
        }
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut child = Command::new("docker")
            .args(arguments)
            .env("DOCKER_BUILDKIT", "0")
            .env("DOCKER_HOST", &self.host)
            .env("DOCKER_CONFIG", self.config.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("docker");
        let mut stdin = child.stdin.take().expect("standard input");
        // Whether it was wanted shows in the output.
        drop(stdin.write_all(input));
        drop(stdin);
        child.wait_with_output().expect("docker's end")
    }

    fn good(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        let output = self.run(arguments, input);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "docker {arguments:?}: {said}");
        output.stdout
    }

    /// What a build from this folder gets by the engine's client; `None` when it refuses.
    async fn theirs(&self, engine: &Docker, folder: &Path) -> Option<BTreeSet<String>> {
        let output = self.run(&["build", "-q", folder.to_str().expect("a path")], b"");
        if output.status.success() {
            let image = String::from_utf8_lossy(&output.stdout);
            return Some(content(engine, image.trim()).await);
        }
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // An empty context has nothing to copy.
        said.contains("no source files were specified")
            .then(BTreeSet::new)
    }

    /// The image that the engine builds from what is sent.
    fn build(&self, context: &BuildContext) -> String {
        let mut bytes = Vec::new();
        context.write_tar(&mut bytes).expect("a context");
        let image = self.good(&["build", "-q", "-f", &context.dockerfile, "-"], &bytes);
        String::from_utf8_lossy(&image).trim().to_owned()
    }
}

/// What is in an image, without what the engine adds to every container.
async fn content(engine: &Docker, image: &str) -> BTreeSet<String> {
    let body = ContainerCreateBody {
        image: Some(image.to_owned()),
        ..ContainerCreateBody::default()
    };
    let container = engine
        .create_container(None::<CreateContainerOptions>, body)
        .await
        .expect("a container");
    let mut archive = Vec::new();
    let mut exported = engine.export_container(&container.id);
    while let Some(part) = exported.next().await {
        archive.extend_from_slice(&part.expect("an archive"));
    }
    engine
        .remove_container(&container.id, None::<RemoveContainerOptions>)
        .await
        .expect("its removal");
    let mut archive = tar::Archive::new(archive.as_slice());
    let entries = archive.entries().expect("an archive");
    entries
        .map(|entry| {
            let entry = entry.expect("an entry");
            let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            match entry.link_name_bytes() {
                Some(target) => format!("{path} -> {}", String::from_utf8_lossy(&target)),
                None => path,
            }
        })
        .filter(|path| {
            !["dev/", "etc/", "proc/", "sys/", ".dockerenv"]
                .iter()
                .any(|own| path.starts_with(own))
        })
        .collect()
}

fn context(folder: &Path) -> Result<BuildContext, ContextError> {
    let build = BuildSpec {
        context: folder.to_owned(),
        ..BuildSpec::default()
    };
    prepare(&ContextRequest {
        project_root: folder,
        service: "main",
        build: &build,
        contexts: &[],
        multi_dockerignore: false,
        cache_dir: None,
        device_type: "generic-amd64",
        arch: "amd64",
        is_live: false,
    })
}

fn lay_out(folder: &Path, case: &Case) {
    let write = |path: PathBuf, text: &str| {
        fs_err::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        fs_err::write(path, text).expect("a file");
    };
    for path in &case.tree {
        if path.ends_with('/') {
            fs_err::create_dir_all(folder.join(path)).expect("a folder");
        } else {
            write(folder.join(path), "x");
        }
    }
    // What every case has beside its tree is not a part of the answer.
    let ignore = format!("{}\n.dockerignore\nDockerfile\n", case.ignore.join("\n"));
    write(folder.join(".dockerignore"), &ignore);
    write(
        folder.join("Dockerfile"),
        "FROM scratch\nCOPY . /\nCMD [\"x\"]\n",
    );
}

#[tokio::test]
async fn what_is_ignored_is_what_the_engine_s_client_ignores() {
    let (_machine, engine) = Engine::on_a_machine_closed().await;
    let client = Client::new(&engine);
    let engine = engine.client().await;
    let cases = cases();
    assert!(cases.len() > 40, "only {} cases", cases.len());
    for case in cases {
        let folder = tempfile::tempdir().expect("a folder");
        lay_out(folder.path(), &case);
        let theirs = client.theirs(&engine, folder.path()).await;
        let ours = context(folder.path());
        if case.fails {
            assert_eq!(theirs, None, "{}: the engine's client takes it", case.name);
            assert!(ours.is_err(), "{}: ours takes it", case.name);
            continue;
        }
        let expected = case.older.as_ref().unwrap_or(&case.kept);
        assert_eq!(
            theirs.as_ref(),
            Some(expected),
            "{}: the engine's client",
            case.name
        );
        let ours = ours.expect("a context");
        // A build cannot copy nothing.
        if !case.kept.is_empty() {
            assert_eq!(
                content(&engine, &client.build(&ours)).await,
                case.kept,
                "{}: ours",
                case.name
            );
        }
    }
}

#[tokio::test]
async fn an_engine_builds_again_when_only_a_link_has_changed() {
    let (_machine, engine) = Engine::on_a_machine_closed().await;
    let client = Client::new(&engine);
    let engine = engine.client().await;
    let folder = tempfile::tempdir().expect("a folder");
    let root = folder.path();
    fs_err::write(
        root.join("Dockerfile.template"),
        "FROM scratch\nCOPY . /\nLABEL arch=%%BALENA_ARCH%%\nCMD [\"x\"]\n",
    )
    .expect("a Dockerfile");
    fs_err::create_dir_all(root.join("bin/deep")).expect("a folder");
    let mut images = BTreeSet::new();
    for link in ["python", "bin/deep/python"] {
        for target in ["/usr/bin/python3.11", "/usr/bin/python3.12"] {
            drop(fs_err::remove_file(root.join(link)));
            fs_err::os::unix::fs::symlink(target, root.join(link)).expect("a link");
            let ours = context(root).expect("a context");
            let image = client.build(&ours);
            assert_eq!(
                client.build(&ours),
                image,
                "the same context makes the same image"
            );
            let content = content(&engine, &image).await;
            assert!(
                content.contains(&format!("{link} -> {target}")),
                "{content:?}"
            );
            assert!(
                !content.iter().any(|path| path.contains("os.Dockerfile")),
                "{content:?}"
            );
            assert!(images.insert(image));
        }
    }
}
