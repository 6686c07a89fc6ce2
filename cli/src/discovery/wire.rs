//! Pure: questions to the local network as bytes, answers as facts.
//!
//! Everything that comes in here was written by strangers. What goes out is bounded and safe to show: names are lower case and hold no
//! control characters, texts are short, a target outside `.local` is no target.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Label, Name, OPCODE, Packet, PacketFlag, QTYPE, Question, TYPE,
    rdata::{RData, TXT},
};

/// Port of mDNS.
pub(super) const PORT: u16 = 5353;
/// RFC 6762 §17: no packet is larger.
pub(super) const LARGEST: usize = 9000;

/// The service of our agent.
const OWN: &str = "_osdev._tcp.local";
/// The service of the reference's devices, and the subtype that tells them from other SSH servers.
const SSH: &str = "_ssh._tcp.local";
const SSH_DEVICES: &str = "_resin-device._sub._ssh._tcp.local";

/// Facts of one packet that are looked at.
const MOST_FACTS: usize = 256;
/// Longest text of a device that is kept, in characters.
const LONGEST_TEXT: usize = 128;
/// Fewest bytes of a question, and of a record, on the wire.
const SMALLEST_QUESTION: usize = 5;
const SMALLEST_RECORD: usize = 11;

/// A service by which devices are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Service {
    /// That of our agent.
    Own,
    /// That of the reference's devices.
    Ssh,
}

/// Something to ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Want {
    /// All devices.
    Devices,
    /// Where an instance is, and what it says of itself.
    Instance(Service, String),
    /// The addresses of a host.
    Host(String),
}

/// Something that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// The record's life is over: the device says goodbye.
    pub(super) is_goodbye: bool,
    pub(super) what: What,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// There is an instance of a service.
    Instance { service: Service, instance: String },
    /// An instance is on a host, at a port.
    Target {
        service: Service,
        instance: String,
        host: String,
        port: u16,
    },
    /// What an instance of our service says of its device.
    Text { instance: String, text: Box<Text> },
    /// A host has an address, it says.
    Address { host: String, ip: IpAddr },
}

/// What our agent says of its device.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Text {
    pub(super) uuid: Option<String>,
    pub(super) device_type: Option<String>,
    pub(super) os_version: Option<String>,
    pub(super) agent_version: Option<String>,
    pub(super) variant: Option<String>,
    pub(super) ssh_fingerprint: Option<String>,
    pub(super) api_port: Option<u16>,
}

/// A packet that asks for things; the answers repeat the id. `None` when a name is too long for a packet.
pub(super) fn question(id: u16, wants: &[Want]) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(id);
    for want in wants {
        let asked: Vec<(Name<'_>, TYPE)> = match want {
            Want::Devices => vec![
                (Name::new_unchecked(OWN), TYPE::PTR),
                (Name::new_unchecked(SSH_DEVICES), TYPE::PTR),
            ],
            Want::Instance(service, instance) => {
                let name = below(instance, service_name(*service));
                vec![(name.clone(), TYPE::SRV), (name, TYPE::TXT)]
            }
            Want::Host(host) => {
                let name = below(host, "local");
                vec![(name.clone(), TYPE::A), (name, TYPE::AAAA)]
            }
        };
        for (name, kind) in asked {
            // From a port that is not the mDNS port this bit is not needed, and from that port an answer to all is wanted.
            let question = Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false);
            packet.questions.push(question.into_owned());
        }
    }
    packet.build_bytes_vec_compressed().ok()
}

/// The id and the facts of an answer; `None` for everything that is no sound answer.
pub(super) fn answer(bytes: &[u8]) -> Option<(u16, Vec<Fact>)> {
    if bytes.len() > LARGEST || !counts_fit(bytes) {
        return None;
    }
    let packet = Packet::parse(bytes).ok()?;
    if !packet.has_flags(PacketFlag::RESPONSE) || packet.opcode() != OPCODE::StandardQuery {
        return None;
    }
    let records = packet.answers.iter().chain(&packet.additional_records);
    let facts = records
        .take(MOST_FACTS)
        .filter_map(|record| {
            Some(Fact {
                is_goodbye: record.ttl == 0,
                what: fact(&record.name, &record.rdata)?,
            })
        })
        .collect();
    Some((packet.id(), facts))
}

fn fact(name: &Name<'_>, data: &RData<'_>) -> Option<What> {
    match data {
        RData::PTR(target) => {
            let service = if *name == Name::new_unchecked(OWN) {
                Service::Own
            } else if *name == Name::new_unchecked(SSH_DEVICES) {
                Service::Ssh
            } else {
                return None;
            };
            let (found, instance) = instance(&target.0)?;
            (found == service).then_some(What::Instance { service, instance })
        }
        RData::SRV(srv) => {
            let (service, instance) = instance(name)?;
            let host = host(&srv.target)?;
            (srv.port != 0).then_some(What::Target {
                service,
                instance,
                host,
                port: srv.port,
            })
        }
        RData::TXT(txt) => match instance(name)? {
            (Service::Own, instance) => Some(What::Text {
                instance,
                text: Box::new(text(txt)),
            }),
            (Service::Ssh, _) => None,
        },
        RData::A(a) => Some(What::Address {
            host: host(name)?,
            ip: IpAddr::V4(a.address.into()),
        }),
        RData::AAAA(aaaa) => Some(What::Address {
            host: host(name)?,
            ip: IpAddr::V6(aaaa.address.into()),
        }),
        _ => None,
    }
}

