//! Pure: the records of this device, and which of them answer a question.
//!
//! What comes in: the configuration, the label in use, the addresses of the interface that was asked. What goes out: resource records
//! in the order in which the reference's devices send them (a client of theirs wants SRV and address in the packet of the PTR).

use std::net::IpAddr;

use simple_dns::{
    CLASS, CharacterString, Label, Name, Packet, QCLASS, QTYPE, Question, ResourceRecord, TYPE,
    rdata::{A, AAAA, NSEC, PTR, RData, SRV, TXT},
};

use super::Config;

/// Our own service.
pub(super) const OWN_SERVICE: &str = "_osdev._tcp";
/// The service that the reference's devices publish.
pub(super) const SSH_SERVICE: &str = "_ssh._tcp";
/// The subtype by which the reference's client finds its devices.
pub(super) const SSH_SUBTYPE: &str = "_resin-device._sub._ssh._tcp";

/// Seconds for records that name the host or lead to it (RFC 6762 §10).
const HOST_TTL: u32 = 120;
/// Seconds for all other records.
const OTHER_TTL: u32 = 4500;
/// Addresses of one interface that are told.
const MOST_ADDRESSES: usize = 8;
/// Questions of one packet that are looked at.
const MOST_QUESTIONS: usize = 32;
/// Longest value of a TXT key.
const LONGEST_VALUE: usize = 120;
/// Longest label without the suffix of a renamed host.
const LONGEST_LABEL: usize = 48;

/// A record that owns all its text.
pub(super) type Record = ResourceRecord<'static>;

/// All records of this device but its addresses, which differ from interface to interface.
#[derive(Debug)]
pub(super) struct Zone {
    host: Name<'static>,
    /// Whether the host's address records are ours to give.
    claims_host: bool,
    services: Vec<Record>,
}

impl Zone {
    /// The records under a label (the host name, or what it was renamed to).
    pub(super) fn new(config: &Config, label: &str, claims_host: bool) -> Self {
        let host = name(&[label], "local");
        let mut services = service(
            label,
            OWN_SERVICE,
            None,
            &host,
            config.api_port,
            own_txt(config),
        );
        services.extend(config.ssh_port.into_iter().flat_map(|port| {
            service(
                label,
                SSH_SERVICE,
                Some(SSH_SUBTYPE),
                &host,
                port,
                TXT::new(),
            )
        }));
        Self {
            host,
            claims_host,
            services,
        }
    }

    /// The host's name.
    pub(super) fn host(&self) -> &Name<'static> {
        &self.host
    }

    /// Whether the host's address records are ours to give.
    pub(super) fn claims_host(&self) -> bool {
        self.claims_host
    }

    /// Every record, as announced on an interface with these addresses.
    pub(super) fn all(&self, addresses: &[IpAddr]) -> Vec<Record> {
        let mut records = self.services.clone();
        records.extend(self.addresses(addresses));
        records
    }

    /// The host's address records for an interface with these addresses; IPv6 first, as Avahi orders them.
    pub(super) fn addresses(&self, addresses: &[IpAddr]) -> Vec<Record> {
        if !self.claims_host {
            return Vec::new();
        }
        let mut sorted: Vec<_> = addresses.iter().take(MOST_ADDRESSES).collect();
        sorted.sort_by_key(|ip| ip.is_ipv4());
        sorted
            .into_iter()
            .map(|ip| {
                let data = match ip {
                    IpAddr::V4(ip) => RData::A(A::from(*ip)),
                    IpAddr::V6(ip) => RData::AAAA(AAAA::from(*ip)),
                };
                unique(self.host.clone(), HOST_TTL, data)
            })
            .collect()
    }

    /// The records that answer the questions of a packet, those that a client will ask for next included; without those
    /// that the packet shows to be known already.
    pub(super) fn answers(&self, query: &Packet<'_>, addresses: &[IpAddr]) -> Vec<Record> {
        let hosts = self.addresses(addresses);
        let mut answers: Vec<Record> = Vec::new();
        for question in query.questions.iter().take(MOST_QUESTIONS) {
            for record in self
                .services
                .iter()
                .chain(&hosts)
                .filter(|record| fits(question, record))
            {
                push(&mut answers, record);
                self.follow(record, &hosts, &mut answers);
            }
            if let Some(nothing) = self.absent(question, &hosts) {
                push(&mut answers, &nothing);
            }
        }
        answers.retain(|record| !is_known(query, record));
        answers
    }

    /// Adds what a record leads to: TXT and SRV of an instance, then the addresses of its host.
    fn follow(&self, record: &Record, hosts: &[Record], answers: &mut Vec<Record>) {
        match &record.rdata {
            RData::PTR(target) => {
                let instance = self.services.iter().filter(|other| other.name == target.0);
                for other in
                    instance.filter(|other| matches!(other.rdata, RData::TXT(_) | RData::SRV(_)))
                {
                    push(answers, other);
                    self.follow(other, hosts, answers);
                }
            }
            RData::SRV(_) => hosts.iter().for_each(|host| push(answers, host)),
            _ => {}
        }
    }

    /// The host has no record of the type that was asked for: said at once, so that a resolver need not wait for it.
    fn absent(&self, question: &Question<'_>, hosts: &[Record]) -> Option<Record> {
        let about_us =
            self.claims_host && question.qname == self.host && is_internet(question.qclass);
        if !about_us
            || hosts.is_empty()
            || hosts
                .iter()
                .any(|record| record.match_qtype(question.qtype))
        {
            return None;
        }
        let mut types: Vec<TYPE> = Vec::new();
        for kind in [TYPE::A, TYPE::AAAA] {
            if hosts
                .iter()
                .any(|record| record.match_qtype(QTYPE::TYPE(kind)))
            {
                types.push(kind);
            }
        }
        let data = RData::NSEC(NSEC::from_types(self.host.clone(), &types));
        Some(unique(self.host.clone(), HOST_TTL, data))
    }
}

