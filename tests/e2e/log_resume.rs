//! `os logs` over restarts of everything, and what it shows of the past.

use std::collections::BTreeMap;

use serde_json::Value;
use testkit::workstation::Running;
use testkit::{Device, Lan, ReferenceDevice, Workstation};

use crate::projects::{compose, single};

const USAGE: i32 = 2;
const PUSH: [&str; 5] = ["push", "10.88.7.1", "--source", "project", "--detached"];
/// Counts on over its own restarts: a number is printed and kept, or neither.
const COUNT: &str = "trap 'stop=yes' TERM\nn=$(cat /number 2>/dev/null || echo 0)\n\
                     while [ -z \"$stop\" ]; do n=$((n+1)); echo line $n; echo $n >/number; sleep 0.03 & wait $!; done\n";

/// A device with two services that count, and a workstation.
async fn counting() -> (Lan, Device, Workstation) {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    compose(&workstation, "project");
    for service in ["web", "worker"] {
        workstation.write(format!("project/{service}/run.sh"), COUNT);
    }
    workstation.os(&PUSH).await.success();
    (lan, device, workstation)
}

/// The lines of JSON on a screen. Among them the terminal shows the key that was pressed, at the end of any line.
fn lines(screen: &str) -> Vec<Value> {
    screen
        .replace("^C", "")
        .lines()
        .filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?.trim_end()).ok())
        .collect()
}

/// The numbers of each service, in their order.
fn counted(screen: &str) -> BTreeMap<String, Vec<u32>> {
    let mut counted: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for line in lines(screen) {
        let number = line["message"]
            .as_str()
            .and_then(|text| text.strip_prefix("line "));
        if let (Some(service), Some(number)) = (line["serviceName"].as_str(), number) {
            let number = number.parse().unwrap();
            counted.entry(service.to_owned()).or_default().push(number);
        }
    }
    counted
}

/// Waits until both services have said more.
async fn goes_on(logs: &Running) {
    let count = |service| counted(&logs.stdout()).get(service).map_or(0, Vec::len);
    let before = [count("web"), count("worker")];
    testkit::until("both services say more", async || {
        let now = [count("web"), count("worker")];
        (now[0] > before[0] + 20 && now[1] > before[1] + 20).then_some(())
    })
    .await;
}

#[tokio::test]
async fn over_restarts_of_client_agent_and_engine_every_number_is_shown_once() {
    let (lan, mut device, workstation) = counting().await;
    let arguments = [
        "logs",
        "10.88.7.1",
        "--json",
        "--since",
        "1h",
        "--cursor-file",
        "cursor",
    ];
    let mut shown: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for turn in 0..3 {
        let mut logs = workstation.start_in_terminal(&arguments);
        goes_on(&logs).await;
        match turn {
            0 => device.crash_agent().await,
            1 => {
                device.engine.stop_service().await;
                goes_quiet(&device).await;
                device.engine.resume_service(&device.machine).await;
            }
            _ => {
                let address = device.address.unwrap();
                lan.unplug(address);
                logs.shows("next attempt").await;
                lan.replug(address);
                logs.shows("following the log again").await;
            }
        }
        goes_on(&logs).await;
        logs.press("\x03");
        let output = logs.output().await;
        output.success();
        assert!(!output.stdout.contains("may be missing"), "{output}");
        for (service, numbers) in counted(&output.stdout) {
            shown.entry(service).or_default().extend(numbers);
        }
    }
    assert_eq!(shown.len(), 2);
    for (service, numbers) in shown {
        let expected: Vec<u32> = (1..).take(numbers.len()).collect();
        assert_eq!(numbers, expected, "{service}");
    }
}

/// Waits until the agent knows that its engine is away.
async fn goes_quiet(device: &Device) {
    let api = device.agent.endpoint();
    testkit::until("the agent knows that its engine is away", async || {
        let info = api.get("/os/v1/info").await.json();
        info["engine"].is_null().then_some(())
    })
    .await;
}