/// The parser reserves memory by the counts of the header: they must be possible for the length of the packet.
fn counts_fit(bytes: &[u8]) -> bool {
    let Some((header, body)) = bytes.split_at_checked(12) else {
        return false;
    };
    let mut counts = header.chunks_exact(2).skip(2).map(|pair| {
        pair.iter()
            .fold(0usize, |count, byte| count << 8 | usize::from(*byte))
    });
    let questions = counts.next().unwrap_or_default();
    let records: usize = counts.sum();
    questions * SMALLEST_QUESTION + records * SMALLEST_RECORD <= body.len()
}

fn service_name(service: Service) -> &'static str {
    match service {
        Service::Own => OWN,
        Service::Ssh => SSH,
    }
}

/// `<instance>.<service>.local`.
fn instance(name: &Name<'_>) -> Option<(Service, String)> {
    let (first, rest) = name.get_labels().split_first()?;
    let rest = Name::new_with_labels(rest);
    let service = [Service::Own, Service::Ssh]
        .into_iter()
        .find(|service| rest == Name::new_unchecked(service_name(*service)))?;
    Some((service, shown(first.as_ref())?))
}

/// `<host>.local`.
fn host(name: &Name<'_>) -> Option<String> {
    match name.get_labels() {
        [host, local] if local.as_ref().eq_ignore_ascii_case(b"local") => shown(host.as_ref()),
        _ => None,
    }
}

fn below<'a>(label: &'a str, rest: &'a str) -> Name<'a> {
    let labels = std::iter::once(label).chain(rest.split('.'));
    let labels: Vec<Label<'_>> = labels
        .map(|label| Label::new_unchecked(label.as_bytes()))
        .collect();
    Name::new_with_labels(&labels)
}

/// A label in lower case; what a host name may not hold becomes `?`.
fn shown(label: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(label).to_lowercase();
    let safe: String = text
        .chars()
        .take(63)
        .map(|letter| {
            if letter.is_alphanumeric() || matches!(letter, '-' | '_') {
                letter
            } else {
                '?'
            }
        })
        .collect();
    (!safe.is_empty()).then_some(safe)
}

fn text(txt: &TXT<'_>) -> Text {
    let pairs: Vec<(String, String)> = txt
        .iter_raw()
        .take(32)
        .filter_map(|(key, value)| {
            let key = std::str::from_utf8(key).ok()?.to_ascii_lowercase();
            Some((key, value_shown(value?)?))
        })
        .collect();
    // RFC 6763 §6.4: of equal keys the first counts.
    let get = |wanted: &str| {
        pairs
            .iter()
            .find(|(key, _)| key == wanted)
            .map(|(_, value)| value.clone())
    };
    let is_uuid = |value: &String| {
        (7..=62).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    Text {
        uuid: get("uuid")
            .filter(is_uuid)
            .map(|uuid| uuid.to_ascii_lowercase()),
        device_type: get("dt"),
        os_version: get("os"),
        agent_version: get("agent"),
        variant: get("variant")
            .filter(|value| matches!(value.as_str(), "development" | "production")),
        ssh_fingerprint: get("sshfp").filter(|value| is_fingerprint(value)),
        api_port: get("api")
            .and_then(|value| value.parse().ok())
            .filter(|port| *port != 0),
    }
}

/// As `ssh-keygen -l` shows a key.
fn is_fingerprint(value: &str) -> bool {
    let digest = value.strip_prefix("SHA256:");
    digest.is_some_and(|digest| {
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        digest.len() == 43 && digest.bytes().all(is_base64)
    })
}

/// A text without what could move a cursor or reorder a line.
fn value_shown(value: &[u8]) -> Option<String> {
    let reorders = |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = String::from_utf8_lossy(value)
        .chars()
        .filter(|letter| !letter.is_control() && !reorders(*letter))
        .take(LONGEST_TEXT)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_fingerprint_is_taken_for_one() {
        let digest = "3PLZHcVYf1nYzcgS0aIz1/+OoBxTyL1sDbCMcjz4nNs";
        let told = |value: &str| {
            let mut txt = TXT::new();
            txt.add_attribute("sshfp", Some(value.as_bytes())).unwrap();
            text(&txt).ssh_fingerprint
        };
        let good = format!("SHA256:{digest}");
        assert_eq!(told(&good), Some(good.clone()));
        for bad in [
            String::new(),
            digest.to_owned(),
            format!("MD5:{digest}"),
            format!("sha256:{digest}"),
            format!("{good}A"),
            format!("SHA256:{}", &digest[1..]),
            good.replace('/', " "),
        ] {
            assert_eq!(told(&bad), None, "{bad}");
        }
    }
}
