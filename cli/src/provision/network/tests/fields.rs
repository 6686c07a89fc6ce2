//! Single keys of own files, each with many values: `NetworkManager` loads what is taken, and what is refused it does not load.

use super::{
    own::{is_loaded, of},
    *,
};

/// A connection, a section, keys of it, and values of each; `|` is between them.
type Row = (&'static str, &'static str, &'static str, &'static str);

/// Connections to which the keys come.
const BASES: [(&str, &str, &str); 8] = [
    ("wifi", "wifi", "[wifi]\nssid=a\n"),
    (
        "sae",
        "wifi",
        "[wifi]\nssid=a\n[wifi-security]\nkey-mgmt=sae\npsk=a\n",
    ),
    ("wired", "ethernet", ""),
    (
        "named",
        "ethernet",
        "[802-1x]\neap=pwd\nidentity=a\npassword=b\nca-cert=/a\n",
    ),
    ("fixed", "ethernet", ""),
    ("vlan", "vlan", "[vlan]\nparent=eth0\n"),
    ("bond", "bond", "interface-name=b0\n"),
    ("bridge", "bridge", "interface-name=b0\n"),
];

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("wifi", "wifi", "channel", "0x|08|-6|6;|6\\s|+ 6| 0x0|5.0"),
    ("wifi", "wifi", "mode", "mesh|ap"),
    ("wifi", "wifi", "band=bg+channel=1+mode", "mesh"),
    ("wifi", "wifi", "ap-isolation", "1|2|-1"),
    ("wifi", "wifi", "mode=ap+ap-isolation", "1"),
    ("wifi", "wifi", "mac-address-blacklist", "|0:1:2:3:4:5;|00-11-22-33-44-55|00:11-22:33:44:55|00:11:22:33:44|;"),
    ("wifi", "wifi", "generate-mac-address-mask", "|FE:FF:FF:00:00:00 68:F7:28:00:00:00|FE:FF:FF:00:00:00;|\\s"),
    ("wifi", "wifi", "mac-address-randomization", "2|3|0x3|-1|x"),
    ("wifi", "wifi", "wake-on-wlan", "1|3|0x8000|0x8002|0x1fe|0x200|x"),
    ("wifi", "wifi", "powersave", "9|x"),
    ("sae", "wifi-security", "pmf", "0|1|2|3|0x3|4|-1"),
    ("sae", "wifi-security", "wps-method", "0|1|3|6|10|x"),
    ("sae", "wifi-security", "leap-username", "|a"),
    ("wired", "ethernet", "duplex", "full|FULL|"),
    ("wired", "ethernet", "port", "tp|rj45"),
    ("wired", "ethernet", "wake-on-lan", "1|3|64|66|32768|32770|x"),
    ("wired", "ethernet", "wake-on-lan-password", "00:11:22:33:44:55"),
    ("wired", "ethernet", "wake-on-lan=64+wake-on-lan-password", "00:11:22:33:44:55|x"),
    ("wired", "ethernet", "s390-subchannels", "0.0.1|0.0.1;0.0.2;0.0.3;"),
    ("wired", "ethernet", "s390-nettype", "qeth|x"),
    ("wired", "ethernet", "speed", "x|100"),
    ("wired", "ethernet", "mac-address", "|00:11:22:33:44:55"),
    ("wired", "connection", "id", "|\\s|b"),
    ("wired", "connection", "metered", "2|3|5|x"),
    ("wired", "connection", "multi-connect", "3|4|-1|x"),
    ("wired", "connection", "mdns", "2|3|-1|-2"),
    ("wired", "connection", "permissions", "|user:a|user:a:;user:b:;|a|user::|user:a:b"),
    ("wired", "connection", "mptcp-flags", "1|3|0x12|0x90|0x100|x"),
    ("wired", "connection", "mud-url", "none|https://a/b|http://a|"),
    ("wired", "connection", "interface-name", "a\\s|a"),
    ("wired", "proxy", "method", "0|1|2|x"),
    ("wired", "proxy", "pac-url", "http://a"),
    ("wired", "proxy", "method=1+pac-url", "http://a"),
    ("wired", "user", "a", "b"),
    ("wired", "user", "a.b", "c"),
    ("wired", "vlan", "id", "5"),
    ("wired", "bond", "mode", "1"),
    ("wired", "wifi", "band", "a"),
    ("named", "802-1x", "phase1-peapver", "0|2||x"),
    ("named", "802-1x", "phase1-fast-provisioning", "3|4"),
    ("named", "802-1x", "phase1-auth-flags", "0x21|0x22|0x200|x"),
    ("named", "802-1x", "optional", "true|x"),
    ("named", "802-1x", "ca-cert-password", "b"),
    ("named", "802-1x", "identity", "\\x|\\s"),
    ("wifi", "802-1x", "eap=pwd+identity=a+optional", "1 |false"),
    ("fixed", "ipv4", "method", "auto|ignore|dhcp|auto\\s|"),
    ("fixed", "ipv4", "may-fail", "true"),
    ("fixed", "ipv6", "addr-gen-mode", "eui64"),
    ("fixed", "ipv4", "method=manual+address1", "10.0.0.2/24,10.0.0.1|10.0.0.2/24/10.0.0.1|10.0.0.2,10.0.0.1|10.0.0.2/24/1|10.0.0.2/24,,|"),
    ("fixed", "ipv4", "method=manual+addressx", "10.0.0.2/24"),
    ("fixed", "ipv4", "method=manual+address01", "10.0.0.2/24"),
    ("fixed", "ipv4", "method=manual+address1=10.0.0.2/24+address1", "|10.0.0.3/24"),
    ("fixed", "ipv4", "method=manual+addresses1=10.0.0.2/24+gateway", "10.0.0.1|10.0.0.1 ||fd00::1"),
    ("fixed", "ipv4", "method=auto+gateway", "10.0.0.1"),
    ("fixed", "ipv4", "method=auto+address=10.0.0.2/24+gateway", "10.0.0.1"),
    ("fixed", "ipv4", "method=disabled+address", "10.0.0.2/24"),
    ("fixed", "ipv4", "method=disabled+dns", "1.1.1.1|1.1.1.1#a|x;1.1.1.1|;"),
    ("fixed", "ipv4", "method=shared+dns", "1.1.1.1"),
    ("fixed", "ipv4", "method=shared+address1", "10.0.0.2/24"),
    ("fixed", "ipv4", "method=link-local+dns-search", "a|;|"),
    ("fixed", "ipv6", "method=ignore+address", "fd00::2/64"),
    ("fixed", "ipv6", "method=shared+dns", "fd00::1"),
    ("fixed", "ipv6", "method=link-local+dns", "fd00::1"),
    ("fixed", "ipv6", "method=auto+token", "::1|::|1::1|"),
    ("fixed", "ipv6", "method=auto+addr-gen-mode=stable-privacy+token", "::1"),
    ("fixed", "ipv6", "method=auto+addr-gen-mode", "3|4|-1|0x4|x|default"),
    ("fixed", "ipv6", "method=auto+dhcp-duid", "ll|stable-uuid|00:01|00:01:02|0001020|00010203|LL"),
    ("fixed", "ipv6", "method=auto+dhcp-hostname-flags", "1|2|5|8|9|x"),
    ("fixed", "ipv6", "method=auto+dhcp-send-hostname=0+dhcp-hostname-flags", "1"),
    ("fixed", "ipv6", "method=auto+dhcp-reject-servers", "|fd00::1"),
    ("fixed", "ipv4", "method=auto+dhcp-reject-servers", "|10.0.0.1;10.0.0.0/8|10.0.0.0/33|10.0.0.1 |;"),
    ("fixed", "ipv4", "method=auto+dhcp-hostname-flags", "0|1"),
    ("fixed", "ipv4", "method=auto+dhcp-fqdn=a.b+dhcp-hostname-flags", "3|5|8|9|16"),
    ("fixed", "ipv4", "method=auto+dhcp-fqdn", "a|a.b"),
    ("fixed", "ipv4", "method=auto+dhcp-fqdn=a.b+dhcp-hostname", "a"),
    ("fixed", "ipv4", "method=auto+dhcp-hostname", "|a"),
    ("fixed", "ipv4", "method=auto+dhcp-iaid", "mac|MAC|5|0x5|+5|4294967296|"),
    ("fixed", "ipv4", "method=auto+dhcp-client-id", "|mac"),
    ("fixed", "ipv4", "method=auto+dhcp-vendor-class-identifier", "|a"),
    ("fixed", "ipv4", "method=auto+link-local", "3|4|-1|x"),
    ("fixed", "ipv4", "method=disabled+link-local", "2|3"),
    ("fixed", "ipv4", "method=link-local+link-local", "2|3"),
    ("vlan", "vlan", "id", "4094|4095|4096|x|0xfff"),
    ("vlan", "vlan", "protocol", "802.1ad|802.1q|"),
    ("vlan", "vlan", "interface-name", "v5|a b|"),
    ("vlan", "vlan", "parent", "eth0\\s|a:b"),
    ("vlan", "vlan", "flags", "x|7"),
    ("bond", "bond", "mode", "6|06|7|x|802.3ad"),
    ("bond", "bond", "primary", "eth1|"),
    ("bond", "bond", "mode=active-backup+primary", "eth1"),
    ("bond", "bond", "lacp_rate", "slow|fast|1|01|x"),
    ("bond", "bond", "mode=4+lacp_rate", "fast"),
    ("bond", "bond", "arp_interval", "0|5|05|0x5|-5|x"),
    ("bond", "bond", "arp_ip_target", "1.1.1.1|x|"),
    ("bond", "bond", "arp_interval=5+arp_ip_target", "1.1.1.1,2.2.2.2|1.1.1.1;2.2.2.2| 1.1.1.1 ,|fd00::1"),
    ("bond", "bond", "mode=5+arp_interval=5+arp_ip_target", "1.1.1.1"),
    ("bond", "bond", "arp_interval=5+arp_ip_target=1.1.1.1+peer_notif_delay", "7"),
    ("bond", "bond", "mode=4+arp_interval=5+arp_ip_target=1.1.1.1+peer_notif_delay", "7|100"),
    ("bond", "bond", "miimon=7+peer_notif_delay", "7|8|x"),
    ("bond", "bond", "miimon=0+updelay", "0|1|x"),
    ("bond", "bond", "updelay", "1"),
    ("bond", "bond", "num_grat_arp=1+num_unsol_na", "1|2|256"),
    ("bond", "bond", "bogus", "1"),
    ("bridge", "bridge", "forward-delay", "0|1|2|31|x"),
    ("bridge", "bridge", "stp=false+max-age", "0|5|6"),
    ("bridge", "bridge", "group-forward-mask", "1|8|0x10001"),
    ("bridge", "bridge", "group-address", "01:80:C2:00:00:04|01:80:C2:00:00:01"),
    ("bridge", "bridge", "multicast-router", "auto|x"),
];

