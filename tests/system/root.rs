//! The read-only root, what outlasts a restart, and factory reset.

use testkit::LightDevice;

use crate::access::run_container;
use crate::tree::words;

fn writable(kind: &str) -> Vec<String> {
    let binds = words("system/binds");
    let of_kind = binds.iter().filter(|line| line[0] == kind);
    of_kind.map(|line| line[1].clone()).collect()
}

/// What makes it the device that it is.
fn identity(device: &LightDevice) -> [String; 4] {
    [
        "cat /etc/machine-id",
        "cat /etc/ssh/hostkeys/*.pub",
        "hostname",
        "docker ps --all --quiet --no-trunc",
    ]
    .map(|script| device.sh(script))
}

#[test]
fn nothing_can_write_to_the_root_and_everything_to_the_list() {
    let device = LightDevice::development();
    // Every folder of the root file system itself, however deep.
    let written = device.sh(
        "find / -xdev -type d ! -path '/proc*' -exec sh -c 'for folder; do touch \"$folder/.probe\" 2>/dev/null && ! mountpoint -q \"$folder\" && echo \"$folder\"; done' sh {} + || :",
    );
    assert_eq!(written, "", "the root can be written to");
    assert!(!device.holds("mount -o remount,rw / && touch /.probe"));
    for path in ["state", "data", "volatile"]
        .iter()
        .flat_map(|kind| writable(kind))
    {
        device.sh(&format!("touch {path}/.probe && rm {path}/.probe"));
    }
}

#[tokio::test]
async fn a_device_outlasts_a_restart_and_a_cut_of_power_and_a_factory_reset() {
    let mut device = LightDevice::development();
    run_container(&device, "lasting");
    let lasting: Vec<_> = ["state", "data"]
        .iter()
        .flat_map(|kind| writable(kind))
        .collect();
    for path in &lasting {
        device.sh(&format!("echo kept >{path}/.kept"));
    }
    for path in writable("volatile") {
        device.sh(&format!("echo lost >{path}/.lost"));
    }
    device.sh("sync");
    let before = identity(&device);
    for end in [LightDevice::stop, LightDevice::cut_power] {
        end(&mut device);
        device.start_again();
        assert_eq!(identity(&device), before);
        for path in &lasting {
            assert_eq!(device.sh(&format!("cat {path}/.kept")), "kept", "{path}");
        }
        for path in writable("volatile") {
            assert!(!device.holds(&format!("test -e {path}/.lost")), "{path}");
        }
        device
            .until(
                "its container runs again",
                "docker inspect lasting | grep '\"Running\": true'",
            )
            .await;
    }

    // A factory reset of each partition.
    device.sh("rm /mnt/state/remove_me_to_reset");
    device.stop();
    device.start_again();
    let of_state = identity(&device);
    assert_eq!(of_state[0], before[0], "the machine's id stays");
    assert_eq!(of_state[2], before[2], "the uuid is in config.json");
    assert_ne!(of_state[1], before[1], "host keys are made anew");
    assert_eq!(
        of_state[3], before[3],
        "containers are on the data partition"
    );
    for path in writable("state") {
        assert!(!device.holds(&format!("test -e {path}/.kept")), "{path}");
    }
    device.sh("rm /mnt/data/remove_me_to_reset");
    device.stop();
    device.start_again();
    assert_eq!(device.sh("cat /etc/machine-id"), before[0]);
    assert_eq!(device.sh("docker ps --all --quiet"), "");
    for path in writable("data") {
        assert!(!device.holds(&format!("test -e {path}/.kept")), "{path}");
    }
    device.sh("test -e /mnt/data/remove_me_to_reset && test -e /mnt/state/remove_me_to_reset");
}
