//! Secrets of a build are on the device while it builds, and nowhere else at any time.
//!
//! There is no balenaEngine here: the engine is a real one of another make, behind a port that says that it is balenaEngine. What it is
//! given, keeps and loses is real; that a build can read what the query names is balenaEngine's own and is not tried out.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptions, ListVolumesOptions,
};
use serde_json::json;
use testkit::agent::Settings;
use testkit::{Agent, Engine, Lan, Namespace, Recorder, Workstation};

use crate::projects::{running, single};

const PROJECT: i32 = 3;
const BUILD: i32 = 5;
const INTERRUPTED: i32 = 130;
const SECRET: &str = "correct-horse-battery-staple";
const DEEP: &str = "another-secret-in-a-folder";
const METADATA: &str = "build-secrets:\n  global:\n    - {source: token, dest: token}\n  services:\n    main:\n      - {source: keys, dest: ssh}\n";
const ENDLESS: &str = "FROM os-test/busybox\nRUN echo it builds; sleep 1000000\n";
const PUSH: [&str; 5] = ["push", "10.88.7.1", "--source", "project", "--detached"];

/// A device whose engine calls itself balenaEngine, and a workstation with a project that has secrets.
struct Bench {
    workstation: Workstation,
    _agent: Agent,
    port: Recorder,
    engine: Engine,
    _machine: Namespace,
    _lan: Lan,
}

impl Bench {
    async fn start(engine_name: Option<&str>) -> Self {
        let lan = Lan::new();
        let (machine, engine) = Engine::on_a_machine_closed().await;
        lan.join(&machine);
        let number = agent_api::ENGINE_PORT;
        let port = match engine_name {
            Some(name) => {
                let version = json!({"Engine": name, "Version": "20.10.43", "ApiVersion": "1.41"});
                Recorder::start_as(&machine, number, &engine.socket(), &version).await
            }
            None => Recorder::start(&machine, number, &engine.socket()).await,
        };
        let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
        let workstation = Workstation::new(Some(&lan));
        single(&workstation, "project");
        workstation.write("project/.balena/balena.yml", METADATA);
        workstation.write("project/.balena/secrets/token", SECRET);
        workstation.write("project/.balena/secrets/keys/deep/id", DEEP);
        Self {
            workstation,
            _agent: agent,
            port,
            engine,
            _machine: machine,
            _lan: lan,
        }
    }

    /// The volumes of ours that the engine has, by name with their folders.
    async fn volumes(&self) -> BTreeMap<String, PathBuf> {
        let client = self.engine.client().await;
        let volumes = client
            .list_volumes(None::<ListVolumesOptions>)
            .await
            .unwrap();
        volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .filter(|volume| volume.name.starts_with("os-build-secrets-"))
            .map(|volume| (volume.name, PathBuf::from(volume.mountpoint)))
            .collect()
    }

    /// Names of all that the engine has and that is ours: volumes, containers in any state, images.
    async fn left(&self) -> Vec<String> {
        let client = self.engine.client().await;
        let mut left: Vec<String> = self.volumes().await.into_keys().collect();
        let all = ListContainersOptionsBuilder::new().all(true).build();
        for container in client.list_containers(Some(all)).await.unwrap() {
            left.extend(container.names.unwrap_or_default());
        }
        for image in client.list_images(None::<ListImagesOptions>).await.unwrap() {
            left.extend(image.repo_tags);
        }
        left.retain(|name| name.contains("build-secrets"));
        left
    }

    fn builds(&self) -> Vec<String> {
        let mut requests = self.port.requests();
        requests.retain(|request| request.starts_with("POST /build?"));
        requests
    }

    /// How often a text was sent to the engine.
    fn sent(&self, text: &str) -> usize {
        let bytes = self.port.bytes();
        let windows = bytes.windows(text.len());
        windows.filter(|window| *window == text.as_bytes()).count()
    }

    async fn until_it_builds(&self) {
        testkit::until("the build runs", async || {
            (!running(&self.engine).await.is_empty()).then_some(())
        })
        .await;
    }
}

/// Files and folders below `folder`, with modes and contents.
fn tree(folder: &Path, below: &str, into: &mut BTreeMap<String, (u32, String)>) {
    for entry in fs_err::read_dir(folder.join(below)).unwrap() {
        let entry = entry.unwrap();
        let path = Path::new(below).join(entry.file_name());
        let path = path.to_str().unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o7777;
        if entry.file_type().unwrap().is_dir() {
            into.insert(path.to_owned(), (mode, String::new()));
            tree(folder, path, into);
        } else {
            let content = fs_err::read_to_string(entry.path()).unwrap();
            into.insert(path.to_owned(), (mode, content));
        }
    }
}

/// Asserts that no file below `folder`, the project's own apart, holds a secret.
fn assert_untold(folder: &Path) {
    for entry in fs_err::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "project" {
            continue;
        }
        if entry.file_type().unwrap().is_dir() {
            assert_untold(&entry.path());
        } else {
            let bytes = fs_err::read(entry.path()).unwrap();
            let text = String::from_utf8_lossy(&bytes);
            let told = text.contains(SECRET) || text.contains(DEEP);
            assert!(!told, "{}", entry.path().display());
            // Nor is it a plain hash of one.
            let hash = blake3::hash(SECRET.as_bytes()).to_hex();
            assert!(!text.contains(hash.as_str()), "{}", entry.path().display());
        }
    }
}