/// What stands in front of `.local` for a host name: its first label without what a label may not hold.
pub(super) fn host_label(hostname: &str, uuid: &str) -> String {
    let first = hostname.split('.').next().unwrap_or_default();
    let label = labelled(first);
    if !label.is_empty() {
        return label;
    }
    let short: String = labelled(uuid).chars().take(7).collect();
    if short.is_empty() {
        "os-device".to_owned()
    } else {
        short
    }
}

fn labelled(text: &str) -> String {
    let clean: String = text
        .chars()
        .take(LONGEST_LABEL)
        .map(|letter| {
            if letter.is_ascii_alphanumeric() {
                letter
            } else {
                '-'
            }
        })
        .collect();
    clean.trim_matches('-').to_owned()
}

/// The keys of our TXT record with their values.
pub(super) fn txt_pairs(config: &Config) -> Vec<(&'static str, String)> {
    let key = config.ssh_fingerprint.as_deref();
    let key = key.map(|key| ("sshfp", bounded(key)));
    let pairs = [
        ("uuid", bounded(&config.uuid)),
        ("dt", bounded(&config.device_type)),
        ("os", bounded(&config.os_version)),
        ("agent", bounded(&config.agent_version)),
        ("variant", bounded(&config.variant)),
        ("api", config.api_port.to_string()),
        ("arch", bounded(&config.arch)),
    ];
    pairs.into_iter().chain(key).collect()
}

fn bounded(value: &str) -> String {
    let mut kept = String::new();
    for letter in value.chars().filter(|letter| !letter.is_control()) {
        if kept.len() + letter.len_utf8() > LONGEST_VALUE {
            break;
        }
        kept.push(letter);
    }
    kept
}

fn own_txt(config: &Config) -> TXT<'static> {
    let mut txt = TXT::new();
    for (key, value) in txt_pairs(config) {
        // Cannot fail: keys are ASCII and values are bounded.
        if let Ok(string) = CharacterString::new(format!("{key}={value}").as_bytes()) {
            txt.add_char_string(string.into_owned());
        }
    }
    txt
}

fn service(
    label: &str,
    kind: &str,
    subtype: Option<&str>,
    host: &Name<'static>,
    port: u16,
    txt: TXT<'static>,
) -> Vec<Record> {
    let service = name(&[], &format!("{kind}.local"));
    let instance = name(&[label], &format!("{kind}.local"));
    let srv = SRV {
        priority: 0,
        weight: 0,
        port,
        target: host.clone(),
    };
    let pointer = |from: Name<'static>, to: &Name<'static>| {
        ResourceRecord::new(from, CLASS::IN, OTHER_TTL, RData::PTR(PTR(to.clone())))
    };
    let mut records = vec![
        unique(instance.clone(), OTHER_TTL, RData::TXT(txt)),
        unique(instance.clone(), HOST_TTL, RData::SRV(srv)),
        pointer(service.clone(), &instance),
        pointer(name(&[], "_services._dns-sd._udp.local"), &service),
    ];
    records
        .extend(subtype.map(|subtype| pointer(name(&[], &format!("{subtype}.local")), &instance)));
    records
}

fn unique(name: Name<'static>, ttl: u32, data: RData<'static>) -> Record {
    ResourceRecord::new(name, CLASS::IN, ttl, data).with_cache_flush(true)
}

/// A name from labels that may hold anything, and a dotted rest.
fn name(labels: &[&str], rest: &str) -> Name<'static> {
    let labels = labels.iter().copied().chain(rest.split('.'));
    let owned: Vec<Label<'static>> = labels
        .map(|label| Label::new_unchecked(label.as_bytes().to_vec()))
        .collect();
    Name::new_with_labels(&owned)
}

fn push(answers: &mut Vec<Record>, record: &Record) {
    let there = |other: &Record| other.name == record.name && other.rdata == record.rdata;
    if !answers.iter().any(there) {
        answers.push(record.clone());
    }
}

fn fits(question: &Question<'_>, record: &Record) -> bool {
    is_internet(question.qclass)
        && record.match_qtype(question.qtype)
        && question.qname == record.name
}

fn is_internet(class: QCLASS) -> bool {
    matches!(class, QCLASS::ANY | QCLASS::CLASS(CLASS::IN))
}

/// RFC 6762 §7.1: the asker knows the record and will for at least half its life.
fn is_known(query: &Packet<'_>, record: &Record) -> bool {
    query.answers.iter().any(|known| {
        known.ttl >= record.ttl / 2 && known.name == record.name && known.rdata == record.rdata
    })
}
