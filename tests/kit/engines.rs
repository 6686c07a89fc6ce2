//! Engines run privileged containers here, publish ports in their machine's network, and survive what tests do to them.

use std::net::SocketAddr;

use bollard::Docker;
use bollard::models::{ContainerCreateBody, HostConfig, PortBinding};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder,
    StartContainerOptions, WaitContainerOptions,
};
use futures_util::TryStreamExt;
use testkit::image::BUSYBOX;
use testkit::{Endpoint, Engine, Namespace, until};

async fn start(engine: &Docker, name: &str, command: &str, host: HostConfig) {
    // A binding alone publishes nothing.
    let exposed = host
        .port_bindings
        .as_ref()
        .map(|bindings| bindings.keys().cloned().collect());
    let body = ContainerCreateBody {
        image: Some(BUSYBOX.to_owned()),
        cmd: Some(vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()]),
        host_config: Some(host),
        exposed_ports: exposed,
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::new().name(name).build();
    engine.create_container(Some(options), body).await.unwrap();
    engine
        .start_container(name, None::<StartContainerOptions>)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_privileged_container_in_the_hosts_network_runs() {
    let machine = Namespace::new();
    let engine = Engine::start(&machine).await;
    let client = engine.client().await;
    let host = HostConfig {
        privileged: Some(true),
        network_mode: Some("host".to_owned()),
        ..Default::default()
    };
    start(&client, "main", "exec test -d /sys/class/net/docker0", host).await;
    let ends: Vec<_> = client
        .wait_container("main", None::<WaitContainerOptions>)
        .try_collect()
        .await
        .unwrap();
    assert_eq!(ends[0].status_code, 0);
}

#[tokio::test]
async fn a_port_is_published_in_the_machines_network() {
    let machine = Namespace::new();
    let engine = Engine::start(&machine).await;
    let client = engine.client().await;
    let binding = PortBinding {
        host_ip: None,
        host_port: Some("8081".to_owned()),
    };
    let host = HostConfig {
        port_bindings: Some([("80/tcp".to_owned(), Some(vec![binding]))].into()),
        ..Default::default()
    };
    let serve = "echo it answers > /tmp/index.html; exec httpd -f -h /tmp";
    start(&client, "web", serve, host).await;
    let web = Endpoint::Tcp(&machine, SocketAddr::from(([127, 0, 0, 1], 8081)));
    let answer = until("the page is served", async || {
        web.try_request(testkit::http::request("GET", "/index.html", None))
            .await
            .ok()
    })
    .await;
    assert_eq!(answer.text(), "it answers\n");
}

#[tokio::test]
async fn an_engine_is_killed_frozen_and_started_again() {
    let machine = Namespace::new();
    let mut engine = Engine::start(&machine).await;
    let client = engine.client().await;
    start(
        &client,
        "service",
        "trap exit TERM; sleep 1000 & wait",
        HostConfig::default(),
    )
    .await;
    engine.freeze();
    engine.thaw();
    client.ping().await.unwrap();
    engine.kill_service().await;
    client.ping().await.unwrap_err();
    engine.resume_service(&machine).await;
    client
        .inspect_container("service", None::<InspectContainerOptions>)
        .await
        .unwrap();
    assert!(engine.stop_service().await.success());
    engine.resume_service(&machine).await;
    let remove = RemoveContainerOptionsBuilder::new().force(true).build();
    client
        .remove_container("service", Some(remove))
        .await
        .unwrap();
}
