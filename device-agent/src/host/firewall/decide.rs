//! Who may reach the machine: pure.
//!
//! In: what is known of the device. Out: the rules in their order, of which the first that fits a packet decides. They are those of the
//! reference (`BALENA-FIREWALL`).

use std::net::SocketAddr;

use agent_api::{ENGINE_PORT, SSH_PORT};

use crate::model::Target;

/// Configuration variable of the target: `off`, `on` or `auto`.
pub(super) const MODE: &str = "HOST_FIREWALL_MODE";
/// From where a device of a fleet lets its API be asked: the tunnel, the engine's own bridge, the machine, the agent's network.
const INSIDE: [&str; 5] = ["resin-vpn", "tun0", "docker0", "lo", "supervisor0"];
/// Bridges of the engine, from which containers ask the machine for names.
const BRIDGES: [&str; 2] = ["balena0", "br+"];
/// Names are asked for there.
const DNS: u16 = 53;

/// Whether everything is refused that no other rule lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Off,
    On,
    /// As long as a service is in the machine's own network.
    Auto,
}

impl Mode {
    /// `None` for a word that is none of the three.
    fn of(word: &str) -> Option<Self> {
        match word {
            "" | "off" => Some(Self::Off),
            "on" => Some(Self::On),
            "auto" => Some(Self::Auto),
            _ => None,
        }
    }
}

/// What the rules hang on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Situation {
    /// TCP ports of the agent's API.
    pub(super) ports: Vec<u16>,
    /// Whether targets are taken from the local network.
    pub(super) is_local: bool,
    pub(super) mode: Mode,
    /// Whether a service is in the machine's own network.
    pub(super) has_host_network: bool,
}

impl Situation {
    /// Reads the target; a mode that is none counts as off, as it does for the reference.
    pub(super) fn new(listen: &[SocketAddr], target: Option<&Target>, is_local: bool) -> Self {
        let mut ports: Vec<u16> = listen.iter().map(SocketAddr::port).collect();
        ports.retain(|port| *port != 0);
        ports.sort_unstable();
        ports.dedup();
        let services = target
            .into_iter()
            .flat_map(|target| target.apps.values())
            .flat_map(|app| app.services.values());
        let mut modes = services.map(|service| service.composition.get("network_mode"));
        Self {
            ports,
            is_local,
            mode: word(target).and_then(Mode::of).unwrap_or(Mode::Off),
            has_host_network: modes.any(|mode| mode.is_some_and(|mode| mode == "host")),
        }
    }
}

fn word(target: Option<&Target>) -> Option<&str> {
    target?.config.get(MODE).map(String::as_str)
}

/// The word of a target that is no mode, to be told.
pub(super) fn no_mode(target: Option<&Target>) -> Option<&str> {
    word(target).filter(|word| Mode::of(word).is_none())
}

/// Packets that a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packets {
    /// From an address of this machine.
    Own,
    /// Of connections that stand, or belong to one.
    Established,
    /// To a TCP port, perhaps by one interface only.
    Tcp(u16, Option<&'static str>),
    /// To a UDP port by an interface; a `+` at its end stands for anything.
    Udp(u16, &'static str),
    /// To a group of machines: mDNS, neighbours, announcements of routers.
    Multicast,
    /// Control messages of the protocol.
    Icmp,
    /// Answers of a server that gives addresses (DHCP of the sixth version): they come from another address than the one that was asked.
    Dhcpv6,
    /// All that would begin a TCP connection.
    AnyTcp,
    /// All.
    Any,
}

/// What becomes of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    Accept,
    /// And say so.
    Reject,
    /// Leave it to the rules of others.
    Return,
}

/// A rule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Rule(pub(super) Packets, pub(super) Verdict);

/// The rules.
pub(super) fn rules(situation: &Situation) -> Vec<Rule> {
    let accept = |packets| Rule(packets, Verdict::Accept);
    let mut rules = vec![accept(Packets::Own), accept(Packets::Established)];
    for &port in &situation.ports {
        if situation.is_local {
            rules.push(accept(Packets::Tcp(port, None)));
        } else {
            rules.extend(INSIDE.map(|from| accept(Packets::Tcp(port, Some(from)))));
        }
        rules.push(Rule(Packets::Tcp(port, None), Verdict::Reject));
    }
    rules.extend([SSH_PORT, ENGINE_PORT].map(|port| accept(Packets::Tcp(port, None))));
    rules.extend([Packets::Multicast, Packets::Icmp].map(accept));
    rules.extend(BRIDGES.map(|bridge| accept(Packets::Udp(DNS, bridge))));
    let is_shut = match situation.mode {
        Mode::Off => false,
        Mode::On => true,
        Mode::Auto => situation.has_host_network,
    };
    if is_shut {
        // Not the reference's: it would cost the device its address.
        rules.push(accept(Packets::Dhcpv6));
        rules.push(Rule(Packets::AnyTcp, Verdict::Reject));
    }
    let rest = if is_shut {
        Verdict::Reject
    } else {
        Verdict::Return
    };
    rules.push(Rule(Packets::Any, rest));
    rules
}
