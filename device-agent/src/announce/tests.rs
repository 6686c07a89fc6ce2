//! What is said on the wire, against the reference's recording and the rules of RFC 6762.

use std::net::IpAddr;

use proptest::prelude::*;
use simple_dns::{CLASS, Name, Packet, QTYPE, Question, ResourceRecord, TYPE, rdata::RData};

use super::{
    Config, Scope,
    message::{self, Delivery},
    zone::{Zone, host_label},
};

/// The reference's question and a reference device's answer, as recorded.
const RECORDED_QUESTION: &str = "0000000000010000000000000d5f726573696e2d646576696365045f737562045f737368045f746370056c6f63616c00000c0001";
const RECORDED_ANSWER: &str = "0000840000000005000000000d5f726573696e2d646576696365045f737562045f737368045f746370056c6f63616c00000c000100001194000e0b706565722d646576696365c01fc03a0010800100001194000100c03a002180010000007800140000000056ce0b706565722d646576696365c029c067001c8001000000780010fe8000000000000068c231fffe1abdedc067000180010000007800040a580702";

fn unhex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

fn config() -> Config {
    Config {
        hostname: "peer-device".into(),
        uuid: "abcdef0123456789abcdef0123456789".into(),
        device_type: "raspberrypi4-64".into(),
        arch: "aarch64".into(),
        os_version: "os 1.0.0".into(),
        agent_version: "0.1.0".into(),
        variant: "development".into(),
        api_port: 48484,
        ssh_port: Some(22222),
        ssh_fingerprint: Some("SHA256:APpVPH9KF5ufgbwwLiXZXeOJFIwQxtkJv6vmEITHnrc".into()),
        host_root: None,
        scope: Scope::All,
        avahi_services_dir: "/etc/avahi/services".into(),
    }
}

fn addresses() -> Vec<IpAddr> {
    vec![
        "10.88.7.2".parse().unwrap(),
        "fe80::68c2:31ff:fe1a:bded".parse().unwrap(),
    ]
}

fn zone() -> Zone {
    Zone::new(&config(), "peer-device", true)
}

