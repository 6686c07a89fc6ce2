//! Partitions that are not there, files with odd names, and more lines than a journal holds.

use std::process::Stdio;

use serde_json::{Value, json};
use testkit::{LightDevice, until};

use crate::beside;

const ON_DEVICE: &str = "/etc/NetworkManager/system-connections";

fn connection(id: &str) -> String {
    format!(
        "[connection]\nid={id}\ntype=dummy\ninterface-name=odd0\nautoconnect=false\n\n[ipv4]\nmethod=disabled\n"
    )
}

#[tokio::test]
async fn without_the_boot_partition_the_device_stays_what_it_was() {
    let mut device = LightDevice::development();
    device.spend();
    let folder = device.partition("boot").join("system-connections");
    fs_err::write(folder.join("kept"), connection("kept")).unwrap();
    device.configure(|config| config["hostname"] = json!("pantry"));
    device
        .until("it has its name", "test \"$(hostname)\" = pantry")
        .await;
    device.sh("umount --lazy /mnt/boot && test ! -e /mnt/boot/config.json");
    device.sh("os-agent configure && systemctl restart os-agent.service");
    let standing = device.standing();
    assert_eq!(standing["source"], "last-good");
    let because = standing["because"].as_str().unwrap();
    assert!(because.contains("boot partition"), "{because}");
    assert_eq!(device.sh("hostname"), "pantry");
    device.sh(&format!("test -s {ON_DEVICE}/kept"));
    assert!(device.lets_in(&[]) && device.accepts(2375));
    until("the agent is back", async || {
        device.accepts(48484).then_some(())
    })
    .await;
    // The agent reads the same as the rest of the system does.
    let state: Value = serde_json::from_str(&device.http(48484, "/v1/device/host-config")).unwrap();
    assert_eq!(state["network"]["hostname"], "pantry");
}

#[tokio::test]
async fn connections_with_odd_names_are_copied_or_told_and_lead_nowhere() {
    let mut device = LightDevice::development();
    device.spend();
    let folder = device.partition("boot").join("system-connections");
    let long = "x".repeat(230);
    let odd = ["two words", "küche", "back\\slash", "$(reboot)", "-rf"];
    for name in odd {
        fs_err::write(folder.join(name), connection(name)).unwrap();
    }
    for name in ["two\nlines", long.as_str()] {
        fs_err::write(folder.join(name), connection("wrong")).unwrap();
    }
    fs_err::create_dir(folder.join("a folder")).unwrap();
    std::os::unix::fs::symlink("/etc/shadow", folder.join("a link")).unwrap();
    device.sh("os-agent configure");
    let copied = device.sh(&format!(
        "cd {ON_DEVICE} && stat --format '%a %U %F %n' -- *"
    ));
    for name in odd {
        let line = format!("600 root regular file {name}");
        assert!(copied.lines().any(|copied| copied == line), "{copied}");
    }
    for wrong in ["lines", &long, "a folder", "a link"] {
        assert!(!copied.contains(wrong), "{copied}");
    }
    let told = device.standing()["complaints"].clone();
    let told: Vec<&str> = told
        .as_array()
        .unwrap()
        .iter()
        .map(|complaint| complaint["key"].as_str().unwrap())
        .collect();
    assert_eq!(told.len(), 4, "{told:?}");
    assert!(told.contains(&"system-connections/a folder"), "{told:?}");
    assert!(told.contains(&"system-connections/a link"), "{told:?}");
}

#[tokio::test]
async fn a_flood_of_lines_stays_within_the_size_of_the_journal() {
    let device = LightDevice::development();
    // Each line is unlike the others: the journal compresses. By one stream: of several, the last line is not the last to be read.
    let flood = |megabytes: u32| {
        device.sh(&format!(
            "{{ head -c {megabytes}M /dev/urandom | base64 -w 16000; echo said last; }} | systemd-cat -t flood; \
             journalctl --sync"
        ));
    };
    let size = |folder: &str| {
        let size = device.sh(&format!("du -s --block-size=1K {folder} | cut -f1"));
        size.parse::<u32>().unwrap()
    };
    let newest = "journalctl -t flood --output cat --lines 1";
    flood(24);
    let in_memory = size("/run/log/journal");
    assert!((1024..=8 * 1024).contains(&in_memory), "{in_memory} KiB");
    assert_eq!(device.sh(newest), "said last");
    device.configure(|config| config["persistentLogging"] = json!(true));
    device
        .until(
            "the journal is on the disk",
            "journalctl --sync; ls /var/log/journal/*/system.journal",
        )
        .await;
    flood(96);
    let on_disk = size("/mnt/data/var/log/journal");
    assert!((9 * 1024..=32 * 1024).contains(&on_disk), "{on_disk} KiB");
    assert_eq!(device.sh(newest), "said last");
}

#[tokio::test]
async fn a_root_certificate_lets_the_engine_trust_a_registry() {
    let device = LightDevice::development();
    let home = tempfile::tempdir().unwrap();
    let place = |name: &str| home.path().join(name).display().to_string();
    let (key, certificate) = (place("key.pem"), place("certificate.pem"));
    let made = device.output(
        device
            .beside("openssl", home.path())
            .args([
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
            ])
            .args(["-nodes", "-days", "2", "-subj", "/CN=registry of the test"])
            .args(["-addext", &format!("subjectAltName=IP:{}", beside::HERE)])
            .args(["-keyout", &key, "-out", &certificate]),
    );
    assert_eq!(made.code, 0, "{made}");
    let settings = place("settings.yml");
    let text = format!(
        "version: 0.1\nlog: {{level: warn}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\n\
         http: {{addr: \"{}:8443\", tls: {{certificate: {certificate}, key: {key}}}}}\n",
        place("data"),
        beside::HERE
    );
    fs_err::write(&settings, text).unwrap();
    let mut registry = device.beside("docker-registry", home.path());
    registry
        .args(["serve", &settings])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let _registry = tokio::process::Command::from(registry)
        .kill_on_drop(true)
        .spawn()
        .expect("docker-registry");
    let image = format!("{}:8443/kitchen", beside::HERE);
    let pull = || device.try_run(&["docker", "pull", &image]).stderr;
    until("the engine refuses an unknown certificate", async || {
        pull().contains("unknown authority").then_some(())
    })
    .await;
    let pem = fs_err::read_to_string(&certificate).unwrap();
    device.configure(|config| config["balenaRootCA"] = json!(beside::base64(&pem)));
    until("the engine trusts it", async || {
        // It is empty.
        pull().contains("manifest unknown").then_some(())
    })
    .await;
    device.configure(|config| config["balenaRootCA"] = json!(""));
    until("the engine trusts it no more", async || {
        pull().contains("unknown authority").then_some(())
    })
    .await;
}
