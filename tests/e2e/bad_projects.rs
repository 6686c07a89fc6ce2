//! A project that cannot be used is refused with its place, with the exit code of its kind, and the device keeps what
//! it runs.

use testkit::{Device, Lan, Workstation};

use crate::projects::{compose, running, single};

const PROJECT: i32 = 3;
const BUILD: i32 = 5;

/// A file of a project, the exit code, and what standard error must hold.
const NONSENSE: &[(&str, &str, i32, &[&str])] = &[
    (
        "Dockerfile",
        "FROM os-test/busybox\nFROBNICATE x\n",
        BUILD,
        &["FROBNICATE"],
    ),
    (
        "Dockerfile",
        "FROM os-test/none\n",
        BUILD,
        &["os-test/none"],
    ),
    (
        "Dockerfile",
        "FROM os-test/busybox\nRUN echo because of this; exit 7\n",
        BUILD,
        &["because of this", "7"],
    ),
    (
        "Dockerfile.template",
        "FROM %%NO_SUCH_THING%%\n",
        PROJECT,
        &["NO_SUCH_THING"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a:\n    image: [\n",
        PROJECT,
        &["docker-compose.yml"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a:\n    image: os-test/busybox\n    frobnicate: 1\n",
        PROJECT,
        &["frobnicate", "docker-compose.yml", "4"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a:\n    image: os-test/busybox\n    ports: [\"99999:80\"]\n",
        PROJECT,
        &["99999"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [a]}\n",
        PROJECT,
        &["depends_on"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a: {image: x, networks: [nowhere]}\n",
        PROJECT,
        &["nowhere"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a: {image: x, volumes: [\"nothing:/data\"]}\n",
        PROJECT,
        &["nothing"],
    ),
    (
        "docker-compose.yml",
        "services:\n  a: {image: x, volumes: [\"/etc:/etc\"]}\n",
        PROJECT,
        &["/etc"],
    ),
];

#[tokio::test]
async fn nonsense_is_refused_with_its_place() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "good");
    workstation
        .os(&["push", "10.88.7.1", "--source", "good", "--detached"])
        .await
        .success();
    let before = running(&device.engine).await;
    let mut wrong = Vec::new();
    for (number, (file, text, code, words)) in NONSENSE.iter().enumerate() {
        let folder = format!("bad{number}");
        workstation.write(format!("{folder}/{file}"), text);
        let output = workstation
            .os(&["push", "10.88.7.1", "--source", &folder, "--detached"])
            .await;
        let missing: Vec<_> = words
            .iter()
            .filter(|word| !output.stderr.contains(**word))
            .collect();
        if output.code != *code || !missing.is_empty() {
            wrong.push(format!(
                "{text}\nexpected code {code}, missing {missing:?}\n{output}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n==========\n"));
    assert_eq!(running(&device.engine).await, before);
}

#[tokio::test]
async fn a_failing_service_does_not_touch_what_runs() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    let push = ["push", "10.88.7.1", "--source", "project", "--detached"];
    workstation.os(&push).await.success();
    let before = running(&device.engine).await;
    workstation.write("project/web/message", "changed\n");
    workstation.write(
        "project/worker/Dockerfile",
        "FROM os-test/busybox\nRUN echo the last words; false\n",
    );
    let output = workstation.os(&push).await;
    assert_eq!(output.code, BUILD, "{output}");
    assert!(
        output.stderr.contains("worker") && output.stderr.contains("the last words"),
        "{output}"
    );
    assert_eq!(running(&device.engine).await, before);
}

#[tokio::test]
async fn what_is_strange_but_right_is_pushed() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    let folder = workstation.home().join("project");
    std::os::unix::fs::symlink("nowhere", folder.join("dangling")).unwrap();
    fs_err::create_dir(folder.join("empty")).unwrap();
    workstation.write(
        "project/run.sh",
        "trap 'exit 0' TERM\n[ \"$(readlink dangling)\" = nowhere ] && [ -d empty ] && echo as it was\n\
         sleep 1000000 & wait\n",
    );
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
    let mut logs = device.agent.endpoint().lines("/os/v1/logs?tail=10").await;
    logs.find(|line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.trim() == "as it was")
    })
    .await;
}

#[tokio::test]
async fn what_cannot_travel_is_named() {
    let lan = Lan::new();
    let _device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(workstation.home().join("pipe/a-pipe"))
        .status()
        .unwrap();
    assert!(made.success());
    let output = workstation
        .os(&["push", "10.88.7.1", "--source", "pipe", "--detached"])
        .await;
    // Left out or refused, but said, and never waited for.
    assert!(output.stderr.contains("a-pipe"), "{output}");
}
