//! Networks and volumes of the top level, and the networks of a service.
//!
//! In: nodes. Out: what the device creates. It must not decide whether a name is used.

use std::net::IpAddr;

use agent_api::compose::MAX_POOLS;
use serde_json::{Map, Value as Json, json};

use super::{LONGEST_NAME, environment, report::Report, spelling, typed, words};
use crate::project::yaml::{Entry, Node, Place, Value};

/// The networks of a service: what goes to the device, and the names with their places.
pub(super) fn of_service(
    report: &mut Report,
    path: &str,
    node: &Node,
) -> Option<(Json, Vec<(String, Place)>)> {
    let mut out = Map::new();
    let mut names = Vec::new();
    match &node.value {
        Value::List(items) => {
            for item in items {
                let name = typed::text(report, path, item)?;
                names.push((name.clone(), item.at));
                out.insert(name, Json::Null);
            }
        }
        Value::Map(entries) => {
            for entry in entries {
                let options = attachment(report, &format!("{path}.{}", entry.key), &entry.value)?;
                names.push((entry.key.clone(), entry.at));
                out.insert(entry.key.clone(), options);
            }
        }
        Value::Scalar(_) => {
            report.error(
                node.at,
                format!("{path} must be a list or a map of networks"),
            );
            return None;
        }
    }
    Some((Json::Object(out), names))
}

/// Options of a network of a service that only newer devices know.
pub(super) const NEW_OPTIONS: &[&str] = &["mac_address", "driver_opts", "gw_priority", "priority"];

fn attachment(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    if node.is_null() {
        return Some(Json::Null);
    }
    let entries = typed::map(report, path, node)?;
    let mut out = Map::new();
    for entry in entries {
        let path = format!("{path}.{}", entry.key);
        let value = match entry.key.as_str() {
            "aliases" => typed::texts(report, &path, &entry.value).map(Json::from),
            "ipv4_address" | "ipv6_address" => address(report, &path, &entry.value),
            "mac_address" => words::mac_address(report, &path, &entry.value),
            "driver_opts" => typed::text_map(report, &path, &entry.value),
            "gw_priority" | "priority" => {
                typed::integer(report, &path, &entry.value).map(Json::from)
            }
            "link_local_ips" => {
                report.error_with(
                    entry.at,
                    format!("{path} is not supported by devices"),
                    "remove it",
                );
                None
            }
            key if key.starts_with("x-") => None,
            _ => {
                let known = [
                    "aliases",
                    "ipv4_address",
                    "ipv6_address",
                    "mac_address",
                    "driver_opts",
                    "priority",
                ];
                spelling::unknown(report, &path, entry, known);
                None
            }
        };
        out.extend(value.map(|value| (entry.key.clone(), value)));
    }
    Some(Json::Object(out))
}

fn address(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    let text = typed::text(report, path, node)?;
    if text.parse::<IpAddr>().is_err() {
        report.error(node.at, format!("{path}: {text:?} is not an IP address"));
        return None;
    }
    Some(Json::from(text))
}

/// Whether a switch is on; a mistake counts as off.
fn is_on(report: &mut Report, path: &str, node: &Node) -> bool {
    matches!(node.value, Value::Map(_)) || typed::boolean(report, path, node).unwrap_or_default()
}

/// A network of the top level.
pub(super) fn network(report: &mut Report, entry: &Entry) -> Json {
    let path = format!("networks.{}", entry.key);
    let mut out = Map::new();
    if !entry.value.is_null()
        && let Some(entries) = typed::map(report, &path, &entry.value)
    {
        for entry in entries {
            let value = network_key(report, &format!("{path}.{}", entry.key), entry);
            out.extend(value.map(|value| (entry.key.clone(), value)));
        }
    }
    out.entry("ipam").or_insert_with(|| json!({}));
    Json::Object(out)
}

fn network_key(report: &mut Report, path: &str, entry: &Entry) -> Option<Json> {
    let known = [
        "driver",
        "driver_opts",
        "internal",
        "ipam",
        "labels",
        "name",
        "external",
        "attachable",
        "enable_ipv6",
    ];
    match entry.key.as_str() {
        "driver" => driver(report, path, &entry.value, &["bridge", "default"]),
        "driver_opts" => {
            let options = typed::text_map(report, path, &entry.value)?;
            if options.get("com.docker.network.bridge.name").is_some() {
                report.warn(
                    entry.at,
                    format!("{path}: a bridge name of its own may slip past the device's firewall"),
                );
            }
            Some(options)
        }
        "internal" => typed::boolean(report, path, &entry.value).map(Json::from),
        "ipam" => ipam(report, path, &entry.value),
        "labels" => environment::label_map(report, path, &entry.value),
        "name" => {
            report.warn(
                entry.at,
                format!("{path} is left out: the device names its networks itself"),
            );
            None
        }
        "external" | "attachable" | "enable_ipv6" => {
            if is_on(report, path, &entry.value) {
                report.error_with(
                    entry.at,
                    format!("{path} is not supported by devices"),
                    "remove it",
                );
            }
            None
        }
        "enable_ipv4" => {
            report.error_with(
                entry.at,
                format!("{path} is not supported by devices"),
                "remove it",
            );
            None
        }
        key if key.starts_with("x-") => None,
        _ => {
            spelling::unknown(
                report,
                path.rsplit_once('.').map_or(path, |(parent, _)| parent),
                entry,
                known,
            );
            None
        }
    }
}

