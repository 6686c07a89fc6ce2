mod demands;
mod fields;
mod own;
mod wifi;
mod wired;

use std::{
    collections::BTreeMap,
    io::Write as _,
    process::{Command, Stdio},
};

use super::{
    super::{Certificates, Secret},
    *,
};

/// What a file says, by section and key, without its uuid.
type Said = BTreeMap<(String, String), String>;

/// `NetworkManager`'s own reader and writer, without the service.
fn network_manager(arguments: &[&str], input: &[u8]) -> Said {
    let mut nmcli = Command::new("nmcli")
        .args(["--offline", "connection"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("network-manager is installed");
    nmcli.stdin.take().unwrap().write_all(input).unwrap();
    let output = nmcli.wait_with_output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {words}");
    assert_eq!(words, "", "{arguments:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut section = String::new();
    let mut said = Said::new();
    for line in text.lines().filter(|line| !line.is_empty()) {
        match line.split_once('=') {
            None => section = line.trim_matches(['[', ']']).to_owned(),
            Some(("uuid", _)) => {}
            Some((key, value)) => {
                said.insert((section.clone(), key.to_owned()), value.to_owned());
            }
        }
    }
    said
}

/// The connection as `NetworkManager` reads it is the one that it makes itself of these words.
#[track_caller]
fn is_as_made_by(connection: &Connection, add: &[&str]) {
    let name = connection.path.trim_start_matches("system-connections/");
    let id = name.trim_end_matches(".nmconnection");
    let read = network_manager(&["modify", "connection.id", id], &connection.bytes);
    let rest = ["ipv6.addr-gen-mode", "stable-privacy"];
    let made = network_manager(&[&["add", "con-name", id], add, &rest].concat(), b"");
    assert_eq!(read, made);
}

fn wifi(ssid: &str, security: Security) -> Wifi {
    Wifi {
        ssid: ssid.as_bytes().to_vec(),
        is_hidden: false,
        security,
    }
}

#[test]
fn network_manager_reads_networks_with_a_wire() {
    let plain = Ethernet::default();
    is_as_made_by(&plain.connection().unwrap(), &["type", "ethernet"]);
    let mut fixed = Ethernet {
        interface: Some("eth0".to_owned()),
        addresses: vec![
            ("192.168.1.5".parse().unwrap(), 24),
            ("fd00::5".parse().unwrap(), 64),
        ],
        gateways: vec!["192.168.1.1".parse().unwrap(), "fd00::1".parse().unwrap()],
        dns: vec![
            "1.1.1.1".parse().unwrap(),
            "fd00::53".parse().unwrap(),
            "9.9.9.9".parse().unwrap(),
        ],
        vlan: None,
    };
    let addresses = [
        "ipv4.method",
        "manual",
        "ipv4.addresses",
        "192.168.1.5/24",
        "ipv4.gateway",
        "192.168.1.1",
        "ipv4.dns",
        "1.1.1.1 9.9.9.9",
        "ipv6.method",
        "manual",
        "ipv6.addresses",
        "fd00::5/64",
        "ipv6.gateway",
        "fd00::1",
        "ipv6.dns",
        "fd00::53",
    ];
    let words = [&["type", "ethernet", "ifname", "eth0"], &addresses[..]].concat();
    is_as_made_by(&fixed.connection().unwrap(), &words);
    fixed.vlan = Some(10);
    let words = [
        &[
            "type", "vlan", "ifname", "eth0.10", "dev", "eth0", "id", "10",
        ],
        &addresses[..],
    ]
    .concat();
    is_as_made_by(&fixed.connection().unwrap(), &words);
    for wrong in [
        Ethernet {
            vlan: Some(10),
            ..Ethernet::default()
        },
        Ethernet {
            vlan: Some(4095),
            ..fixed.clone()
        },
        Ethernet {
            interface: Some("with space".to_owned()),
            ..Ethernet::default()
        },
        Ethernet {
            addresses: vec![("10.0.0.1".parse().unwrap(), 33)],
            ..Ethernet::default()
        },
        Ethernet {
            gateways: vec!["10.0.0.1".parse().unwrap()],
            ..Ethernet::default()
        },
    ] {
        assert!(wrong.connection().is_err(), "{wrong:?}");
    }
}

#[test]
fn network_manager_reads_mobile_networks() {
    let mut cellular = Cellular {
        apn: "internet.example".to_owned(),
        user: None,
        password: None,
        pin: None,
    };
    let words = ["type", "gsm", "ifname", "*", "apn", "internet.example"];
    is_as_made_by(&cellular.connection().unwrap(), &words);
    cellular.user = Some("u;\\ ".to_owned());
    cellular.password = Some(Secret::new(" p;\\"));
    cellular.pin = Some(Secret::new("0123"));
    let more = ["user", "u;\\ ", "password", " p;\\", "gsm.pin", "0123"];
    is_as_made_by(
        &cellular.connection().unwrap(),
        &[&words[..], &more].concat(),
    );
    cellular.pin = Some(Secret::new("12x4"));
    assert!(cellular.connection().is_err());
}

#[test]
fn an_own_connection_is_taken_as_it_is_or_refused_without_its_words() {
    let good = "# home\r\n[connection]\r\nid=home\r\ntype=802-11-wireless\r\n[802-11-wireless]\r\nssid=a\r\n[802-11-wireless-security]\r\nkey-mgmt=wpa-psk\r\npsk=12345678\r\n";
    let own = Connection::own("home.nmconnection", good.as_bytes()).unwrap();
    assert_eq!(own.bytes, good.as_bytes());
    assert_eq!(own.path, "system-connections/home.nmconnection");
    let wifi = |more: &str| format!("[connection]\ntype=wifi\n[wifi]\nssid=a\n{more}");
    for (name, text, words) in [
        ("a", "secret".to_owned(), "line 1 is neither"),
        (
            "a",
            "psk=secret12\n[connection]\ntype=x\n".to_owned(),
            "line 1 stands before",
        ),
        (
            "a",
            "[connection]\nid=a\n".to_owned(),
            "no section [connection] with a type",
        ),
        ("a", "[connection]\ntype=wifi\n".to_owned(), "names no ssid"),
        (
            "a",
            "[connection]\ntype=ethernet\nuuid=12\n".to_owned(),
            "its uuid is none",
        ),
        (
            "a",
            wifi("[wifi-security]\nkey-mgmt=wpa-psk\npsk=\"secret12\"\n"),
            "in quotes",
        ),
        (
            "a",
            wifi("[wifi-security]\nkey-mgmt=wpa-psk\npsk=secret\n"),
            "8 to 63",
        ),
        ("a", wifi("[wifi-security]\npsk=secret12\n"), "key-mgmt"),
        ("a", wifi("[wifi-security]\n"), "key-mgmt"),
        ("a", wifi("[wifi-security]\nkey-mgmt=wpa2\n"), "key-mgmt"),
        ("a", wifi("[wifi-security]\nkey-mgmt=wpa-eap\n"), "[802-1x]"),
        ("a", wifi("; secret\n"), "line 5 is neither"),
        ("a", wifi("[ipv4]\nmethod=static\n"), "[ipv4]"),
        ("a", wifi("[ipv4]\nmethod=manual\n"), "address"),
        ("a", wifi("[ipv6]\nmethod=bogus\n"), "[ipv6]"),
        (
            "a",
            "[connection]\nid=a\ntype=wiffi\n".to_owned(),
            "known type",
        ),
        (
            "a",
            "[connection]\ntype=x\0\n".to_owned(),
            "not written in UTF-8",
        ),
        (".hidden", wifi(""), "pass over"),
        ("sample.ignore", wifi(""), "pass over"),
        ("a/b", wifi(""), "its name"),
    ] {
        let error = Connection::own(name, text.as_bytes())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains(words) && !error.contains("secret"),
            "{error}"
        );
    }
}

#[test]
fn network_manager_takes_what_is_taken() {
    let wifi = |more: &str| format!("[connection]\nid=a\ntype=wifi\n[wifi]\nssid=a\n{more}");
    for text in [
        wifi(""),
        wifi("# note\n  # another\n;note=1\n"),
        wifi("[wifi-security]\nkey-mgmt=sae\npsk=abc\n"),
        wifi("[wifi-security]\nkey-mgmt=wpa-psk\npsk=12345678\n"),
        wifi("[wifi-security]\nkey-mgmt=owe\n"),
        wifi("[wifi-security]\nkey-mgmt=none\nwep-key0=abcde\n"),
        wifi(
            "[wifi-security]\nkey-mgmt=wpa-eap\n[802-1x]\neap=peap;\nidentity=a\npassword=b\nphase2-auth=mschapv2\n",
        ),
        wifi("[ipv4]\nmethod=disabled\n[ipv6]\nmethod=ignore\n"),
        "[connection]\nid=a\ntype=802-3-ethernet\n[ipv4]\nmethod=manual\naddress1=10.0.0.2/24\n"
            .to_owned(),
        "[connection]\nid=a\ntype=ethernet\n[ipv4]\nmethod=manual\naddresses=10.0.0.2/24\n"
            .to_owned(),
        "[connection]\nid=a\ntype=gsm\n[gsm]\napn=a\n".to_owned(),
        "[connection]\nid=a\ntype=bridge\ninterface-name=br0\n".to_owned(),
    ] {
        let own =
            Connection::own("a", text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"));
        network_manager(&["modify", "connection.id", "a"], &own.bytes);
    }
}

#[test]
fn nothing_of_a_connection_is_in_its_debug() {
    let connection = wifi("x", Security::Wpa3(Secret::new("geheim12")))
        .connection()
        .unwrap();
    assert!(!format!("{connection:?}").contains("geheim12"));
}

#[test]
fn each_network_has_a_file_a_name_and_a_uuid_of_its_own() {
    let wired = |interface: Option<&str>, vlan| {
        let wired = Ethernet {
            interface: interface.map(str::to_owned),
            vlan,
            ..Ethernet::default()
        };
        wired.connection().unwrap()
    };
    let open = |ssid: &str| wifi(ssid, Security::Open).connection().unwrap();
    let long = "x".repeat(32);
    let all = [
        wired(None, None),
        wired(Some("eth0"), None),
        wired(Some("eth0"), Some(10)),
        wired(Some("eth0.10"), None),
        wired(Some("eth0"), Some(11)),
        wired(Some("ETH0"), None),
        open("home"),
        open("Home"),
        open("a b"),
        open("a_b"),
        open("☕"),
        open(&long),
    ];
    // FAT knows no capitals.
    let paths: std::collections::BTreeSet<String> =
        all.iter().map(|made| made.path.to_lowercase()).collect();
    assert_eq!(paths.len(), all.len(), "{paths:?}");
    let line = |made: &Connection, key: &str| {
        let text = String::from_utf8(made.bytes.clone()).unwrap();
        let found = text.lines().find(|line| line.starts_with(key));
        found.unwrap().to_owned()
    };
    for key in ["uuid=", "id="] {
        let values: std::collections::BTreeSet<String> =
            all.iter().map(|made| line(made, key)).collect();
        assert_eq!(values.len(), all.len(), "{values:?}");
    }
    assert!(paths.contains("system-connections/os-ethernet-eth0.nmconnection"));
    assert!(paths.contains("system-connections/os-wifi-home.nmconnection"));
    for made in &all {
        assert!(Connection::own(made.path.rsplit('/').next().unwrap(), &made.bytes).is_ok());
    }
}

#[test]
fn a_network_that_asks_for_a_name_is_known_by_something() {
    let enterprise = |authority| {
        let enterprise = Enterprise {
            identity: "me".to_owned(),
            anonymous: None,
            proof: Proof::Peap(Secret::new("x")),
            authority,
        };
        wifi("x", Security::Enterprise(enterprise)).connection()
    };
    let usual = enterprise(Authority::Usual("example.com".to_owned())).unwrap();
    is_as_made_by(
        &usual,
        &[
            "type",
            "wifi",
            "ssid",
            "x",
            "wifi-sec.key-mgmt",
            "wpa-eap",
            "802-1x.eap",
            "peap",
            "802-1x.identity",
            "me",
            "802-1x.system-ca-certs",
            "yes",
            "802-1x.domain-suffix-match",
            "example.com",
            "802-1x.phase2-auth",
            "mschapv2",
            "802-1x.password",
            "x",
        ],
    );
    for wrong in [
        Authority::Usual(String::new()),
        Authority::Usual("a b".to_owned()),
    ] {
        assert!(enterprise(wrong).is_err());
    }
}
