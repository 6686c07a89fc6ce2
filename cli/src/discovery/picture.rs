//! Pure: many answers become one list of devices.
//!
//! Each responder (the address that answers came from) is heard on its own: what it says holds for itself. Then what several
//! responders say is put together where it is the same device: the same uuid; or the same host name together with a shared address, or with a name
//! that was made from a uuid. Two devices of one name on different addresses stay two.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::{
    Address, Device, Origin,
    wire::{Fact, Service, Text, Want, What},
};

/// Responders, instances of each, and addresses of each host that are kept.
const MOST_RESPONDERS: usize = 1024;
const MOST_INSTANCES: usize = 32;
const MOST_ADDRESSES: usize = 16;
/// Hosts that are numbered in the life of a picture, and hosts that are put together at one time.
const MOST_NUMBERS: usize = 4096;
const MOST_HOSTS: usize = 512;

/// Ports of devices that do not tell theirs.
const API_PORT: u16 = 48484;
const ENGINE_PORT: u16 = 2375;
const SSH_PORT: u16 = 22222;

/// Where answers came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Responder {
    pub(super) ip: IpAddr,
    /// Interface that it was heard on.
    pub(super) link: u32,
}

/// What one responder said.
#[derive(Debug, Default)]
struct Voice {
    instances: BTreeSet<(Service, String)>,
    targets: BTreeMap<(Service, String), (String, u16)>,
    texts: BTreeMap<String, Text>,
    addresses: BTreeMap<String, BTreeSet<IpAddr>>,
}

/// A host as one responder describes it.
#[derive(Debug)]
struct Node<'a> {
    id: u32,
    responder: Responder,
    host: &'a str,
    own: Option<(u16, Option<&'a Text>)>,
    ssh_port: Option<u16>,
    claimed: Option<&'a BTreeSet<IpAddr>>,
}

/// Everything that was answered so far.
#[derive(Debug, Default)]
pub(super) struct Picture {
    /// A host that counts although it offers no service of a device.
    wanted: Option<String>,
    voices: BTreeMap<Responder, Voice>,
    ids: BTreeMap<(Responder, String), u32>,
}

impl Picture {
    /// An empty picture; the host of that name is taken for a device whatever it offers.
    pub(super) fn new(wanted: Option<String>) -> Self {
        Self {
            wanted,
            ..Self::default()
        }
    }

    /// Takes over facts; `true` when that changed anything.
    pub(super) fn hear(&mut self, responder: Responder, facts: Vec<Fact>) -> bool {
        let known = self.voices.contains_key(&responder);
        if facts.is_empty() || (!known && self.voices.len() >= MOST_RESPONDERS) {
            return false;
        }
        let voice = self.voices.entry(responder).or_default();
        let mut changed = false;
        for fact in facts {
            changed |= voice.hear(fact);
        }
        changed
    }

    /// Whether anything that a responder said is kept.
    pub(super) fn knows(&self, responder: &Responder) -> bool {
        self.voices.contains_key(responder)
    }

    /// Forgets a responder that has fallen silent.
    pub(super) fn forget(&mut self, responder: &Responder) {
        self.voices.remove(responder);
    }

    /// What has to be asked for because it was left out of an answer.
    pub(super) fn missing(&self) -> Vec<Want> {
        let mut wants = Vec::new();
        for voice in self.voices.values() {
            for (service, instance) in &voice.instances {
                let target = voice.targets.get(&(*service, instance.clone()));
                let text = *service == Service::Ssh || voice.texts.contains_key(instance);
                if target.is_none() || !text {
                    wants.push(Want::Instance(*service, instance.clone()));
                }
                if let Some((host, _)) = target
                    && !voice.addresses.contains_key(host)
                {
                    wants.push(Want::Host(host.clone()));
                }
            }
        }
        wants.dedup();
        wants.truncate(16);
        wants
    }

