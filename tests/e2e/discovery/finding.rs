//! Our responder on one side, our search on the other.

use super::*;

#[test]
fn a_device_with_our_agent_is_found_with_everything_it_tells() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));

    // Link-local addresses come up last.
    let found = scanned_until_all(&workstation, workstation.dir(), |found| {
        found
            .iter()
            .any(|device| device.addresses.iter().any(|address| address.scope != 0))
    });
    let [lamp] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(lamp.name, "lamp");
    assert_eq!(lamp.uuid, Some(uuid(1)));
    assert_eq!(lamp.device_type.as_deref(), Some("raspberrypi4-64"));
    assert_eq!(lamp.os_version.as_deref(), Some("os 1.0.0"));
    assert_eq!(lamp.agent_version.as_deref(), Some("0.1.0"));
    assert_eq!(lamp.variant.as_deref(), Some("development"));
    assert_eq!((lamp.api_port, lamp.ssh_port), (48484, 22222));
    assert_eq!(
        ips(lamp)[0],
        IpAddr::V4(address.v4),
        "the best address is first"
    );
    assert!(ips(lamp).contains(&IpAddr::V6(address.v6)), "{lamp:#?}");
    let scoped: Vec<_> = lamp
        .addresses
        .iter()
        .filter(|address| address.scope != 0)
        .collect();
    assert!(
        !scoped.is_empty() && scoped.iter().all(|address| address.ip.is_ipv6()),
        "{lamp:#?}"
    );

    for selector in ["lamp", "LAMP.local", &uuid(1), &uuid(1)[..7]] {
        assert_eq!(
            resolved(&workstation, workstation.dir(), selector)
                .unwrap()
                .uuid,
            Some(uuid(1)),
            "{selector}"
        );
        let fresh = workstation.dir().join("fresh");
        assert_eq!(
            resolved(&workstation, &fresh, selector).unwrap().uuid,
            Some(uuid(1)),
            "{selector}, never seen"
        );
        fs_err::remove_dir_all(&fresh).unwrap();
    }
    drop(announcer);
    assert!(devices(&scanned(&workstation, workstation.dir())).is_empty());
}

#[test]
fn the_reference_client_gets_all_records_in_one_packet_from_the_device() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    let own = lan.join(&workstation);
    let address = lan.join(&machine);
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    scanned_until(&workstation, workstation.dir(), 1);

    let answer = workstation.inside(|| {
        let socket = UdpSocket::bind((GROUP, 5353)).unwrap();
        socket.join_multicast_v4(&GROUP, &own.v4).unwrap();
        socket
            .set_read_timeout(Some(testkit::until::PATIENCE))
            .unwrap();
        socket.send_to(RECORDED_QUESTION, (GROUP, 5353)).unwrap();
        let mut buffer = [0; 9000];
        loop {
            let (length, source) = socket.recv_from(&mut buffer).unwrap();
            let answer = buffer[..length].to_vec();
            // An announcement tells all records of both services.
            let is_announcement = answer[7] >= 10;
            if source.ip() == IpAddr::V4(address.v4) && !is_announcement {
                return answer;
            }
        }
    });
    // Flags of an authoritative answer; no question, PTR + TXT + SRV + addresses as answers, nothing else.
    assert_eq!(answer[2..4], [0x84, 0]);
    assert_eq!((answer[5], answer[9], answer[11]), (0, 0, 0));
    assert!(answer[7] >= 5, "{answer:?}");
    assert!(
        answer
            .windows(6)
            .any(|bytes| bytes == [0, 0, 0, 0, 0x56, 0xce]),
        "no SRV with port 22222: {answer:?}"
    );
}

