//! The rules as programs want them, and what of a program's table is ours: pure.

use super::decide::{Packets, Rule, Verdict};

/// The chain's name, as the reference has it.
pub(super) const CHAIN: &str = "BALENA-FIREWALL";
/// The table of ours where there is nftables and nothing else.
pub(super) const TABLE: &str = "os-agent";

/// Of which version of the internet protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// As nftables calls it.
    pub(super) fn nft(self) -> &'static str {
        match self {
            Self::V4 => "ip",
            Self::V6 => "ip6",
        }
    }
}

/// What of the table `filter` is ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Ours {
    /// How often the chain of all that comes in leads to ours.
    jumps: usize,
    /// The rules of our chain and the ways into it, as the program writes them.
    lines: Vec<String>,
}

impl Ours {
    /// Whether it is all that [`restore`] wrote, and nothing else: somebody may have flushed it in the meantime.
    pub(super) fn is_all_of(&self, input: &str) -> bool {
        let rule = format!("-A {CHAIN} ");
        let rules = input.lines().filter(|line| line.starts_with(&rule));
        self.jumps == 1 && self.lines.len() == rules.count() + 1
    }
}

/// Reads what `iptables-save` says.
pub(super) fn ours(saved: &str) -> Ours {
    let jump = format!("-A INPUT -j {CHAIN}");
    let rule = format!("-A {CHAIN} ");
    let mut ours = Ours::default();
    for line in saved.lines().map(str::trim) {
        let is_jump = line == jump;
        if is_jump {
            ours.jumps += 1;
        }
        if is_jump || line.starts_with(&rule) {
            ours.lines.push(line.to_owned());
        }
    }
    ours
}

/// Input of `iptables-restore --noflush`: makes the chain anew and, at the top of all that comes in, the way into it, unless that
/// stands; then it stays where it is, since others may have put something before it on purpose. All of it happens, or nothing.
pub(super) fn restore(rules: &[Rule], family: Family, before: &Ours) -> String {
    let chain = format!(":{CHAIN} - [0:0]");
    let mut lines = vec!["*filter".to_owned(), chain];
    lines.extend(rules.iter().filter_map(|Rule(packets, verdict)| {
        let verdict = match verdict {
            Verdict::Accept => "ACCEPT",
            Verdict::Reject if is_reset(*packets, family) => "REJECT --reject-with tcp-reset",
            Verdict::Reject => "REJECT",
            Verdict::Return => "RETURN",
        };
        let fits = xtables(*packets, family)?;
        Some(format!("-A {CHAIN} {fits}-j {verdict}"))
    }));
    if before.jumps == 0 {
        lines.push(format!("-I INPUT 1 -j {CHAIN}"));
    }
    lines.extend((1..before.jumps).map(|_| format!("-D INPUT -j {CHAIN}")));
    lines.push("COMMIT\n".to_owned());
    lines.join("\n")
}

fn xtables(packets: Packets, family: Family) -> Option<String> {
    let by = |interface: Option<&str>| {
        interface
            .map(|name| format!("-i {name} "))
            .unwrap_or_default()
    };
    let protocol = match family {
        Family::V4 => "icmp",
        Family::V6 => "ipv6-icmp",
    };
    Some(match packets {
        Packets::Own => "-m addrtype --src-type LOCAL ".to_owned(),
        Packets::Established => "-m conntrack --ctstate ESTABLISHED,RELATED ".to_owned(),
        Packets::Tcp(port, interface) => format!("{}-p tcp -m tcp --dport {port} ", by(interface)),
        Packets::Udp(port, interface) => {
            format!("{}-p udp -m udp --dport {port} ", by(Some(interface)))
        }
        Packets::Multicast => "-m addrtype --dst-type MULTICAST ".to_owned(),
        Packets::Icmp => format!("-p {protocol} "),
        Packets::Dhcpv6 if family == Family::V4 => return None,
        Packets::Dhcpv6 => "-s fe80::/10 -p udp -m udp --sport 547 --dport 546 ".to_owned(),
        Packets::AnyTcp => "-p tcp ".to_owned(),
        Packets::Any => String::new(),
    })
}

/// Whether a connection is refused as by a port at which nobody listens: of the kernel's other word only a few are sent in a second. In
/// the sixth version it loses the way back to a link-local address, from which devices are reached as a rule.
fn is_reset(packets: Packets, family: Family) -> bool {
    family == Family::V4 && matches!(packets, Packets::Tcp(..) | Packets::AnyTcp)
}

/// Input of `nft -f -`: a table of ours, made anew. All of it happens, or nothing.
pub(super) fn ruleset(rules: &[Rule], family: Family) -> String {
    let ip = family.nft();
    let table = format!("{ip} {TABLE}");
    // What is to be deleted must be there.
    let mut lines = vec![
        format!("add table {table}"),
        format!("delete table {table}"),
        format!("add table {table}"),
        format!("add chain {table} {CHAIN}"),
    ];
    lines.extend(rules.iter().filter_map(|Rule(packets, verdict)| {
        let verdict = match verdict {
            Verdict::Accept => "accept",
            Verdict::Reject if is_reset(*packets, family) => "reject with tcp reset",
            Verdict::Reject => "reject",
            Verdict::Return => "return",
        };
        let fits = nft(*packets, family)?;
        Some(format!("add rule {table} {CHAIN} {fits}{verdict}"))
    }));
    lines.push(format!(
        "add chain {table} input {{ type filter hook input priority 0; policy accept; }}"
    ));
    lines.push(format!("add rule {table} input jump {CHAIN}\n"));
    lines.join("\n")
}

/// Whether what `nft list table` says is all that [`ruleset`] wrote, and nothing else.
pub(super) fn lists_all_of(listed: &str, input: &str) -> bool {
    let frame = ["table ", "chain ", "type ", "}", "#"];
    let is_rule =
        |line: &&str| !line.is_empty() && !frame.iter().any(|word| line.starts_with(word));
    let found = listed.lines().map(str::trim).filter(is_rule).count();
    let rules = input.lines().filter(|line| line.starts_with("add rule "));
    found == rules.count()
}

fn nft(packets: Packets, family: Family) -> Option<String> {
    let by = |interface: Option<&str>| {
        interface
            .map(|name| format!("iifname \"{}\" ", name.replace('+', "*")))
            .unwrap_or_default()
    };
    let (groups, protocol) = match family {
        Family::V4 => ("ip daddr 224.0.0.0/4", "icmp"),
        Family::V6 => ("ip6 daddr ff00::/8", "ipv6-icmp"),
    };
    Some(match packets {
        Packets::Own => "fib saddr type local ".to_owned(),
        Packets::Established => "ct state established,related ".to_owned(),
        Packets::Tcp(port, interface) => format!("{}tcp dport {port} ", by(interface)),
        Packets::Udp(port, interface) => format!("{}udp dport {port} ", by(Some(interface))),
        Packets::Multicast => format!("{groups} "),
        Packets::Icmp => format!("meta l4proto {protocol} "),
        Packets::Dhcpv6 if family == Family::V4 => return None,
        Packets::Dhcpv6 => "ip6 saddr fe80::/10 udp sport 547 udp dport 546 ".to_owned(),
        Packets::AnyTcp => "meta l4proto tcp ".to_owned(),
        Packets::Any => String::new(),
    })
}
