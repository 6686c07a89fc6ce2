//! What strangers may say, and what becomes of it.

use super::*;

#[test]
fn an_address_that_is_only_claimed_comes_after_the_one_that_answered() {
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.66",
        &said(
            b"lamp",
            None,
            &["10.0.0.7", "127.0.0.1", "224.0.0.1", "0.0.0.0"],
            120,
        ),
    );
    assert_eq!(ips(&list(&mut picture)[0]), ["10.0.0.66", "10.0.0.7"]);
}

#[test]
fn names_and_texts_cannot_move_a_cursor() {
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "10.0.0.7",
        &said(
            b"\x1b[31mlamp.x\xff",
            Some(&"aa".repeat(16)),
            &["10.0.0.7"],
            120,
        ),
    );
    let devices = list(&mut picture);
    assert_eq!(devices[0].name, "??31mlamp?x?");
    assert_eq!(devices[0].device_type.as_deref(), Some("pi[2J4"));
    let bad = said(b"lamp", Some("no-uuid\u{7}"), &["10.0.0.8"], 120);
    hear(&mut picture, "10.0.0.8", &bad);
    assert!(
        list(&mut picture)
            .iter()
            .any(|device| device.name == "lamp" && device.uuid.is_none())
    );
}

#[test]
fn a_target_outside_the_local_network_is_none() {
    let mut packet = Packet::new_reply(0);
    let instance = name(&[b"lamp", b"_osdev", b"_tcp", b"local"]);
    let target = name(&[b"www", b"example", b"com"]);
    packet.answers = vec![
        record(
            name(&[b"_osdev", b"_tcp", b"local"]),
            120,
            RData::PTR(PTR(instance.clone())),
        ),
        record(
            instance,
            120,
            RData::SRV(SRV {
                priority: 0,
                weight: 0,
                port: 1,
                target,
            }),
        ),
    ];
    let bytes = packet.build_bytes_vec().unwrap();
    let mut picture = Picture::default();
    hear(&mut picture, "10.0.0.7", &bytes);
    assert!(list(&mut picture).is_empty());
    assert_eq!(
        picture.missing(),
        [Want::Instance(Service::Own, "lamp".into())]
    );
}

#[test]
fn an_ssh_server_that_is_no_device_is_none() {
    let mut packet = Packet::new_reply(0);
    let instance = name(&[b"nas", b"_ssh", b"_tcp", b"local"]);
    let srv = SRV {
        priority: 0,
        weight: 0,
        port: 22,
        target: name(&[b"nas", b"local"]),
    };
    packet.answers = vec![
        record(
            name(&[b"_ssh", b"_tcp", b"local"]),
            120,
            RData::PTR(PTR(instance.clone())),
        ),
        record(instance, 120, RData::SRV(srv)),
    ];
    let mut picture = Picture::default();
    hear(&mut picture, "10.0.0.7", &packet.build_bytes_vec().unwrap());
    assert!(list(&mut picture).is_empty());
}

#[test]
fn a_flood_of_names_is_bounded() {
    let mut picture = Picture::default();
    for number in 0..3000u32 {
        let ip = IpAddr::from(std::net::Ipv4Addr::from(0x0a00_0000 + number));
        let host = format!("d{number}");
        let facts = wire::answer(&said(host.as_bytes(), None, &[], 120))
            .unwrap()
            .1;
        picture.hear(Responder { ip, link: 3 }, facts);
    }
    assert!(list(&mut picture).len() <= 1024);
    let mut one = Picture::default();
    for number in 0..1000 {
        let host = format!("d{number}");
        hear(
            &mut one,
            "10.0.0.66",
            &said(host.as_bytes(), None, &[], 120),
        );
    }
    assert!(list(&mut one).len() <= 32);
}