/// The files of a row, each with its words.
fn files(row: &Row) -> Vec<String> {
    let (base, section, keys, values) = row;
    let (_, kind, rest) = BASES.iter().find(|(name, ..)| name == base).unwrap();
    let keys = keys.replace('+', "\n");
    let one = |value: &str| match *section {
        // Whatever stands there twice counts once: the last one.
        "connection" => of(kind, &format!("{keys}={value}\n{rest}")),
        section => of(kind, &format!("{rest}[{section}]\n{keys}={value}\n")),
    };
    values.split('|').map(one).collect()
}

#[test]
fn a_key_has_the_values_with_which_network_manager_loads_it() {
    let all: Vec<String> = ROWS.iter().flat_map(files).collect();
    let different = std::thread::scope(|scope| {
        let parts = all.chunks(all.len().div_ceil(4)).map(|part| {
            scope.spawn(move || {
                let both = part.iter().map(|text| {
                    let taken = Connection::own("a", text.as_bytes());
                    (is_loaded(text) != taken.is_ok()).then(|| format!("{taken:?}:\n{text}"))
                });
                both.flatten().collect::<Vec<_>>()
            })
        });
        let parts: Vec<_> = parts.collect();
        let parts = parts.into_iter().map(|part| part.join().unwrap());
        parts.collect::<Vec<_>>().concat()
    });
    assert_eq!(different, Vec::<String>::new());
}

