//! `os docker-context` under the systemd of a person: the system of a device stands in for a workstation that has one.

use testkit::{LightDevice, programs::built};

/// What root's own systemd takes its units from is read-only on a device.
const PERSON: &str = "mountpoint -q /root || mount -t tmpfs home /root
systemctl start user@0.service
export HOME=/root XDG_RUNTIME_DIR=/run/user/0 PATH=/mnt/data/workstation:$PATH
cd
";
const UNIT: &str = "os-docker-kitchen.os";

fn person(device: &LightDevice, script: &str) -> String {
    device.sh(&format!("{PERSON}{script}"))
}

#[tokio::test]
async fn systemd_starts_the_carrier_for_who_connects_and_again_after_its_death() {
    let mut device = LightDevice::development();
    device.spend();
    let folder = device.partition("data").join("workstation");
    fs_err::create_dir(&folder).expect("a folder");
    fs_err::copy(built("os"), folder.join("os")).expect("the program");
    person(
        &device,
        "os docker-context 127.0.0.1 --name kitchen --accept-host-key",
    );
    let state = |unit: &str| {
        let ask = format!("systemctl --user is-active {UNIT}.{unit} || true");
        person(&device, &ask)
    };
    let ps = || person(&device, "docker --context kitchen.os ps --quiet");
    let carrier = || {
        let ask = format!("systemctl --user show --property MainPID --value {UNIT}.service");
        person(&device, &ask)
    };
    assert_eq!(state("socket"), "active");
    // The device runs nothing.
    assert_eq!(ps(), "");
    assert_eq!(state("service"), "active");
    let before = carrier();
    person(&device, &format!("kill -9 {before}"));
    assert_eq!(ps(), "");
    assert_ne!(carrier(), before);

    // As when the person comes back: the socket is there by itself, the carrier with the first who connects.
    let back = format!(
        "systemctl --user stop {UNIT}.socket {UNIT}.service; systemctl --user start sockets.target"
    );
    person(&device, &back);
    assert_eq!([state("socket"), state("service")], ["active", "inactive"]);
    assert_eq!(ps(), "");
    assert_eq!(state("service"), "active");

    person(&device, "os docker-context kitchen --remove");
    assert_eq!(
        [state("socket"), state("service")],
        ["inactive", "inactive"]
    );
    let left = "ls .config/systemd/user; docker context ls --quiet";
    assert_eq!(person(&device, left), "default");
}
