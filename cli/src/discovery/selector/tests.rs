use super::*;
use crate::discovery::{Address, Origin};
use proptest::prelude::*;

fn device(name: &str, uuid: Option<&str>, ip: &str) -> Device {
    Device {
        name: name.to_owned(),
        uuid: uuid.map(str::to_owned),
        addresses: vec![Address {
            ip: ip.parse().unwrap(),
            scope: 0,
        }],
        api_port: 48484,
        engine_port: 2375,
        ssh_port: 22222,
        device_type: None,
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin: Origin::Network,
    }
}

fn parsed(text: &str) -> Selector {
    Selector::parse(text).unwrap()
}

#[test]
fn every_documented_form_is_understood() {
    assert_eq!(parsed("ABC1234").target, Target::Label("abc1234".into()));
    assert_eq!(
        parsed("abc1234.local").target,
        Target::Label("abc1234".into())
    );
    assert_eq!(
        parsed("abc1234.local.").target,
        Target::Label("abc1234".into())
    );
    assert_eq!(parsed("lamp.local:4000").port, Some(4000));
    assert_eq!(parsed("10.0.0.7").to_string(), "10.0.0.7");
    assert_eq!(parsed("10.0.0.7:48485").to_string(), "10.0.0.7:48485");
    assert_eq!(parsed("fe80::1%eth0").to_string(), "fe80::1%eth0");
    assert_eq!(parsed("[fe80::1%eth0]:99").to_string(), "[fe80::1%eth0]:99");
    for (typed, name) in [
        ("[fe80::1%eth0]:99", "[fe80::1%eth0]"),
        ("10.0.0.7:99", "10.0.0.7"),
        ("lamp:99", "lamp"),
        ("fe80::1", "fe80::1"),
    ] {
        assert_eq!(parsed(typed).without_port(), name);
    }
    assert_eq!(parsed("[2001:db8::1]").to_string(), "[2001:db8::1]");
    assert_eq!(
        parsed("::1").target,
        Target::Ip {
            ip: "::1".parse().unwrap(),
            scope: None
        }
    );
}

#[test]
fn what_cannot_be_a_device_says_why() {
    for text in [
        "",
        "  ",
        ".local",
        "a b",
        "device.example.com",
        "x:0",
        "x:65536",
        "x:+5",
        "[10.0.0.1]",
        "[::1",
        "[::1]x",
        "fe80::1%",
        "fe80::1%eth\t0",
        "-rf",
        "a\u{1b}[31m",
    ] {
        assert!(Selector::parse(text).is_err(), "{text:?} was accepted");
    }
    assert!(
        Selector::parse("x:70000")
            .unwrap_err()
            .to_string()
            .contains("port")
    );
}

#[test]
fn a_uuid_is_matched_from_seven_digits_on() {
    let lamp = device("lamp", Some("abcdef0123456789abcdef0123456789"), "10.0.0.7");
    assert!(parsed("abcdef0").matches(&lamp));
    assert!(parsed("ABCDEF0123456789abcdef0123456789").matches(&lamp));
    assert!(parsed("lamp").matches(&lamp));
    assert!(parsed("10.0.0.7").matches(&lamp));
    assert!(!parsed("abcdef").matches(&lamp));
    assert!(!parsed("abcdef1").matches(&lamp));
    assert!(!parsed("10.0.0.8").matches(&lamp));

    let reference = device("abcdef0", None, "10.0.0.9");
    assert!(parsed("abcdef0123456789abcdef0123456789").matches(&reference));
    assert!(!parsed("abcdef1123456789abcdef0123456789").matches(&reference));
    assert!(!parsed("abcdef0123456789abcdef0123456789").matches(&device("abc", None, "10.0.0.9")));
}

proptest! {
    #[test]
    fn no_text_makes_it_panic_and_what_is_accepted_reads_back(text in "\\PC{0,80}") {
        if let Ok(selector) = Selector::parse(&text) {
            prop_assert_eq!(Selector::parse(&selector.to_string()).unwrap(), selector);
        }
    }
}

#[test]
fn a_uuid_may_be_typed_by_its_beginning() {
    let uuid = "8f3b8bb7510f4ba0b3a4e0aa042d3713";
    for (typed, expected) in [
        (uuid, Some(uuid)),
        ("8F3B8BB", Some("8f3b8bb")),
        ("8f3b8b", None),
        ("kitchen", None),
        ("10.0.0.1", None),
        ("fe80::1%2", None),
    ] {
        assert_eq!(parsed(typed).uuid_prefix(), expected, "{typed}");
    }
}
