//! What is said in a local network, and the devices that it becomes.

mod strangers;

use std::{collections::BTreeMap, net::IpAddr};

use proptest::prelude::*;
use simple_dns::{
    CLASS, Label, Name, Packet, ResourceRecord,
    rdata::{A, AAAA, PTR, RData, SRV, TXT},
};

use super::{
    Device, Origin, Seen,
    picture::{Picture, Responder},
    scan::{differences, numbered, with_records},
    simulated::Record,
    wire::{self, Fact, Service, Want, What},
};
use crate::discovery::Change;

/// A reference device's answer, as recorded.
const RECORDED: &str = "0000840000000005000000000d5f726573696e2d646576696365045f737562045f737368045f746370056c6f63616c00000c000100001194000e0b706565722d646576696365c01fc03a0010800100001194000100c03a002180010000007800140000000056ce0b706565722d646576696365c029c067001c8001000000780010fe8000000000000068c231fffe1abdedc067000180010000007800040a580702";

fn recorded() -> Vec<u8> {
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    RECORDED.as_bytes().chunks(2).map(byte).collect()
}

fn name(labels: &[&[u8]]) -> Name<'static> {
    let labels: Vec<Label<'static>> = labels
        .iter()
        .map(|label| Label::new_unchecked(label.to_vec()))
        .collect();
    Name::new_with_labels(&labels)
}

fn record(name: Name<'static>, ttl: u32, data: RData<'static>) -> ResourceRecord<'static> {
    ResourceRecord::new(name, CLASS::IN, ttl, data)
}

/// An answer of our agent on a host.
fn said(host: &[u8], uuid: Option<&str>, ips: &[&str], ttl: u32) -> Vec<u8> {
    let (service, instance) = (
        name(&[b"_osdev", b"_tcp", b"local"]),
        name(&[host, b"_osdev", b"_tcp", b"local"]),
    );
    let target = name(&[host, b"local"]);
    let mut txt = TXT::new();
    if let Some(uuid) = uuid {
        txt.add_attribute("uuid", Some(uuid.as_bytes())).unwrap();
        txt.add_attribute("variant", Some(b"development")).unwrap();
        txt.add_attribute("dt", Some("pi\u{1b}[2J\u{202e}4".as_bytes()))
            .unwrap();
    }
    let srv = SRV {
        priority: 0,
        weight: 0,
        port: 48484,
        target: target.clone(),
    };
    let mut packet = Packet::new_reply(7);
    packet.answers = vec![
        record(service, ttl, RData::PTR(PTR(instance.clone()))),
        record(instance.clone(), ttl, RData::TXT(txt)),
        record(instance, ttl, RData::SRV(srv)),
    ];
    for ip in ips {
        let data = match ip.parse().unwrap() {
            IpAddr::V4(ip) => RData::A(A::from(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA::from(ip)),
        };
        packet.answers.push(record(target.clone(), ttl, data));
    }
    packet.build_bytes_vec_compressed().unwrap()
}

fn from(ip: &str) -> Responder {
    Responder {
        ip: ip.parse().unwrap(),
        link: 3,
    }
}

fn hear(picture: &mut Picture, source: &str, bytes: &[u8]) -> bool {
    picture.hear(from(source), wire::answer(bytes).unwrap().1)
}

fn list(picture: &mut Picture) -> Vec<Device> {
    picture.devices().into_values().collect()
}

fn ips(device: &Device) -> Vec<String> {
    device
        .addresses
        .iter()
        .map(|address| address.ip.to_string())
        .collect()
}

#[test]
fn the_recorded_answer_of_a_reference_device_is_a_device() {
    let mut picture = Picture::default();
    assert!(hear(&mut picture, "10.88.7.2", &recorded()));
    assert!(
        !hear(&mut picture, "10.88.7.2", &recorded()),
        "nothing new the second time"
    );
    let devices = list(&mut picture);
    let [peer] = devices.as_slice() else {
        panic!("{devices:#?}")
    };
    assert_eq!((peer.name.as_str(), peer.ssh_port), ("peer-device", 22222));
    assert_eq!(ips(peer), ["10.88.7.2", "fe80::68c2:31ff:fe1a:bded"]);
    assert_eq!(
        peer.addresses[1].scope, 3,
        "a link-local address needs its interface"
    );
    assert!(picture.missing().is_empty());
}

#[test]
fn one_device_on_many_links_and_families_is_one() {
    let uuid = "aa".repeat(16);
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(b"lamp", Some(&uuid), &["10.0.0.7", "fe80::7"], 120),
    );
    hear(
        &mut picture,
        "fe80::7",
        &said(b"lamp", Some(&uuid), &["10.0.0.7", "fe80::7"], 120),
    );
    hear(
        &mut picture,
        "192.168.1.7",
        &said(b"lamp", Some(&uuid), &["192.168.1.7"], 120),
    );
    let devices = list(&mut picture);
    assert_eq!(devices.len(), 1);
    assert_eq!(ips(&devices[0]), ["10.0.0.7", "192.168.1.7", "fe80::7"]);
}

