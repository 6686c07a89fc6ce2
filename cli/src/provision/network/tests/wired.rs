//! Addresses that can be, and those that cannot.

use super::*;

fn wired(addresses: &[&str], gateway: Option<&str>) -> Ethernet {
    let address = |text: &&str| {
        let (ip, bits) = text.split_once('/').unwrap();
        (ip.parse().unwrap(), bits.parse().unwrap())
    };
    Ethernet {
        addresses: addresses.iter().map(address).collect(),
        gateways: gateway.iter().map(|ip| ip.parse().unwrap()).collect(),
        ..Ethernet::default()
    }
}

#[test]
fn addresses_that_cannot_work_are_refused() {
    for (addresses, gateway, words) in [
        (
            &["192.168.1.0/24"][..],
            None,
            "192.168.1.0/24 is that of its",
        ),
        (&["192.168.1.255/24"], None, "for all who are in it"),
        (&["10.255.255.255/8"], None, "for all who are in it"),
        (&["224.0.0.5/24"], None, "single device"),
        (&["255.255.255.255/32"], None, "single device"),
        (&["127.0.0.2/8"], None, "single device"),
        (&["0.0.0.0/24"], None, "single device"),
        (&["0.1.2.3/8"], None, "single device"),
        (&["::/64"], None, "single device"),
        (&["::1/128"], None, "single device"),
        (&["ff02::5/64"], None, "single device"),
        (
            &["10.0.0.2/24", "10.0.0.2/16"],
            None,
            "10.0.0.2/16 is named twice",
        ),
        (&["10.0.0.2/24"], Some("10.0.0.2"), "of its own"),
        (&["10.0.0.2/24"], Some("0.0.0.0"), "of its own"),
        (&["fd00::5/64"], Some("fd00::5"), "gateway fd00::5 has no"),
        (&["10.0.0.2/24"], Some("fd00::1"), "goes with no address"),
    ] {
        let refused = wired(addresses, gateway).connection();
        let refused = refused.expect_err(addresses[0]).to_string();
        assert!(
            refused.contains(words),
            "{addresses:?} {gateway:?}: {refused}"
        );
    }
    for (addresses, gateway) in [
        (&["192.168.1.0/31"][..], Some("192.168.1.1")),
        (&["192.168.1.0/32"], Some("10.0.0.1")),
        (&["192.168.1.0/16"], None),
        (&["10.0.0.2/24", "10.1.0.2/24"], Some("10.1.0.1")),
        (&["10.0.0.2/24"], Some("169.254.1.1")),
        (&["10.0.0.2/24"], Some("10.0.1.1")),
        (&["fd00::5/64"], Some("fd01::1")),
        (&["fd00::5/64"], Some("fe80::1")),
        (&["fd00::5/64"], Some("fd00::1")),
        (&["fd00::/127"], None),
        (&["10.0.0.2/1"], Some("10.0.0.1")),
    ] {
        let taken = wired(addresses, gateway).connection();
        let taken = taken.unwrap_or_else(|error| panic!("{addresses:?} {gateway:?}: {error}"));
        network_manager(&["modify", "connection.id", "a"], &taken.bytes);
    }
    for server in ["0.0.0.0", "::", "224.0.0.1"] {
        let mut wired = wired(&[], None);
        wired.dns = vec![server.parse().unwrap()];
        assert!(wired.connection().is_err(), "{server}");
    }
}

#[test]
fn each_interface_has_a_name_of_its_own() {
    let made = |interface: &str, vlan| {
        let wired = Ethernet {
            interface: Some(interface.to_owned()),
            vlan,
            ..Ethernet::default()
        };
        wired.connection().map(|made| {
            let text = String::from_utf8(made.bytes).unwrap();
            let name = text
                .lines()
                .find_map(|line| line.strip_prefix("interface-name="));
            name.unwrap().to_owned()
        })
    };
    let long = [
        made("enx001122334455", Some(100)),
        made("enx001122334456", Some(100)),
    ];
    let [one, other] = long.map(Result::unwrap);
    assert!(
        one != other && one.len() <= 15 && one.ends_with(".100"),
        "{one} {other}"
    );
    assert_eq!(made("enx001122334455", Some(100)).unwrap(), one);
    assert_eq!(made("eth0", Some(100)).unwrap(), "eth0.100");
    for name in [".", "..", "", "a/b", "with space", "sixteen-letters-"] {
        assert!(made(name, None).is_err(), "{name}");
    }
}