#[test]
fn what_network_manager_would_leave_out_is_refused() {
    let left_out: [Row; 9] = [
        ("wifi", "Wifi-Security", "key-mgmt", "sae"),
        ("wifi", "wifi_security", "key-mgmt", "sae"),
        ("fixed", "IPv4", "method", "disabled"),
        ("wifi", "wifi", "hidden", "yes"),
        ("wired", "connection", "autoconnect", "no"),
        ("wired", "ethernet", "mac-address", "x|00:11:22:33:44"),
        ("fixed", "ipv4", "method=auto+never-default", "yes"),
        (
            "fixed",
            "ipv4",
            "method=auto+dns",
            "1.1.1.1 8.8.8.8|1.1.1.1,8.8.8.8|fd00::1",
        ),
        ("fixed", "ipv6", "method=auto+dns", "1.1.1.1"),
    ];
    for row in &left_out {
        for text in files(row) {
            assert!(is_loaded(&text), "{text}");
            let refused = Connection::own("a", text.as_bytes()).expect_err(&text);
            let refused = refused.to_string();
            let names = |name: &str| refused.contains(&format!("[{name}]"));
            assert!(names(row.1), "{refused}");
        }
    }
}

#[test]
fn names_and_passwords_of_networks_are_measured_as_they_are_read() {
    let list = format!("{}100;", "100; ".repeat(19));
    let escaped = format!("a\\\\{}", "a".repeat(60));
    for (text, is_taken) in [
        (of("wifi", &format!("[wifi]\nssid={list}\n")), true),
        (of("wifi", &format!("[wifi]\nssid={escaped}\n")), false),
    ] {
        assert_eq!(is_loaded(&text), is_taken, "{text}");
        assert_eq!(
            Connection::own("a", text.as_bytes()).is_ok(),
            is_taken,
            "{text}"
        );
    }
    let closed = |psk: &str| {
        let text = format!("[wifi]\nssid=a\n[wifi-security]\nkey-mgmt=wpa-psk\npsk={psk}\n");
        Connection::own("a", of("wifi", &text).as_bytes()).is_ok()
    };
    assert!(closed(&"0aF1".repeat(16)) && !closed(&"zzzz".repeat(16)));
    assert!(closed(&"z".repeat(63)) && !closed(&"a".repeat(65)));
    assert!(!closed("a\\\\aaaaa") && closed("a\\\\aaaaaa"));
}

