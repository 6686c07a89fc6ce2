//! What the API does to the machine: a real system bus with the real logind, real files, the real journalctl.

use agent_api::os::Report;
use bytes::Bytes;
use http_body_util::BodyExt;
use serde_json::{Value, json};
use testkit::http::request;
use testkit::target::IDLE;
use testkit::{Device, Endpoint, Logind, Namespace, Target, until};

/// Requests to the device.
async fn ask(endpoint: &Endpoint<'_>, method: &str, path: &str, body: &Value) -> (u16, String) {
    let body = Bytes::from(body.to_string());
    let answer = endpoint.request(request(method, path, Some(body))).await;
    (answer.status.as_u16(), answer.text().to_owned())
}

const OK: &str = r#"{"Data":"OK","Error":null}"#;

#[tokio::test]
async fn a_reboot_takes_all_locks_and_reaches_who_ends_the_machine() {
    let device = Device::start().await;
    let logind = Logind::start(&device.machine).await;
    let target = Target::of(&[("web", IDLE)]);
    device.converge(&target.text()).await;
    let endpoint = device.agent.endpoint();
    let lock = device.agent.dir().join("services/1/web/updates.lock");
    fs_err::write(&lock, "").expect("a lock");
    let locked = ask(&endpoint, "POST", "/v1/reboot", &json!({})).await;
    let words = r#"{"Data":"","Error":"Lockfile exists for { appId: 1, service: web }"}"#;
    assert_eq!(locked, (423, words.to_owned()));
    assert!(!logind.log().contains("will reboot now"));

    // It holds the lock for a moment only: whoever looks after the answer may be late.
    let force = json!({"force": true});
    let (forced, ()) = tokio::join!(
        ask(&endpoint, "POST", "/v1/reboot", &force),
        until("the lock is the agent's", async || {
            let ours = fs_err::read_to_string(&lock).ok()?;
            ours.starts_with("os-agent").then_some(())
        })
    );
    assert_eq!(forced, (202, OK.to_owned()));
    until("logind was asked for a reboot", async || {
        logind
            .log()
            .contains("The system will reboot now!")
            .then_some(())
    })
    .await;
    // There is no service manager here to carry it out: the device goes on, and lets go of the locks.
    until("the locks are let go of", async || {
        (!lock.exists()).then_some(())
    })
    .await;
    let off = ask(&endpoint, "POST", "/v1/shutdown", &json!({})).await;
    assert_eq!(off, (202, OK.to_owned()));
    until("logind was asked to switch off", async || {
        let log = logind.log();
        log.contains("The system will power off now!").then_some(())
    })
    .await;
    let changed = target.with("web", "environment", json!({"A": "1"}));
    device.converge(&changed.text()).await;
}

#[tokio::test]
async fn the_machine_is_restarted_for_a_service_that_asks_for_it_once() {
    let mut device = Device::start().await;
    let logind = Logind::start(&device.machine).await;
    let labels = json!({"io.balena.update.requires-reboot": "1"});
    let target = Target::of(&[("web", IDLE), ("worker", IDLE)]).with("web", "labels", labels);
    let endpoint = device.agent.endpoint();
    let posted = endpoint.post("/os/v1/target-state", target.text()).await;
    assert!(posted.status.is_success(), "{}", posted.text());
    until("logind was asked for a reboot", async || {
        logind
            .log()
            .contains("The system will reboot now!")
            .then_some(())
    })
    .await;
    let report = endpoint.get("/os/v1/report").await.json();
    let report: Report = serde_json::from_value(report).expect("a report");
    let [web, worker] = &report.services[..] else {
        panic!("two services: {report:?}");
    };
    assert_eq!(
        (web.name.as_str(), web.status.as_str()),
        ("web", "Installed")
    );
    assert_eq!(worker.status, "Running");
    // As after a start of the machine: the kernel has another word for its run.
    device.agent.kill().await;
    // What it asked for last has come to logind before this question.
    assert!(Logind::answers(&device.machine));
    let asked = || {
        let log = logind.log();
        log.matches("The system will reboot now!").count()
    };
    let before = asked();
    let memory = device.agent.state_dir().join("memory.json");
    let mut content: Value =
        serde_json::from_slice(&fs_err::read(&memory).expect("the memory")).expect("JSON");
    let seen = content["seen_in"].as_object_mut().expect("containers");
    assert_eq!(seen.len(), 1);
    for boot in seen.values_mut() {
        *boot = json!("the run before");
    }
    fs_err::write(&memory, content.to_string()).expect("the memory");
    device.agent.resume(&device.machine).await;
    let report = device.settled(1).await;
    assert_eq!(report.services[0].status, "Running");
    assert_eq!(report.services[0].container_id, web.container_id);
    // What the agent had to say to it was said.
    device.agent.kill().await;
    assert!(Logind::answers(&device.machine));
    assert_eq!(asked(), before, "it is restarted again");
}

#[tokio::test]
async fn a_machine_is_restarted_although_its_engine_is_gone() {
    let machine = Namespace::new();
    let logind = Logind::start(&machine).await;
    let settings = testkit::agent::Settings::new(machine.dir().join("no-engine.sock"));
    let agent = testkit::Agent::start(&machine, settings).await;
    let answer = ask(&agent.endpoint(), "POST", "/v1/reboot", &json!({})).await;
    assert_eq!(answer, (202, OK.to_owned()));
    until("logind was asked for a reboot", async || {
        logind
            .log()
            .contains("The system will reboot now!")
            .then_some(())
    })
    .await;
}

