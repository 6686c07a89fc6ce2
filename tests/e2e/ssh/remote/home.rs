//! Devices of the local network that their cloud reaches, too.

use testkit::cloud::{Cloud, DOMAIN};
use testkit::{Lan, Workstation};

use super::{APART, Device, LEAVE, NAME, TOKEN, UUID, engineless};

/// A device of the local network, which its cloud reaches, too.
async fn at_home() -> (Lan, Device, Workstation, Cloud) {
    let (lan, device, mut workstation) = engineless().await;
    device.lets_in(&workstation);
    let cloud = Cloud::start(&workstation.machine, &device.machine, TOKEN, &[UUID]);
    workstation.set("OSCLI_CLOUD", DOMAIN);
    workstation.set("OSCLI_CLOUD_CA", cloud.authority());
    workstation.set("OSCLI_TOKEN", TOKEN);
    (lan, device, workstation, cloud)
}

/// What is remembered of a device leads nowhere when it has left.
#[tokio::test]
async fn a_device_that_has_left_the_network_is_reached_through_its_cloud() {
    let (_lan, device, workstation, cloud) = at_home().await;
    let enter = ["ssh", NAME, "--", "echo in"];
    workstation.os(&enter).await.success();
    // So it is remembered where it is.
    workstation.os(&["info", NAME]).await.success();
    workstation.os(&["scan"]).await.success();
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    device.sh(LEAVE);
    for command in [&enter[..], &["info", NAME]] {
        let output = workstation.os(command).await;
        output.success();
        let told = format!("through the cloud {DOMAIN}");
        assert_eq!(output.stderr.matches(&told).count(), 1, "{output}");
    }
}

/// A tunnel goes the way that it began with.
#[tokio::test]
async fn a_tunnel_in_the_local_network_does_not_wander_off_into_the_cloud() {
    let (_lan, device, workstation, cloud) = at_home().await;
    let quick = "ServerAliveInterval 1\nServerAliveCountMax 1\n";
    workstation.write(".ssh/config", quick);
    let tunnel = workstation.start(&["tunnel", NAME, "22222:8022"]);
    tunnel.says("8022").await;
    workstation.os(&["scan"]).await.success();
    device.sh(LEAVE);
    tunnel.says("next attempt in").await;
    let greeting = "exec 3<>/dev/tcp/127.0.0.1/8022; head -c 7 <&3";
    let greeting = workstation.start_program(&["bash", "-c", greeting]);
    device.sh("ip link set lan0 up");
    assert_eq!(greeting.output().await.stdout, "SSH-2.0");
    assert!(cloud.asked().is_empty(), "{:?}", cloud.asked());
    drop(tunnel);
}

/// Nobody waits for a cloud that has nothing to do with it.
#[tokio::test]
async fn a_denial_in_the_local_network_does_not_wait_for_a_cloud() {
    let (_lan, _device, mut workstation) = engineless().await;
    // It takes connections, and says nothing.
    let names = format!("echo 127.0.0.1 api.{DOMAIN} tunnel.{DOMAIN} >>/etc/hosts");
    workstation.machine.run("sh", &["-c", &names]);
    let at = std::net::SocketAddr::from(([127, 0, 0, 1], 443));
    let _silent = workstation.machine.listen(at).expect("a free port");
    workstation.set("OSCLI_CLOUD", DOMAIN);
    workstation.set("OSCLI_TOKEN", TOKEN);
    // That it is asked, and shown the token, is said once.
    let told = format!("the cloud {DOMAIN} is asked");
    for count in [1, 0] {
        let output = workstation.os(&["ssh", NAME, "--", "true"]).await;
        assert_eq!(output.stderr.matches(&told).count(), count, "{output}");
    }
    let before = std::time::Instant::now();
    let output = workstation
        .os(&["ssh", NAME, "--verbose", "--", "true"])
        .await;
    let took = before.elapsed();
    assert_eq!(output.code, APART, "{output}");
    assert!(output.stderr.contains("does not let root in"), "{output}");
    assert!(output.stderr.contains("within 2 s"), "{output}");
    assert!(took < std::time::Duration::from_secs(8), "{took:?}");
}