#[test]
fn what_network_manager_makes_itself_is_taken() {
    for words in [
        "ethernet ipv4.method manual ipv4.addresses 10.0.0.2/24 ipv4.gateway 10.0.0.1 ipv4.dns 1.1.1.1,8.8.8.8 ipv4.dns-search a.b ipv6.method disabled",
        "ethernet ipv6.method manual ipv6.addresses fd00::2/64 ipv6.gateway fd00::1 ipv6.token ::5 ipv6.addr-gen-mode eui64",
        "ethernet 802-3-ethernet.wake-on-lan magic 802-3-ethernet.wake-on-lan-password 00:11:22:33:44:55 802-3-ethernet.speed 100 802-3-ethernet.duplex full",
        "ethernet ipv4.dhcp-client-id mac ipv4.dhcp-iaid mac ipv6.dhcp-duid ll connection.mdns yes connection.llmnr no connection.permissions root",
        "ethernet ipv4.dhcp-fqdn a.b ipv4.dhcp-hostname-flags fqdn-encoded ipv4.dhcp-reject-servers 10.0.0.1,10.0.0.0/8 ipv4.link-local enabled",
        "ethernet 802-1x.eap peap 802-1x.identity me 802-1x.phase2-auth mschapv2 802-1x.optional yes 802-1x.phase1-auth-flags tls-1-0-disable",
        "ethernet ipv4.never-default yes ipv4.ignore-auto-dns yes ipv4.dns 1.1.1.1 ipv6.method dhcp ipv6.dns fd00::1",
        "wifi ssid a wifi-sec.key-mgmt wpa-psk wifi-sec.psk 12345678 wifi.band bg wifi.channel 6 wifi.powersave 2 wifi.wake-on-wlan magic wifi-sec.pmf 3",
        "wifi ssid a mode ap wifi.band a wifi.channel 36 wifi.ap-isolation yes ipv4.method shared wifi-sec.key-mgmt sae wifi-sec.psk a",
        "wifi ssid a mode mesh wifi.band bg wifi.channel 1 wifi-sec.key-mgmt sae wifi-sec.psk a",
        "vlan ifname v10 dev eth0 id 10 vlan.protocol 802.1ad vlan.flags 7 ip4 10.0.0.1/24",
        "bond ifname b0 bond.options mode=active-backup,miimon=100,primary=eth0,updelay=200",
        "bond ifname b0 bond.options mode=802.3ad,lacp_rate=fast,xmit_hash_policy=layer3+4",
        "bond ifname b0 bond.options mode=balance-rr,arp_interval=100,arp_ip_target=10.0.0.1",
        "bridge ifname br0 bridge.stp no bridge.forward-delay 0 bridge.group-forward-mask 8",
        "gsm apn a user me gsm.pin 1234 gsm.network-id 26201",
        "wireguard ifname wg0 wireguard.listen-port 51820 ipv4.method manual ipv4.addresses 10.0.0.1/24",
    ] {
        let add = ["--offline", "connection", "add", "con-name", "a", "type"];
        let mut nmcli = Command::new("nmcli");
        let made = nmcli.args(add).args(words.split(' ')).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let taken = Connection::own("a", &made.stdout);
        taken.unwrap_or_else(|error| panic!("{error}: {words}"));
    }
}

