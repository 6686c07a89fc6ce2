//! Lost packets, firewalls, strangers.

use super::*;

#[test]
fn fifty_devices_are_found_although_packets_are_lost() {
    let lan = Lan::new();
    let workstation = Namespace::new();
    lan.join(&workstation);
    let machines: Vec<Namespace> = (0..50).map(|_| Namespace::new()).collect();
    let announcers: Vec<Announcer> = machines
        .iter()
        .enumerate()
        .map(|(number, machine)| {
            lan.join(machine);
            Announcer::start(
                machine,
                config(&format!("d{number:02}"), &uuid(number), Scope::All),
            )
        })
        .collect();
    assert_eq!(
        scanned_until(&workstation, &workstation.dir().join("a"), 50).len(),
        50
    );
    let events = scanned(&workstation, &workstation.dir().join("b"));
    assert_eq!(devices(&events).len(), 50);
    report("50 devices", &events);

    for chain in ["INPUT", "OUTPUT"] {
        for tables in ["iptables", "ip6tables"] {
            let lose = [
                "-A",
                chain,
                "-p",
                "udp",
                "-m",
                "statistic",
                "--mode",
                "random",
                "--probability",
                "0.2",
                "-j",
                "DROP",
            ];
            workstation.run(tables, &lose);
        }
    }
    for round in 0..3 {
        let events = scanned(
            &workstation,
            &workstation.dir().join(format!("lossy{round}")),
        );
        assert_eq!(
            devices(&events).len(),
            50,
            "with a fifth of all packets lost"
        );
        report("50 devices, 20 % lost", &events);
    }
    drop(announcers);
}

/// For whoever runs the tests with `--nocapture`; figures are for the benchmarks to judge.
fn report(what: &str, events: &[(Duration, Seen)]) {
    let mut found = events
        .iter()
        .filter(|(_, seen)| seen.change == Change::Found)
        .map(|(at, _)| *at);
    println!(
        "{what}: first after {:?}, last after {:?}",
        found.next(),
        found.next_back()
    );
}

#[test]
fn an_unknown_name_is_said_to_be_unknown() {
    let lan = Lan::new();
    let workstation = Namespace::new();
    lan.join(&workstation);
    match resolved(&workstation, workstation.dir(), "nobody") {
        Err(DiscoveryError::NotFound { selector }) => assert_eq!(selector, "nobody"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_seen_before_is_found_where_multicast_does_not_reach() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    scanned_until(&workstation, workstation.dir(), 1);
    for (tables, group) in [("iptables", "224.0.0.0/4"), ("ip6tables", "ff00::/8")] {
        for chain in ["INPUT", "OUTPUT"] {
            workstation.run(tables, &["-A", chain, "-d", group, "-j", "DROP"]);
        }
    }
    let found = devices(&scanned(&workstation, workstation.dir()));
    let [lamp] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(lamp.uuid, Some(uuid(1)));
    assert_eq!(ips(lamp)[0], IpAddr::V4(address.v4));
    assert_eq!(
        devices(&scanned(&workstation, &workstation.dir().join("new"))),
        []
    );
}

#[test]
fn behind_a_firewall_that_lets_only_multicast_in_devices_are_found() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    lan.join(&machine);
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    scanned_until(&workstation, &workstation.dir().join("a"), 1);
    for (tables, group) in [("iptables", "224.0.0.251"), ("ip6tables", "ff02::fb")] {
        workstation.run(
            tables,
            &["-A", "INPUT", "-p", "udp", "!", "-d", group, "-j", "DROP"],
        );
    }
    let found = devices(&scanned(&workstation, &workstation.dir().join("b")));
    assert_eq!(found.len(), 1);
}

#[test]
fn questions_from_beyond_the_local_network_get_no_answer() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    scanned_until(&workstation, workstation.dir(), 1);
    // The same question, to the same socket, from a neighbour and from an address that is none.
    workstation.run("ip", &["addr", "add", "192.0.2.5/32", "dev", "lan0"]);
    machine.run("ip", &["route", "add", "192.0.2.5/32", "dev", "lan0"]);
    let asked = |from: IpAddr, limit: Duration| {
        workstation.inside(|| {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket.set_read_timeout(Some(limit)).unwrap();
            socket
                .send_to(RECORDED_QUESTION, (address.v4, 5353))
                .unwrap();
            socket.recv_from(&mut [0; 9000]).is_ok()
        })
    };
    let neighbour = "10.88.7.1".parse().unwrap();
    assert!(asked(neighbour, testkit::until::PATIENCE));
    let stranger = "192.0.2.5".parse().unwrap();
    assert!(!asked(stranger, Duration::from_millis(500)));
}
