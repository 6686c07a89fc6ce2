//! A machine with an engine goes from one test to the next as empty as a new one, or not at all.

use std::path::Path;

use bollard::query_parameters::{
    CreateContainerOptionsBuilder, ListContainersOptionsBuilder, ListImagesOptionsBuilder,
    ListNetworksOptions, ListVolumesOptions, StartContainerOptions,
};
use testkit::image::{self, BUSYBOX};
use testkit::{Engine, Lan, Process};

#[tokio::test]
async fn a_used_machine_is_as_empty_as_a_new_one() {
    let lan = Lan::new();
    let (machine, engine) = Engine::on_a_machine_closed().await;
    lan.join(&machine);
    let client = engine.client().await;
    image::make_service(&client, "web", "true").await;
    let volume = bollard::models::VolumeCreateRequest {
        name: Some("left".to_owned()),
        ..Default::default()
    };
    client.create_volume(volume).await.unwrap();
    let network = bollard::models::NetworkCreateRequest {
        name: "left".to_owned(),
        ..Default::default()
    };
    client.create_network(network).await.unwrap();
    let body = bollard::models::ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        cmd: Some(["sleep", "1000000"].map(str::to_owned).to_vec()),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::new().name("left").build();
    client.create_container(Some(options), body).await.unwrap();
    client
        .start_container("left", None::<StartContainerOptions>)
        .await
        .unwrap();
    machine.run("touch", &["/etc/left", "/run/left", "left"]);
    let mut command = machine.command("sleep");
    command.arg("1000000");
    let sleeper = Process::start("sleep", command, &machine.dir().join("sleep.log")).await;
    let (name, sleeping) = (machine.name().to_owned(), sleeper.pid());
    // As if the test had forgotten it.
    std::mem::forget(sleeper);
    drop(engine);
    drop(machine);

    let (machine, engine) = Engine::on_a_machine_closed().await;
    assert_eq!(machine.name(), name, "the machine was not used again");
    assert!(!Path::new(&format!("/proc/{sleeping}/exe")).exists());
    let client = engine.client().await;
    let all = ListContainersOptionsBuilder::new().all(true).build();
    assert_eq!(client.list_containers(Some(all)).await.unwrap(), []);
    let volumes = client.list_volumes(None::<ListVolumesOptions>).await;
    assert_eq!(volumes.unwrap().volumes.unwrap_or_default(), []);
    let networks = client.list_networks(None::<ListNetworksOptions>).await;
    assert_eq!(networks.unwrap().len(), 3);
    let all = ListImagesOptionsBuilder::new().all(true).build();
    let images = client.list_images(Some(all)).await.unwrap();
    let tags: Vec<_> = images.into_iter().map(|image| image.repo_tags).collect();
    assert_eq!(tags, [[BUSYBOX]]);
    let files = machine.run("sh", &["-c", "ls -d /etc/left /run/left left || true"]);
    assert_eq!(files, "");
    assert!(!machine.run("ip", &["-o", "link"]).contains("lan0"));
    // In the same network as before it is another machine.
    lan.join(&machine);
}

#[tokio::test]
async fn a_machine_whose_engine_was_killed_is_given_up() {
    let (machine, mut engine) = Engine::on_a_machine().await;
    let dir = machine.dir().to_owned();
    engine.kill_service().await;
    engine.resume_service(&machine).await;
    drop(engine);
    drop(machine);
    assert!(!dir.exists());
}