    /// The devices with an identity that holds as long as the picture.
    pub(super) fn devices(&mut self) -> BTreeMap<u32, Device> {
        self.number_hosts();
        let nodes = self.nodes();
        let mut groups: Vec<Vec<&Node<'_>>> = Vec::new();
        // Nodes that tell a uuid come first, so that the others join them and not each other.
        let (with_uuid, without): (Vec<_>, Vec<_>) =
            nodes.iter().partition(|node| node.uuid().is_some());
        for node in with_uuid.into_iter().chain(without) {
            let group = groups
                .iter_mut()
                .find(|group| group.iter().any(|other| is_same(other, node)));
            match group {
                Some(group) => group.push(node),
                None => groups.push(vec![node]),
            }
        }
        groups
            .iter()
            .filter_map(|group| {
                let id = group.iter().map(|node| node.id).min()?;
                Some((id, device(group)?))
            })
            .collect()
    }

    /// Whether a host of that name offers a service of a device.
    pub(super) fn is_device(&self, host: &str) -> bool {
        self.voices.values().any(|voice| {
            let mut said = voice.targets.iter();
            said.any(|(instance, (target, _))| target == host && voice.instances.contains(instance))
        })
    }

    /// Gives every host of every responder a number, in the order of their appearance.
    fn number_hosts(&mut self) {
        for (responder, voice) in &self.voices {
            let hosts = voice.targets.values().map(|(host, _)| host);
            for host in hosts.chain(&self.wanted) {
                let next = self.ids.len();
                if next < MOST_NUMBERS {
                    let next = u32::try_from(next).unwrap_or(u32::MAX);
                    self.ids.entry((*responder, host.clone())).or_insert(next);
                }
            }
        }
    }

    fn nodes(&self) -> Vec<Node<'_>> {
        let mut nodes: Vec<Node<'_>> = Vec::new();
        for (responder, voice) in &self.voices {
            let mut hosts: BTreeMap<&str, Node<'_>> = BTreeMap::new();
            let node = |host: &'_ str| self.ids.get(&(*responder, host.to_owned())).copied();
            let said = voice
                .targets
                .iter()
                .filter(|(instance, _)| voice.instances.contains(*instance));
            for ((service, instance), (host, port)) in said {
                let Some(id) = node(host) else { continue };
                let entry = hosts
                    .entry(host)
                    .or_insert_with(|| Node::new(id, *responder, host, voice));
                match service {
                    Service::Own => entry.own = Some((*port, voice.texts.get(instance))),
                    Service::Ssh => entry.ssh_port = Some(*port),
                }
            }
            if let Some((host, _)) = self
                .wanted
                .as_deref()
                .and_then(|wanted| voice.addresses.get_key_value(wanted))
                && let Some(id) = node(host)
            {
                hosts
                    .entry(host)
                    .or_insert_with(|| Node::new(id, *responder, host, voice));
            }
            nodes.extend(hosts.into_values());
        }
        nodes.truncate(MOST_HOSTS);
        nodes
    }
}

impl Voice {
    fn hear(&mut self, fact: Fact) -> bool {
        match fact.what {
            What::Instance { service, instance } if fact.is_goodbye => {
                let key = (service, instance);
                let gone = self.instances.remove(&key);
                self.targets.remove(&key);
                gone
            }
            What::Instance { service, instance } => {
                self.instances.len() < MOST_INSTANCES && self.instances.insert((service, instance))
            }
            What::Target {
                service,
                instance,
                host,
                port,
            } => {
                let key = (service, instance);
                if fact.is_goodbye {
                    return self.targets.remove(&key).is_some();
                }
                let room = self.targets.len() < MOST_INSTANCES || self.targets.contains_key(&key);
                let now = (host, port);
                room && self.targets.insert(key, now.clone()) != Some(now)
            }
            What::Text { instance, text } => {
                let room = self.texts.len() < MOST_INSTANCES || self.texts.contains_key(&instance);
                !fact.is_goodbye
                    && room
                    && self.texts.insert(instance, (*text).clone()) != Some(*text)
            }
            What::Address { host, ip } => {
                let room =
                    self.addresses.len() < MOST_INSTANCES || self.addresses.contains_key(&host);
                if fact.is_goodbye || !room {
                    return self
                        .addresses
                        .get_mut(&host)
                        .is_some_and(|ips| ips.remove(&ip));
                }
                let ips = self.addresses.entry(host).or_default();
                ips.len() < MOST_ADDRESSES && ips.insert(ip)
            }
        }
    }
}