#[tokio::test]
async fn secrets_are_there_while_it_builds_and_gone_after_ctrl_c() {
    let bench = Bench::start(Some("balena-engine")).await;
    bench.workstation.write("project/Dockerfile", ENDLESS);
    let mut arguments = PUSH.to_vec();
    arguments.push("--verbose");
    let mut push = bench.workstation.start_in_terminal(&arguments);
    bench.until_it_builds().await;

    let volumes = bench.volumes().await;
    let folder = volumes.values().next().expect("a volume");
    let mut found = BTreeMap::new();
    tree(folder, "", &mut found);
    let entry = |path: &str, mode, content: &str| (path.to_owned(), (mode, content.to_owned()));
    let expected = [
        entry("ssh", 0o500, ""),
        entry("ssh/deep", 0o500, ""),
        entry("ssh/deep/id", 0o400, DEEP),
        entry("token", 0o400, SECRET),
    ];
    assert_eq!(found, BTreeMap::from(expected));
    let named = json!([format!("{}:/run/secrets:ro", folder.display())]).to_string();
    let named = named
        .replace('"', "%22")
        .replace('[', "%5B")
        .replace(']', "%5D")
        .replace('/', "%2F")
        .replace(':', "%3A");
    let builds = bench.builds();
    let query = format!("&volumes={named} ");
    assert!(
        format!("{builds:?}")
            .replace('"', " ")
            .contains(query.trim_end()),
        "{builds:?} names no {query}"
    );

    push.press("\x03");
    let output = push.output().await;
    assert_eq!(output.code, INTERRUPTED, "{output}");
    assert!(!format!("{output}").contains(SECRET), "{output}");
    assert_eq!(bench.left().await, Vec::<String>::new());
    assert!(!folder.exists());
}

#[tokio::test]
async fn nothing_is_left_after_a_build_and_a_changed_secret_is_noticed() {
    let bench = Bench::start(Some("balena-engine")).await;
    bench.workstation.os(&PUSH).await.success();
    assert_eq!(bench.left().await, Vec::<String>::new());
    assert_eq!(bench.builds().len(), 1);
    // In the archive for the volume, and not in the context nor anywhere else.
    assert_eq!((bench.sent(SECRET), bench.sent(DEEP)), (1, 1));
    assert_untold(&bench.workstation.home());

    bench.workstation.os(&PUSH).await.success();
    assert_eq!(bench.builds().len(), 1, "nothing changed");
    assert_eq!(bench.sent(SECRET), 1, "nothing is sent for nothing");
    let other = "another-token-for-the-build";
    bench
        .workstation
        .write("project/.balena/secrets/token", other);
    bench.workstation.os(&PUSH).await.success();
    assert_eq!(bench.builds().len(), 2, "a secret changed");
    assert_eq!(bench.sent(other), 1);

    bench.workstation.write(
        "project/Dockerfile",
        "FROM os-test/busybox\nRUN echo no; false\n",
    );
    let output = bench.workstation.os(&PUSH).await;
    assert_eq!(output.code, BUILD, "{output}");
    assert!(!format!("{output}").contains(other), "{output}");
    assert_eq!(bench.left().await, Vec::<String>::new());
}

#[tokio::test]
async fn what_a_killed_push_left_is_removed_by_the_next_one() {
    let bench = Bench::start(Some("balaena")).await;
    bench.workstation.write("project/Dockerfile", ENDLESS);
    let push = bench.workstation.start(&PUSH);
    bench.until_it_builds().await;
    drop(push);
    let left = bench.left().await;
    assert_eq!(left.len(), 3, "{left:?}");
    // Somebody else's are not touched: their label has another value.
    let client = bench.engine.client().await;
    let theirs = bollard::models::VolumeCreateRequest {
        name: Some("os-build-secrets-00".to_owned()),
        labels: Some([("os.build-secrets".to_owned(), "other".to_owned())].into()),
        ..Default::default()
    };
    client.create_volume(theirs).await.unwrap();
    // A project without secrets has nothing of its own to put there.
    fs_err::remove_dir_all(bench.workstation.home().join("project")).unwrap();
    single(&bench.workstation, "project");
    bench.workstation.os(&PUSH).await.success();
    assert_eq!(bench.left().await, ["os-build-secrets-00"]);
}

#[tokio::test]
async fn another_engine_is_refused_before_anything_is_sent() {
    let bench = Bench::start(None).await;
    let output = bench.workstation.os(&PUSH).await;
    assert_eq!(output.code, PROJECT, "{output}");
    for word in ["`main`", "Docker 20.10", "balenaEngine", "build arguments"] {
        assert!(output.stderr.contains(word), "no {word}: {output}");
    }
    assert_eq!(
        bench.port.requests(),
        ["GET /version HTTP/1.1"].map(|line| line.trim_end_matches(" HTTP/1.1"))
    );
    assert_eq!((bench.sent(SECRET), bench.sent(DEEP)), (0, 0));
}