#[test]
fn simulated_devices_are_found_on_their_machine_and_nowhere_else() {
    let lan = Lan::new();
    let (workstation, neighbour) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    lan.join(&neighbour);
    let ip = |number: u8| IpAddr::V4(Ipv4Addr::new(127, 71, 3, number));
    let _announcers: Vec<Announcer> = (1..=4)
        .map(|number| {
            let name = format!("sim{number}");
            Announcer::start(
                &workstation,
                config(
                    &name,
                    &uuid(usize::from(number)),
                    Scope::Loopback(ip(number)),
                ),
            )
        })
        .collect();
    let found = scanned_until(&workstation, &workstation.dir().join("a"), 4);
    let told: Vec<_> = found
        .iter()
        .map(|device| (device.name.as_str(), ips(device)))
        .collect();
    assert_eq!(
        told,
        [
            ("sim1", vec![ip(1)]),
            ("sim2", vec![ip(2)]),
            ("sim3", vec![ip(3)]),
            ("sim4", vec![ip(4)])
        ]
    );
    assert_eq!(devices(&scanned(&neighbour, neighbour.dir())), []);
}

#[test]
fn two_devices_of_one_name_are_an_error_that_lists_both() {
    let machine = Namespace::new();
    let ip = |number: u8| IpAddr::V4(Ipv4Addr::new(127, 71, 4, number));
    let _one = Announcer::start(&machine, config("twin", &uuid(1), Scope::Loopback(ip(1))));
    let _two = Announcer::start(&machine, config("twin", &uuid(2), Scope::Loopback(ip(2))));
    assert_eq!(
        scanned_until(&machine, &machine.dir().join("a"), 2).len(),
        2
    );
    match resolved(&machine, &machine.dir().join("b"), "twin") {
        Err(error @ DiscoveryError::Ambiguous { .. }) => {
            let text = error.to_string();
            assert!(
                text.contains("127.71.4.1") && text.contains("127.71.4.2"),
                "{text}"
            );
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(
        resolved(&machine, &machine.dir().join("b"), &uuid(2))
            .unwrap()
            .uuid,
        Some(uuid(2))
    );
}

#[test]
fn the_second_of_one_name_takes_another_name() {
    let lan = Lan::new();
    let machines = [Namespace::new(), Namespace::new(), Namespace::new()];
    for machine in &machines {
        lan.join(machine);
    }
    let [workstation, one, two] = &machines;
    // Switched on at the same time, as devices fresh from the factory are.
    let _one = Announcer::start(one, config("fresh", &uuid(1), Scope::All));
    let _two = Announcer::start(two, config("fresh", &uuid(2), Scope::All));
    let found = scanned_until(workstation, workstation.dir(), 2);
    let names: Vec<_> = found.iter().map(|device| device.name.as_str()).collect();
    assert_eq!(names, ["fresh", "fresh-2"]);
}

#[test]
fn a_watch_tells_who_comes_and_who_goes() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    lan.join(&machine);
    workstation.inside(|| {
        runtime().block_on(async {
            let places = Places::below(workstation.dir());
            let (found, mut seen) = mpsc::channel::<Seen>(16);
            let watch = ScanOptions {
                watch: true,
                at_most: None,
            };
            let changes = async {
                let announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
                let first = seen.recv().await.unwrap();
                assert_eq!(
                    (first.change, first.device.name.as_str()),
                    (Change::Found, "lamp")
                );
                // The join waits for the goodbye to be sent; the search goes on meanwhile on this thread.
                drop(announcer);
                loop {
                    let next = seen.recv().await.unwrap();
                    if next.change == Change::Gone {
                        assert_eq!(next.device.uuid, Some(uuid(1)));
                        break;
                    }
                }
                drop(seen);
            };
            let both = async { tokio::join!(scan(&places, watch, found), changes) };
            let both = tokio::time::timeout(testkit::until::PATIENCE, both).await;
            let (ended, ()) = both.expect("the changes are told in time");
            ended.unwrap();
        });
    });
}

#[test]
fn an_address_that_comes_later_is_announced_on() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    // No network yet, as on a device that is still waiting for its cable.
    let _announcer = Announcer::start(&machine, config("lamp", &uuid(1), Scope::All));
    assert_eq!(devices(&scanned(&workstation, workstation.dir())), []);
    let address = lan.join(&machine);
    let found = scanned_until(&workstation, workstation.dir(), 1);
    assert_eq!(ips(&found[0])[0], IpAddr::V4(address.v4));
}
