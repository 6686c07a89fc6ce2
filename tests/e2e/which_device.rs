//! Which device a command means: named or not, one or several, seen before or not.

use testkit::agent::Settings;
use testkit::{Agent, Lan, Namespace, Workstation};

const USAGE: i32 = 2;
const DEVICE: i32 = 4;
const LOGS: [&str; 4] = ["logs", "--verbose", "--tail", "1"];

/// Agents without an engine suffice here: nothing is pushed.
async fn device(lan: &Lan, hostname: &str, uuid: &str) -> (Namespace, Agent) {
    let machine = Namespace::new();
    lan.join(&machine);
    let mut settings = Settings::new(machine.dir().join("no-engine.sock"));
    "all".clone_into(&mut settings.announce);
    hostname.clone_into(&mut settings.hostname);
    settings.uuid = uuid.repeat(16);
    let agent = Agent::start(&machine, settings).await;
    agent.announced().await;
    (machine, agent)
}

/// Waits until a scan finds so many devices.
async fn announced(workstation: &Workstation, count: usize) {
    testkit::until("all devices are announced", async || {
        let scan = workstation.os(&["scan", "--json"]).await;
        (scan.stdout.matches("\"found\"").count() == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn without_a_name_the_only_device_is_meant_or_a_person_chooses() {
    let lan = Lan::new();
    let _one = device(&lan, "one", "1a").await;
    let mut workstation = Workstation::new(Some(&lan));
    announced(&workstation, 1).await;
    let mut only = workstation.start_in_terminal(&LOGS);
    only.shows("Streaming logs").await;
    only.press("\x03");
    only.output().await.success();

    let _two = device(&lan, "two", "2b").await;
    announced(&workstation, 2).await;
    let unclear = workstation.os(&LOGS).await;
    assert_eq!(unclear.code, USAGE, "{unclear}");
    assert!(
        unclear.stderr.contains("2 devices were found") && unclear.stderr.contains("OSCLI_DEVICE"),
        "{unclear}"
    );

    let mut choice = workstation.start_in_terminal(&LOGS);
    choice.shows("Which device?").await;
    choice.shows("two").await;
    choice.press("\x1b[B\r");
    choice.shows("Streaming logs").await;
    assert!(choice.stdout().contains("two"), "{}", choice.stdout());
    choice.press("\x03");
    choice.output().await.success();

    let mut left = workstation.start_in_terminal(&LOGS);
    left.shows("Which device?").await;
    left.press("\x03");
    assert_eq!(left.output().await.code, 130);

    workstation.set("OSCLI_DEVICE", "one");
    let set = workstation.start(&LOGS);
    set.says("Streaming logs").await;
}

#[tokio::test]
async fn two_devices_of_one_name_are_told_apart_by_their_uuids() {
    let lan = Lan::new();
    let _one = device(&lan, "twin", "1a").await;
    let _two = device(&lan, "twin", "2b").await;
    let workstation = Workstation::new(Some(&lan));
    // The second one calls itself otherwise in mDNS; both say what they are called.
    announced(&workstation, 2).await;
    let by_uuid = workstation.start(&["logs", "--verbose", "2b2b2b2"]);
    by_uuid.says("Streaming logs").await;
}

#[tokio::test]
async fn a_file_of_remembered_devices_that_is_of_no_use_stops_nothing() {
    let lan = Lan::new();
    let _one = device(&lan, "one", "1a").await;
    let workstation = Workstation::new(Some(&lan));
    for nonsense in [&b"{\"version\": 1, \"devices\": [{"[..], b"\xff\xfe", b""] {
        workstation.write(".local/state/os/devices.json", nonsense);
        let logs = workstation.start(&["logs", "--verbose", "one"]);
        logs.says("Streaming logs").await;
    }
}

#[tokio::test]
async fn a_device_that_is_not_there_is_called_as_it_was_typed() {
    let lan = Lan::new();
    let workstation = Workstation::new(Some(&lan));
    for name in ["nobody", "nobody.local", "Nobody.LOCAL"] {
        let output = workstation.os(&["logs", name]).await;
        assert_eq!(output.code, DEVICE, "{output}");
        assert!(output.stderr.contains(&format!("`{name}`")), "{output}");
    }
}
