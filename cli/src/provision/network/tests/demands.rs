//! Own files for networks that ask for a name, with a wire or without one: both sides are given the same.

use super::{
    own::{is_loaded, of},
    *,
};

/// Each is refused with these words where `NetworkManager` does not load it, and taken where it does.
fn both(cases: &[(String, Option<&str>)]) {
    for (text, words) in cases {
        assert_eq!(is_loaded(text), words.is_none(), "{text}");
        match (Connection::own("a", text.as_bytes()), words) {
            (Err(refused), Some(words)) => {
                let refused = refused.to_string();
                assert!(refused.contains(words), "{refused}: {text}");
            }
            (taken, words) => assert!(taken.is_ok() && words.is_none(), "{taken:?}: {text}"),
        }
    }
}

#[test]
fn a_name_is_proved_as_network_manager_demands() {
    let of = |rest: &str, words| (of("ethernet", &format!("[802-1x]\n{rest}\n")), words);
    let within = Some("phase2-auth or phase2-autheap there");
    let identity = Some("wants an identity");
    both(&[
        of("eap=peap\nidentity=a\npassword=b", within),
        of("eap=ttls\nidentity=a\npassword=b", within),
        of("eap=ttls;md5\nidentity=a\npassword=b", within),
        of(
            "eap=ttls\nidentity=a\nphase2-auth=pap\nphase2-autheap=gtc",
            within,
        ),
        of(
            "eap=peap\nidentity=a\nphase2-auth=MSCHAPV2",
            Some("phase2-auth in"),
        ),
        of(
            "eap=peap\nidentity=a\nphase2-auth=mschapv2;",
            Some("phase2-auth in"),
        ),
        of(
            "eap=peap\nidentity=a\nphase2-auth=mschapv2 ",
            Some("blanks at the end"),
        ),
        of(
            "eap=md5\nidentity=a\nphase2-auth=bogus",
            Some("phase2-auth in"),
        ),
        of(
            "eap=ttls\nidentity=a\nphase2-autheap=pap",
            Some("phase2-autheap in"),
        ),
        of(
            "eap=peap\nidentity=a\nphase2-auth=mschapv2\nphase2-autheap=",
            Some("phase2-autheap in"),
        ),
        of("eap=peap\nphase2-auth=mschapv2", identity),
        of("eap=peap\nidentity=\nphase2-auth=mschapv2", identity),
        of("eap=md5", identity),
        of("eap=pwd\nidentity=", identity),
        of("eap=tls\nidentity=a", Some("wants a client-cert")),
        of(
            "eap=tls\nidentity=a\nclient-cert=\nprivate-key=/b",
            Some("wants a client-cert"),
        ),
        of(
            "eap=tls\nidentity=a\nclient-cert=/a",
            Some("wants a private-key"),
        ),
        of(
            "eap=peap;tls\nidentity=a\nphase2-auth=gtc",
            Some("wants a client-cert"),
        ),
        of("eap=tls\nclient-cert=/a\nprivate-key=/b", None),
        of("eap=peap\nidentity=a\nphase2-auth=mschapv2", None),
        of("eap=ttls\nidentity=a\nphase2-auth=pap", None),
        of("eap=ttls\nidentity=a\nphase2-autheap=gtc", None),
        of("eap=md5\nidentity=a", None),
        of("eap=fast\nidentity=a", None),
        of("eap=sim", None),
        of("eap=external", None),
    ]);
}

