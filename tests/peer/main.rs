//! The reference client, unmodified, finds our device, pushes to it, follows its logs and pushes an edit live.
//!
//! Run by `tests/peer/run`, which installs the client and names it in `PEER_NODE` and `PEER_CLIENT`.

use testkit::agent::Settings;
use testkit::{Device, Endpoint, Lan, Workstation, until, workstation::Running};

const ADDRESS: &str = "10.88.7.1";
const DOCKERFILE: &str = "FROM scratch\n\
    COPY busybox /bin/busybox\n\
    RUN [\"/bin/busybox\", \"mkdir\", \"-p\", \"/usr/bin\", \"/usr/sbin\", \"/sbin\"]\n\
    RUN [\"/bin/busybox\", \"--install\", \"-s\"]\n\
    WORKDIR /app\n\
    COPY app /app\n\
    CMD [\"/bin/sh\", \"/app/run.sh\"]\n";
const RUN: &str = "trap 'exit 0' TERM INT\n\
    echo \"app start $(cat /app/www/content.txt)\"\n\
    httpd -f -p 8080 -h /app/www &\n\
    while :; do sleep 3600 & wait $!; done\n";

/// A device, a workstation in its network, and on it the project of the recordings.
async fn desk() -> (Lan, Device, Workstation) {
    let lan = Lan::new();
    let announced = |settings: &mut Settings| "all".clone_into(&mut settings.announce);
    let device = Device::start_with(Some(&lan), announced).await;
    let workstation = Workstation::new(Some(&lan));
    let busybox = fs_err::read("/bin/busybox").expect("busybox-static");
    let busybox = workstation.write("project/busybox", busybox);
    let runnable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    fs_err::set_permissions(busybox, runnable).expect("a mode");
    workstation.write("project/Dockerfile", DOCKERFILE);
    workstation.write("project/app/run.sh", RUN);
    workstation.write("project/app/www/content.txt", "v0\n");
    (lan, device, workstation)
}

fn client(workstation: &Workstation, arguments: &[&str]) -> Running {
    let node = env("PEER_NODE");
    let program = env("PEER_CLIENT");
    let mut command = vec![node.as_str(), program.as_str()];
    command.extend(arguments);
    workstation.start_program(&command)
}

#[expect(
    clippy::disallowed_methods,
    reason = "where the client is, only the environment tells"
)]
fn env(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run tests/peer/run"))
}

/// Waits until the page of the project says `text`.
async fn page_says(workstation: &Workstation, text: &str) {
    let page = format!("{ADDRESS}:8080").parse().expect("an address");
    let page = Endpoint::Tcp(&workstation.machine, page);
    until(&format!("the page says {text}"), async || {
        let request = testkit::http::request("GET", "/content.txt", None);
        let answer = page.try_request(request).await.ok()?;
        (answer.text().trim() == text).then_some(())
    })
    .await;
}

#[tokio::test]
async fn it_finds_the_device() {
    let (_lan, _device, workstation) = desk().await;
    let output = client(&workstation, &["device", "detect", "--json"])
        .output()
        .await;
    output.success();
    let found: serde_json::Value = serde_json::from_str(&output.stdout).expect("JSON");
    assert_eq!(found[0]["host"], "peer-device.local", "{output}");
    assert_eq!(found[0]["address"], ADDRESS, "{output}");
    assert_eq!(found[0]["osVariant"], "development", "{output}");
}

#[tokio::test]
async fn it_pushes_a_project() {
    let (_lan, _device, workstation) = desk().await;
    let push = [
        "push",
        ADDRESS,
        "--source",
        "project",
        "--nolive",
        "--detached",
    ];
    for _ in 0..2 {
        client(&workstation, &push).output().await.success();
        page_says(&workstation, "v0").await;
    }
}

#[tokio::test]
async fn it_follows_logs_and_pushes_an_edit_live() {
    let (_lan, _device, workstation) = desk().await;
    let push = client(&workstation, &["push", ADDRESS, "--source", "project"]);
    push.shows("Device state settled").await;
    push.shows("[main] app start v0").await;
    page_says(&workstation, "v0").await;

    let logs = client(&workstation, &["device", "logs", ADDRESS]);
    logs.shows("Streaming logs").await;
    workstation.write("project/app/www/content.txt", "v1\n");
    push.shows("Restarting service").await;
    page_says(&workstation, "v1").await;
    push.shows("[main] app start v1").await;
    logs.shows("[main] app start v1").await;

    workstation.write(
        "project/Dockerfile",
        DOCKERFILE.replace("WORKDIR", "LABEL changed=1\nWORKDIR"),
    );
    push.shows("performing full rebuild of service main").await;
    push.shows("Successfully tagged local_image_main:latest")
        .await;
    page_says(&workstation, "v1").await;
}
