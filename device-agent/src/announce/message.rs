//! Pure: packets in, packets out. Decides whether and how a packet is answered and whether it disputes our names.

use std::net::IpAddr;

use simple_dns::{
    CLASS, Name, OPCODE, Packet, PacketFlag, QTYPE, Question, RCODE, TYPE, rdata::RData,
};

use super::zone::{Record, Zone};

/// Port of mDNS.
pub(super) const PORT: u16 = 5353;
/// RFC 6762 §17: no packet is larger.
pub(super) const LARGEST: usize = 9000;
/// RFC 6762 §6.7: seconds that a resolver without a cache of ours may keep an answer.
const LEGACY_TTL: u32 = 10;
/// Fewest bytes of a question, and of a record, on the wire.
const SMALLEST_QUESTION: usize = 5;
const SMALLEST_RECORD: usize = 11;

/// How an answer travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Delivery {
    /// To all.
    Multicast,
    /// To the asker, who listens on the mDNS port and asked for that.
    Unicast,
    /// To the asker, a plain DNS resolver on another port.
    Legacy,
}

/// Reads a packet; `None` for everything that is no sound mDNS message.
pub(super) fn parse(bytes: &[u8]) -> Option<Packet<'_>> {
    if bytes.len() > LARGEST || !counts_fit(bytes) {
        return None;
    }
    let packet = Packet::parse(bytes).ok()?;
    (packet.opcode() == OPCODE::StandardQuery && packet.rcode() == RCODE::NoError).then_some(packet)
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

/// The answer to a query, and how it travels; `None` when there is nothing to say.
pub(super) fn answer(
    zone: &Zone,
    query: &Packet<'_>,
    from_port: u16,
    addresses: &[IpAddr],
) -> Option<(Vec<Record>, Delivery)> {
    if query.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    let records = zone.answers(query, addresses);
    if records.is_empty() {
        return None;
    }
    let delivery = if from_port != PORT {
        Delivery::Legacy
    } else if query
        .questions
        .iter()
        .all(|question| question.unicast_response)
    {
        Delivery::Unicast
    } else {
        Delivery::Multicast
    };
    Some((records, delivery))
}

/// A response packet to all, or to an asker on the mDNS port.
pub(super) fn response(records: Vec<Record>) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(0);
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.answers = records;
    bytes(&packet)
}

/// A response packet to a plain resolver: its id and questions repeated, short lives, no cache-flush bits.
pub(super) fn legacy_response(query: &Packet<'_>, records: Vec<Record>) -> Option<Vec<u8>> {
    let mut packet = Packet::new_reply(query.id());
    packet.set_flags(PacketFlag::AUTHORITATIVE_ANSWER);
    packet.questions.clone_from(&query.questions);
    for question in &mut packet.questions {
        question.unicast_response = false;
    }
    packet.answers = records;
    for record in &mut packet.answers {
        record.ttl = record.ttl.min(LEGACY_TTL);
        record.cache_flush = false;
    }
    bytes(&packet)
}

/// A goodbye: the same records, dead.
pub(super) fn goodbye(mut records: Vec<Record>) -> Option<Vec<u8>> {
    for record in &mut records {
        record.ttl = 0;
    }
    response(records)
}

/// A probe: does anybody hold our names? The records that we mean to claim go along (RFC 6762 §8.1).
pub(super) fn probe(zone: &Zone, addresses: &[IpAddr]) -> Option<Vec<u8>> {
    let mut packet = Packet::new_query(0);
    let mut claimed = zone.all(addresses);
    claimed.retain(|record| record.cache_flush);
    for record in &mut claimed {
        record.cache_flush = false;
    }
    let mut names: Vec<&Name<'static>> = Vec::new();
    for record in &claimed {
        if !names.contains(&&record.name) {
            names.push(&record.name);
        }
    }
    packet.questions = names
        .into_iter()
        .map(|name| Question::new(name.clone(), QTYPE::ANY, CLASS::IN.into(), true))
        .collect();
    packet.name_servers = claimed;
    bytes(&packet)
}

/// Whether a response shows that somebody else holds one of our names. `own` are all addresses of this machine: what we or a daemon beside us
/// says on another interface is no dispute.
pub(super) fn disputes(zone: &Zone, packet: &Packet<'_>, own: &[IpAddr]) -> bool {
    if !packet.has_flags(PacketFlag::RESPONSE) {
        return false;
    }
    let services = zone.all(&[]);
    packet
        .answers
        .iter()
        .chain(&packet.additional_records)
        .filter(|record| record.ttl > 0)
        .any(|record| match &record.rdata {
            RData::A(_) | RData::AAAA(_) => {
                zone.claims_host()
                    && record.name == *zone.host()
                    && ip(&record.rdata).is_some_and(|ip| !own.contains(&ip))
            }
            RData::SRV(theirs) => services.iter().any(|ours| match &ours.rdata {
                RData::SRV(mine) => {
                    ours.name == record.name
                        && (mine.target != theirs.target || mine.port != theirs.port)
                }
                _ => false,
            }),
            _ => false,
        })
}

/// Whether another host that probes for our name at the same time goes first (RFC 6762 §8.2): its sorted addresses are the greater.
pub(super) fn goes_first(
    zone: &Zone,
    packet: &Packet<'_>,
    ours: &[IpAddr],
    own: &[IpAddr],
) -> bool {
    if packet.has_flags(PacketFlag::RESPONSE) || !zone.claims_host() {
        return false;
    }
    let mut theirs: Vec<IpAddr> = packet
        .name_servers
        .iter()
        .filter(|record| record.name == *zone.host())
        .filter_map(|record| ip(&record.rdata))
        .collect();
    if theirs.iter().all(|ip| own.contains(ip)) {
        return false;
    }
    let mut ours = ours.to_vec();
    // The order of IpAddr is that of the RFC: A (type 1) before AAAA (type 28), then by bytes.
    ours.sort_unstable();
    theirs.sort_unstable();
    theirs > ours
}

fn ip(data: &RData<'_>) -> Option<IpAddr> {
    match data {
        RData::A(record) => Some(IpAddr::V4(record.address.into())),
        RData::AAAA(record) => Some(IpAddr::V6(record.address.into())),
        _ => None,
    }
}

fn bytes(packet: &Packet<'_>) -> Option<Vec<u8>> {
    packet
        .build_bytes_vec_compressed()
        .ok()
        .filter(|bytes| bytes.len() <= LARGEST)
}

/// Whether all these records are shared ones, whose answers are spread over time because others may answer too.
pub(super) fn is_shared(records: &[Record]) -> bool {
    records
        .iter()
        .any(|record| record.rdata.type_code() == TYPE::PTR)
}
