//! What only shows when all services are seen together.
//!
//! In: the services that are left after profiles, the names of networks and volumes. Out: mistakes in the report, and the
//! dependencies in the services' compositions.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value as Json, json};

use super::{report::Report, service::Service, spelling};
use crate::project::yaml::Place;

/// Names that stand in a file but do not become part of this push.
pub(super) struct Absent<'a> {
    /// Services that no active profile asks for.
    pub(super) by_profile: &'a BTreeSet<String>,
    /// Services with mistakes of their own.
    pub(super) broken: &'a BTreeSet<String>,
}

/// Checks the ties between services and completes what follows from them.
pub(super) fn all(
    report: &mut Report,
    services: &mut [Service],
    absent: &Absent<'_>,
    networks: &mut Map<String, Json>,
    volumes: &Map<String, Json>,
) {
    let names: BTreeSet<String> = services
        .iter()
        .map(|service| service.spec.name.clone())
        .collect();
    let is_there = |report: &mut Report, path: &str, name: &str, at: Place, optional: bool| {
        if names.contains(name) {
            return true;
        }
        if !optional && !absent.broken.contains(name) {
            missing_service(report, path, name, at, absent, &names);
        }
        false
    };
    for service in services.iter_mut() {
        let path = format!("services.{}", service.spec.name);
        let mut depends_on = Vec::new();
        for dependency in &service.depends_on {
            if is_there(
                report,
                &format!("{path}.depends_on"),
                &dependency.name,
                dependency.at,
                dependency.optional,
            ) {
                depends_on.push(dependency.name.clone());
            }
        }
        if !depends_on.is_empty() {
            service
                .spec
                .composition
                .insert("depends_on".to_owned(), Json::from(depends_on));
            service.spec.composition.sort_keys();
        }
        if let Some((mode, at)) = &service.network_mode
            && let Some(name) = mode.strip_prefix("service:")
        {
            is_there(report, &format!("{path}.network_mode"), name, *at, false);
        }
        network_of(report, &path, service, networks);
        volumes_of(report, service, volumes);
    }
    same_image_names(report, services);
    circles(report, services);
    rival_ports(report, services);
}

fn missing_service(
    report: &mut Report,
    path: &str,
    name: &str,
    at: Place,
    absent: &Absent<'_>,
    names: &BTreeSet<String>,
) {
    if absent.by_profile.contains(name) {
        let message = format!(
            "{path} names the service {name}, which is left out because none of its profiles is active"
        );
        report.error_with(
            at,
            message,
            "name a profile of it in COMPOSE_PROFILES, or write required: false",
        );
        return;
    }
    let message = format!("{path} names the service {name}, which does not exist");
    match spelling::nearest(name, names.iter().map(String::as_str)) {
        Some(near) => report.error_with(at, message, format!("did you mean {near}?")),
        None => report.error(at, message),
    }
}

fn network_of(
    report: &mut Report,
    path: &str,
    service: &mut Service,
    networks: &mut Map<String, Json>,
) {
    if let Some((mode, mode_at)) = &service.network_mode {
        if let Some((_, at)) = service.networks.as_ref().and_then(|names| names.first()) {
            let message = format!(
                "{path} has both networks and network_mode (line {})",
                mode_at.line
            );
            report.error_with(*at, message, "keep one of them");
        }
        if mode == "host"
            && let Some(published) = service.published.first()
        {
            let message = format!(
                "{path}.ports have no effect: with network_mode: host every port is the device's own"
            );
            report.warn(published.at, message);
        }
        if is_network_name(mode) && !networks.contains_key(mode) {
            unknown_network(report, mode, *mode_at, networks);
        }
        return;
    }
    let Some(names) = &service.networks else {
        service
            .spec
            .composition
            .insert("networks".to_owned(), json!({ "default": null }));
        service.spec.composition.sort_keys();
        networks
            .entry("default")
            .or_insert_with(|| json!({ "ipam": {} }));
        return;
    };
    for (name, at) in names {
        if name == "default" {
            networks
                .entry("default")
                .or_insert_with(|| json!({ "ipam": {} }));
        } else if !networks.contains_key(name) {
            unknown_network(report, name, *at, networks);
        }
    }
}

/// Whether a network mode is the name of a network and none of the engine's own words.
fn is_network_name(mode: &str) -> bool {
    !matches!(mode, "host" | "bridge" | "none" | "default") && !mode.starts_with("service:")
}

