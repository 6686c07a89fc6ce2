//! A folder becomes running containers; what did not change is left alone.

use testkit::{Device, Lan, Recorder, Workstation};

use crate::projects::{compose, running, single};

const WEB: &str = "web_1_1_10ca12e1ea5e";
const WORKER: &str = "worker_2_1_10ca12e1ea5e";

#[tokio::test]
async fn a_folder_with_a_dockerfile_runs() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
    assert_eq!(
        running(&device.engine).await.keys().collect::<Vec<_>>(),
        ["main_1_1_10ca12e1ea5e"]
    );
}

#[tokio::test]
async fn an_unchanged_project_builds_nothing_and_recreates_nothing() {
    let lan = Lan::new();
    let (machine, engine) = testkit::Engine::on_a_machine_closed().await;
    lan.join(&machine);
    let port = Recorder::start(&machine, agent_api::ENGINE_PORT, &engine.socket()).await;
    let settings = testkit::agent::Settings::new(engine.socket());
    let _agent = testkit::Agent::start(&machine, settings).await;
    let workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    let push = ["push", "10.88.7.1", "--source", "project", "--detached"];
    workstation.os(&push).await.success();
    let before = running(&engine).await;
    assert_eq!(before.keys().collect::<Vec<_>>(), [WEB, WORKER]);
    let builds = || {
        port.requests()
            .iter()
            .filter(|request| request.contains("/build?"))
            .count()
    };
    assert_eq!(builds(), 2);
    workstation.os(&push).await.success();
    assert_eq!(builds(), 2, "nothing was built again");
    assert_eq!(running(&engine).await, before);

    workstation.write("project/web/message", "hello again from web\n");
    workstation.os(&push).await.success();
    assert_eq!(builds(), 3, "only what changed was built");
    let after = running(&engine).await;
    assert_eq!(after[WORKER], before[WORKER]);
    assert_ne!(after[WEB], before[WEB]);
}

#[tokio::test]
async fn every_way_to_name_a_device_works() {
    let lan = Lan::new();
    let device =
        Device::start_with(Some(&lan), |settings| settings.announce = "all".to_owned()).await;
    device.agent.announced().await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    for name in [
        "10.88.7.1",
        "10.88.7.1:48484",
        "fd88:7::1",
        "[fd88:7::1]:48484",
        "peer-device.local",
        testkit::agent::UUID,
    ] {
        workstation
            .os(&["push", name, "--source", "project", "--detached"])
            .await
            .success();
    }
    workstation
        .os(&["push", "--source", "project", "--detached"])
        .await
        .success();
    assert_eq!(running(&device.engine).await.len(), 1);
}

#[tokio::test]
async fn variables_of_the_command_line_arrive() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    let push = [
        "push",
        "10.88.7.1",
        "--source",
        "project",
        "--detached",
        "--env",
        "web:FOO=bar",
        "--env",
        "ALL=both",
    ];
    workstation.os(&push).await.success();
    let client = device.engine.client().await;
    let mut found = Vec::new();
    for name in [WEB, WORKER] {
        let container = client
            .inspect_container(
                name,
                None::<bollard::query_parameters::InspectContainerOptions>,
            )
            .await
            .unwrap();
        let env = container.config.unwrap().env.unwrap();
        found.push((
            env.contains(&"FOO=bar".to_owned()),
            env.contains(&"ALL=both".to_owned()),
        ));
    }
    assert_eq!(found, [(true, true), (false, true)]);
}

#[tokio::test]
async fn two_pushes_at_once_end_well_and_in_one_of_them() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "one");
    compose(&workstation, "two");
    let one = workstation.start(&["push", "10.88.7.1", "--source", "one", "--detached"]);
    let two = workstation.start(&["push", "10.88.7.1", "--source", "two", "--detached"]);
    let (one, two) = tokio::join!(one.output(), two.output());
    // Whoever came second has won; the first one may have been told that its target was replaced.
    assert!(one.code == 0 || two.code == 0, "{one}\n{two}");
    let running = running(&device.engine).await;
    let names: Vec<_> = running.keys().map(String::as_str).collect();
    assert!(
        names == ["main_1_1_10ca12e1ea5e"] || names == [WEB, WORKER],
        "{names:?}"
    );
}

#[tokio::test]
async fn the_logs_of_what_was_pushed_are_followed() {
    let lan = Lan::new();
    let _device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    let mut push = workstation.start_in_terminal(&["push", "10.88.7.1", "--source", "project"]);
    push.shows("hello from the single service").await;
    push.press("\x03");
    let output = push.output().await;
    // Leaving the logs is how following ends; 130 where that counts as an interruption.
    assert!([0, 130].contains(&output.code), "{output}");
}
