//! What changes in a project's folder is brought into its containers as long as a push follows their logs.

use bollard::query_parameters::DownloadFromContainerOptionsBuilder;
use futures_util::TryStreamExt as _;
use testkit::workstation::Running;
use testkit::{Agent, Engine, Lan, Namespace, Recorder, Workstation, agent::Settings, until};

use crate::projects::running;

const DEVICE: &str = "10.88.7.1";
const CONTAINER: &str = "main_1_1_10ca12e1ea5e";
/// Says what is in its files when it starts.
const DOCKERFILE: &str = "FROM os-test/busybox\nWORKDIR /app\nCOPY files files\nCOPY run.sh .\nCMD [\"sh\", \"run.sh\"]\n";
const RUN: &str = "trap 'exit 0' TERM\nfor file in $(find files -type f | sort); do echo \"$file is $(cat $file)\"; done\necho started\nsleep 1000000 & wait\n";

/// A device, and a workstation with a project.
struct Desk {
    workstation: Workstation,
    engine: Engine,
    /// What the engine was asked.
    port: Recorder,
    _agent: Agent,
    _machine: Namespace,
    _lan: Lan,
}

impl Desk {
    async fn new(files: &[(&str, &str)]) -> Self {
        let lan = Lan::new();
        let (machine, engine) = Engine::on_a_machine_closed().await;
        lan.join(&machine);
        let port = Recorder::start(&machine, agent_api::ENGINE_PORT, &engine.socket()).await;
        let agent = Agent::start(&machine, Settings::new(engine.socket())).await;
        let workstation = Workstation::new(Some(&lan));
        for (path, text) in files {
            workstation.write(format!("project/{path}"), text);
        }
        Self {
            workstation,
            engine,
            port,
            _agent: agent,
            _machine: machine,
            _lan: lan,
        }
    }

    fn write(&self, path: &str, text: &str) {
        self.workstation.write(format!("project/{path}"), text);
    }

    fn remove(&self, path: &str) {
        fs_err::remove_file(self.workstation.home().join("project").join(path)).unwrap();
    }

    /// Pushes, and waits until the files are watched.
    async fn push(&self) -> Running {
        let running = self
            .workstation
            .start(&["push", DEVICE, "--source", "project"]);
        running.says("watching the files of main").await;
        running
    }

    fn builds(&self) -> usize {
        let requests = self.port.requests();
        requests
            .iter()
            .filter(|request| request.contains("/build?"))
            .count()
    }

    async fn container(&self) -> String {
        running(&self.engine).await[CONTAINER].clone()
    }

    /// When the container's program was started.
    async fn started(&self) -> String {
        let client = self.engine.client().await;
        let state = client
            .inspect_container(CONTAINER, None)
            .await
            .unwrap()
            .state;
        state.unwrap().started_at.unwrap()
    }

    /// The bytes of a file of the container, if it is there. Nothing is run in it.
    async fn file(&self, path: &str) -> Option<String> {
        let client = self.engine.client().await;
        let options = DownloadFromContainerOptionsBuilder::new()
            .path(path)
            .build();
        let archive = client.download_from_container(CONTAINER, Some(options));
        let archive: Vec<_> = archive.try_collect().await.ok()?;
        let archive = archive.concat();
        let mut archive = tar::Archive::new(archive.as_slice());
        let entry = archive.entries().unwrap().next()?.unwrap();
        Some(std::io::read_to_string(entry).unwrap())
    }

    async fn has(&self, path: &str, text: &str) {
        until(&format!("{path} is {text}"), async || {
            (self.file(path).await.as_deref() == Some(text)).then_some(())
        })
        .await;
    }
}

const FILES: &[(&str, &str)] = &[
    ("Dockerfile", DOCKERFILE),
    ("run.sh", RUN),
    ("files/a", "first"),
    ("files/b/c", "first"),
    ("files/b/d/e", "first"),
    ("README", "first"),
];

