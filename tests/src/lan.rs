//! A local network: a switch to which machines of the tests are plugged.
//!
//! In: machines. Out: their addresses. The switch is in a namespace of its own, so networks of different tests use the
//! same addresses and never meet.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU8, Ordering};

use crate::namespace::Namespace;

/// A local network. Its link is `lan0` on a machine, unless the test says otherwise.
#[derive(Debug)]
pub struct Lan {
    switch: Namespace,
    hosts: AtomicU8,
}

/// A machine's place in a [`Lan`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// Its address in 10.88.7.0/24.
    pub v4: Ipv4Addr,
    /// Its address in `fd88:7::/64`. It has a link-local one as well.
    pub v6: Ipv6Addr,
    port: u8,
}

impl Lan {
    /// An empty network.
    pub fn new() -> Self {
        let switch = Namespace::new();
        let bridge = "ip link add switch0 type bridge mcast_snooping 0 forward_delay 0 && ip link set switch0 up";
        switch.run("sh", &["-c", bridge]);
        Self {
            switch,
            hosts: AtomicU8::new(1),
        }
    }

    /// Plugs a machine in. The first one gets 10.88.7.1, the second 10.88.7.2, and so on.
    pub fn join(&self, machine: &Namespace) -> Address {
        self.join_as(machine, "lan0")
    }

    /// The same, with another name for the link on the machine.
    pub fn join_as(&self, machine: &Namespace, link: &str) -> Address {
        let port = self.hosts.fetch_add(1, Ordering::Relaxed);
        let address = Address {
            v4: Ipv4Addr::new(10, 88, 7, port),
            v6: Ipv6Addr::new(0xfd88, 7, 0, 0, 0, 0, 0, u16::from(port)),
            port,
        };
        // The process id means the same only outside, so this one command is not run on the switch.
        let switch = self.switch.init().to_string();
        let made = std::process::Command::new("ip")
            .args([
                "link",
                "add",
                &format!("port{port}"),
                "netns",
                &switch,
                "type",
                "veth",
            ])
            .args(["peer", "name", link, "netns", &machine.init().to_string()])
            .output()
            .expect("ip");
        assert!(
            made.status.success(),
            "no veth pair: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        let port_up = format!("ip link set port{port} master switch0 up");
        self.switch.run("sh", &["-c", &port_up]);
        let up = format!(
            "ip addr add {}/24 brd + dev {link} && ip -6 addr add {}/64 dev {link} nodad && ip link set {link} up \
             && ip route add 224.0.0.0/4 dev {link}",
            address.v4, address.v6
        );
        machine.run("sh", &["-c", &up]);
        address
    }

    /// Pulls a machine's plug: it notices nothing, and nobody reaches it.
    pub fn unplug(&self, address: Address) {
        self.switch.run(
            "ip",
            &["link", "set", &format!("port{}", address.port), "nomaster"],
        );
    }

    /// Plugs it in again.
    pub fn replug(&self, address: Address) {
        self.switch.run(
            "ip",
            &[
                "link",
                "set",
                &format!("port{}", address.port),
                "master",
                "switch0",
            ],
        );
    }
}

impl Default for Lan {
    fn default() -> Self {
        Self::new()
    }
}
