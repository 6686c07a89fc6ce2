//! `ports` → the short form that every device reads.
//!
//! In: the list as written. Out: one `[ip:][published:]target[/udp]` for each port, ranges taken apart, each once; and which
//! ports of the device are taken, to find two services that want the same.

use std::{collections::HashSet, net::IpAddr};

use agent_api::compose::MAX_PORT_ENTRIES;

use super::{report::Report, spelling, typed};
use crate::project::yaml::{Node, Place, Value};

/// A port of the device that a service takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Published {
    /// On which address; nothing means all.
    pub(super) ip: Option<IpAddr>,
    pub(super) port: u16,
    pub(super) protocol: String,
    pub(super) at: Place,
}

/// What a service's `ports` say.
#[derive(Debug, Default)]
pub(super) struct Ports {
    pub(super) short: Vec<String>,
    /// The same, to find one that is there already.
    seen: HashSet<String>,
    pub(super) published: Vec<Published>,
}

/// One entry as parts.
struct Mapping {
    ip: Option<IpAddr>,
    published: Option<(u16, u16)>,
    target: (u16, u16),
    protocol: String,
}

pub(super) fn read(report: &mut Report, path: &str, node: &Node) -> Option<Ports> {
    let mut ports = Ports::default();
    for item in typed::list(report, path, node)? {
        let mapping = if matches!(item.value, Value::Map(_)) {
            long(report, path, item)
        } else {
            let text = typed::text(report, path, item)?;
            short(&text).map_err(|why| {
                let hint = "write container, host:container or ip:host:container, with /udp where it is not tcp";
                report.error_with(item.at, format!("{path}: {text:?}: {why}"), hint);
            }).ok()
        };
        if let Some(mapping) = mapping {
            add(report, path, item.at, &mapping, &mut ports);
        }
    }
    Some(ports)
}

fn add(report: &mut Report, path: &str, at: Place, mapping: &Mapping, ports: &mut Ports) {
    let Mapping {
        ip,
        published,
        target,
        protocol,
    } = mapping;
    let count = usize::from(target.1 - target.0) + 1;
    if published.is_some_and(|(first, last)| usize::from(last - first) + 1 != count) {
        let hint = "both ranges must have the same number of ports";
        report.error_with(
            at,
            format!("{path}: the device's and the container's ranges differ in size"),
            hint,
        );
        return;
    }
    if ports.short.len() + count > MAX_PORT_ENTRIES {
        report.error_with(
            at,
            format!("{path} names more than {MAX_PORT_ENTRIES} ports"),
            "use network_mode: host",
        );
        return;
    }
    let suffix = if protocol == "tcp" {
        String::new()
    } else {
        format!("/{protocol}")
    };
    let prefix = ip.map_or(String::new(), |ip| format!("{ip}:"));
    // Behind an address the device's port has a place of its own, which stays empty where the engine chooses it.
    let unchosen = if ip.is_some() { ":" } else { "" };
    let mut host = published.map(|(first, _)| first);
    for port in target.0..=target.1 {
        let middle = host.map_or(unchosen.to_owned(), |port| format!("{port}:"));
        let short = format!("{prefix}{middle}{port}{suffix}");
        if ports.seen.insert(short.clone()) {
            ports.short.push(short);
            if let Some(port) = host {
                ports.published.push(Published {
                    ip: *ip,
                    port,
                    protocol: protocol.clone(),
                    at,
                });
            }
        }
        host = host.and_then(|port| port.checked_add(1));
    }
}

/// `[ip:][published:]target[/protocol]`
fn short(text: &str) -> Result<Mapping, String> {
    let (rest, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let protocol = known_protocol(protocol)?;
    let (rest, target) = rest
        .rsplit_once(':')
        .map_or(("", rest), |(before, target)| (before, target));
    let (ip, published) = match rest.rsplit_once(':') {
        Some((ip, published)) => (Some(address(ip)?), published),
        None => (None, rest),
    };
    let published = if published.is_empty() {
        None
    } else {
        Some(range(published)?)
    };
    Ok(Mapping {
        ip,
        published,
        target: range(target)?,
        protocol,
    })
}

fn long(report: &mut Report, path: &str, node: &Node) -> Option<Mapping> {
    let entries = typed::map(report, path, node)?;
    let known = [
        "target",
        "published",
        "host_ip",
        "protocol",
        "mode",
        "name",
        "app_protocol",
    ];
    spelling::only(report, path, entries, &known);
    let mut part = |key: &str| match node.get(key).filter(|value| !value.is_null()) {
        Some(value) => {
            typed::text(report, &format!("{path}.{key}"), value).map(|text| Some((text, value.at)))
        }
        None => Some(None),
    };
    let (target, published, ip, protocol) = (
        part("target")?,
        part("published")?,
        part("host_ip")?,
        part("protocol")?,
    );
    let Some((target, target_at)) = target else {
        report.error(
            node.at,
            format!("{path}: the key target (the container's port) is missing"),
        );
        return None;
    };
    let mut checked = |outcome: Result<(u16, u16), String>, at| match outcome {
        Ok(range) => Some(range),
        Err(why) => {
            report.error(at, format!("{path}: {why}"));
            None
        }
    };
    let target = checked(range(&target), target_at)?;
    let published = match published.filter(|(text, _)| !text.is_empty()) {
        Some((text, at)) => Some(checked(range(&text), at)?),
        None => None,
    };
    let ip = match ip.map(|(text, at)| (address(&text), at)) {
        Some((Ok(ip), _)) => Some(ip),
        Some((Err(why), at)) => {
            report.error(at, format!("{path}: {why}"));
            return None;
        }
        None => None,
    };
    let protocol = match protocol.map(|(text, at)| (known_protocol(&text), at)) {
        Some((Ok(protocol), _)) => protocol,
        Some((Err(why), at)) => {
            report.error(at, format!("{path}: {why}"));
            return None;
        }
        None => "tcp".to_owned(),
    };
    Some(Mapping {
        ip,
        published,
        target,
        protocol,
    })
}

fn range(text: &str) -> Result<(u16, u16), String> {
    let port = |text: &str| match text.parse::<u16>() {
        Ok(port) if port > 0 && !text.starts_with('+') => Ok(port),
        _ => Err(format!("{text:?} is not a port from 1 to 65535")),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (port(first)?, port(last)?);
    if first > last {
        Err(format!("the range {text} runs backwards"))
    } else {
        Ok((first, last))
    }
}

fn address(text: &str) -> Result<IpAddr, String> {
    let bare = text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .unwrap_or(text);
    bare.parse()
        .map_err(|_| format!("{text:?} is not an IP address"))
}

fn known_protocol(text: &str) -> Result<String, String> {
    let protocol = text.to_ascii_lowercase();
    if matches!(protocol.as_str(), "tcp" | "udp") {
        Ok(protocol)
    } else {
        Err(format!("{text:?} is neither tcp nor udp"))
    }
}