#[tokio::test]
async fn changes_are_brought_without_a_build() {
    let desk = Desk::new(FILES).await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    let container = desk.container().await;

    desk.write("files/a", "second");
    push.shows("files/a is second").await;
    push.says("1 file changed").await;
    push.says("brought and restarted").await;

    // What editors do: beside it, and then in its place; in a folder that is new.
    desk.write("files/new/deep/.x", "third");
    let home = desk.workstation.home().join("project/files/new/deep");
    fs_err::rename(home.join(".x"), home.join("x")).unwrap();
    push.shows("files/new/deep/x is third").await;
    desk.has("/app/files/new/deep/x", "third").await;

    desk.remove("files/b/d/e");
    fs_err::remove_dir(desk.workstation.home().join("project/files/b/d")).unwrap();
    until("it is removed", async || {
        desk.file("/app/files/b/d").await.is_none().then_some(())
    })
    .await;
    assert_eq!(desk.file("/app/files/a").await.as_deref(), Some("second"));

    push.says("1 file removed").await;
    // What no image has disturbs nobody: the next change but one is the next that is told.
    let told = || push.stderr().matches("brought and restarted").count();
    until("all of it is told", async || (told() == 3).then_some(())).await;
    let started = desk.started().await;
    desk.write("README", "second");
    desk.write("files/a", "fourth");
    push.shows("files/a is fourth").await;
    assert_ne!(desk.started().await, started);
    until("it is told", async || (told() > 3).then_some(())).await;
    assert_eq!(told(), 4);
    assert_eq!(desk.container().await, container);
    assert_eq!(desk.builds(), 1);
    drop(push);
}

#[tokio::test]
async fn behind_a_live_command_nothing_is_restarted_and_before_it_commands_are_run() {
    let dockerfile = "FROM os-test/busybox\nWORKDIR /app\nARG NOTE=noted\nCOPY list .\nRUN sort list > sorted && echo \"$NOTE $(pwd)\"\n\
                      #dev-cmd-live=sh run.sh\nCOPY . .\nRUN false\nCMD [\"false\"]\n";
    let desk = Desk::new(&[
        ("Dockerfile", dockerfile),
        ("list", "b\na\n"),
        ("run.sh", RUN),
        ("files/a", "first"),
    ])
    .await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    let started = desk.started().await;
    desk.write("files/a", "second");
    desk.has("/app/files/a", "second").await;
    push.says("brought in").await;
    assert_eq!(desk.started().await, started);

    desk.write("list", "d\nc\n");
    push.says("noted /app").await;
    push.says("brought and restarted").await;
    assert_eq!(desk.file("/app/sorted").await.as_deref(), Some("c\nd\n"));
    assert_ne!(desk.started().await, started);
    assert_eq!(desk.builds(), 1);
    drop(push);

    // Without it, a Dockerfile is what it is for everybody else: this one cannot be built.
    let push = ["push", DEVICE, "--source", "project", "--nolive"];
    let output = desk.workstation.os(&push).await;
    assert_ne!(output.code, 0, "{output}");
    assert!(output.stderr.contains("RUN false"), "{output}");
}

#[tokio::test]
async fn a_container_without_a_shell_gets_changes_too() {
    let dockerfile = "FROM os-test/busybox AS tools\nFROM scratch\nCOPY --from=tools /bin/busybox /busybox\nCOPY --chown=12:34 data /files\nCOPY kept /data\n\
                      CMD [\"/busybox\", \"sleep\", \"1000000\"]\n";
    let desk = Desk::new(&[
        ("Dockerfile", dockerfile),
        ("data/a", "first"),
        ("data/in/b", "first"),
        ("kept/a", "first"),
    ])
    .await;
    let push = desk.push().await;
    let container = desk.container().await;
    desk.write("data/a", "second");
    desk.has("/files/a", "second").await;
    push.says("brought and restarted").await;
    let client = desk.engine.client().await;
    let options = DownloadFromContainerOptionsBuilder::new()
        .path("/files/a")
        .build();
    let archive: Vec<_> = client
        .download_from_container(CONTAINER, Some(options))
        .try_collect()
        .await
        .unwrap();
    let archive = archive.concat();
    let mut archive = tar::Archive::new(archive.as_slice());
    let entry = archive.entries().unwrap().next().unwrap().unwrap();
    let header = entry.header();
    assert_eq!((header.uid().unwrap(), header.gid().unwrap()), (12, 34));
    assert_eq!(desk.container().await, container);
    // Nothing in it could remove a file.
    desk.remove("data/in/b");
    push.says("cannot remove files by itself").await;
    until("it is built anew", async || {
        (running(&desk.engine)
            .await
            .get(CONTAINER)
            .is_some_and(|id| *id != container))
        .then_some(())
    })
    .await;
    assert_eq!(desk.file("/files/in/b").await, None);
    assert_eq!(desk.file("/files/a").await.as_deref(), Some("second"));
    // A volume hides what the image has, and is nobody's to write to.
    desk.write("kept/a", "second");
    push.says("what is mounted at /data").await;
    push.says("recreated because").await;
    assert_eq!(desk.file("/data/a").await.as_deref(), Some("first"));
    drop(push);
}

