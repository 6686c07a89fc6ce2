//! Ctrl-C, a device that goes away, a device that is not there: every push ends, says why, and leaves nothing half done.

use testkit::{Device, Lan, Workstation};

use crate::projects::{running, single};

const DEVICE: i32 = 4;
const INTERRUPTED: i32 = 130;
/// A build that goes on until somebody stops it.
const ENDLESS: &str = "FROM os-test/busybox\nRUN echo it builds; sleep 1000000\n";

#[tokio::test]
async fn ctrl_c_stops_the_build_on_the_device() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    workstation.write("project/Dockerfile", ENDLESS);
    let mut push = workstation.start_in_terminal(&[
        "push",
        "10.88.7.1",
        "--source",
        "project",
        "--detached",
        "--verbose",
    ]);
    testkit::until("the build runs", async || {
        (!running(&device.engine).await.is_empty()).then_some(())
    })
    .await;
    push.press("\x03");
    let output = push.output().await;
    assert_eq!(output.code, INTERRUPTED, "{output}");
    testkit::until("the build is gone", async || {
        running(&device.engine).await.is_empty().then_some(())
    })
    .await;
}

#[tokio::test]
async fn a_device_that_is_not_there_is_said() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    for name in ["10.88.7.77", "nobody.local", "fd88:7::77"] {
        let output = workstation
            .os(&["push", name, "--source", "project", "--detached"])
            .await;
        assert_eq!(output.code, DEVICE, "{output}");
        assert!(
            output.stderr.contains(name.trim_end_matches(".local")),
            "{output}"
        );
    }
    let output = workstation
        .os(&["push", "--source", "project", "--detached"])
        .await;
    assert_eq!(output.code, DEVICE, "{output}");
}

#[tokio::test]
async fn a_device_that_goes_away_while_it_builds_is_said() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    workstation.write("project/Dockerfile", ENDLESS);
    let push = workstation.start(&["push", "10.88.7.1", "--source", "project", "--detached"]);
    testkit::until("the build runs", async || {
        (!running(&device.engine).await.is_empty()).then_some(())
    })
    .await;
    lan.unplug(device.address.unwrap());
    let output = push.output().await;
    assert!(output.code != 0, "{output}");
    assert!(output.stderr.contains("10.88.7.1"), "{output}");
}

#[tokio::test]
async fn an_engine_that_stops_while_it_builds_is_said() {
    let lan = Lan::new();
    let mut device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    workstation.write("project/Dockerfile", ENDLESS);
    let push = workstation.start(&["push", "10.88.7.1", "--source", "project", "--detached"]);
    testkit::until("the build runs", async || {
        (!running(&device.engine).await.is_empty()).then_some(())
    })
    .await;
    device.engine.kill_service().await;
    let output = push.output().await;
    assert!(output.code != 0, "{output}");
    device.engine.resume_service(&device.machine).await;
    single(&workstation, "project");
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
}
