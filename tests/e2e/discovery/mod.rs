//! Finding devices on real networks.

mod avahi;
mod command;
mod faults;
mod finding;

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
        ssh_port: (scope == Scope::All).then_some(22222),
        ssh_fingerprint: None,
        host_root: None,
        scope,
        avahi_services_dir: "/nonexistent".into(),
    }
}

fn uuid(number: usize) -> String {
    format!("{:07x}{}", 0x00a0_0000 + number, "0".repeat(25))
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
