//! What comes from the local network, and how people name devices.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use os_agent::fuzz::Responder;
use os_cli::{
    discovery::{Address, Device, Origin, Selector, selector::Target},
    fuzz::Network,
};

use super::text::assert_harmless;

/// The port from which mDNS speaks.
const MDNS: u16 = 5353;
/// No packet is larger.
const LARGEST: usize = 9000;

/// Packets, each behind two bytes of length and one that chooses who sent it.
fn packets(mut input: &[u8]) -> Vec<(u8, &[u8])> {
    let mut packets = Vec::new();
    while let Some(([high, low, sender], rest)) = input.split_first_chunk() {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        packets.push((*sender, packet));
        input = rest;
    }
    packets
}

fn sender(choice: u8) -> (IpAddr, u32) {
    let last = u16::from(choice % 8) + 1;
    let link = u32::from(choice / 8 % 2) + 1;
    let ip = if choice >= 128 {
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, last))
    } else {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, choice % 8 + 1))
    };
    (ip, link)
}

/// Packets that a workstation hears.
pub(crate) fn mdns_answer(input: &[u8]) {
    let wanted = input.first().is_some_and(|first| first % 2 == 1);
    let mut network = Network::new(wanted.then_some("abc1234"));
    for (choice, packet) in packets(input) {
        let (ip, link) = sender(choice);
        if network.hear(ip, link, packet).is_none() {
            continue;
        }
        let devices = network.devices();
        assert_eq!(devices, network.devices(), "a look changes the picture");
        for device in devices.values() {
            check_device(device);
        }
        let question = network.question().expect("a question");
        assert!(question.len() <= LARGEST, "{} bytes", question.len());
    }
}

fn check_device(device: &Device) {
    assert!(
        (1..=63).contains(&device.name.chars().count()),
        "{device:?}"
    );
    assert_eq!(device.origin, Origin::Network, "foreign paths");
    assert!(!device.addresses.is_empty() && device.addresses.len() <= 16);
    let different: BTreeSet<&Address> = device.addresses.iter().collect();
    assert_eq!(different.len(), device.addresses.len());
    for address in &device.addresses {
        assert!(!address.ip.is_unspecified() && !address.ip.is_multicast());
    }
    assert!(device.api_port != 0 && device.ssh_port != 0 && device.engine_port != 0);
    let texts = [
        &device.uuid,
        &device.device_type,
        &device.os_version,
        &device.agent_version,
        &device.variant,
    ];
    assert_harmless(&device.name);
    for text in texts.into_iter().flatten() {
        assert_harmless(text);
        assert!((1..=128).contains(&text.chars().count()), "{text:?}");
    }
    // What was found can be named.
    let by_address = device.addresses[0].with_port(device.api_port).to_string();
    let selector = Selector::parse(&by_address).expect("an address");
    assert!(selector.matches(device), "{by_address}");
}

/// A host name and a uuid, each up to a zero byte, then packets that a device hears.
pub(crate) fn mdns_question(input: &[u8]) {
    let mut parts = input.splitn(3, |byte| *byte == 0);
    let mut text = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
    let (hostname, uuid) = (text(), text());
    let addresses = [
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, 9)),
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9)),
    ];
    let responder = Responder::new(&hostname, &uuid, &addresses);
    let announcement = responder.announcement().expect("an announcement");
    is_found(&announcement, addresses[0], true);
    let own = responder.hear(&announcement, MDNS).expect("sound");
    assert!(own.answer.is_none() && !own.disputed && !own.goes_first);
    let probe = responder.probe().expect("a probe");
    let own = responder.hear(&probe, MDNS).expect("sound");
    assert!(!own.disputed && !own.goes_first, "it loses to itself");
    for (choice, packet) in packets(parts.next().unwrap_or_default()) {
        let port = if choice % 2 == 0 { MDNS } else { 40_000 };
        let Some(heard) = responder.hear(packet, port) else {
            continue;
        };
        let is_response = packet[2] & 0x80 != 0;
        assert!(!(heard.disputed && heard.goes_first));
        if let Some((answer, _)) = heard.answer {
            assert!(!is_response, "an answer to an answer");
            assert!(answer.len() <= LARGEST);
            is_found(&answer, addresses[0], false);
            let echo = responder
                .hear(&answer, MDNS)
                .expect("what is sent is sound");
            assert_eq!(echo.answer, None);
            assert!(!echo.disputed, "it disputes its own name");
        }
    }
}

/// What a device says, a workstation understands.
fn is_found(packet: &[u8], from: IpAddr, whole: bool) {
    let mut network = Network::new(None);
    let heard = network.hear(from, 1, packet);
    assert!(heard.is_some(), "not understood");
    if whole {
        assert_eq!(network.devices().len(), 1, "not found");
        let question = network.question().expect("a question");
        let shortest = Network::new(None).question().expect("a question");
        assert_eq!(question, shortest, "something is missing");
    }
}

/// What a person types to name a device.
pub(crate) fn selector(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else {
        return;
    };
    let Ok(selector) = Selector::parse(text) else {
        return;
    };
    assert_ne!(selector.port, Some(0));
    let shown = selector.to_string();
    assert_eq!(Selector::parse(&shown).as_ref(), Ok(&selector), "{shown:?}");
    let mut device = Device {
        name: "other".to_owned(),
        uuid: None,
        addresses: Vec::new(),
        api_port: 48484,
        engine_port: 2375,
        ssh_port: 22222,
        device_type: None,
        os_version: None,
        agent_version: None,
        variant: None,
        ssh_fingerprint: None,
        origin: Origin::Given,
    };
    match &selector.target {
        Target::Label(label) => {
            assert!((1..=63).contains(&label.len()));
            assert_harmless(label);
            device.name.clone_from(label);
        }
        Target::Ip { ip, .. } => device.addresses.push(Address { ip: *ip, scope: 0 }),
    }
    assert!(selector.matches(&device), "{shown:?} is not itself");
    if let Some(prefix) = selector.uuid_prefix() {
        "other".clone_into(&mut device.name);
        device.uuid = Some(format!("{prefix}00"));
        assert!(selector.matches(&device), "{shown:?} is no uuid");
    }
}