#[test]
fn what_is_refused_is_told_with_what_it_may_be() {
    for (row, words) in [
        (
            ("fixed", "ipv4", "may-fail", "true"),
            "a section [ipv4] and no method there: auto is usual",
        ),
        (
            ("fixed", "ipv4", "method=auto+gateway", "10.0.0.1"),
            "a gateway in [ipv4] and no address there",
        ),
        (
            ("fixed", "ipv6", "method=ignore+address", "fd00::2/64"),
            "method in [ipv6] is ignore, and it has an address there",
        ),
        (
            ("wired", "ethernet", "duplex", "FULL"),
            "duplex in [ethernet] is none of these: full, half",
        ),
        (
            ("wired", "connection", "mdns", "3"),
            "mdns in [connection] is no number from -1 to 2",
        ),
        (
            ("wired", "vlan", "id", "5"),
            "a section [vlan] and has no parent in [vlan]",
        ),
        (
            ("bond", "bond", "arp_interval", "5"),
            "arp_interval and arp_ip_target, which want each other",
        ),
        (
            ("sae", "wifi-security", "pmf", "1"),
            "pmf in [wifi-security] is 1, which does not go with key-mgmt=sae",
        ),
    ] {
        let text = files(&row).concat();
        let refused = Connection::own("a", text.as_bytes()).expect_err(&text);
        assert!(refused.to_string().contains(words), "{refused}");
    }
}
