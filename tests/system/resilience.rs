//! What is killed comes back, and a full disk is told by a device that is still reached.

use std::process::Command;

use testkit::{LightDevice, until};

use crate::beside::os;

#[tokio::test]
async fn what_is_killed_comes_back_by_itself() {
    let mut device = LightDevice::development();
    device.spend();
    for unit in [
        "balena",
        "os-agent",
        "avahi-daemon",
        "NetworkManager",
        "dnsmasq",
        "chronyd",
        "systemd-journald",
    ] {
        let pid = format!("systemctl show {unit} --property MainPID --value");
        let before = device.sh(&pid);
        assert_ne!(before, "0", "{unit} does not run");
        device.sh(&format!("kill -KILL {before}"));
        let is_back = format!(
            "systemctl is-active --quiet {unit} && now=$({pid}) && test $now != 0 && test $now != {before}"
        );
        device.until(&format!("{unit} is back"), &is_back).await;
    }
    device.until("the engine answers", "docker version").await;
    until("the agent answers", async || {
        device.accepts(48484).then_some(())
    })
    .await;
    assert_eq!(device.http(48484, "/ping"), "OK");
}

#[test]
fn what_must_not_end_for_lack_of_memory_is_marked_so() {
    let device = LightDevice::development();
    // As systemd would have it: in a container the kernel may refuse it.
    for (unit, score) in [
        ("NetworkManager", "-1000"),
        ("openvpn", "-1000"),
        ("balena", "-900"),
        ("os-agent", "-900"),
        ("dnsmasq", "-900"),
        ("chronyd", "-900"),
    ] {
        let shown = device.sh(&format!(
            "systemctl show {unit} --property OOMScoreAdjust --value"
        ));
        assert_eq!(shown, score, "{unit}");
    }
    let watchdog = device.sh("systemctl show os-agent --property WatchdogUSec --value");
    assert_eq!(watchdog, "3min");
}

#[tokio::test]
async fn a_full_data_partition_leaves_a_device_that_says_what_fills_it() {
    let mut device = LightDevice::cold();
    device.set_data("160M");
    device.write_config("{\"developmentMode\":true}");
    device = device.start();
    crate::access::load_image(&device);
    device.sh("docker volume create hoard >/dev/null");
    device.sh("head -c 1G /dev/zero >/mnt/data/docker/volumes/hoard/_data/all 2>/dev/null || :");
    assert_eq!(
        device.sh("df --output=avail /mnt/data | tail -n 1").trim(),
        "0"
    );
    assert!(device.lets_in(&[]) && device.accepts(48484) && device.accepts(2375));
    // What fills it, as people ask.
    let home = tempfile::tempdir().unwrap();
    let info = os(
        &device,
        home.path(),
        &["info", &device.address().to_string()],
    );
    info.success();
    assert!(info.stdout.to_lowercase().contains("disk"), "{info}");
    // Its services come back on a full disk.
    device.sh("systemctl restart os-agent");
    until("the agent answers", async || {
        device.accepts(48484).then_some(())
    })
    .await;
    device.configure(|config| config["hostname"] = "crammed".into());
    device
        .until("it is configured", "test \"$(hostname)\" = crammed")
        .await;
    device.spend();
}

#[test]
fn a_process_that_has_a_devices_number_by_now_is_not_the_device() {
    let mut stranger = Command::new("sleep").arg("600").spawn().expect("sleep");
    let mut device = LightDevice::cold();
    let file = device.partition("boot").with_file_name("pid");
    for began in ["", " 1@before"] {
        fs_err::write(&file, format!("{}{began}\n", stranger.id())).unwrap();
        device.stop();
        assert!(stranger.try_wait().unwrap().is_none(), "it was ended");
    }
    stranger.kill().unwrap();
    stranger.wait().unwrap();
}
