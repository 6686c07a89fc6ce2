//! Push after push with a change each: nothing is left behind that was not there before. No container, image, network or
//! volume, no file descriptor and no memory of the agent, no file on the workstation.
//!
//! The usual run pushes a few times; `tests/soak/run` some hundred times, and prints what it counted.

use std::collections::BTreeMap;
use std::path::Path;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions, ListVolumesOptions,
};
use testkit::{Device, Lan, Workstation, tier, until};

/// Pushes that are not counted: caches fill, buffers grow to their size.
const WARM_UP: usize = 3;
/// Pushes of the usual run.
const USUAL: usize = 2;
/// KiB that the agent's memory may have grown by in the end: an allocator is not tidy to the page.
const SLACK: usize = 1024;

/// A service whose page and layers change, built in two stages as many are.
const DOCKERFILE: &str = "FROM os-test/busybox AS made\nCOPY message /made/message\nRUN cat /made/message > /made/page\n\
    FROM os-test/busybox\nCOPY --from=made /made/page /app/page\nCOPY . /app\nWORKDIR /app\nCMD [\"sh\", \"run.sh\"]\n";
const RUN: &str = "trap 'exit 0' TERM\ncat page\nsleep 1000000 & wait\n";

/// What is there, by kind.
async fn counted(device: &Device, workstation: &Workstation) -> BTreeMap<&'static str, usize> {
    let engine = device.engine.client().await;
    let all = ListContainersOptionsBuilder::new().all(true).build();
    let containers = engine.list_containers(Some(all)).await.expect("containers");
    let all = ListImagesOptionsBuilder::new().all(true).build();
    let images = engine.list_images(Some(all)).await.expect("images");
    let tags = images.iter().flat_map(|image| &image.repo_tags);
    let networks = engine.list_networks(None::<ListNetworksOptions>).await;
    let volumes = engine.list_volumes(None::<ListVolumesOptions>).await;
    let volumes = volumes.expect("volumes").volumes.unwrap_or_default();
    let process = format!("/proc/{}", device.agent.process().pid());
    BTreeMap::from([
        ("containers", containers.len()),
        ("images and layers", images.len()),
        ("tags", tags.filter(|tag| *tag != "<none>:<none>").count()),
        ("networks", networks.expect("networks").len()),
        ("volumes", volumes.len()),
        ("descriptors of the agent", entries(&process, "fd")),
        ("threads of the agent", entries(&process, "task")),
        (
            "files of the agent",
            files(&device.agent.state_dir()) + files(&device.agent.dir().join("services")),
        ),
        ("files of the workstation", files(&workstation.home())),
    ])
}

fn entries(process: &str, kind: &str) -> usize {
    let entries = fs_err::read_dir(Path::new(process).join(kind));
    entries.expect("the agent").count()
}

fn files(dir: &Path) -> usize {
    let entries = fs_err::read_dir(dir).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path()),
            _ => 1,
        })
        .sum()
}

/// KiB that the agent has for itself.
fn memory(device: &Device) -> usize {
    let rollup = format!("/proc/{}/smaps_rollup", device.agent.process().pid());
    let rollup = fs_err::read_to_string(rollup).expect("the agent's memory");
    // Its own pages: what it shares with agents of other tests is none of its.
    let own = rollup
        .lines()
        .find_map(|line| line.strip_prefix("Private_Dirty:"));
    let own = own.expect("its pages").trim().trim_end_matches(" kB");
    own.parse().expect("a number")
}

#[tokio::test]
async fn a_push_leaves_nothing_behind() {
    let pushes = tier::number("OS_TEST_PUSHES", USUAL);
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    workstation.write(
        "project/docker-compose.yml",
        "services:\n\
         \x20 web:\n    build: ./web\n    ports: [\"8081:8080\"]\n    networks: [front]\n\
         \x20 worker:\n    build: ./worker\n    volumes: [\"data:/data\", \"/scratch\"]\n\
         volumes:\n  data: {}\nnetworks:\n  front: {}\n",
    );
    for service in ["web", "worker"] {
        workstation.write(format!("project/{service}/Dockerfile"), DOCKERFILE);
        workstation.write(format!("project/{service}/run.sh"), RUN);
        workstation.write(format!("project/{service}/message"), "first\n");
    }
    // The warning that the device has no SSH comes once, and is not what is looked for.
    workstation.os(&["ps", "10.88.7.1"]).await.success();
    let mut before = BTreeMap::new();
    let mut before_memory = 0;
    for push in 0..WARM_UP + pushes {
        if push == WARM_UP {
            before = counted(&device, &workstation).await;
            before_memory = memory(&device);
        }
        // Both services change, and each also alone.
        let changed: &[&str] = [&["web", "worker"][..], &["web"], &["worker"]][push % 3];
        for service in changed {
            let message = format!("version {push} of {service}\n");
            workstation.write(format!("project/{service}/message"), message);
        }
        let run = workstation
            .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
            .await;
        run.success();
        assert!(!run.stderr.contains("warning"), "{run}");
        if push % 50 == 0 {
            println!(
                "after {push}: {} KiB, {:?}",
                memory(&device),
                counted(&device, &workstation).await
            );
        }
    }
    // Connections of the last push end a moment after it.
    let what = format!("nothing is left of {pushes} pushes, beside {before:?}");
    until(&what, async || {
        let now = counted(&device, &workstation).await;
        let more = now.iter().any(|(kind, count)| *count > before[kind]);
        if more {
            println!("{now:?}");
        }
        (!more).then_some(())
    })
    .await;
    let now = memory(&device);
    println!("{pushes} pushes: {before_memory} KiB before, {now} KiB after; {before:?}");
    assert!(
        now <= before_memory + SLACK,
        "the agent had {before_memory} KiB, and {now} KiB after {pushes} pushes"
    );
}
