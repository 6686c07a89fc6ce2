//! What a deployment changed: a device's services before and after. Pure.

use std::net::{IpAddr, SocketAddr};

use agent_api::{os::Report, reference::StateStatus};
use serde_json::Value;

/// A service as a device tells it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ServiceState {
    pub(super) name: String,
    pub(super) container: Option<String>,
    pub(super) status: String,
    pub(super) exit_code: Option<i64>,
    pub(super) because: Option<String>,
    pub(super) error: Option<String>,
    pub(super) ports: Vec<Port>,
}

/// What became of a service's container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// There was none before.
    Created,
    /// It was replaced.
    Recreated {
        /// Why, where the device says so.
        because: Option<String>,
    },
    /// It is the one that was there before.
    Kept,
    /// There is none.
    Missing,
}

/// A service after a deployment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceOutcome {
    /// Its name.
    pub service: String,
    /// What became of its container.
    pub change: Change,
    /// The device's word for its state.
    pub status: String,
    /// Exit code, if it has ended.
    pub exit_code: Option<i64>,
    /// Where it answers.
    pub ports: Vec<Port>,
}

/// A published port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The address it is published on; `None` for every address of the device.
    pub address: Option<IpAddr>,
    /// Port on the device.
    pub port: u16,
    /// `tcp` or `udp`.
    pub protocol: String,
}

impl Port {
    /// Where it answers, on a device that is reached at `device`. Every TCP port is shown as a web address: most are.
    #[must_use]
    pub fn url(&self, device: Option<IpAddr>) -> Option<String> {
        let address = SocketAddr::new(self.address.or(device)?, self.port);
        Some(match self.protocol.as_str() {
            "tcp" if self.port == 80 => match address.ip() {
                IpAddr::V4(ip) => format!("http://{ip}"),
                IpAddr::V6(ip) => format!("http://[{ip}]"),
            },
            "tcp" => format!("http://{address}"),
            other => format!("{other}://{address}"),
        })
    }

    /// Reads `address:port->port/protocol`, as our agent writes it.
    fn parse_report(text: &str) -> Option<Self> {
        let (from, to) = text.split_once("->")?;
        let from: SocketAddr = from.parse().ok()?;
        let (_, protocol) = to.split_once('/').unwrap_or((to, "tcp"));
        Some(Self {
            address: (!from.ip().is_unspecified()).then_some(from.ip()),
            port: from.port(),
            protocol: protocol.to_owned(),
        })
    }

    /// Reads `[address:]port:port[/protocol]`, as a compose file writes it. Ranges and ports that the engine chooses have no
    /// one address to show.
    fn parse_compose(text: &str) -> Option<Self> {
        let (text, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
        let (from, _) = text.rsplit_once(':')?;
        let (address, port) = match from.rsplit_once(':') {
            Some((address, port)) => (Some(address.trim_matches(['[', ']'])), port),
            None => (None, from),
        };
        let address: Option<IpAddr> = match address {
            Some(address) => Some(address.parse().ok()?),
            None => None,
        };
        Some(Self {
            address: address.filter(|address| !address.is_unspecified()),
            port: port.parse().ok().filter(|port| *port != 0)?,
            protocol: protocol.to_owned(),
        })
    }
}

/// The ports that a service of a target state publishes.
pub(super) fn published(target: &Value) -> Vec<Port> {
    let ports = target.get("ports").and_then(Value::as_array);
    ports
        .into_iter()
        .flatten()
        .filter_map(|port| Port::parse_compose(port.as_str()?))
        .collect()
}

/// The services of our agent's report.
pub(super) fn of_report(report: &Report) -> Vec<ServiceState> {
    report
        .services
        .iter()
        .map(|service| {
            let mut ports: Vec<Port> = Vec::new();
            for port in service
                .ports
                .iter()
                .filter_map(|text| Port::parse_report(text))
            {
                // An engine lists a port of every address once for IPv4 and once for IPv6.
                if !ports.contains(&port) {
                    ports.push(port);
                }
            }
            ServiceState {
                name: service.name.clone(),
                container: service.container_id.clone(),
                status: service.status.clone(),
                exit_code: service.exit_code,
                because: service.because.clone(),
                error: service.error.clone(),
                ports,
            }
        })
        .collect()
}

/// The services of a reference device.
pub(super) fn of_status(status: &StateStatus) -> Vec<ServiceState> {
    status
        .containers
        .iter()
        .map(|container| ServiceState {
            name: container.service_name.clone(),
            container: Some(container.container_id.clone()),
            status: container.status.clone(),
            ..ServiceState::default()
        })
        .collect()
}

/// Compares. The second value names the services that are no longer there.
pub(super) fn compare(
    services: &[String],
    before: &[ServiceState],
    after: &[ServiceState],
) -> (Vec<ServiceOutcome>, Vec<String>) {
    let find = |states: &[ServiceState], name: &str| {
        states.iter().find(|state| state.name == name).cloned()
    };
    let outcomes = services
        .iter()
        .map(|name| {
            let old = find(before, name).and_then(|state| state.container);
            let new = find(after, name).unwrap_or_default();
            let change = match (&old, &new.container) {
                (_, None) => Change::Missing,
                (None, Some(_)) => Change::Created,
                (Some(old), Some(new)) if old == new => Change::Kept,
                (Some(_), Some(_)) => Change::Recreated {
                    because: new.because.clone(),
                },
            };
            ServiceOutcome {
                service: name.clone(),
                change,
                status: new.status,
                exit_code: new.exit_code,
                ports: new.ports,
            }
        })
        .collect();
    let gone = before
        .iter()
        .filter(|state| state.container.is_some())
        .map(|state| &state.name)
        .filter(|name| !services.contains(name) && find(after, name).is_none())
        .cloned()
        .collect();
    (outcomes, gone)
}

#[cfg(test)]
mod tests;
