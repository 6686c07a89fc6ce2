//! A device or its agent goes away and comes back, in the middle of a deployment and while its logs are followed.

use std::collections::BTreeMap;

use testkit::{Device, Lan, Workstation};

use crate::projects::{running, single};

const DEVICE: i32 = 4;
const PUSH: [&str; 5] = ["push", "10.88.7.1", "--source", "project", "--detached"];
/// Counts, quickly enough for several lines in each gap.
const COUNT: &str = "trap 'exit 0' TERM\nn=0\nwhile true; do n=$((n+1)); echo line $n; sleep 0.05 & wait $!; done\n";

/// The numbers that were shown, in their order.
fn counted(text: &str) -> Vec<u32> {
    text.lines()
        .filter_map(|line| line.split("line ").nth(1)?.trim().parse().ok())
        .collect()
}

/// Waits until the log shows lines that came after those there are now.
async fn goes_on(logs: &testkit::workstation::Running) {
    let before = counted(&logs.stdout()).len();
    testkit::until("new lines are shown", async || {
        (counted(&logs.stdout()).len() > before + 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn logs_are_followed_again_without_a_line_lost_or_told_twice() {
    let lan = Lan::new();
    let mut device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation.write("project/run.sh", COUNT);
    workstation.os(&PUSH).await.success();
    let logs = workstation.start(&["logs", "10.88.7.1", "--service", "main"]);
    goes_on(&logs).await;

    device.crash_agent().await;
    logs.says("following the log again").await;
    goes_on(&logs).await;

    let address = device.address.unwrap();
    // An agent that is slow to start has cost some attempts already.
    let said = |words: &str| logs.stderr().matches(words).count();
    let (losses, returns) = (said("next attempt"), said("following the log again"));
    lan.unplug(address);
    // The kernel finds out that nobody answers.
    testkit::until("the loss is said", async || {
        (said("next attempt") > losses).then_some(())
    })
    .await;
    lan.replug(address);
    testkit::until("the return is said", async || {
        (said("following the log again") > returns).then_some(())
    })
    .await;
    goes_on(&logs).await;

    let shown = counted(&logs.stdout());
    let first = shown[0];
    let expected: Vec<u32> = (first..).take(shown.len()).collect();
    let mut times: BTreeMap<u32, u32> = BTreeMap::new();
    for number in &shown {
        *times.entry(*number).or_default() += 1;
    }
    let twice: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert_eq!(shown, expected, "twice: {twice:?}\n{}", logs.stderr());
}

#[tokio::test]
async fn a_device_that_goes_away_while_services_start_is_said_and_finishes_alone() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    // It takes ten seconds to end.
    workstation.write("project/run.sh", "trap '' TERM\nsleep 1000000 & wait\n");
    workstation.os(&PUSH).await.success();
    let before = running(&device.engine).await;
    workstation.write("project/message", "changed\n");
    let push = workstation.start(&PUSH);
    push.says("stopping").await;
    lan.unplug(device.address.unwrap());
    let output = push.output().await;
    assert_eq!(output.code, DEVICE, "{output}");
    assert!(
        output.stderr.contains("10.88.7.1") && output.stderr.contains("trying again"),
        "{output}"
    );
    testkit::until("the device has finished", async || {
        let now = running(&device.engine).await;
        (now.len() == 1 && now != before).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_restarted_while_services_start_is_followed_on() {
    let lan = Lan::new();
    let mut device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    workstation.write("project/run.sh", "trap '' TERM\nsleep 1000000 & wait\n");
    workstation.os(&PUSH).await.success();
    workstation.write("project/message", "changed\n");
    let push = workstation.start(&PUSH);
    push.says("stopping").await;
    device.crash_agent().await;
    let output = push.output().await;
    output.success();
    assert!(output.stderr.contains("trying again"), "{output}");
}
