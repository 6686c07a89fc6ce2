//! Which device a command means: named or not, one or several, seen before or not.

use std::net::SocketAddr;

use serde_json::json;
use testkit::agent::Settings;
use testkit::{Agent, Lan, Namespace, Workstation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

const USAGE: i32 = 2;
const DEVICE: i32 = 4;
const LOGS: [&str; 4] = ["logs", "--verbose", "--tail", "1"];

/// Agents without an engine suffice here: nothing is pushed.
async fn device(lan: &Lan, hostname: &str, uuid: &str) -> (Namespace, Agent) {
    let machine = Namespace::new();
    lan.join(&machine);
    start(machine, hostname, uuid).await
}

pub(super) async fn start(machine: Namespace, hostname: &str, uuid: &str) -> (Namespace, Agent) {
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
async fn a_key_is_not_shown_to_who_has_a_devices_address_of_before() {
    let lan = Lan::new();
    // Somebody else has the address by now, and asks everybody for a key.
    let stranger = Namespace::new();
    lan.join(&stranger);
    let listener = stranger.listen(SocketAddr::from(([0; 8], agent_api::API_PORT)));
    let listener = listener.expect("a free port");
    let (heard, mut requests) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut client, _)) = listener.accept().await {
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                // A client that only looks whether somebody listens says nothing.
                let Ok(byte) = client.read_u8().await else {
                    break;
                };
                request.push(byte);
            }
            // What tells a device from other servers wants no key.
            let (status, body) = if request.starts_with(b"GET /ping ") {
                ("200 OK", "OK")
            } else {
                ("401 Unauthorized", "")
            };
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = client.write_all(answer.as_bytes()).await;
            let _ = heard.send(String::from_utf8_lossy(&request).into_owned());
        }
    });
    let machine = Namespace::new();
    // As through the fleet's tunnel: out of local mode a device shuts its API to its local network.
    lan.join_as(&machine, "tun0");
    let dir = machine.dir().join(Settings::new("none".into()).place);
    fs_err::create_dir_all(&dir).expect("the agent's directory");
    let config = json!({"apiEndpoint": "https://api.example.test", "deviceApiKey": "k"});
    fs_err::write(dir.join("config.json"), config.to_string()).expect("config.json");
    let (_machine, agent) = start(machine, "one", "1a").await;
    let key = agent.endpoint().get("/os/v1/key").await.json();
    let key = key["key"].as_str().expect("a key").to_owned();

    let workstation = Workstation::new(Some(&lan));
    workstation.write("key", &key);
    let before = |name: &str, uuid: &str| {
        json!({
            "name": name, "uuid": uuid.repeat(16), "addresses": [{"ip": "10.88.7.1"}], "api_port": agent_api::API_PORT,
            "engine_port": agent_api::ENGINE_PORT, "ssh_port": agent_api::SSH_PORT, "origin": {"kind": "network"},
        })
    };
    let remember = |devices: serde_json::Value| {
        let remembered = json!({"version": 1, "devices": devices}).to_string();
        workstation.write(".local/state/os/devices.json", remembered);
    };
    remember(json!([before("gone", "2b")]));
    let gone = workstation
        .os(&["local", "status", "gone", "--api-key-file", "key"])
        .await;
    assert_eq!(gone.code, DEVICE, "{gone}");
    assert!(gone.stderr.contains("may be another device"), "{gone}");
    remember(json!([before("one", "1a")]));
    let moved = workstation
        .os(&["local", "status", "one", "--api-key-file", "key"])
        .await;
    moved.success();
    assert_eq!(moved.stdout, "off\n", "{moved}");

    let mut asked = 0;
    while let Ok(request) = requests.try_recv() {
        assert!(!request.contains(&key), "{request}");
        asked += usize::from(!request.is_empty());
    }
    assert!(asked > 0, "nobody was asked there");
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
