//! What SSH offers: its algorithms, and the device's sockets through it in either mode.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Stdio};

use serde_json::{Value, json};
use testkit::{LightDevice, until};

use crate::access::Key;
use crate::beside;

/// Settings of the server, as it understands them, by their names.
fn setting(effective: &str, name: &str) -> String {
    let value = effective.lines().find_map(|line| {
        let (key, value) = line.split_once(' ')?;
        (key == name).then(|| value.to_owned())
    });
    value.unwrap_or_else(|| panic!("no {name} in {effective}"))
}

/// What the server offers first, without having been told anything.
fn offer(device: &LightDevice) -> String {
    let to = SocketAddr::from((device.address(), 22222));
    device.inside(|| {
        let mut stream = TcpStream::connect(to).expect("an SSH server");
        stream.write_all(b"SSH-2.0-probe\r\n").expect("a greeting");
        let mut said = Vec::new();
        let mut part = [0; 4096];
        // Its lists end with the languages, of which there are none; the names of compressions come before.
        while !String::from_utf8_lossy(&said).contains("zlib@openssh.com") {
            let length = stream.read(&mut part).expect("an offer");
            assert_ne!(
                length,
                0,
                "the server ends: {}",
                String::from_utf8_lossy(&said)
            );
            said.extend_from_slice(&part[..length]);
        }
        String::from_utf8_lossy(&said).into_owned()
    })
}

#[tokio::test]
async fn only_modern_algorithms_are_offered() {
    let device = LightDevice::development();
    let effective = device.sh("mkdir -p /run/sshd; sshd -T -f /etc/ssh/sshd_config_readonly");
    let list = |name: &str| -> Vec<String> {
        let value = setting(&effective, name);
        value.split(',').map(str::to_owned).collect()
    };
    let known = [
        "mlkem768x25519-sha256",
        "sntrup761x25519-sha512",
        "sntrup761x25519-sha512@openssh.com",
        "curve25519-sha256",
        "curve25519-sha256@libssh.org",
    ];
    for kex in list("kexalgorithms") {
        assert!(known.contains(&kex.as_str()), "{kex}");
    }
    for mac in list("macs") {
        let is_modern = mac.contains("-etm@") && !mac.contains("sha1") && !mac.contains("umac-64");
        assert!(is_modern, "{mac}");
    }
    for cipher in list("ciphers") {
        let is_modern =
            cipher.ends_with("-ctr") || cipher.contains("gcm") || cipher.contains("poly1305");
        assert!(is_modern, "{cipher}");
    }
    for name in [
        "pubkeyacceptedalgorithms",
        "hostkeyalgorithms",
        "casignaturealgorithms",
    ] {
        for algorithm in list(name) {
            assert!(
                !["ssh-rsa", "ssh-dss"].contains(&algorithm.as_str()),
                "{name}: {algorithm}"
            );
        }
    }
    for name in ["allowtcpforwarding", "allowstreamlocalforwarding"] {
        assert_eq!(setting(&effective, name), "yes", "{name}");
    }
    assert_eq!(setting(&effective, "permitopen"), "any");
    let offer = offer(&device);
    assert!(
        offer.contains("kex-strict-s-v00@openssh.com"),
        "open to Terrapin: {offer}"
    );
    for kind in ["ecdsa", "ecdh-", "diffie-", "hmac-sha1"] {
        assert!(!offer.contains(kind), "{kind} in {offer}");
    }
}

/// A running `ssh` with what it forwards. It ends with this value.
struct Forwarding(Child);

