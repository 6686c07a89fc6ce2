//! What does not change while the agent runs: identity of the device, its host, and how it is confined.

use std::fmt;

/// Facts about the device that end up in containers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceFacts {
    /// 32 or 62 hex digits.
    pub uuid: String,
    /// Device type slug.
    pub device_type: String,
    /// Architecture slug.
    pub arch: String,
    /// Operating system with version, as in `PRETTY_NAME`.
    pub os_version: String,
    /// Host name, given to containers in the host's network.
    pub hostname: String,
    /// Port of the agent's API.
    pub listen_port: u16,
    /// Directory below which each service has its own, mounted at `/tmp/balena` and `/tmp/resin`.
    /// On a device `/tmp/balena-supervisor/services`.
    pub services_dir: String,
    /// Whether the host has `/lib/modules`.
    pub kernel_modules: bool,
    /// Whether the host has `/lib/firmware`.
    pub firmware: bool,
    /// Set on a simulated device.
    pub confinement: Option<Confinement>,
    /// What the host says of itself.
    pub host: HostFacts,
    /// What it knows of its cloud; `None` when it is in none.
    pub cloud: Option<CloudAccess>,
}

/// A limit that some kernels cannot keep. The engine leaves it out of a container that asks for it, and does not say so
/// when it is asked about the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Limit {
    /// Of memory, and what is reserved of it.
    Memory,
    /// Of a share of the processors.
    CpuShares,
    /// Of time on the processors.
    CpuQuota,
    /// Of which processors.
    Cpuset,
    /// Of processes.
    Pids,
}

/// What services may need to know of the host, or reach on it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HostFacts {
    /// Path of the engine's socket on the host, as services that ask for it expect it; empty if it is not known.
    pub engine_socket: String,
    /// `BALENA_BOARD_REV` of os-release.
    pub board_rev: Option<String>,
    /// `ID` of os-release: the slug of the operating system.
    pub os_slug: Option<String>,
    /// `VERSION` of os-release.
    pub os_version: Option<String>,
    /// Version of the kernel, the three numbers that it begins with.
    pub kernel: Option<String>,
    /// Version of Linux for Tegra, three numbers.
    pub l4t: Option<String>,
}

/// How a device of a fleet reaches its cloud: each as far as config.json says it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CloudAccess {
    /// Address of its API.
    pub api_url: Option<String>,
    /// Host of its registry, with a port where it has one: the only one that is ever given the key.
    pub registry: Option<String>,
    /// The device's key, once it has registered.
    pub key: Option<Secret>,
}

/// A text that is given to services and told to nobody: not in logs, not in errors, not in reports.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text itself, for the one who needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// Keeps a simulated device apart from the workstation that it runs on, and from its siblings on the same engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Confinement {
    /// Short uuid: container names end in `_<namespace>`, networks and volumes begin with `<namespace>_`,
    /// and everything carries the label [`Confinement::LABEL`] with this value. What lacks it is not seen.
    pub namespace: String,
    /// Loopback address on which all ports are published.
    pub address: std::net::IpAddr,
    /// Leaves `privileged`, host networking, host pid and ipc, devices and added capabilities as they were asked for.
    pub allow_privileged: bool,
}

impl Confinement {
    /// Label of everything that belongs to a simulated device.
    pub const LABEL: &'static str = agent_api::SIMULATED_LABEL;
}
