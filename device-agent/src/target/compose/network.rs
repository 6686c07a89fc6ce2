//! Networks, addresses and names.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;

use super::scalar::{each, object, pairs, text, text_or_list, text_set, texts, under};
use super::{Composition, Fault, Read, ports, put, put_some, quoted, unused};
use crate::model::Endpoint;
use crate::target::value::{NAME_RULE, field, is_name};

/// Where the network of a container comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NetworkMode {
    /// The device's own network.
    Host,
    /// The engine's default bridge.
    Bridge,
    /// None at all.
    None,
    /// The network of another service.
    Service(String),
    /// A network of the application.
    Named(String),
}

/// Reads one key; `None` when it is of another kind.
pub(super) fn key(key: &str, value: &Value, out: &mut Composition) -> Option<Read<()>> {
    Some(match key {
        "network_mode" => network_mode(value, out),
        "networks" => put(&mut out.networks, networks(value, &mut out.warnings)),
        "ports" => put(&mut out.ports, ports::read(value)),
        "dns" => put(&mut out.dns, text_or_list(value)),
        "dns_opt" => put(&mut out.dns_opt, set(value)),
        "dns_search" => put(&mut out.dns_search, text_or_list(value)),
        "extra_hosts" => put(&mut out.extra_hosts, extra_hosts(value)),
        "mac_address" => put_some(&mut out.mac_address, mac_address(value)),
        _ => return None,
    })
}

fn network_mode(value: &Value, out: &mut Composition) -> Read<()> {
    let sent = text(value)?;
    let mode = match sent.as_str() {
        "" => return Ok(()),
        "host" => NetworkMode::Host,
        "bridge" => NetworkMode::Bridge,
        "none" => NetworkMode::None,
        _ => match sent.split_once(':').map(|(kind, name)| (kind, name.trim())) {
            Some(("service", name)) if is_name(name) => NetworkMode::Service(name.to_owned()),
            Some(("container", _)) => {
                out.warnings.push(format!(
                    "network_mode {} has no effect; `service:` names another service",
                    quoted(&sent)
                ));
                return Ok(());
            }
            None if is_name(&sent) => NetworkMode::Named(sent),
            _ => return Err(Fault::new(format!("{} is no network", quoted(&sent)))),
        },
    };
    out.network_mode = Some(mode);
    Ok(())
}

/// A list of names, or a map of names to settings, of which null is none.
fn networks(value: &Value, warnings: &mut Vec<String>) -> Read<Vec<(String, Endpoint)>> {
    let mut entries = Vec::new();
    if value.is_array() {
        let names = texts(value)?;
        entries.extend(names.into_iter().map(|name| (name, Endpoint::default())));
    } else {
        for (name, settings) in object(value)? {
            let settings = endpoint(settings, warnings).map_err(|f| under(f, name))?;
            entries.push((name.clone(), settings));
        }
    }
    match entries.iter().find(|(name, _)| !is_name(name)) {
        Some((name, _)) => Err(under(Fault::new(NAME_RULE), name)),
        None => Ok(entries),
    }
}

/// Members of a network's settings that mean something.
const MEMBERS: [&str; 4] = ["aliases", "ipv4_address", "ipv6_address", "link_local_ips"];

fn endpoint(value: &Value, warnings: &mut Vec<String>) -> Read<Endpoint> {
    if value.is_null() {
        return Ok(Endpoint::default());
    }
    let map = object(value)?;
    unused("networks", map, &MEMBERS, warnings);
    let one = |name: &str| {
        field(map, name)
            .map(address)
            .transpose()
            .map_err(|f| under(f, name))
    };
    let aliases = field(map, "aliases").map_or_else(|| Ok(Vec::new()), texts);
    let link_local_ips =
        field(map, "link_local_ips").map_or_else(|| Ok(Vec::new()), |list| each(list, address));
    let mut link_local_ips = link_local_ips.map_err(|f| under(f, "link_local_ips"))?;
    link_local_ips.sort();
    Ok(Endpoint {
        aliases: aliases
            .map_err(|f| under(f, "aliases"))?
            .into_iter()
            .collect(),
        ipv4_address: one("ipv4_address")?,
        ipv6_address: one("ipv6_address")?,
        link_local_ips,
    })
}

fn address(value: &Value) -> Read<String> {
    let sent = text(value)?;
    match sent.parse::<IpAddr>() {
        Ok(_) => Ok(sent),
        Err(_) => Err(Fault::new(format!("{} is no address", quoted(&sent)))),
    }
}

fn mac_address(value: &Value) -> Read<String> {
    let sent = text(value)?;
    agent_api::compose::mac_address(&sent)
        .ok_or_else(|| Fault::new(format!("{} is no MAC address", quoted(&sent))))
}

/// `host:address` or `host=address` in a list, or a map.
fn extra_hosts(value: &Value) -> Read<BTreeSet<String>> {
    if value.is_object() {
        let hosts = pairs(value)?;
        return hosts
            .iter()
            .map(|(host, address)| extra_host(host, address))
            .collect();
    }
    let list = each(value, |entry| {
        let entry = text(entry)?;
        match entry.split_once(['=', ':']) {
            Some((host, address)) => extra_host(host, address),
            None => Err(Fault::new(format!(
                "{} is not `host:address`",
                quoted(&entry)
            ))),
        }
    })?;
    Ok(list.into_iter().collect())
}

fn extra_host(host: &str, address: &str) -> Read<String> {
    agent_api::compose::extra_host(host, address).ok_or_else(|| {
        let entry = format!("{}:{}", host.trim(), address.trim());
        Fault::new(format!("{} is not `host:address`", quoted(&entry)))
    })
}

fn set(value: &Value) -> Read<BTreeSet<String>> {
    match value {
        Value::Array(_) => text_set(value),
        _ => Ok(text_or_list(value)?.into_iter().collect()),
    }
}
