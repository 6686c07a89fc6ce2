//! A workstation with an engine of its own, for simulated devices, and everything that could be left on it.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, ListNetworksOptions,
    ListVolumesOptions, TagImageOptionsBuilder,
};
use serde_json::Value;
use testkit::{Endpoint, Engine, Lan, Workstation};

/// A workstation whose engine has the base image of the templates.
pub(crate) async fn workstation(lan: Option<&Lan>) -> (Workstation, Engine) {
    let workstation = Workstation::new(lan);
    let engine = Engine::start_closed(&workstation.machine).await;
    let name = TagImageOptionsBuilder::new()
        .repo("busybox")
        .tag("latest")
        .build();
    engine
        .client()
        .await
        .tag_image(testkit::image::BUSYBOX, Some(name))
        .await
        .expect("a name");
    (workstation, engine)
}

/// Everything that a simulated device could leave: in the engine, among the processes, in the home.
pub(crate) async fn traces(workstation: &Workstation, engine: &Engine) -> BTreeSet<String> {
    let client = engine.client().await;
    let mut found = BTreeSet::new();
    let all = ListContainersOptionsBuilder::new().all(true).build();
    for container in client.list_containers(Some(all)).await.expect("containers") {
        found.insert(format!("container {:?}", container.names));
    }
    let all = ListImagesOptionsBuilder::new().all(true).build();
    for image in client.list_images(Some(all)).await.expect("images") {
        found.insert(format!("image {} {:?}", image.id, image.repo_tags));
    }
    let networks = client.list_networks(None::<ListNetworksOptions>).await;
    for network in networks.expect("networks") {
        found.insert(format!("network {:?}", network.name));
    }
    let volumes = client.list_volumes(None::<ListVolumesOptions>).await;
    for volume in volumes.expect("volumes").volumes.unwrap_or_default() {
        found.insert(format!("volume {}", volume.name));
    }
    for pid in agents(workstation) {
        found.insert(format!("process {pid}"));
    }
    // The hashes of files are of use for every device, and the lock's folder for every push.
    let mut folders = [".local/state/os", ".cache/os/builds"]
        .map(|folder| workstation.home().join(folder))
        .to_vec();
    while let Some(folder) = folders.pop() {
        for entry in fs_err::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(format!("file {}", path.display()));
            }
        }
    }
    found
}

/// The process ids of agents on a machine, as the machine counts them.
pub(crate) fn agents(workstation: &Workstation) -> Vec<String> {
    let script = "for line in /proc/[0-9]*/cmdline; do \
         case $(tr '\\0' ' ' <$line 2>/dev/null) in */os-agent\\ run\\ *) echo $line;; esac; done";
    workstation
        .machine
        .run("sh", &["-c", script])
        .lines()
        .filter_map(|line| line.split('/').nth(2).map(str::to_owned))
        .collect()
}

/// What `os simulate --list --json` says about a device.
pub(crate) async fn status(workstation: &Workstation, name: &str) -> Value {
    let list = workstation.os(&["simulate", "--list", "--json"]).await;
    list.success();
    list.stdout
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"))
        .find(|device| device["name"] == name)
        .unwrap_or_else(|| panic!("no device {name}: {list}"))
}

/// Where a port of a device answers.
pub(crate) async fn port<'a>(workstation: &'a Workstation, name: &str, port: u16) -> Endpoint<'a> {
    let device = status(workstation, name).await;
    let ip = device["address"].as_str().expect("an address");
    let address = SocketAddr::new(ip.parse().expect("an address"), port);
    Endpoint::Tcp(&workstation.machine, address)
}
