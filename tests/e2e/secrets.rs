//! What belongs to a cloud never reaches a device.

use testkit::agent::{Agent, Settings};
use testkit::{Engine, Lan, Recorder, Workstation};

use crate::{
    projects::compose,
    simulated::{self, agents},
};

/// Exit code of `os` for arguments that are wrong.
const USAGE: i32 = 2;
const TOKEN: &str = "eyJhbGciOiJIUzI1NiJ9.c2VjcmV0LW9mLXRoZS1jbG91ZA.3q2-7w";

#[tokio::test]
async fn no_request_to_a_device_carries_a_cloud_token() {
    let lan = Lan::new();
    let (machine, engine) = Engine::on_a_machine_closed().await;
    lan.join(&machine);
    let mut settings = Settings::new(engine.socket());
    settings.more = ["--listen", "127.0.0.1:48485"].map(str::to_owned).to_vec();
    let agent = Agent::start(&machine, settings).await;
    let ports = [
        Recorder::start(&machine, agent_api::ENGINE_PORT, &engine.socket()).await,
        Recorder::start(&machine, agent_api::API_PORT, &agent.socket()).await,
    ];
    let mut workstation = Workstation::new(Some(&lan));
    // Everywhere that a token may be found in.
    for name in [
        "BALENA_API_KEY",
        "RESIN_API_KEY",
        "OSCLI_TOKEN",
        "BALENA_TOKEN",
        "OS_TOKEN",
    ] {
        workstation.set(name, TOKEN);
    }
    for file in [
        ".balena/token",
        ".resin/token",
        ".config/os/token",
        ".config/os/credentials",
        ".local/state/os/token",
    ] {
        workstation.write(file, TOKEN);
    }
    workstation.write(".config/os/config.toml", format!("token = \"{TOKEN}\"\n"));
    compose(&workstation, "project");
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
    workstation
        .os(&["push", "10.88.7.1", "--source", "project", "--detached"])
        .await
        .success();
    let asked_for_logs = || {
        ports[1]
            .requests()
            .iter()
            .filter(|request| request.contains("logs"))
            .count()
    };
    let before = asked_for_logs();
    let mut logs = workstation.start_in_terminal(&["logs", "10.88.7.1"]);
    testkit::until("logs are asked for", async || {
        (asked_for_logs() > before).then_some(())
    })
    .await;
    logs.press("\x03");
    logs.output().await;
    // What is for a device's key takes no token.
    workstation.set("OSCLI_API_KEY", TOKEN);
    let refused = workstation.os(&["logs", "10.88.7.1", "--no-follow"]).await;
    assert_eq!(refused.code, USAGE, "{refused}");
    assert!(!refused.stderr.contains(TOKEN), "{refused}");
    for port in &ports {
        let bytes = port.bytes();
        assert!(!port.requests().is_empty());
        let sent = String::from_utf8_lossy(&bytes).to_ascii_lowercase();
        assert!(
            !sent.contains("authorization:"),
            "a request claims to be somebody's"
        );
        assert!(!sent.contains(&TOKEN.to_ascii_lowercase()));
        assert!(!sent.contains("apikey="));
    }
}

/// Variables that hold what only `os` is to know.
const VARIABLES: [&str; 5] = [
    "OSCLI_API_KEY",
    "OSCLI_TOKEN",
    "OSCLI_WIFI_KEY",
    "OSCLI_CELLULAR_PASSWORD",
    "OSCLI_CELLULAR_PIN",
];

/// Gives the workstation a program that writes down what it finds in its environment, and fails.
fn spy(workstation: &mut Workstation, path: &str) {
    let script = "#!/bin/sh\n{ echo \"ran $0\"; env; } >>\"$HOME/seen\"; exit 1\n";
    let file = workstation.write(path, script);
    workstation
        .machine
        .run("chmod", &["755", &file.display().to_string()]);
}

#[tokio::test]
async fn no_program_that_is_started_has_a_secret_in_its_environment() {
    let mut workstation = Workstation::new(None);
    for name in VARIABLES {
        workstation.set(name, TOKEN);
    }
    let script = "checkout/os-build/virtual/light-device";
    for program in ["bin/docker", "bin/systemctl", script] {
        spy(&mut workstation, program);
    }
    // What has to be there beside the script.
    for program in ["mmdebstrap", "systemd-nspawn"] {
        spy(&mut workstation, &format!("bin/{program}"));
    }
    let bin = workstation.home().join("bin").display().to_string();
    let path = format!("{bin}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    workstation.set("PATH", &path);
    workstation
        .os(&["docker-context", "--remove", "kitchen"])
        .await;
    let system = ["simulate", "--system", "--list", "--sources", "checkout"];
    workstation.os(&system).await;
    let seen = fs_err::read_to_string(workstation.home().join("seen")).expect("what was seen");
    for program in ["docker", "systemctl", "light-device"] {
        assert!(seen.contains(&format!("/{program}\n")), "{program}: {seen}");
    }
    assert!(!seen.contains(TOKEN), "{seen}");
}

/// It lives on when the command has ended.
#[tokio::test]
async fn a_simulated_agent_has_no_secret_in_its_environment() {
    let (mut workstation, _engine) = simulated::workstation(None).await;
    for name in VARIABLES {
        workstation.set(name, TOKEN);
    }
    let started = workstation.os(&["simulate", "--name", "demo"]).await;
    started.success();
    let found = agents(&workstation);
    assert_eq!(found.len(), 1);
    for pid in found {
        let path = format!("/proc/{pid}/environ");
        let environment = workstation.machine.run("cat", &[&path]);
        assert!(environment.contains("HOME="), "{environment}");
        assert!(!environment.contains(TOKEN), "{environment}");
    }
    workstation.os(&["simulate", "--stop"]).await.success();
}