fn unknown_network(report: &mut Report, name: &str, at: Place, networks: &Map<String, Json>) {
    let hint = match spelling::nearest(name, networks.keys().map(String::as_str)) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("add it at the top level: networks: {{ {name}: {{}} }}"),
    };
    report.error_with(
        at,
        format!("the network {name} is used but not declared"),
        hint,
    );
}

fn volumes_of(report: &mut Report, service: &Service, volumes: &Map<String, Json>) {
    for (name, at) in &service.named_volumes {
        if volumes.contains_key(name) {
            continue;
        }
        let hint = match spelling::nearest(name, volumes.keys().map(String::as_str)) {
            Some(near) => format!("did you mean {near}?"),
            None => format!("add it at the top level: volumes: {{ {name}: {{}} }}"),
        };
        report.error_with(
            *at,
            format!("the volume {name} is used but not declared"),
            hint,
        );
    }
}

/// Images are named after their services in lower case.
fn same_image_names(report: &mut Report, services: &[Service]) {
    let mut seen: BTreeMap<String, &str> = BTreeMap::new();
    for service in services {
        let name = service.spec.name.as_str();
        if let Some(other) = seen.insert(name.to_lowercase(), name) {
            let message = format!("the services {other} and {name} differ only in capital letters");
            report.error_with(
                service.at,
                message,
                "rename one of them: their images would have one name",
            );
        }
    }
}

/// Services that wait for each other.
fn circles(report: &mut Report, services: &[Service]) {
    let mut edges: BTreeMap<&str, Vec<(&str, Place)>> = BTreeMap::new();
    for service in services {
        let own = edges.entry(&service.spec.name).or_default();
        own.extend(
            service
                .depends_on
                .iter()
                .map(|dependency| (dependency.name.as_str(), dependency.at)),
        );
        if let Some((mode, at)) = &service.network_mode
            && let Some(name) = mode.strip_prefix("service:")
        {
            own.push((name, *at));
        }
    }
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for start in services {
        // Depth first with a path of its own: a project may name more services than a call stack is deep.
        let mut path: Vec<(&str, usize)> = vec![(&start.spec.name, 0)];
        let mut on_path: BTreeSet<&str> = BTreeSet::from([start.spec.name.as_str()]);
        while let Some((name, next)) = path.last_mut() {
            let (name, turn) = (*name, *next);
            *next += 1;
            let Some((target, at)) = edges.get(name).and_then(|edges| edges.get(turn)).copied()
            else {
                done.insert(name);
                on_path.remove(name);
                path.pop();
                continue;
            };
            if on_path.contains(target) {
                let circle = path
                    .iter()
                    .map(|(name, _)| *name)
                    .skip_while(|name| *name != target);
                let circle: Vec<_> = circle.chain([target]).collect();
                report.error(
                    at,
                    format!(
                        "services wait for each other in a circle: {}",
                        circle.join(" → ")
                    ),
                );
                return;
            }
            if !done.contains(target) {
                on_path.insert(target);
                path.push((target, 0));
            }
        }
    }
}

/// Ports on which a device itself listens.
const DEVICE_PORTS: &[(u16, &str)] = &[
    (2375, "its engine"),
    (22222, "its SSH server"),
    (48484, "its agent"),
];

/// Two services that take the same port of the device.
fn rival_ports(report: &mut Report, services: &[Service]) {
    let mut taken: BTreeMap<(u16, &str), Vec<(usize, &super::ports::Published)>> = BTreeMap::new();
    for (index, service) in services.iter().enumerate() {
        if service
            .network_mode
            .as_ref()
            .is_some_and(|(mode, _)| mode == "host")
        {
            continue;
        }
        for published in &service.published {
            if let Some((_, owner)) = DEVICE_PORTS
                .iter()
                .find(|(port, _)| *port == published.port)
                && published.protocol == "tcp"
            {
                let message = format!(
                    "port {} is the device's own: {owner} listens there",
                    published.port
                );
                report.warn(published.at, message);
            }
            let all = taken
                .entry((published.port, published.protocol.as_str()))
                .or_default();
            let overlaps = |other: &super::ports::Published| match (other.ip, published.ip) {
                (Some(a), Some(b)) => a == b || a.is_unspecified() || b.is_unspecified(),
                _ => true,
            };
            if let Some((other, first)) = all.iter().find(|(_, other)| overlaps(other)) {
                let name = services
                    .get(*other)
                    .map_or("", |service| service.spec.name.as_str());
                let (port, line) = (published.port, first.at.line);
                let message = format!(
                    "port {port} of the device is already taken by the service {name} (line {line})"
                );
                report.error_with(
                    published.at,
                    message,
                    "publish one of the two under another number",
                );
                continue;
            }
            all.push((index, published));
        }
    }
}