#[test]
fn a_wifi_network_has_a_band_and_ways_that_there_are() {
    let wifi = |rest: &str, words| (of("wifi", &format!("[wifi]\nssid=a\n{rest}\n")), words);
    let closed = |rest: &str, words| {
        let closed = "[wifi-security]\nkey-mgmt=wpa-psk\npsk=12345678";
        wifi(&format!("{closed}\n{rest}"), words)
    };
    let older = |rest: &str, words| wifi(&format!("[wifi-security]\n{rest}"), words);
    let band = Some("band in [wifi]");
    let channel = Some("channel in [wifi]");
    let lists = Some("`;` between them");
    both(&[
        wifi("channel=6", Some("no band in [wifi]")),
        wifi("band=2.4", band),
        wifi("band=bogus", band),
        wifi("band=bg ", Some("blanks at the end")),
        wifi("band=", band),
        wifi("band=bg\nchannel=40", channel),
        wifi("band=bg\nchannel=+40 ", channel),
        wifi("band=a\nchannel=6", channel),
        wifi("band=a\nchannel=14", channel),
        wifi("channel=0x6", Some("no band in [wifi]")),
        wifi("channel=06\t", Some("no band in [wifi]")),
        wifi("channel=+0X6 ", Some("no band in [wifi]")),
        wifi("band=a\nchannel=0x6", channel),
        wifi("band=a\nchannel=15", channel),
        wifi("band=a\nchannel=37", channel),
        wifi("band=bg\nchannel=0x24", channel),
        wifi("band=bg\nchannel=4294967295", channel),
        wifi("band=a\nchannel=044", None),
        wifi("band=a\nchannel=014", None),
        wifi("band=bg\nchannel=4294967296", None),
        wifi("band=bg\nchannel=14", None),
        wifi("band=a\nchannel=36", None),
        wifi("band=a\nchannel=12", None),
        wifi("channel=0", None),
        closed("proto=rsn ", Some("blanks at the end")),
        closed("proto=RSN", lists),
        closed("proto=;", lists),
        closed("proto=rsn;;", lists),
        closed("pairwise=ccmp,tkip", lists),
        closed("pairwise=wep40", lists),
        closed("group=ccmp,tkip", lists),
        closed("auth-alg=bogus", Some("auth-alg in")),
        closed("auth-alg=", Some("auth-alg in")),
        closed("auth-alg=shared", Some("wants key-mgmt=none")),
        closed("auth-alg=leap", Some("wants key-mgmt=ieee8021x")),
        older(
            "key-mgmt=ieee8021x\nauth-alg=leap",
            Some("no leap-username"),
        ),
        closed("pmf=9", Some("pmf in")),
        closed("pmf=4 ", Some("pmf in")),
        closed(
            "proto=rsn;wpa;\npairwise=ccmp\ngroup=wep40;ccmp\nauth-alg=OPEN\npmf=3",
            None,
        ),
        closed("proto=\npairwise=\ngroup=", None),
        older("key-mgmt=none\nauth-alg=shared\nwep-key0=abcde", None),
        older("key-mgmt=IEEE8021X\nauth-alg=LEAP\nleap-username=a", None),
    ]);
}

#[test]
fn what_lies_on_another_interface_names_it_and_numbers_are_digits() {
    let vlan = |parent: &str, words| {
        let rest = format!("interface-name=v\n[vlan]\nid=5\nparent={parent}\n");
        (of("vlan", &rest), words)
    };
    let manual = |address: &str, words| {
        let rest = format!("[ipv4]\nmethod=manual\naddress1={address}\n");
        (of("ethernet", &rest), words)
    };
    let gsm = |apn: &str, words| (of("gsm", &format!("[gsm]\napn={apn}\n")), words);
    let parent = Some("parent in [vlan]");
    let apn = Some("apn in [gsm]");
    both(&[
        vlan("", parent),
        vlan("a b", parent),
        vlan("eth0 ", Some("blanks at the end")),
        vlan("sixteen-letters-", parent),
        vlan("eth0", None),
        vlan("12345678-1234-1234-1234-123456789012", None),
        manual("10.0.0.1/+24", Some("address1 in [ipv4]")),
        manual("10.0.0.1/024", None),
        gsm("a b", apn),
        gsm("a;b", apn),
        gsm(&"a".repeat(65), apn),
        gsm("a ", None),
        gsm("internet.example-1_x", None),
        gsm("", None),
    ]);
}