#[tokio::test]
async fn host_config_is_written_to_the_boot_partition() {
    let device = Device::start().await;
    device.converge(&Target::of(&[("web", IDLE)]).text()).await;
    let endpoint = device.agent.endpoint();
    let boot = device.agent.dir().to_owned();
    let theirs = r#"{"zeta":1,"wifi":{"b":[],"a":2}}"#;
    fs_err::write(boot.join("config.json"), theirs).expect("config.json");
    let path = "/v1/device/host-config";
    let whole = json!({"network": {
        "proxy": {"type": "socks5", "ip": "proxy.example", "port": 1080, "password": "p\"w", "noProxy": ["10.0.0.0/8"]},
        "hostname": "kitchen",
    }});
    let lock = boot.join("services/1/web/updates.lock");
    fs_err::write(&lock, "").expect("a lock");
    let (status, words) = ask(&endpoint, "PATCH", path, &whole).await;
    assert_eq!(
        (status, words.as_str()),
        (423, "Lockfile exists for { appId: 1, service: web }")
    );
    assert!(!boot.join("system-proxy").exists());
    fs_err::remove_file(&lock).expect("the lock");

    let changed = ask(&endpoint, "PATCH", path, &whole).await;
    assert_eq!(changed, (200, "OK".to_owned()));
    until("the locks are let go of", async || {
        (!lock.exists()).then_some(())
    })
    .await;
    let conf = fs_err::read_to_string(boot.join("system-proxy/redsocks.conf")).expect("the proxy");
    assert!(
        conf.contains("\tip = proxy.example;\n\tport = 1080;\n\tpassword = \"p\\\"w\";\n"),
        "{conf}"
    );
    let config = fs_err::read_to_string(boot.join("config.json")).expect("config.json");
    assert_eq!(
        config,
        r#"{"zeta":1,"wifi":{"b":[],"a":2},"hostname":"kitchen"}"#
    );
    let told = endpoint.get(path).await;
    assert_eq!(told.json(), whole);

    let cleared = json!({"network": {"proxy": {}}, "force": true});
    assert_eq!(ask(&endpoint, "PATCH", path, &cleared).await.0, 200);
    let left = fs_err::read_dir(boot.join("system-proxy"))
        .expect("the folder")
        .count();
    assert_eq!(left, 0);
    assert_eq!(
        endpoint.get(path).await.text(),
        r#"{"network":{"hostname":"kitchen"}}"#
    );
}

/// Programs of this name on the machine.
fn running(machine: &Namespace, name: &str) -> usize {
    let count = format!("cat /proc/[0-9]*/comm 2>/dev/null | grep -c '^{name}$' || true");
    let count = machine.run("sh", &["-c", &count]);
    count.trim().parse().expect("a number")
}

#[tokio::test]
async fn the_journal_is_read_by_a_program_that_ends_with_its_reader() {
    let machine = Namespace::new();
    let settings = testkit::agent::Settings::new(machine.dir().join("no-engine.sock"));
    let agent = testkit::Agent::start(&machine, settings).await;
    let endpoint = agent.endpoint();
    let path = "/v2/journal-logs";
    // The machine's journal is empty, or that of the machine that the tests run on: either way it is read to its end.
    let body = json!({"count": 1, "unit": "--flush", "format": "cat"});
    let answer = endpoint.post(path, body.to_string()).await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), None);
    let refused = endpoint.post(path, r#"{"since":"yesterdy"}"#).await;
    let words = r#"{"status":"failed","message":"Failed to parse timestamp: yesterdy"}"#;
    assert_eq!((refused.status.as_u16(), refused.text()), (400, words));
    until("the program has ended with its answer", async || {
        (running(&machine, "journalctl") == 0).then_some(())
    })
    .await;

    let follow = Bytes::from(json!({"follow": true, "count": 0}).to_string());
    let mut readers = Vec::new();
    for _ in 0..8 {
        let reader = endpoint
            .send(request("POST", path, Some(follow.clone())))
            .await;
        let reader = reader.expect("an answer");
        assert_eq!(reader.status().as_u16(), 200);
        readers.push(reader);
    }
    until("eight programs run", async || {
        (running(&machine, "journalctl") == 8).then_some(())
    })
    .await;
    let ninth = endpoint.post(path, follow.clone()).await;
    assert_eq!(ninth.status.as_u16(), 503, "{}", ninth.text());
    drop(readers.split_off(1));
    until("those without a reader have ended", async || {
        (running(&machine, "journalctl") == 1).then_some(())
    })
    .await;
    // The agent's end is the last one's.
    let mut agent = agent;
    assert!(agent.stop().await);
    let last = readers.pop().expect("a reader");
    let ended = tokio::time::timeout(until::PATIENCE, last.into_body().collect());
    drop(ended.await.expect("an end"));
    until("no program is left", async || {
        (running(&machine, "journalctl") == 0).then_some(())
    })
    .await;
}
