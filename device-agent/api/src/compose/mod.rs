//! What the compose keys of a service may hold.
//!
//! The same for those who send a target and those who take one: what a workstation lets pass, no device refuses. Pure.

use std::net::IpAddr;

pub mod mounts;

/// Entries of one map or list.
pub const MAX_ITEMS: usize = 1024;
/// Entries of one service's `ports`, which stand there one by one.
pub const MAX_PORT_ENTRIES: usize = 4096;
/// Published ports of a whole target: a short text stands for thousands, each of which costs memory.
pub const MAX_PORTS: usize = 65_536;
/// Bytes of one text; what the kernel takes as one argument or variable.
pub const MAX_TEXT: usize = 128 * 1024 - 1;
/// Requirements of one contract, and of one group.
pub const MAX_REQUIREMENTS: usize = 64;
/// Address pools of one network.
pub const MAX_POOLS: usize = 64;
/// Nanoseconds of the shortest time between checks that engines take.
pub const SHORTEST_CHECK: i64 = 1_000_000;

/// Words for `pid` beside `container:`.
pub const PID_MODES: &[&str] = &["", "host"];
/// Words for `ipc` beside `container:`.
pub const IPC_MODES: &[&str] = &["", "host", "none", "private", "shareable"];
/// Words for `userns_mode` beside `container:`.
pub const USER_MODES: &[&str] = &["", "host"];

/// What a contract may require.
pub const REQUIREMENTS: &[&str] = &[
    "sw.supervisor",
    "sw.application",
    "sw.l4t",
    "sw.os",
    "sw.kernel",
    "hw.device-type",
    "arch.sw",
    "sw.spec",
];

/// What the kernel limits: the names in `ulimits`.
pub const LIMITS: &[&str] = &[
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// Of the kernel, and the engine's word for all of them.
pub const CAPABILITIES: &[&str] = &[
    "ALL",
    "AUDIT_CONTROL",
    "AUDIT_READ",
    "AUDIT_WRITE",
    "BLOCK_SUSPEND",
    "BPF",
    "CHECKPOINT_RESTORE",
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "IPC_LOCK",
    "IPC_OWNER",
    "KILL",
    "LEASE",
    "LINUX_IMMUTABLE",
    "MAC_ADMIN",
    "MAC_OVERRIDE",
    "MKNOD",
    "NET_ADMIN",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_RAW",
    "PERFMON",
    "SETFCAP",
    "SETGID",
    "SETPCAP",
    "SETUID",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_CHROOT",
    "SYS_MODULE",
    "SYS_NICE",
    "SYS_PACCT",
    "SYS_PTRACE",
    "SYS_RAWIO",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "SYSLOG",
    "WAKE_ALARM",
];

/// A capability as it is compared: upper case, without `CAP_`. It need not exist.
#[must_use]
pub fn capability(name: &str) -> String {
    let name = name.trim().to_ascii_uppercase();
    name.strip_prefix("CAP_").unwrap_or(&name).to_owned()
}

/// Whether there is such a capability, in any spelling.
#[must_use]
pub fn is_capability(name: &str) -> bool {
    CAPABILITIES.contains(&capability(name).as_str())
}

/// Signals of Linux by name; those for real time are counted from either end.
const SIGNALS: [&str; 37] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP",
    "TTIN", "TTOU", "UNUSED", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ", "RTMIN",
    "RTMAX",
];

/// Whether engines take it for a signal: by name with or without `SIG`, or by number. Nothing means the image's.
#[must_use]
pub fn is_signal(text: &str) -> bool {
    let name = text.to_ascii_uppercase();
    let name = name.strip_prefix("SIG").unwrap_or(&name);
    let real_time = |(end, rest): (&str, &str)| {
        matches!(end, "RTMIN" | "RTMAX") && rest.parse().is_ok_and(|n: u8| n <= 15)
    };
    name.is_empty()
        || SIGNALS.contains(&name)
        || name.parse().is_ok_and(|n: u8| (1..=64).contains(&n))
        || name.split_once(['+', '-']).is_some_and(real_time)
}

/// An address of hardware as engines tell it: `02:42:ac:11:65:43`. Nothing where it is none to them: they take six pairs of hexadecimal
/// digits with `:` between all of them, or `-`, and three groups of four with points. An empty one means one of the engine's choice.
#[must_use]
pub fn mac_address(text: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    let forms = [(':', 6), ('-', 6), ('.', 3)];
    let fits = |(between, count): &(char, usize)| {
        let mut groups = text.split(*between);
        let is_group = |group: &str| {
            group.len() == 12 / count && group.bytes().all(|byte| byte.is_ascii_hexdigit())
        };
        groups.clone().count() == *count && groups.all(is_group)
    };
    forms.iter().find(|form| fits(form))?;
    let mut address = String::new();
    let digits = text.chars().filter(char::is_ascii_hexdigit);
    for (index, digit) in digits.enumerate() {
        if index > 0 && index % 2 == 0 {
            address.push(':');
        }
        address.push(digit.to_ascii_lowercase());
    }
    Some(address)
}

/// Whether a namespace is one of these words, or that of a container.
#[must_use]
pub fn is_namespace(text: &str, words: &[&str]) -> bool {
    let of_container = text.strip_prefix("container:");
    of_container.is_some_and(|id| !id.is_empty()) || words.contains(&text)
}

/// The two parts of an entry of `extra_hosts` as `host:address`; nothing where they are no such entry. The engine's word for the
/// host itself stands for an address; IPv6 may be in brackets.
#[must_use]
pub fn extra_host(host: &str, address: &str) -> Option<String> {
    let (host, address) = (host.trim(), address.trim().trim_matches(['[', ']']));
    let is_address = address == "host-gateway" || address.parse::<IpAddr>().is_ok();
    let fits = !host.is_empty() && !host.contains([':', '=']) && is_address;
    fits.then(|| format!("{host}:{address}"))
}

/// Whether a limit for both ends can be: the soft one is not above the hard one, of which -1 is none.
#[must_use]
pub fn is_limit(soft: i64, hard: i64) -> bool {
    hard < 0 || (0..=hard).contains(&soft)
}
