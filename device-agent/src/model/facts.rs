//! What does not change while the agent runs: identity of the device and how it is confined.

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
