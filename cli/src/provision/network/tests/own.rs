//! A person's own files: both sides are given the same.

use super::*;

/// Whether `NetworkManager` loads a connection.
pub(super) fn is_loaded(text: &str) -> bool {
    let mut nmcli = Command::new("nmcli")
        .args(["--offline", "connection", "modify", "connection.zone", ""])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("network-manager is installed");
    nmcli
        .stdin
        .take()
        .unwrap()
        .write_all(text.as_bytes())
        .unwrap();
    nmcli.wait().unwrap().success()
}

pub(super) fn of(kind: &str, rest: &str) -> String {
    let uuid = "12345678-1234-1234-1234-123456789012";
    format!("[connection]\nid=a\nuuid={uuid}\ntype={kind}\n{rest}")
}

/// A connection that proves its name so.
fn by_name(eap: &str) -> String {
    let rest = "identity=a\npassword=b\nphase2-auth=mschapv2";
    of("ethernet", &format!("[802-1x]\n{rest}\neap={eap}\n"))
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_network_manager_does_not_load_is_refused() {
    let wifi = |rest: &str| of("wifi", &format!("[wifi]\nssid=a\n{rest}"));
    let manual = |address: &str| {
        of(
            "ethernet",
            &format!("[ipv4]\nmethod=manual\naddress1={address}\n"),
        )
    };
    for (text, words) in [
        (manual("999.1.1.1/24"), "address1 in [ipv4]"),
        (manual("10.0.0.1/24,bogus"), "address1 in [ipv4]"),
        (manual("10.0.0.1 24"), "address1 in [ipv4]"),
        (manual("fd00::1/64"), "address1 in [ipv4]"),
        (
            of("ethernet", "[ipv6]\nmethod=manual\naddress1=10.0.0.2/24\n"),
            "[ipv6]",
        ),
        (
            of("ethernet", "interface-name=sixteen-letters-\n"),
            "interface-name",
        ),
        (of("ethernet", "interface-name=a/b\n"), "interface-name"),
        (of("ethernet", "interface-name=a b\n"), "interface-name"),
        (of("ethernet", "interface-name=\n"), "interface-name"),
        (of("ethernet", "interface-name=all\n"), "interface-name"),
        (
            of("wifi", &format!("[wifi]\nssid={}\n", "a".repeat(33))),
            "32 bytes",
        ),
        (
            of("wifi", &format!("[wifi]\nssid={}\n", "97;".repeat(33))),
            "32 bytes",
        ),
        (wifi("mode=bogus\n"), "mode in [wifi]"),
        (wifi("mode=\n"), "mode in [wifi]"),
        (of("vlan", "[vlan]\nid=5\n"), "no parent"),
        (
            of("macvlan", "interface-name=x\n[macvlan]\nmode=1\n"),
            "no parent",
        ),
        (
            wifi("[wifi-security]\nkey-mgmt=wpa-eap\n[802-1x]\nidentity=a\n"),
            "eap in",
        ),
        (
            wifi("[wifi-security]\nkey-mgmt=wpa-eap\n[802-1x]\neap=bogus;\nidentity=a\n"),
            "eap in",
        ),
        (of("ethernet", "[802-1x]\nidentity=a\n"), "eap in"),
        (by_name("peap,"), "`;` between them"),
        (by_name("peap,ttls"), "`;` between them"),
        (by_name("peap; ttls;"), "`;` between them"),
        (by_name("peap;;"), "`;` between them"),
        (by_name(";peap"), "`;` between them"),
        (by_name("PEAP;"), "`;` between them"),
        (wifi("[wifi-security]\nkey-mgmt=ieee8021x\n"), "[802-1x]"),
        (of("wireguard", "[wireguard]\n"), "interface-name"),
        (of("bridge", ""), "interface-name"),
        (of("vpn", "[vpn]\nremote=x\n"), "service-type"),
        (of("ethernet", "master=br0\n"), "neither slave-type nor"),
        (
            of("ethernet", "master=br0\nport-type=bridge\n"),
            "write slave-type",
        ),
        (
            of("ethernet", "controller=br0\nslave-type=bridge\n"),
            "write master",
        ),
        (of("ethernet", "master=\n"), "neither slave-type nor"),
        (
            of("ethernet", "master=br0\n[bridge-port]\n[bond-port]\n"),
            "no slave-type, and more than one section",
        ),
        (
            of("ethernet", "master=br0\nslave-type=bond\n[bridge-port]\n"),
            "is not bridge, as its [bridge-port]",
        ),
        (
            of("ethernet", "master=br0\nslave-type=moon\n"),
            "none of these: bond,",
        ),
        (of("ethernet", "[ovs-interface]\n"), "no master"),
        (
            of("ovs-port", "interface-name=x\ncontroller=br0\n"),
            "write master",
        ),
        (
            of("ethernet", "controller=br0\n[ovs-interface]\n"),
            "write master",
        ),
        (
            of("ovs-interface", "controller=p\nport-type=ovs-port\n"),
            "write master",
        ),
        (of("ovs-port", "interface-name=x\n"), "no master"),
        (of("ethernet ", ""), "blanks at the end of a line"),
        (
            of("ethernet", "[ipv4]\nmethod=auto \n"),
            "blanks at the end of a line",
        ),
        (of("ethernet", "slave-type=bridge\n"), "slave-type"),
        (of("ethernet", "key]=a\n"), "line 5 is neither"),
        (of("ethernet", "key[de=a\n"), "line 5 is neither"),
        (of("ethernet", "key [de]=a\n"), "line 5 is neither"),
        (of("ethernet", "\u{b}\n"), "line 5 is neither"),
    ] {
        assert!(!is_loaded(&text), "{text}");
        let refused = Connection::own("a", text.as_bytes())
            .expect_err(&text)
            .to_string();
        assert!(refused.contains(words), "{refused}: {text}");
    }
    for text in [
        manual("10.0.0.1/24,10.0.0.254"),
        manual("10.0.0.1/24;10.0.0.254;"),
        manual("10.0.0.1"),
        manual("10.0.0.1;24;10.0.0.254;"),
        of(
            "ethernet",
            "[ipv6]\nmethod=manual\naddress1=fd00::2/64,fd00::1\n",
        ),
        of("ovs-bridge", "interface-name=longer-than-the-kernel-has\n"),
        of("wifi", &format!("[wifi]\nssid={}\n", "a".repeat(32))),
        of("wifi", &format!("[wifi]\nssid={}\n", "97;".repeat(32))),
        wifi("mode=ap\n"),
        wifi("[wifi-security]\nkey-mgmt=ieee8021x\nauth-alg=leap\nleap-username=a\n"),
        of("vlan", "[vlan]\nparent=eth0\nid=5\n"),
        of(
            "vlan",
            "interface-name=v\n[vlan]\nid=5\n[ethernet]\nmac-address=00:11:22:33:44:55\n",
        ),
        of("bridge", "[bridge]\ninterface-name=br0\n"),
        of("wireguard", "interface-name=wg0\n[wireguard]\n"),
        of(
            "wireguard",
            "interface-name=wg0\n[wireguard]\n[wireguard-peer.YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=]\nendpoint=a:1\nallowed-ips=10.0.0.0/8;\n",
        ),
        of("ethernet", "[own section] \nkey[de]=a\n"),
        of(
            "vpn",
            "[vpn]\nservice-type=org.freedesktop.NetworkManager.openvpn\n",
        ),
        of("ethernet", "master=br0\nslave-type=bridge\n"),
        of(
            "ethernet",
            "master=br0\nslave-type=bridge\ncontroller=br0\nport-type=bridge\n",
        ),
        of("ethernet", "master=br0\n[bridge-port]\npriority=3\n"),
        of("ethernet", "master=br0\nport-type=bridge\n[bond-port]\n"),
        of("ethernet", "master=br0\n[team-port]\n"),
        of("ethernet", "master=br0\n[ovs-interface]\n"),
        of("ethernet", "master=\nslave-type=bridge\n"),
        of("ethernet", "master=br0\nslave-type=vrf\n"),
        of("ethernet", "controller=\n"),
        of("ethernet", "port-type=\n"),
        of("ethernet", "[bridge-port]\n"),
        of("ovs-port", "interface-name=x\nmaster=br0\n"),
        of("wifi", "[wifi]\nssid=a \n"),
        by_name("peap"),
        by_name("peap;"),
        by_name("ttls;peap;"),
        of("wpan", "interface-name=w\n[wpan]\n"),
    ] {
        assert!(is_loaded(&text), "{text}");
        let taken = Connection::own("a", text.as_bytes());
        taken.unwrap_or_else(|error| panic!("{error}: {text}"));
    }
}

#[test]
fn a_name_that_is_passed_over_is_refused_with_a_better_one() {
    for (name, better) in [
        ("home.config", "home.config.nmconnection"),
        ("a.b.XXX123", "a.b.XXX123.nmconnection"),
        ("ca.pem", "ca.pem.nmconnection"),
        ("CA.DER", "CA.DER.nmconnection"),
        ("a~", "a~.nmconnection"),
        (".hidden", "call it hidden.nmconnection"),
    ] {
        let refused = Connection::own(name, of("ethernet", "").as_bytes());
        let refused = refused.expect_err(name).to_string();
        assert!(refused.contains(better), "{refused}");
    }
    for name in [
        "home",
        "home.conf",
        "home.nmconnection",
        "a.seven77",
        "a.six-66",
        "home.a.b",
    ] {
        let taken = Connection::own(name, of("ethernet", "").as_bytes());
        assert!(taken.is_ok(), "{name}: {taken:?}");
    }
}

#[test]
fn a_port_that_older_versions_take_for_a_network_is_refused() {
    for rest in [
        "controller=br0\n",
        "controller=br0\nport-type=bridge\n",
        "controller=br0\n[bridge-port]\n",
        "port-type=bridge\n",
    ] {
        let text = of("ethernet", rest);
        let said = network_manager(&["modify", "connection.id", "a"], text.as_bytes());
        let read = |key: &str| said.get(&("connection".to_owned(), key.to_owned()));
        assert!(
            ["master", "controller"]
                .into_iter()
                .all(|key| read(key).is_none())
        );
        let refused = Connection::own("a", text.as_bytes()).expect_err(&text);
        assert!(refused.to_string().contains("master"), "{refused}");
    }
}

#[test]
fn blanks_are_named_where_they_are_what_is_wrong() {
    for (rest, is_by_blanks) in [
        ("[ipv4]\nmethod=auto \n", true),
        ("[802-1x]\neap=peap\nidentity=a \n", false),
        ("interface-name=a/b\n[wifi]\nssid=a \n", false),
    ] {
        let refused = Connection::own("a", of("ethernet", rest).as_bytes()).expect_err(rest);
        let has = refused.to_string().contains("blanks at the end");
        assert_eq!(has, is_by_blanks, "{refused}");
    }
}