#[test]
fn the_reference_record_of_a_device_joins_that_of_its_agent() {
    let mut picture = Picture::default();
    hear(&mut picture, "10.88.7.2", &recorded());
    hear(
        &mut picture,
        "10.88.7.2",
        &said(b"peer-device", Some(&"aa".repeat(16)), &["10.88.7.2"], 120),
    );
    let devices = list(&mut picture);
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].uuid, Some("aa".repeat(16)));
}

#[test]
fn two_devices_of_one_name_stay_two() {
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(b"lamp", Some(&"aa".repeat(16)), &["10.0.0.7"], 120),
    );
    hear(
        &mut picture,
        "10.0.0.8",
        &said(b"lamp", Some(&"bb".repeat(16)), &["10.0.0.8"], 120),
    );
    hear(
        &mut picture,
        "10.0.0.9",
        &said(b"lamp", None, &["10.0.0.9"], 120),
    );
    assert_eq!(list(&mut picture).len(), 3);
}

#[test]
fn a_name_that_was_made_from_a_uuid_is_one_device_wherever_it_answers() {
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(b"abc1234", None, &["10.0.0.7"], 120),
    );
    hear(
        &mut picture,
        "192.168.1.7",
        &said(b"ABC1234", None, &["192.168.1.7"], 120),
    );
    assert_eq!(list(&mut picture).len(), 1);
}

#[test]
fn a_goodbye_takes_the_device_away() {
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(b"lamp", Some(&"aa".repeat(16)), &["10.0.0.7"], 120),
    );
    let before = picture.devices();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(b"lamp", Some(&"aa".repeat(16)), &["10.0.0.7"], 0),
    );
    let now = picture.devices();
    assert!(now.is_empty());
    let changes = differences(&before, &now);
    assert!(matches!(
        changes.as_slice(),
        [Seen {
            change: Change::Gone,
            ..
        }]
    ));
}

#[test]
fn a_virtual_machine_that_ends_is_the_one_that_is_gone() {
    let machine = |name: &str| Device::bare(name.to_owned(), None, Origin::Machine);
    let mut numbers = BTreeMap::new();
    let before = numbered(&mut numbers, &[machine("a"), machine("b")]);
    let now = numbered(&mut numbers, &[machine("b")]);
    let changes = differences(&before, &now);
    let [gone] = changes.as_slice() else {
        panic!("{changes:?}");
    };
    assert!(matches!(gone.change, Change::Gone) && gone.device.name == "a");
    let again = numbered(&mut numbers, &[machine("a"), machine("b"), machine("c")]);
    assert_eq!(again.len(), 3);
}

#[test]
fn a_question_asks_for_both_kinds_of_devices_and_for_what_is_missing() {
    let wants = [
        Want::Devices,
        Want::Host("lamp".into()),
        Want::Instance(Service::Own, "lamp".into()),
    ];
    let bytes = wire::question(9, &wants).unwrap();
    let packet = Packet::parse(&bytes).unwrap();
    assert_eq!(packet.id(), 9);
    let names: Vec<String> = packet
        .questions
        .iter()
        .map(|question| format!("{} {:?}", question.qname, question.qtype))
        .collect();
    assert_eq!(
        names,
        [
            "_osdev._tcp.local TYPE(PTR)",
            "_resin-device._sub._ssh._tcp.local TYPE(PTR)",
            "lamp.local TYPE(A)",
            "lamp.local TYPE(AAAA)",
            "lamp._osdev._tcp.local TYPE(SRV)",
            "lamp._osdev._tcp.local TYPE(TXT)",
        ]
    );
    assert!(wire::answer(&bytes).is_none(), "a question is no answer");
}
