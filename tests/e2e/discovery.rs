//! Finding devices on real networks: our responder and Avahi's on one side, our search on the other.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    os::fd::AsFd,
    path::Path,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use os_agent::announce::{self, Scope};
use os_cli::discovery::{
    Change, Device, DiscoveryError, Memory, Places, ScanOptions, Seen, Selector, resolve, scan,
};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use testkit::{Lan, Namespace, Process};
use tokio::sync::{mpsc, watch};

/// The reference client's question, as recorded.
const RECORDED_QUESTION: &[u8] =
    b"\0\0\0\0\0\x01\0\0\0\0\0\0\x0d_resin-device\x04_sub\x04_ssh\x04_tcp\x05local\0\0\x0c\0\x01";
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);

/// A responder of ours on a machine. Dropping it says goodbye.
struct Announcer {
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Announcer {
    fn start(machine: &Namespace, config: announce::Config) -> Self {
        let network = fs_err::File::open(format!("/proc/{}/ns/net", machine.init())).unwrap();
        let (stop, stopped) = watch::channel(false);
        let thread = std::thread::spawn(move || {
            move_into_link_name_space(network.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            runtime().block_on(announce::run(config, stopped));
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        self.thread.take().unwrap().join().unwrap();
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

fn config(hostname: &str, uuid: &str, scope: Scope) -> announce::Config {
    announce::Config {
        hostname: hostname.into(),
        uuid: uuid.into(),
        device_type: "raspberrypi4-64".into(),
        arch: "aarch64".into(),
        os_version: "os 1.0.0".into(),
        agent_version: "0.1.0".into(),
        variant: "development".into(),
        api_port: 48484,
        ssh_port: None,
        scope,
        avahi_services_dir: "/nonexistent".into(),
    }
}

fn uuid(number: usize) -> String {
    format!("{:07x}{}", 0x00a0_0000 + number, "0".repeat(25))
}

/// An Avahi daemon as the reference's devices run it, without D-Bus.
async fn avahi(machine: &Namespace, hostname: &str) -> Process {
    let dir = machine.dir().display().to_string();
    let service = "<service-group><name replace-wildcards='yes'>%h</name><service><type>_ssh._tcp</type>\
                   <subtype>_resin-device._sub._ssh._tcp</subtype><port>22222</port></service></service-group>";
    let conf =
        format!("[server]\nhost-name={hostname}\nenable-dbus=no\nuse-ipv4=yes\nuse-ipv6=yes\n");
    fs_err::write(machine.dir().join("avahi.conf"), conf).unwrap();
    fs_err::write(machine.dir().join("ssh.service"), service).unwrap();
    machine.run(
        "sh",
        &[
            "-c",
            "mkdir -p /run/avahi-daemon && rm -f /etc/avahi/services/* && cp ssh.service /etc/avahi/services/ssh.service",
        ],
    );
    let mut command = machine.command("avahi-daemon");
    command.args([
        "--no-drop-root",
        "--no-chroot",
        "-f",
        &format!("{dir}/avahi.conf"),
    ]);
    let process = Process::start("avahi-daemon", command, &machine.dir().join("avahi.log")).await;
    testkit::until("Avahi has published", async || {
        process
            .log()
            .contains("successfully established")
            .then_some(())
    })
    .await;
    process
}

/// A whole scan from a machine, with the time at which each event came.
fn scanned(machine: &Namespace, state: &Path) -> Vec<(Duration, Seen)> {
    machine.inside(|| {
        runtime().block_on(async {
            let places = Places::below(state);
            let (found, mut seen) = mpsc::channel(16);
            let start = Instant::now();
            let events = async {
                let mut events = Vec::new();
                while let Some(event) = seen.recv().await {
                    events.push((start.elapsed(), event));
                }
                events
            };
            let (ended, events) =
                tokio::join!(scan(&places, ScanOptions::default(), found), events);
            let ended = ended.unwrap();
            assert!(
                ended.set_aside.is_none() && ended.not_remembered.is_none(),
                "{ended:?}"
            );
            events
        })
    })
}

/// What a scan shows in the end.
fn devices(events: &[(Duration, Seen)]) -> Vec<Device> {
    let mut devices = BTreeMap::new();
    for (_, seen) in events {
        match seen.change {
            Change::Found | Change::Updated => devices.insert(seen.id, seen.device.clone()),
            Change::Gone => devices.remove(&seen.id),
        };
    }
    let mut devices: Vec<Device> = devices.into_values().collect();
    devices.sort_by(|one, other| one.name.cmp(&other.name));
    devices
}

/// Scans until these many devices are there: responders first ask whether their names are free.
fn scanned_until(machine: &Namespace, state: &Path, count: usize) -> Vec<Device> {
    scanned_until_all(machine, state, |found| found.len() >= count)
}

fn scanned_until_all(
    machine: &Namespace,
    state: &Path,
    enough: impl Fn(&[Device]) -> bool,
) -> Vec<Device> {
    let start = Instant::now();
    loop {
        let devices = devices(&scanned(machine, state));
        if enough(&devices) || start.elapsed() > testkit::until::PATIENCE {
            return devices;
        }
    }
}

fn resolved(machine: &Namespace, state: &Path, selector: &str) -> Result<Device, DiscoveryError> {
    let selector = Selector::parse(selector).unwrap();
    machine.inside(|| runtime().block_on(resolve(&Places::below(state), &selector, Memory::Use)))
}

fn ips(device: &Device) -> Vec<IpAddr> {
    device.addresses.iter().map(|address| address.ip).collect()
}

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
            let is_announcement = answer[7] > 5;
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

#[tokio::test]
async fn a_reference_device_is_found_and_its_host_name_resolved() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _avahi = avahi(&machine, "peer-device").await;

    let found = devices(&scanned(&workstation, workstation.dir()));
    let [peer] = found.as_slice() else {
        panic!("{found:#?}")
    };
    assert_eq!(
        (peer.name.as_str(), &peer.uuid, &peer.agent_version),
        ("peer-device", &None, &None)
    );
    assert_eq!(ips(peer)[0], IpAddr::V4(address.v4));
    assert_eq!(peer.ssh_port, 22222);

    let fresh = workstation.dir().join("fresh");
    assert_eq!(
        ips(&resolved(&workstation, &fresh, "peer-device.local").unwrap())[0],
        IpAddr::V4(address.v4)
    );
    // Remembered, so that its name is completed.
    let remembered =
        os_cli::discovery::remembered::Remembered::peek(&Places::below(&fresh).remembered);
    assert_eq!(remembered.devices().len(), 1);
}

#[tokio::test]
async fn any_host_of_the_local_network_can_be_meant_by_name() {
    let lan = Lan::new();
    let (workstation, machine) = (Namespace::new(), Namespace::new());
    lan.join(&workstation);
    let address = lan.join(&machine);
    let _avahi = avahi(&machine, "plain").await;
    machine.run("rm", &["/etc/avahi/services/ssh.service"]);
    testkit::until("Avahi has withdrawn the service", async || {
        devices(&scanned(&workstation, workstation.dir()))
            .is_empty()
            .then_some(())
    })
    .await;
    let fresh = workstation.dir().join("fresh");
    assert_eq!(
        ips(&resolved(&workstation, &fresh, "plain").unwrap())[0],
        IpAddr::V4(address.v4)
    );
    let remembered =
        os_cli::discovery::remembered::Remembered::peek(&Places::below(&fresh).remembered);
    assert!(remembered.devices().is_empty(), "it may be a printer");
}

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
        workstation.run(tables, &["-A", "OUTPUT", "-d", group, "-j", "DROP"]);
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
            let (ended, ()) = tokio::join!(scan(&places, watch, found), changes);
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
    let asked = |from: IpAddr| {
        workstation.inside(|| {
            let socket = UdpSocket::bind((from, 0)).unwrap();
            socket
                .set_read_timeout(Some(Duration::from_millis(500)))
                .unwrap();
            socket
                .send_to(RECORDED_QUESTION, (address.v4, 5353))
                .unwrap();
            socket.recv_from(&mut [0; 9000]).is_ok()
        })
    };
    assert!(asked("10.88.7.1".parse().unwrap()));
    assert!(!asked("192.0.2.5".parse().unwrap()));
}
