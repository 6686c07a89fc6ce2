//! The projects that are pushed, and how a device is made as bare as at first.

use bollard::query_parameters::{
    ListContainersOptionsBuilder, ListImagesOptionsBuilder, PruneNetworksOptions,
    PruneVolumesOptions, RemoveContainerOptionsBuilder, RemoveImageOptionsBuilder,
};
use serde_json::json;
use testkit::{Device, Lan, Target, Workstation, image::BUSYBOX};

/// Address of the device that everything is pushed to: the first one in the network.
pub(crate) const ADDRESS: &str = "10.88.7.1";
const DOCKERFILE: &str = "FROM os-test/busybox\nRUN mkdir -p /srv/data\nCOPY . /app\nWORKDIR /app\n\
                          CMD [\"sh\", \"run.sh\"]\n";
const WEB: &str = "trap 'exit 0' TERM\nhttpd -p 8080 -h /app\necho up\nsleep 1000000 & wait\n";
const WORKER: &str = "trap 'exit 0' TERM\necho up\nsleep 1000000 & wait\n";

/// A development-mode device, and a workstation in its network.
pub(crate) async fn desk() -> (Lan, Device, Workstation) {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |settings| {
        "all".clone_into(&mut settings.announce);
    })
    .await;
    let workstation = Workstation::new(Some(&lan));
    (lan, device, workstation)
}

/// A project of two services in `folder`; the page of one of them answers on the device's `port`.
pub(crate) fn two_services(workstation: &Workstation, folder: &str, port: u16) {
    workstation.write(
        format!("{folder}/docker-compose.yml"),
        format!(
            "services:\n\
             \x20 web:\n    build: ./web\n    ports: [\"{port}:8080\"]\n    depends_on: [worker]\n\
             \x20 worker:\n    build: ./worker\n    volumes: [\"data:/data\"]\n\
             volumes:\n  data: {{}}\n"
        ),
    );
    for (service, script) in [("web", WEB), ("worker", WORKER)] {
        workstation.write(format!("{folder}/{service}/Dockerfile"), DOCKERFILE);
        workstation.write(format!("{folder}/{service}/run.sh"), script);
    }
    mark(workstation, &format!("{folder}/web"), "first");
}

/// A project of one service in `folder`, without a compose file. It runs in the host's network.
pub(crate) fn one_service(workstation: &Workstation, folder: &str) {
    workstation.write(format!("{folder}/Dockerfile"), DOCKERFILE);
    workstation.write(format!("{folder}/run.sh"), WEB);
    mark(workstation, folder, "first");
}

/// Changes the page.
pub(crate) fn mark(workstation: &Workstation, folder: &str, marker: &str) {
    workstation.write(format!("{folder}/index.html"), marker);
}

/// Runs one service in the device's network and returns its container's id. It has no terminal, which would end lines in another way.
pub(crate) async fn runs(device: &Device, script: &str) -> String {
    let target = Target::of(&[("main", script)])
        .with("main", "network_mode", json!("host"))
        .with("main", "tty", json!(false));
    let report = device.converge(&target.text()).await;
    let service = report.services.first().expect("a service");
    service.container_id.clone().expect("a container")
}

/// Takes everything from the device but its base image, and what the workstation knows about it.
pub(crate) async fn bare(device: &Device, workstation: &Workstation) {
    device.converge(&Target::of(&[]).text()).await;
    let engine = device.engine.client().await;
    let all = ListContainersOptionsBuilder::new().all(true).build();
    for container in engine.list_containers(Some(all)).await.expect("containers") {
        let force = RemoveContainerOptionsBuilder::new()
            .force(true)
            .v(true)
            .build();
        let id = container.id.expect("an id");
        // The agent may be at it, too.
        let _ = engine.remove_container(&id, Some(force)).await;
    }
    engine
        .prune_networks(None::<PruneNetworksOptions>)
        .await
        .expect("to prune networks");
    engine
        .prune_volumes(None::<PruneVolumesOptions>)
        .await
        .expect("to prune volumes");
    // Removing one takes those below it along.
    let images = ListImagesOptionsBuilder::new().build();
    for image in engine.list_images(Some(images)).await.expect("images") {
        if !image.repo_tags.iter().any(|tag| tag == BUSYBOX) {
            let force = RemoveImageOptionsBuilder::new().force(true).build();
            let _ = engine.remove_image(&image.id, Some(force), None).await;
        }
    }
    for kept in [".cache", ".local"] {
        let _ = fs_err::remove_dir_all(workstation.home().join(kept));
    }
}