impl Drop for Forwarding {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A port beside the devices that is this device's.
fn port(device: &LightDevice) -> u16 {
    40_000 + u16::from(device.address().octets()[3])
}

/// Debian's `ssh` with ways to sockets and a port of the device.
fn forward(device: &LightDevice, home: &Path, options: &[&str]) -> Forwarding {
    let mut ssh = device.beside("ssh", home);
    ssh.args([
        "-N",
        "-p",
        "22222",
        "-o",
        "ExitOnForwardFailure=yes",
        "-o",
        "BatchMode=yes",
    ]);
    ssh.args([
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
    ]);
    for (here, there) in [
        ("agent", "/run/os-agent/agent.sock"),
        ("balena", "/run/balena-engine.sock"),
        ("docker", "/var/run/docker.sock"),
    ] {
        ssh.arg("-L")
            .arg(format!("{}/{here}:{there}", home.display()));
    }
    ssh.arg("-L")
        .arg(format!("{}:127.0.0.1:48484", port(device)));
    ssh.args(options).arg(format!("root@{}", device.address()));
    let child = ssh.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
    Forwarding(child.expect("ssh"))
}

/// Asks the sockets, which are in a folder, and the port.
async fn answers(device: &LightDevice, home: &Path) -> Value {
    let ask = |socket: &str, path: &str| {
        let mut curl = device.beside("curl", home);
        curl.args(["--silent", "--fail", "--max-time", "10", "--unix-socket"]);
        device.output(
            curl.arg(home.join(socket))
                .arg(format!("http://device{path}")),
        )
    };
    until("SSH forwards", async || {
        (ask("agent", "/ping").code == 0).then_some(())
    })
    .await;
    for engine in ["balena", "docker"] {
        // One that could not start is started again.
        until(engine, async || {
            (ask(engine, "/_ping").stdout == "OK").then_some(())
        })
        .await;
    }
    let mut curl = device.beside("curl", home);
    let ping = device.output(curl.args([
        "--silent",
        &format!("http://127.0.0.1:{}/ping", port(device)),
    ]));
    assert_eq!(ping.stdout, "OK");
    let info = ask("agent", "/os/v1/info");
    assert_eq!(info.code, 0, "root needs no key: {info}");
    serde_json::from_str(&info.stdout).expect("the device's answer")
}

/// The fingerprint of the key that clients ask for first, as a program of others shows it.
fn fingerprint(device: &LightDevice) -> String {
    let shown = device.sh("ssh-keygen -lf /etc/ssh/hostkeys/ssh_host_ed25519_key.pub");
    shown.split(' ').nth(1).expect("a fingerprint").to_owned()
}

#[tokio::test]
async fn sockets_of_the_device_are_reached_through_ssh_in_development_mode() {
    let device = LightDevice::development();
    let home = tempfile::tempdir().expect("a home");
    let _ssh = forward(&device, home.path(), &[]);
    let info = answers(&device, home.path()).await;
    let fingerprint = fingerprint(&device);
    assert_eq!(
        info["ssh_host_keys"][0],
        json!({"algorithm": "ssh-ed25519", "fingerprint": fingerprint})
    );
    assert_eq!(
        info["ssh_host_keys"].as_array().map(Vec::len),
        Some(2),
        "{info}"
    );
    until("os scan shows the fingerprint", async || {
        let found = beside::scan(&device);
        let found = found.iter().find(|found| found["uuid"] == device.uuid())?;
        (found["ssh_fingerprint"] == *fingerprint).then_some(())
    })
    .await;
    let shown = beside::os(
        &device,
        home.path(),
        &["info", &device.address().to_string(), "--json"],
    );
    assert!(shown.stdout.contains(&fingerprint), "{shown}");
}

#[tokio::test]
async fn they_are_reached_with_a_key_where_nothing_else_is() {
    let key = Key::new("ed25519");
    let device = LightDevice::boot(&json!({
        "apiEndpoint": "http://10.77.0.1:9",
        "deviceApiKey": "0123456789abcdef0123456789abcdef",
        "os": {"sshKeys": [key.line()]},
    }));
    assert_eq!(device.open_ports(false), [22222]);
    let home = tempfile::tempdir().expect("a home");
    let _ssh = forward(&device, home.path(), &key.options());
    let info = answers(&device, home.path()).await;
    assert_eq!(
        info["ssh_host_keys"][0]["fingerprint"],
        fingerprint(&device)
    );
    // Others on the device do not even get to the agent, and by TCP they need a key.
    let socket = "/run/os-agent/agent.sock";
    assert_eq!(
        device.sh(&format!("stat --format '%a %U %G' {socket}")),
        "660 root root"
    );
    let as_nobody = |rest: &str| {
        device.sh(&format!(
            "setpriv --reuid=65534 --regid=65534 --clear-groups \
             curl --silent --output /dev/null --write-out '%{{http_code}} %{{exitcode}}' {rest} || :"
        ))
    };
    assert_eq!(
        as_nobody(&format!("--unix-socket {socket} http://device/os/v1/info")),
        "000 7"
    );
    assert_eq!(as_nobody("http://127.0.0.1:48484/os/v1/info"), "401 0");
    // Who is let in by the file's permissions and is not root is no more than anybody by TCP.
    device.sh(&format!("chmod 666 {socket}"));
    assert_eq!(
        as_nobody(&format!("--unix-socket {socket} http://device/os/v1/info")),
        "401 0"
    );
    assert_eq!(
        as_nobody(&format!("--unix-socket {socket} http://device/os/v1/key")),
        "401 0"
    );
}