#[test]
fn a_simulated_device_is_shown_by_its_record_and_nobody_else_can_be_it() {
    let uuid = "aa".repeat(16);
    let mut picture = Picture::default();
    hear(
        &mut picture,
        "127.71.0.1",
        &said(b"sim", Some(&uuid), &["127.71.0.1"], 120),
    );
    hear(
        &mut picture,
        "10.0.0.66",
        &said(b"sim", Some(&"bb".repeat(16)), &["10.0.0.66"], 120),
    );
    let mut device = list(&mut picture).remove(0);
    device.uuid = Some(uuid.clone());
    device.origin = Origin::Simulated {
        agent_socket: "/a".into(),
        engine_socket: "/e".into(),
    };
    let record = Record {
        device: device.clone(),
        agent_pid: 1,
        started_at: String::new(),
        engine_socket: "/e".into(),
        address: "127.71.0.1".parse().unwrap(),
        namespace: "n".into(),
    };
    let shown: BTreeMap<u32, Device> =
        with_records(picture.devices(), std::slice::from_ref(&record));
    assert_eq!(shown.len(), 2);
    assert_eq!(shown.values().filter(|shown| **shown == device).count(), 1);
    // Its uuid from another machine makes no local device of it.
    let mut liar = Picture::default();
    hear(
        &mut liar,
        "10.0.0.66",
        &said(b"sim", Some(&uuid), &["127.71.0.1"], 120),
    );
    let shown = with_records(liar.devices(), &[record]);
    assert!(
        shown
            .values()
            .any(|device| device.origin == Origin::Network && ips(device)[0] == "10.0.0.66")
    );
}

#[test]
fn impossible_counts_are_refused_before_memory_is_reserved_for_them() {
    let mut bytes = recorded();
    bytes[6] = 0xff;
    assert!(wire::answer(&bytes).is_none());
    assert!(wire::answer(&vec![0x84; 9001]).is_none());
}

proptest! {
    #[test]
    fn no_packet_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
        let mut picture = Picture::new(Some("lamp".into()));
        if let Some((_, facts)) = wire::answer(&bytes) {
            picture.hear(from("10.0.0.7"), facts);
        }
        picture.devices();
    }

    #[test]
    fn no_damaged_packet_makes_it_panic(damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)) {
        let mut bytes = said(b"lamp", Some(&"aa".repeat(16)), &["10.0.0.7", "fe80::7"], 120);
        for (at, value) in damage {
            *at.get_mut(&mut bytes) = value;
        }
        let mut picture = Picture::default();
        if let Some((_, facts)) = wire::answer(&bytes) {
            let clean = |text: &str| text.chars().all(|letter| !letter.is_control());
            for Fact { what, .. } in &facts {
                let shown = match what {
                    What::Instance { instance, .. } | What::Text { instance, .. } => instance,
                    What::Target { host, .. } | What::Address { host, .. } => host,
                };
                prop_assert!(clean(shown));
            }
            picture.hear(from("10.0.0.7"), facts);
        }
        picture.devices();
    }

    /// Whatever the order of the answers, the devices are the same.
    #[test]
    fn the_order_of_answers_does_not_matter(order in Just(vec![0usize, 1, 2, 3, 4]).prop_shuffle()) {
        let (lamp, heater) = ("aa".repeat(16), "bb".repeat(16));
        let answers = [
            ("10.0.0.7", said(b"lamp", Some(&lamp), &["10.0.0.7", "fe80::7"], 120)),
            ("fe80::7", said(b"lamp", Some(&lamp), &["10.0.0.7", "fe80::7"], 120)),
            ("10.0.0.8", said(b"lamp", Some(&heater), &["10.0.0.8"], 120)),
            ("10.0.0.9", said(b"lamp", None, &["10.0.0.9"], 120)),
            ("10.88.7.2", recorded()),
        ];
        let mut picture = Picture::default();
        for index in order {
            let (source, bytes) = &answers[index];
            hear(&mut picture, source, bytes);
        }
        let mut told: Vec<_> = list(&mut picture).into_iter().map(|device| (device.name.clone(), device.uuid.clone(), ips(&device))).collect();
        told.sort();
        let strings = |ips: &[&str]| ips.iter().map(|ip| (*ip).to_owned()).collect::<Vec<_>>();
        prop_assert_eq!(told, [
            ("lamp".to_owned(), None, strings(&["10.0.0.9"])),
            ("lamp".to_owned(), Some(lamp), strings(&["10.0.0.7", "fe80::7"])),
            ("lamp".to_owned(), Some(heater), strings(&["10.0.0.8"])),
            ("peer-device".to_owned(), None, strings(&["10.88.7.2", "fe80::68c2:31ff:fe1a:bded"])),
        ]);
    }
}
