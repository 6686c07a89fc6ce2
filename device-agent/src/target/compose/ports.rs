//! Published ports: `[address:][host[-host]:]container[-container][/protocol]`.
//!
//! As on the reference, a port without one of the host is published on the host's of the same number; only `::` and the
//! long form leave the choice to the engine.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use agent_api::compose::MAX_PORT_ENTRIES;
use serde_json::Value;

use super::scalar::{each_of, object, text};
use super::{Fault, Read, quoted};
use crate::model::PortBinding;
use crate::target::MAX_PORTS;
use crate::target::value::field;

/// One entry, ranges not yet taken apart.
struct Entry {
    address: String,
    host: Option<RangeInclusive<u16>>,
    container: RangeInclusive<u16>,
    protocol: String,
}

/// The key `ports`.
pub(super) fn read(value: &Value) -> Read<BTreeSet<PortBinding>> {
    let entries = each_of(value, MAX_PORT_ENTRIES, |entry| {
        if entry.is_object() {
            return long(entry);
        }
        let sent = text(entry)?;
        short(&sent).map_err(|why| Fault::new(format!("{}: {why}", quoted(&sent))))
    })?;
    if entries.iter().map(|e| e.container.len()).sum::<usize>() > MAX_PORTS {
        return Err(Fault::new(format!("there are more than {MAX_PORTS} ports")));
    }
    Ok(entries.iter().flat_map(bindings).collect())
}

fn long(value: &Value) -> Read<Entry> {
    let map = object(value)?;
    let part = |name: &str| field(map, name).map(text).transpose();
    let target = part("target")?.ok_or_else(|| Fault::new("has no `target`"))?;
    let published = part("published")?.filter(|p| !p.is_empty());
    let address = part("host_ip")?.unwrap_or_default();
    let protocol = part("protocol")?.unwrap_or_else(|| "tcp".to_owned());
    entry(&address, published.as_deref(), &target, &protocol).map_err(Fault::new)
}

fn short(text: &str) -> Result<Entry, String> {
    let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let (rest, container) = match text.rsplit_once(':') {
        Some((rest, container)) => (Some(rest), container),
        None => (None, text),
    };
    let (address, host) = match rest {
        None => ("", None),
        // An address holds colons of its own only in brackets.
        Some(rest) => match rest.rsplit_once(':') {
            Some((address, host)) if !host.ends_with(']') => (address, Some(host)),
            _ if rest.starts_with('[') || rest.contains('.') => (rest, None),
            _ => ("", Some(rest)),
        },
    };
    let host = match host {
        None => Some(container),
        Some(host) => Some(host).filter(|host| !host.is_empty()),
    };
    entry(address, host, container, protocol)
}

fn entry(
    address: &str,
    host: Option<&str>,
    container: &str,
    protocol: &str,
) -> Result<Entry, String> {
    let protocol = protocol.to_ascii_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp" | "sctp") {
        return Err(format!("{} is no protocol", quoted(&protocol)));
    }
    let address = address.trim_matches(['[', ']']);
    if !address.is_empty() && address.parse::<std::net::IpAddr>().is_err() {
        return Err(format!("{} is no address", quoted(address)));
    }
    let container = range(container)?;
    let host = host.map(range).transpose()?;
    if host.as_ref().is_some_and(|h| h.len() != container.len()) {
        return Err("the two ranges are of different sizes".to_owned());
    }
    Ok(Entry {
        address: address.to_owned(),
        host,
        container,
        protocol,
    })
}

fn bindings(entry: &Entry) -> impl Iterator<Item = PortBinding> {
    let hosts = entry.host.clone();
    let binding = move |(index, container)| PortBinding {
        container,
        protocol: entry.protocol.clone(),
        host_ip: entry.address.clone(),
        host: hosts.clone().and_then(|mut hosts| hosts.nth(index)),
    };
    entry.container.clone().enumerate().map(binding)
}

fn range(text: &str) -> Result<RangeInclusive<u16>, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        text.trim()
            .parse::<u16>()
            .ok()
            .filter(|port| *port > 0)
            .ok_or_else(|| format!("{} is no port", quoted(text)))
    };
    let (first, last) = (port(first)?, port(last)?);
    if last < first {
        return Err(format!("{} ends before it begins", quoted(text)));
    }
    Ok(first..=last)
}
