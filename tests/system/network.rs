//! Connections of the boot partition, name servers of the network.

use testkit::{LightDevice, until};

use crate::beside::NameServer;

const CONNECTION: &str = "[connection]\nid=probe\ntype=dummy\ninterface-name=probe0\nautoconnect=false\n\n[ipv4]\nmethod=disabled\n";

#[tokio::test]
async fn connections_of_the_boot_partition_come_and_go() {
    let mut device = LightDevice::development();
    device.spend();
    let folder = device.partition("boot").join("system-connections");
    let on_device = "/etc/NetworkManager/system-connections";
    for (name, text) in [
        ("probe", CONNECTION),
        (
            "probe two.nmconnection",
            &CONNECTION.replace("probe", "other"),
        ),
        ("broken", "[connection\nid=\0"),
        ("empty", ""),
        ("resin-sample.ignore", "[connection]\nid=sample\n"),
    ] {
        fs_err::write(folder.join(name), text).unwrap();
    }
    device.stop();
    device.start_again();
    let known = || device.sh("nmcli --terse --fields NAME connection show");
    until("the connections are known", async || {
        let known = known();
        (known.contains("probe") && known.contains("other")).then_some(())
    })
    .await;
    assert!(!known().contains("sample"));
    let modes = device.sh(&format!("stat --format '%a %U' {on_device}/* | sort -u"));
    assert_eq!(modes, "600 root");
    let told = device.standing().to_string();
    assert!(told.contains("broken"), "{told}");
    // Changed on the device: it stays. Not changed: it goes as it came.
    device.sh("nmcli connection modify probe connection.autoconnect-priority 7");
    for name in ["probe", "probe two.nmconnection"] {
        fs_err::remove_file(folder.join(name)).unwrap();
    }
    device.stop();
    device.start_again();
    until("the connection is gone", async || {
        (!device
            .sh("nmcli --terse --fields NAME connection show")
            .contains("other"))
        .then_some(())
    })
    .await;
    assert!(
        device
            .sh("nmcli --terse --fields NAME connection show")
            .contains("probe")
    );
}

#[tokio::test]
async fn name_servers_of_the_network_reach_dnsmasq_by_resolvconf() {
    let mut device = LightDevice::development();
    device.spend();
    let _server = NameServer::start(&device, 53);
    device.sh("nmcli connection modify 'Wired connection 1' ipv4.dns 10.77.0.1 && nmcli connection up 'Wired connection 1'");
    device
        .until(
            "resolvconf has it",
            "grep -q 10.77.0.1 /run/resolvconf/resolv.conf",
        )
        .await;
    device
        .until(
            "names are resolved",
            "getent ahostsv4 kitchen.example | grep -q 192.0.2.7",
        )
        .await;
}
