//! Simulated devices: started, used, apart from each other and from the network, and gone without a trace.

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};
use testkit::{Engine, Lan, Workstation, until};

use crate::projects::{compose, running, single};
use crate::simulated::{agents, port, status, traces, workstation};

const FAILED: i32 = 1;
const USAGE: i32 = 2;
const NO_DEVICE: i32 = 4;
const INTERRUPTED: i32 = 130;

async fn push(workstation: &Workstation, device: &str) -> testkit::workstation::Output {
    let output = workstation
        .os(&["push", device, "--source", "project", "--detached"])
        .await;
    output.success();
    output
}

#[tokio::test]
async fn a_device_is_started_used_and_removed_without_a_trace() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;

    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    let device = status(&workstation, "demo").await;
    assert_eq!(device["state"], "running");
    assert_eq!(agents(&workstation).len(), 1);
    compose(&workstation, "project");
    push(&workstation, "demo").await;
    assert_eq!(running(&engine).await.len(), 2);
    // An image that loses its name to a newer one is the device's all the same.
    workstation.write("project/web/message", "hello again\n");
    push(&workstation, "demo").await;

    let stop = workstation.os(&["simulate", "--stop"]).await;
    stop.success();
    assert!(
        stop.stderr.contains("2 containers, 1 network, 1 volume"),
        "{stop}"
    );
    assert_eq!(traces(&workstation, &engine).await, before);
    let again = workstation.os(&["simulate", "--stop"]).await;
    again.success();
    assert!(again.stderr.contains("no simulated devices"), "{again}");
}

#[tokio::test]
async fn two_devices_with_the_same_project_do_not_disturb_each_other() {
    let (workstation, engine) = workstation(None).await;
    for name in ["one", "two"] {
        let device = workstation.os(&["simulate", "--name", name]).await;
        device.success();
    }
    compose(&workstation, "project");
    push(&workstation, "one").await;
    let of_one = running(&engine).await;
    push(&workstation, "two").await;
    let of_both = running(&engine).await;
    assert_eq!(of_both.len(), 4);
    assert!(
        of_one
            .iter()
            .all(|(name, id)| of_both.get(name) == Some(id))
    );

    workstation
        .os(&["simulate", "--stop", "two"])
        .await
        .success();
    assert_eq!(running(&engine).await, of_one);
    // The images of the other one are still there: nothing has to be built.
    push(&workstation, "one").await;
    assert_eq!(running(&engine).await, of_one);
    workstation.os(&["simulate", "--stop"]).await.success();
}

#[tokio::test]
async fn nothing_is_reachable_from_the_network() {
    let lan = Lan::new();
    let (workstation, _engine) = workstation(Some(&lan)).await;
    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    workstation.os(&["new", "web", "project"]).await.success();
    push(&workstation, "demo").await;
    let page = port(&workstation, "demo", 80).await;
    until("the page answers", async || page.connect().await.ok()).await;

    let listening = workstation
        .machine
        .run("sh", &["-c", "cat /proc/net/tcp /proc/net/tcp6"]);
    for line in listening.lines() {
        let fields: Vec<_> = line.split_whitespace().collect();
        // State 0A is LISTEN; the local address is in host order, so 127.x.y.z ends in 7F.
        if let [_, local, _, "0A", ..] = fields[..] {
            let address = local.split(':').next().expect("an address");
            let loopback = (address.len() == 8 && address.ends_with("7F"))
                || address == "00000000000000000000000001000000"
                || (address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F"));
            assert!(loopback, "something listens for others: {line}");
        }
    }
    workstation.os(&["simulate", "--stop"]).await.success();
}

/// Whether the only container is privileged, and its network.
async fn container(engine: &Engine) -> (bool, String) {
    let client = engine.client().await;
    let all = ListContainersOptionsBuilder::new().build();
    let found = client.list_containers(Some(all)).await.expect("containers");
    let [container] = &found[..] else {
        panic!("not one container: {found:?}");
    };
    let id = container.id.as_deref().expect("an id");
    let seen = client
        .inspect_container(id, None::<InspectContainerOptions>)
        .await
        .expect("the container");
    let host = seen.host_config.expect("its configuration");
    (
        host.privileged == Some(true),
        host.network_mode.expect("its network"),
    )
}

#[tokio::test]
async fn a_project_gets_no_power_over_the_machine_unless_that_is_allowed() {
    let (workstation, engine) = workstation(None).await;
    // Without a compose file a project is privileged and in the host's network.
    single(&workstation, "project");
    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    let pushed = push(&workstation, "demo").await;
    let note = "demo leaves out 6 settings of this project";
    assert!(pushed.stderr.contains(note), "{pushed}");
    let (privileged, network) = container(&engine).await;
    assert!(!privileged);
    assert_ne!(network, "host");

    // A device that is there is not made more powerful by a command that only wanted to start it.
    let allow = ["simulate", "--name", "demo", "--allow-privileged"];
    let refused = workstation.os(&allow).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    workstation
        .os(&["simulate", "--stop", "demo"])
        .await
        .success();

    workstation.os(&allow).await.success();
    push(&workstation, "demo").await;
    assert_eq!(container(&engine).await, (true, "host".to_owned()));
    workstation.os(&["simulate", "--stop"]).await.success();
}

#[tokio::test]
async fn a_device_whose_agent_was_killed_is_started_again_as_it_was() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    compose(&workstation, "project");
    push(&workstation, "demo").await;
    let containers = running(&engine).await;
    let device = status(&workstation, "demo").await;

    let kill = || {
        workstation
            .machine
            .run("kill", &["-9", &agents(&workstation).join(" ")])
    };
    kill();
    until("the agent is gone", async || {
        agents(&workstation).is_empty().then_some(())
    })
    .await;
    assert_eq!(status(&workstation, "demo").await["state"], "stopped");
    assert_eq!(running(&engine).await, containers);

    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    let again = status(&workstation, "demo").await;
    assert_eq!(again["state"], "running");
    for same in ["uuid", "address", "namespace"] {
        assert_eq!(again[same], device[same]);
    }
    push(&workstation, "demo").await;
    assert_eq!(running(&engine).await, containers);

    kill();
    workstation.os(&["simulate", "--stop"]).await.success();
    assert_eq!(traces(&workstation, &engine).await, before);
}

