//! A device in production mode takes what is pushed to it, from who has a key that it knows.

use serde_json::{Value, json};
use testkit::LightDevice;

use crate::access::{Key, load_image};
use crate::beside::os;

#[tokio::test]
async fn a_device_in_production_mode_with_a_key_takes_a_push() {
    let key = Key::new("ed25519");
    let mut device = LightDevice::boot(&json!({
        "apiEndpoint": "http://10.77.0.1:9",
        "deviceApiKey": "0123456789abcdef0123456789abcdef",
        "os": {"sshKeys": [key.line()]},
    }));
    device.spend();
    load_image(&device);
    assert_eq!(device.open_ports(false), [22222]);
    let home = tempfile::tempdir().expect("a home");
    let project = home.path().join("project");
    fs_err::create_dir(&project).expect("a folder");
    let dockerfile = "FROM os-test/busybox\nCMD [\"sh\", \"-c\", \"trap 'exit 0' TERM; echo it runs; sleep 1000000 & wait\"]\n";
    fs_err::write(project.join("Dockerfile"), dockerfile).expect("a file");
    // Without a compose file it would be privileged, as the reference's is, which not every machine can do.
    let compose = "services:\n  main:\n    build: .\n";
    fs_err::write(project.join("docker-compose.yml"), compose).expect("a file");
    let source = project.display().to_string();
    let uuid = device.uuid().to_owned();
    let os = |arguments: &[&str]| {
        let file = key.options()[1];
        os(
            &device,
            home.path(),
            &[arguments, &["--identity", file]].concat(),
        )
    };

    // The device announces its key, so nobody has to be asked about it.
    let on = os(&["local", "on", &uuid]);
    on.success();
    let pushed = os(&[
        "push",
        &uuid,
        "--source",
        &source,
        "--detached",
        "--verbose",
    ]);
    pushed.success();
    assert!(pushed.stderr.contains("agent.sock of"), "{pushed}");
    assert!(!device.accepts(2375), "the engine is nobody's but root's");
    let status = os(&["ps", &uuid, "--json"]);
    status.success();
    let service: Value = serde_json::from_str(&status.stdout).expect("a service");
    assert_eq!(service["name"], "main", "{status}");
    let told = os(&["logs", &uuid, "--tail", "10", "--no-follow"]);
    told.success();
    assert!(told.stdout.contains("it runs"), "{told}");
    let journal = os(&["logs", &uuid, "--system", "--tail", "5", "--no-follow"]);
    journal.success();
    assert!(journal.stdout.lines().count() >= 5, "{journal}");

    // Nobody else is let in.
    let stranger = tempfile::tempdir().expect("a home");
    let refused = crate::beside::os(
        &device,
        stranger.path(),
        &["push", &uuid, "--source", &source, "--detached"],
    );
    assert_ne!(refused.code, 0, "{refused}");
}