#[tokio::test]
async fn the_past_is_shown_as_it_is_asked_for() {
    let lan = Lan::new();
    let device = Device::start_with(Some(&lan), |_| ()).await;
    let workstation = Workstation::new(Some(&lan));
    single(&workstation, "project");
    let script = "trap 'exit 0' TERM\nfor i in 1 2 3 4; do echo out $i; echo bad $i >&2; sleep 0.02; done\n\
                  echo end\nsleep 1000000 & wait\n";
    workstation.write("project/run.sh", script);
    // A terminal, which a project without a compose file gets, has one stream only.
    let streams = "services:\n  main:\n    build: .\n    tty: false\n";
    workstation.write("project/docker-compose.yml", streams);
    workstation.os(&PUSH).await.success();
    let logs = async |more: &[&str]| {
        let mut arguments = vec!["logs", "10.88.7.1", "--json", "--no-follow"];
        arguments.extend(more);
        let output = workstation.os(&arguments).await;
        output.success();
        lines(&output.stdout)
    };
    let messages = |lines: &[Value]| -> Vec<String> {
        lines
            .iter()
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    };
    testkit::until("everything is written", async || {
        let all = logs(&["--since", "1h", "--service", "main"]).await;
        (all.len() == 9).then_some(())
    })
    .await;
    let all = logs(&["--since", "1h", "--service", "main"]).await;
    let bad = logs(&["--since", "1h", "--stream", "stderr"]).await;
    assert_eq!(messages(&bad), ["bad 1", "bad 2", "bad 3", "bad 4"]);
    let tail = logs(&["--tail", "3", "--service", "main"]).await;
    assert_eq!(tail, all[6..]);
    let out = logs(&["--tail", "2", "--stream", "stdout"]).await;
    assert_eq!(messages(&out), ["out 4", "end"]);
    // By the places that the lines have.
    let time = |line: &Value| {
        let nanos = line["cursor"].as_str().unwrap().split('.').nth(1).unwrap();
        let (seconds, rest) = nanos.split_at(nanos.len() - 9);
        format!("{seconds}.{rest}")
    };
    let (since, until) = (time(&out[0]), time(&out[1]));
    let some = logs(&["--since", &since, "--until", &until, "--stream", "stdout"]).await;
    assert_eq!(some, out);
    let own = logs(&["--since", "1h", "--system"]).await;
    assert!(own.iter().all(|line| line["isSystem"] == true) && !own.is_empty());
    assert_eq!(
        logs(&["--until", "1h", "--service", "main"]).await,
        [Value::Null; 0]
    );

    for (wrong, words) in [
        (&["--since", "yesterday"][..], "'--since <TIME>'"),
        (&["--until=-5m"], "'--until <TIME>'"),
        (&["--stream", "both"], "stdout, stderr"),
        (&["--since", "1m", "--until", "2m"], "is before --since"),
    ] {
        let mut arguments = vec!["logs", "10.88.7.1"];
        arguments.extend(wrong);
        let output = workstation.os(&arguments).await;
        assert_eq!(output.code, USAGE, "{output}");
        assert!(output.stderr.contains(words), "{output}");
    }
    drop(device);
}

#[tokio::test]
async fn a_cursor_file_of_another_device_or_of_nobody_is_refused() {
    let (_lan, _device, workstation) = counting().await;
    let logs = |file| ["logs", "10.88.7.1", "--no-follow", "--cursor-file", file];
    workstation.os(&logs("cursor")).await.success();
    let text = fs_err::read_to_string(workstation.home().join("cursor")).unwrap();
    workstation.write("other", text.replace("5eee", "6fff"));
    let other = workstation.os(&logs("other")).await;
    assert_eq!(other.code, USAGE, "{other}");
    assert!(other.stderr.contains("is about another device"), "{other}");
    workstation.write("nonsense", "nonsense");
    let nonsense = workstation.os(&logs("nonsense")).await;
    assert_eq!(nonsense.code, USAGE, "{nonsense}");
    assert!(
        nonsense.stderr.contains("is not a cursor file"),
        "{nonsense}"
    );
}

#[tokio::test]
async fn a_reference_device_says_what_it_cannot_do() {
    let lan = Lan::new();
    let _device = ReferenceDevice::start(&lan).await;
    let workstation = Workstation::new(Some(&lan));
    let past = workstation
        .os(&["logs", "10.88.7.1", "--since", "10m", "--no-follow"])
        .await;
    past.success();
    assert!(past.stderr.contains("keeps no past lines"), "{past}");
    let file = workstation
        .os(&["logs", "10.88.7.1", "--cursor-file", "cursor"])
        .await;
    assert_eq!(file.code, 4, "{file}");
    assert!(file.stderr.contains("--cursor-file"), "{file}");
}