#[tokio::test]
async fn a_dockerfile_that_changes_is_built_and_one_that_fails_is_waited_for() {
    let desk = Desk::new(FILES).await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    desk.write("Dockerfile", &DOCKERFILE.replace("CMD", "RUN false\nCMD"));
    push.says("building anew: its Dockerfile has changed").await;
    push.says("waiting for the next change").await;
    desk.write("files/a", "second");
    desk.write("Dockerfile", &DOCKERFILE.replace("CMD", "RUN true\nCMD"));
    push.shows("files/a is second").await;
    let container = desk.container().await;
    let builds = desk.builds();
    desk.write("files/a", "third");
    push.shows("files/a is third").await;
    assert_eq!(desk.container().await, container);
    assert_eq!(desk.builds(), builds);
    drop(push);
}

#[tokio::test]
async fn what_was_brought_before_a_build_failed_is_not_forgotten() {
    let desk = Desk::new(FILES).await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    desk.write("files/a", "second");
    push.shows("files/a is second").await;
    desk.write("Dockerfile", &DOCKERFILE.replace("CMD", "RUN false\nCMD"));
    push.says("waiting for the next change").await;
    // As it was when it was built: the container is not.
    desk.write("files/a", "first");
    desk.write("Dockerfile", DOCKERFILE);
    desk.has("/app/files/a", "first").await;
    assert_eq!(desk.builds(), 2);
    drop(push);
}

#[tokio::test]
async fn links_of_a_container_are_not_followed_and_its_volumes_not_written_to() {
    let dockerfile = "FROM os-test/busybox\nCOPY app /app\nRUN rm -r /app/state && ln -s /data /app/state\n\
                      COPY run.sh /\nCMD [\"sh\", \"/run.sh\"]\n";
    let desk = Desk::new(&[
        ("Dockerfile", dockerfile),
        ("run.sh", ""),
        ("app/state/a", "first"),
    ])
    .await;
    desk.write(
        "run.sh",
        &format!("mkdir -p /data; echo mine >/data/a; cd /tmp; mkdir -p files; {RUN}"),
    );
    let push = desk.push().await;
    push.shows("started").await;
    desk.write("app/state/a", "second");
    push.says("/app/state is a link in its container").await;
    push.says("recreated because").await;
    assert_eq!(desk.file("/data/a").await.as_deref(), Some("mine\n"));
    drop(push);
}

#[tokio::test]
async fn a_second_push_says_that_another_one_watches() {
    let desk = Desk::new(FILES).await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    let other = desk
        .workstation
        .start(&["push", DEVICE, "--source", "project"]);
    other.says("watches files for").await;
    desk.write("files/a", "second");
    push.shows("files/a is second").await;
    other.shows("files/a is second").await;
    assert_eq!(desk.builds(), 1);
    drop((push, other));
}

#[tokio::test]
async fn a_container_that_ended_is_mended() {
    let desk = Desk::new(&[
        ("Dockerfile", DOCKERFILE),
        ("run.sh", "echo broken; exit 1\n"),
        ("files/a", "first"),
    ])
    .await;
    let push = desk.push().await;
    push.shows("broken").await;
    desk.write("run.sh", RUN);
    push.shows("files/a is first").await;
    assert_eq!(desk.builds(), 1);
    drop(push);
}

#[tokio::test]
async fn a_new_container_gets_what_the_old_one_had_and_the_next_push_begins_anew() {
    let desk = Desk::new(FILES).await;
    let push = desk.push().await;
    push.shows("files/a is first").await;
    desk.write("files/a", "second");
    push.shows("files/a is second").await;
    let container = desk.container().await;
    // The agent makes another one of it.
    let client = desk.engine.client().await;
    let force = bollard::query_parameters::RemoveContainerOptionsBuilder::new()
        .force(true)
        .build();
    client
        .remove_container(CONTAINER, Some(force))
        .await
        .unwrap();
    desk.has("/app/files/a", "second").await;
    let other = desk.container().await;
    assert_ne!(other, container);
    drop(push);

    // It is as the image that the device has; the container is not.
    desk.write("files/a", "first");
    desk.workstation
        .os(&["push", DEVICE, "--source", "project", "--detached"])
        .await
        .success();
    assert_eq!(desk.builds(), 1);
    assert_ne!(desk.container().await, other);
    assert_eq!(desk.file("/app/files/a").await.as_deref(), Some("first"));
    let unchanged = desk.container().await;
    desk.workstation
        .os(&["push", DEVICE, "--source", "project", "--detached"])
        .await
        .success();
    assert_eq!(desk.container().await, unchanged);
}