#[tokio::test]
async fn what_an_absent_engine_keeps_is_removed_when_it_is_back() {
    let (workstation, mut engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    workstation
        .os(&["simulate", "--name", "demo"])
        .await
        .success();
    compose(&workstation, "project");
    push(&workstation, "demo").await;

    engine.stop_service().await;
    let stop = workstation.os(&["simulate", "--stop"]).await;
    assert_eq!(stop.code, FAILED, "{stop}");
    assert!(
        stop.stderr
            .contains("the same command again removes the rest"),
        "{stop}"
    );
    assert!(agents(&workstation).is_empty());

    engine.resume_service(&workstation.machine).await;
    assert_eq!(status(&workstation, "demo").await["state"], "stopped");
    workstation.os(&["simulate", "--stop"]).await.success();
    assert_eq!(traces(&workstation, &engine).await, before);
}

#[tokio::test]
async fn commands_at_the_same_time_wait_for_each_other() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    let starts = [
        workstation.start(&["simulate", "--count", "3"]),
        workstation.start(&["simulate", "--name", "demo"]),
        workstation.start(&["simulate", "--name", "demo"]),
    ];
    for start in starts {
        start.output().await.success();
    }
    assert_eq!(agents(&workstation).len(), 4);
    let stops = [
        workstation.start(&["simulate", "--stop"]),
        workstation.start(&["simulate", "--stop"]),
    ];
    for stop in stops {
        stop.output().await.success();
    }
    assert_eq!(traces(&workstation, &engine).await, before);
}

#[tokio::test]
async fn without_an_engine_it_is_said_what_to_do() {
    let workstation = Workstation::new(None);
    let output = workstation.os(&["simulate"]).await;
    assert_eq!(output.code, FAILED, "{output}");
    assert!(
        output.stderr.contains("apt-get install docker.io"),
        "{output}"
    );
    assert_eq!(output.stdout, "");
    assert!(!workstation.home().join(".local").exists());
}

#[tokio::test]
async fn an_agent_that_does_not_start_leaves_nothing_but_its_words() {
    let (workstation, engine) = workstation(None).await;
    let before = traces(&workstation, &engine).await;
    let agent = |script: &str| {
        let path = workstation.write("agent", format!("#!/bin/sh\n{script}\n"));
        workstation
            .machine
            .run("chmod", &["755", path.to_str().expect("a path")]);
    };
    agent("echo 'no way' >&2; exit 7");
    let output = workstation.os(&["simulate", "--agent", "agent"]).await;
    assert_eq!(output.code, FAILED, "{output}");
    assert!(output.stderr.contains("exit status: 7"), "{output}");
    assert!(output.stderr.contains("no way"), "{output}");
    assert_eq!(traces(&workstation, &engine).await, before);

    let output = workstation.os(&["simulate", "--agent", "nowhere"]).await;
    assert_eq!(output.code, FAILED, "{output}");
    assert!(output.stderr.contains("not at"), "{output}");

    // One that never gets ready, and a person who does not want to wait.
    agent("echo started; exec sleep 1000000");
    let mut waiting = workstation.start_in_terminal(&["simulate", "--agent", "agent", "-v"]);
    waiting.shows("starting the agent").await;
    waiting.press("\x03");
    let output = waiting.output().await;
    assert_eq!(output.code, INTERRUPTED, "{output}");
    assert_eq!(traces(&workstation, &engine).await, before);
    until("the agent that was not ready is gone", async || {
        let all = "cat /proc/[0-9]*/comm 2>/dev/null || true";
        let all = workstation.machine.run("sh", &["-c", all]);
        (!all.contains("sleep")).then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_outlives_the_terminal_that_it_was_started_from() {
    let (workstation, _engine) = workstation(None).await;
    let start = workstation.start_in_terminal(&["simulate", "--name", "demo"]);
    // The terminal is closed with the output.
    let output = start.output().await;
    assert_eq!(output.code, 0, "{output}");
    assert_eq!(status(&workstation, "demo").await["state"], "running");
    let answer = port(&workstation, "demo", 48484).await.get("/ping").await;
    assert_eq!(answer.text(), "OK");
    workstation.os(&["simulate", "--stop"]).await.success();
}

#[tokio::test]
async fn a_device_that_is_not_there_is_not_stopped() {
    let (workstation, _engine) = workstation(None).await;
    let output = workstation.os(&["simulate", "--stop", "demo"]).await;
    assert_eq!(output.code, NO_DEVICE, "{output}");
    workstation
        .os(&["simulate", "--name", "kitchen"])
        .await
        .success();
    let output = workstation.os(&["simulate", "--stop", "demo"]).await;
    assert_eq!(output.code, NO_DEVICE, "{output}");
    assert!(output.stderr.contains("there are: kitchen"), "{output}");
    assert_eq!(status(&workstation, "kitchen").await["state"], "running");
    workstation.os(&["simulate", "--stop"]).await.success();
}