fn driver(report: &mut Report, path: &str, node: &Node, allowed: &[&str]) -> Option<Json> {
    if node.is_null() {
        return None;
    }
    let driver = typed::text(report, path, node)?;
    if !allowed.contains(&driver.as_str()) {
        let message = format!(
            "{path} cannot be {driver:?}: devices know only {}",
            allowed.join(" and ")
        );
        report.error(node.at, message);
        return None;
    }
    Some(Json::from(driver))
}

fn ipam(report: &mut Report, path: &str, node: &Node) -> Option<Json> {
    if node.is_null() {
        return None;
    }
    let entries = typed::map(report, path, node)?;
    spelling::only(report, path, entries, &["driver", "config", "options"]);
    let mut out = Map::new();
    if let Some(driver) = node
        .get("driver")
        .and_then(|node| typed::text(report, &format!("{path}.driver"), node))
    {
        if driver.len() > LONGEST_NAME {
            report.error(
                node.at,
                format!("{path}.driver is not the name of a driver"),
            );
        }
        out.insert("driver".to_owned(), Json::from(driver));
    }
    if let Some(config) = node.get("config") {
        let path = format!("{path}.config");
        let mut pools = Vec::new();
        let items = typed::list(report, &path, config)?;
        if items.len() > MAX_POOLS {
            report.error(
                config.at,
                format!("{path} has more than {MAX_POOLS} entries"),
            );
        }
        for item in items {
            let mut pool = Map::new();
            for entry in typed::map(report, &path, item)? {
                let path = format!("{path}.{}", entry.key);
                match entry.key.as_str() {
                    "subnet" | "ip_range" => {
                        let text = typed::text(report, &path, &entry.value)?;
                        subnet(report, &path, &text, entry.value.at)?;
                        pool.insert(entry.key.clone(), Json::from(text));
                    }
                    "gateway" => {
                        let address = address(report, &path, &entry.value)?;
                        pool.insert(entry.key.clone(), address);
                    }
                    "aux_addresses" => {
                        report.error(entry.at, format!("{path} is not supported by devices"));
                    }
                    _ => spelling::unknown(report, &path, entry, ["subnet", "gateway", "ip_range"]),
                }
            }
            pools.push(Json::Object(pool));
        }
        out.insert("config".to_owned(), Json::from(pools));
    }
    if let Some(options) = node
        .get("options")
        .and_then(|node| typed::text_map(report, &format!("{path}.options"), node))
    {
        out.insert("options".to_owned(), options);
    }
    Some(Json::Object(out))
}

/// The networks `10.114.101.0` to `10.114.104.255` hold the device's own services.
const DEVICE_NETWORKS: (u32, u32) = (0x0a72_6500, 0x0a72_68ff);

/// Checks a subnet; nothing where it is none.
fn subnet(report: &mut Report, path: &str, text: &str, at: Place) -> Option<()> {
    let parts = text
        .split_once('/')
        .and_then(|(ip, length)| Some((ip.parse::<IpAddr>().ok()?, length.parse::<u32>().ok()?)));
    let Some((ip, length)) =
        parts.filter(|(ip, length)| *length <= if ip.is_ipv4() { 32 } else { 128 })
    else {
        report.error_with(
            at,
            format!("{path}: {text:?} is not a subnet"),
            "write for example 172.30.0.0/24",
        );
        return None;
    };
    if let IpAddr::V4(ip) = ip {
        let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
        let (first, last) = (ip.to_bits() & mask, ip.to_bits() | !mask);
        if first <= DEVICE_NETWORKS.1 && last >= DEVICE_NETWORKS.0 {
            report.warn(at, format!("{path}: {text} overlaps the networks of the device's own services (10.114.101.0 to 10.114.104.255)"));
        }
    }
    Some(())
}

/// A volume of the top level.
pub(super) fn volume(report: &mut Report, entry: &Entry) -> Json {
    let path = format!("volumes.{}", entry.key);
    let mut out = Map::new();
    if !entry.value.is_null()
        && let Some(entries) = typed::map(report, &path, &entry.value)
    {
        for entry in entries {
            let value = volume_key(report, &path, entry);
            out.extend(value.map(|value| (entry.key.clone(), value)));
        }
    }
    Json::Object(out)
}

fn volume_key(report: &mut Report, parent: &str, entry: &Entry) -> Option<Json> {
    let path = format!("{parent}.{}", entry.key);
    match entry.key.as_str() {
        "driver" => driver(report, &path, &entry.value, &["local", "default"]),
        "driver_opts" => typed::text_map(report, &path, &entry.value),
        "labels" => environment::label_map(report, &path, &entry.value),
        "name" => {
            report.warn(
                entry.at,
                format!("{path} is left out: the device names its volumes itself"),
            );
            None
        }
        "external" => {
            if is_on(report, &path, &entry.value) {
                let hint = "remove it: the device creates the volume and keeps it";
                report.error_with(
                    entry.at,
                    format!("{path} is not supported by devices"),
                    hint,
                );
            }
            None
        }
        key if key.starts_with("x-") => None,
        _ => {
            spelling::unknown(
                report,
                parent,
                entry,
                ["driver", "driver_opts", "labels", "name", "external"],
            );
            None
        }
    }
}