fn query(questions: &[(&'static str, TYPE, bool)]) -> Packet<'static> {
    let mut packet = Packet::new_query(7);
    for (name, kind, unicast) in questions {
        let name = Name::new_unchecked(name);
        packet.questions.push(Question::new(
            name,
            QTYPE::TYPE(*kind),
            CLASS::IN.into(),
            *unicast,
        ));
    }
    packet
}

#[test]
fn the_reference_client_gets_the_recorded_answer() {
    let question = unhex(RECORDED_QUESTION);
    let question = message::parse(&question).unwrap();
    let (records, delivery) = message::answer(&zone(), &question, 5353, &addresses()).unwrap();
    assert_eq!(delivery, Delivery::Multicast);

    let ours = message::response(records).unwrap();
    let recorded = unhex(RECORDED_ANSWER);
    let (ours_read, recorded_read) = (
        Packet::parse(&ours).unwrap(),
        Packet::parse(&recorded).unwrap(),
    );
    assert_eq!(ours.get(..12), recorded.get(..12), "header");
    let told = |packet: &Packet<'_>| {
        let one = |record: &ResourceRecord<'_>| {
            (
                record.name.to_string(),
                record.ttl,
                record.cache_flush,
                format!("{:?}", record.rdata.clone().into_owned()),
            )
        };
        packet.answers.iter().map(one).collect::<Vec<_>>()
    };
    assert_eq!(told(&ours_read), told(&recorded_read));
}

#[test]
fn our_service_tells_what_the_device_is_in_one_packet() {
    let question = query(&[("_osdev._tcp.local", TYPE::PTR, false)]);
    let (records, _) = message::answer(&zone(), &question, 5353, &addresses()).unwrap();
    let kinds: Vec<_> = records
        .iter()
        .map(|record| record.rdata.type_code())
        .collect();
    assert_eq!(
        kinds,
        [TYPE::PTR, TYPE::TXT, TYPE::SRV, TYPE::AAAA, TYPE::A]
    );
    let RData::TXT(txt) = &records[1].rdata else {
        panic!()
    };
    let told = txt.attributes();
    for (key, value) in [
        ("uuid", "abcdef0123456789abcdef0123456789"),
        ("dt", "raspberrypi4-64"),
        ("os", "os 1.0.0"),
        ("agent", "0.1.0"),
        ("variant", "development"),
        ("api", "48484"),
        ("arch", "aarch64"),
        (
            "sshfp",
            "SHA256:APpVPH9KF5ufgbwwLiXZXeOJFIwQxtkJv6vmEITHnrc",
        ),
    ] {
        assert_eq!(
            told.get(key).cloned().flatten().as_deref(),
            Some(value),
            "{key}"
        );
    }
}

#[test]
fn a_plain_resolver_gets_its_id_and_question_back_and_short_lives() {
    let question = query(&[("peer-device.local", TYPE::A, true)]);
    let (records, delivery) = message::answer(&zone(), &question, 40000, &addresses()).unwrap();
    assert_eq!(delivery, Delivery::Legacy);
    let bytes = message::legacy_response(&question, records).unwrap();
    let reply = Packet::parse(&bytes).unwrap();
    assert_eq!(reply.id(), 7);
    assert_eq!(reply.questions.len(), 1);
    assert!(!reply.questions[0].unicast_response);
    assert_eq!(reply.answers.len(), 1);
    assert!(
        reply
            .answers
            .iter()
            .all(|record| record.ttl <= 10 && !record.cache_flush)
    );
}

#[test]
fn a_unicast_question_is_answered_by_unicast_only_when_all_are() {
    let both = query(&[
        ("_osdev._tcp.local", TYPE::PTR, true),
        ("_ssh._tcp.local", TYPE::PTR, true),
    ]);
    assert_eq!(
        message::answer(&zone(), &both, 5353, &addresses())
            .unwrap()
            .1,
        Delivery::Unicast
    );
    let one = query(&[
        ("_osdev._tcp.local", TYPE::PTR, true),
        ("_ssh._tcp.local", TYPE::PTR, false),
    ]);
    assert_eq!(
        message::answer(&zone(), &one, 5353, &addresses())
            .unwrap()
            .1,
        Delivery::Multicast
    );
}

#[test]
fn what_the_asker_knows_is_not_said_again() {
    let mut question = query(&[("_osdev._tcp.local", TYPE::PTR, false)]);
    let (records, _) = message::answer(&zone(), &question, 5353, &addresses()).unwrap();
    question.answers = records.clone();
    assert!(message::answer(&zone(), &question, 5353, &addresses()).is_none());
    for known in &mut question.answers {
        known.ttl /= 3;
    }
    assert_eq!(
        message::answer(&zone(), &question, 5353, &addresses())
            .unwrap()
            .0,
        records
    );
}

#[test]
fn other_names_classes_and_responses_are_none_of_our_business() {
    let zone = zone();
    for name in [
        "_http._tcp.local",
        "other.local",
        "_sub._osdev._tcp.local",
        "local",
    ] {
        assert!(
            message::answer(
                &zone,
                &query(&[(name, TYPE::PTR, false)]),
                5353,
                &addresses()
            )
            .is_none()
        );
    }
    let mut chaos = query(&[("_osdev._tcp.local", TYPE::PTR, false)]);
    chaos.questions[0].qclass = CLASS::CH.into();
    assert!(message::answer(&zone, &chaos, 5353, &addresses()).is_none());
    let bytes = message::response(zone.all(&addresses())).unwrap();
    assert!(message::answer(&zone, &message::parse(&bytes).unwrap(), 5353, &addresses()).is_none());
}

#[test]
fn a_type_that_the_host_lacks_is_denied_at_once() {
    let only_v4: Vec<IpAddr> = vec!["127.71.0.1".parse().unwrap()];
    let question = query(&[("PEER-device.local", TYPE::AAAA, false)]);
    let (records, _) = message::answer(&zone(), &question, 5353, &only_v4).unwrap();
    let [record] = records.as_slice() else {
        panic!("{records:?}")
    };
    let RData::NSEC(nsec) = &record.rdata else {
        panic!("{record:?}")
    };
    assert!(nsec.contains(TYPE::A) && !nsec.contains(TYPE::AAAA));
}

#[test]
fn beside_another_daemon_the_hosts_addresses_are_left_to_it() {
    let beside = Zone::new(&config(), "peer-device", false);
    let of_host =
        |record: &super::zone::Record| matches!(record.rdata, RData::A(_) | RData::AAAA(_));
    assert!(!beside.all(&addresses()).iter().any(of_host));
    assert!(
        message::answer(
            &beside,
            &query(&[("peer-device.local", TYPE::A, false)]),
            5353,
            &addresses()
        )
        .is_none()
    );
}

#[test]
fn a_stranger_with_our_name_is_a_dispute_and_our_own_voice_is_none() {
    let zone = zone();
    let packet = |bytes: &[u8], own: &[IpAddr]| {
        message::disputes(&zone, &message::parse(bytes).unwrap(), own)
    };
    let ours = message::response(zone.all(&addresses())).unwrap();
    assert!(!packet(&ours, &addresses()));
    let stranger: Vec<IpAddr> = vec!["10.88.7.9".parse().unwrap()];
    let theirs = message::response(zone.addresses(&stranger)).unwrap();
    assert!(packet(&theirs, &addresses()));
    let dead = message::goodbye(zone.addresses(&stranger)).unwrap();
    assert!(!packet(&dead, &addresses()));
    let mut other = config();
    other.api_port = 9;
    let port = message::response(Zone::new(&other, "peer-device", true).all(&[])).unwrap();
    assert!(packet(&port, &addresses()));
}

#[test]
fn of_two_hosts_that_probe_at_once_exactly_one_goes_first() {
    let zone = zone();
    let low: Vec<IpAddr> = vec!["10.88.7.2".parse().unwrap(), "fe80::2".parse().unwrap()];
    let high: Vec<IpAddr> = vec!["10.88.7.3".parse().unwrap(), "fe80::1".parse().unwrap()];
    let (from_low, from_high) = (
        message::probe(&zone, &low).unwrap(),
        message::probe(&zone, &high).unwrap(),
    );
    assert!(message::goes_first(
        &zone,
        &message::parse(&from_high).unwrap(),
        &low,
        &low
    ));
    assert!(!message::goes_first(
        &zone,
        &message::parse(&from_low).unwrap(),
        &high,
        &high
    ));
    assert!(!message::goes_first(
        &zone,
        &message::parse(&from_low).unwrap(),
        &low,
        &low
    ));
}

#[test]
fn a_probe_asks_for_every_unique_name_and_is_answered_by_its_holder() {
    let zone = zone();
    let bytes = message::probe(&zone, &addresses()).unwrap();
    let probe = message::parse(&bytes).unwrap();
    assert_eq!(probe.questions.len(), 3);
    let (records, delivery) = message::answer(&zone, &probe, 5353, &addresses()).unwrap();
    assert_eq!(delivery, Delivery::Unicast);
    assert!(!message::is_shared(&records));
}

#[test]
fn any_host_name_becomes_a_label() {
    for (hostname, label) in [
        ("lamp", "lamp"),
        ("lamp.lan", "lamp"),
        ("Küche 2", "K-che-2"),
        ("--", "abcdef0"),
        ("", "abcdef0"),
    ] {
        assert_eq!(host_label(hostname, "abcdef0123"), label);
    }
    assert_eq!(host_label("", ""), "os-device");
    assert!(host_label(&"x".repeat(300), "").len() <= 48);
}

#[test]
fn impossible_counts_are_refused_before_memory_is_reserved_for_them() {
    let mut bytes = unhex(RECORDED_QUESTION);
    bytes[6] = 0xff;
    assert!(message::parse(&bytes).is_none());
    assert!(message::parse(&vec![0; 9001]).is_none());
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..600), port in any::<u16>()) {
        if let Some(packet) = message::parse(&bytes) {
            let _said = message::answer(&zone(), &packet, port, &addresses());
            let _disputed = message::disputes(&zone(), &packet, &addresses());
            let _tie = message::goes_first(&zone(), &packet, &addresses(), &addresses());
        }
    }

    #[test]
    fn no_damaged_packet_makes_it_panic(at in 0usize..100, value in any::<u8>(), from in 0usize..2) {
        let mut bytes = unhex([RECORDED_QUESTION, RECORDED_ANSWER][from]);
        let length = bytes.len();
        bytes[at % length] = value;
        if let Some(packet) = message::parse(&bytes)
            && let Some((records, _)) = message::answer(&zone(), &packet, 5353, &addresses())
        {
            prop_assert!(message::legacy_response(&packet, records).is_none_or(|bytes| bytes.len() <= message::LARGEST));
        }
    }
}

#[tokio::test]
async fn another_host_key_is_noticed_whatever_was_told_before() {
    let root = tempfile::tempdir().unwrap();
    let mut config = Config {
        host_root: Some(root.path().to_owned()),
        ..config()
    };
    let look = |config: &Config| {
        let config = config.clone();
        async move { super::key_changed(&config, tokio::time::Instant::now()).await }
    };
    // The one that is told is gone.
    look(&config).await;
    config.ssh_fingerprint = super::found_key(&config);
    assert_eq!(config.ssh_fingerprint, None);
    let folder = root.path().join("etc/ssh/hostkeys");
    fs_err::create_dir_all(&folder).unwrap();
    let key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIN4W6mRSkjC9YK8qsnN7r1p4uFpYdCe6uIBfjhXgj3cB";
    fs_err::write(folder.join("ssh_host_ed25519_key.pub"), key).unwrap();
    look(&config).await;
    config.ssh_fingerprint = super::found_key(&config);
    assert_eq!(
        config.ssh_fingerprint,
        super::tests::config().ssh_fingerprint
    );
}