impl<'a> Node<'a> {
    fn new(id: u32, responder: Responder, host: &'a str, voice: &'a Voice) -> Self {
        Self {
            id,
            responder,
            host,
            own: None,
            ssh_port: None,
            claimed: voice.addresses.get(host),
        }
    }

    fn text(&self) -> Option<&'a Text> {
        self.own.and_then(|(_, text)| text)
    }

    fn uuid(&self) -> Option<&'a str> {
        self.text().and_then(|text| text.uuid.as_deref())
    }

    fn has(&self, ip: IpAddr) -> bool {
        self.responder.ip == ip || self.claimed.is_some_and(|ips| ips.contains(&ip))
    }

    fn shares_address(&self, other: &Node<'_>) -> bool {
        let claimed = self.claimed.into_iter().flatten().copied();
        claimed.chain([self.responder.ip]).any(|ip| other.has(ip))
    }
}

fn is_same(one: &Node<'_>, other: &Node<'_>) -> bool {
    match (one.uuid(), other.uuid()) {
        (Some(one), Some(other)) => one == other,
        _ => one.host == other.host && (is_from_uuid(one.host) || one.shares_address(other)),
    }
}

/// The default host name of a device is the beginning of its uuid: there is only one of that name.
fn is_from_uuid(host: &str) -> bool {
    host.len() == 7 && host.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn device(group: &[&Node<'_>]) -> Option<Device> {
    let host = group
        .iter()
        .find(|node| node.own.is_some())
        .or_else(|| group.first())?
        .host;
    let text = group.iter().find_map(|node| node.text());
    let own_port = group.iter().find_map(|node| node.own.map(|(port, _)| port));
    let told = |get: fn(&Text) -> &Option<String>| text.and_then(|text| get(text).clone());
    Some(Device {
        name: host.to_owned(),
        uuid: told(|text| &text.uuid),
        addresses: addresses(group),
        api_port: text
            .and_then(|text| text.api_port)
            .or(own_port)
            .unwrap_or(API_PORT),
        engine_port: ENGINE_PORT,
        ssh_port: group
            .iter()
            .find_map(|node| node.ssh_port)
            .unwrap_or(SSH_PORT),
        device_type: told(|text| &text.device_type),
        os_version: told(|text| &text.os_version),
        agent_version: told(|text| &text.agent_version),
        variant: told(|text| &text.variant),
        ssh_fingerprint: told(|text| &text.ssh_fingerprint),
        origin: Origin::Network,
    })
}

/// Addresses, best first: those that answers came from before those that are only claimed, IPv4 before IPv6, routable before link-local.
fn addresses(group: &[&Node<'_>]) -> Vec<Address> {
    let mut ranked: BTreeMap<Address, (u8, u8)> = BTreeMap::new();
    for node in group {
        let source = node.responder.ip;
        let claimed = node.claimed.into_iter().flatten().copied();
        let claimed =
            claimed.filter(|ip| is_plausible(*ip) && (!ip.is_loopback() || source.is_loopback()));
        for (rank, ip) in [(0, source)].into_iter().chain(claimed.map(|ip| (1, ip))) {
            let address = Address {
                ip,
                scope: if needs_scope(ip) {
                    node.responder.link
                } else {
                    0
                },
            };
            let rank = (rank, kind(ip));
            let best = ranked.entry(address).or_insert(rank);
            *best = rank.min(*best);
        }
    }
    let mut sorted: Vec<(Address, (u8, u8))> = ranked.into_iter().collect();
    sorted.sort_by_key(|(_, rank)| *rank);
    sorted.truncate(MOST_ADDRESSES);
    sorted.into_iter().map(|(address, _)| address).collect()
}

fn kind(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(ip) if ip.is_link_local() => 2,
        IpAddr::V4(_) => 0,
        IpAddr::V6(ip) if ip.is_unicast_link_local() => 3,
        IpAddr::V6(_) => 1,
    }
}

fn needs_scope(ip: IpAddr) -> bool {
    matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local())
}

fn is_plausible(ip: IpAddr) -> bool {
    let broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    !(ip.is_unspecified() || ip.is_multicast() || broadcast)
}
