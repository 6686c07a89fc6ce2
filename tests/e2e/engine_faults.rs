//! The device's engine hangs, restarts, is full or talks nonsense while somebody pushes: said, in bounded time, nothing lost.

use testkit::agent::{Agent, Settings};
use testkit::proxy::{Fault, NONSENSE, Proxy, TROUBLE, WRONG_SHAPE};
use testkit::{Device, Engine, Lan, Namespace, Recorder, Workstation, until};

use crate::projects::{running, single};

const DEVICE: i32 = 4;
const BUILD: i32 = 5;
const DEPLOY: i32 = 6;
const PUSH: [&str; 5] = ["push", "10.88.7.1", "--source", "project", "--detached"];

#[tokio::test]
async fn an_engine_that_hangs_while_it_builds_is_given_up() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    workstation.write(
        "project/Dockerfile",
        "FROM os-test/busybox\nRUN sleep 1000000\n",
    );
    let push = workstation.start(&PUSH);
    until("the build runs", async || {
        (!running(&device.engine).await.is_empty()).then_some(())
    })
    .await;
    device.engine.freeze();
    let output = push.output().await;
    device.engine.thaw();
    assert_eq!(output.code, DEVICE, "{output}");
    assert!(output.stderr.contains("has stopped answering"), "{output}");
    single(&workstation, "project");
    workstation.os(&PUSH).await.success();
}

#[tokio::test]
async fn an_engine_that_is_full_or_answers_wrongly_is_told_and_nothing_is_lost() {
    let lan = Lan::new();
    let (machine, engine) = Engine::on_a_machine_closed().await;
    lan.join(&machine);
    let _agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let proxy = Proxy::start(
        &machine.dir().join("proxy.sock"),
        &engine.socket(),
        Fault::None,
    );
    let _port = Recorder::start(&machine, agent_api::ENGINE_PORT, proxy.socket()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation.os(&PUSH).await.success();
    let before = running(&engine).await;
    workstation.write("project/message", "changed\n");
    for (fault, codes, words) in [
        (
            Fault::Answer(TROUBLE),
            [DEVICE, BUILD],
            "no space left on device",
        ),
        (Fault::Answer(NONSENSE), [DEVICE, DEVICE], "10.88.7.1:2375"),
        (
            Fault::Answer(WRONG_SHAPE),
            [DEVICE, BUILD],
            "10.88.7.1:2375",
        ),
        (Fault::Cut, [DEVICE, DEVICE], "10.88.7.1:2375"),
        (Fault::Stall, [DEVICE, DEVICE], "10.88.7.1:2375"),
    ] {
        proxy.set(fault.clone());
        let output = workstation.os(&PUSH).await;
        assert!(codes.contains(&output.code), "{fault:?}: {output}");
        assert!(output.stderr.contains(words), "{fault:?}: {output}");
        assert_eq!(running(&engine).await, before, "{fault:?}");
    }
    proxy.set(Fault::None);
    workstation.os(&PUSH).await.success();
    assert_ne!(running(&engine).await, before);
}

#[tokio::test]
async fn a_build_for_which_there_is_no_room_is_not_begun() {
    let lan = Lan::new();
    let machine = Namespace::new();
    lan.join(&machine);
    let engine = Engine::start_small(&machine, 200).await;
    let _agent = Agent::start(&machine, Settings::new(engine.socket())).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation.os(&PUSH).await.success();
    let before = running(&engine).await;
    let large = fs_err::File::create(workstation.home().join("project/large")).unwrap();
    large.set_len(100 << 20).unwrap();
    for push in [&PUSH[..], &[&PUSH[..4], &["--dry-run"]].concat()] {
        let output = workstation.os(push).await;
        assert_eq!(output.code, DEPLOY, "{output}");
        assert!(
            output.stderr.contains("at least 264 MiB are needed"),
            "{output}"
        );
    }
    assert_eq!(running(&engine).await, before);
}

#[tokio::test]
async fn an_engine_that_is_restarted_while_services_start_is_waited_for() {
    let lan = Lan::new();
    let mut device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation.os(&PUSH).await.success();
    // It takes its time to end, so that there is a middle.
    workstation.write("project/run.sh", "trap '' TERM\nsleep 1000000 & wait\n");
    workstation.os(&PUSH).await.success();
    let kills = |device: &Device| {
        device
            .agent
            .process()
            .log()
            .matches("Killing service")
            .count()
    };
    let before = kills(&device);
    let restart = workstation.start(&["restart", "10.88.7.1"]);
    until("the container is to end", async || {
        (kills(&device) > before).then_some(())
    })
    .await;
    device.engine.kill_service().await;
    device.engine.resume_service(&device.machine).await;
    restart.output().await.success();
    workstation.write(
        "project/run.sh",
        "trap 'exit 0' TERM\nsleep 1000000 & wait\n",
    );
    let push = workstation.start(&PUSH);
    push.says("stopping").await;
    device.engine.kill_service().await;
    device.engine.resume_service(&device.machine).await;
    let output = push.output().await;
    output.success();
    assert_eq!(running(&device.engine).await.len(), 1);
}
