//! The normalised configuration of one service's container: what is created and what is compared.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

/// One container's configuration with every default filled in, so that equal means equal.
///
/// Sets where the order of the source does not matter, vectors where it does.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct ServiceConfig {
    /// Engine image id, `sha256:…`.
    pub image: String,
    /// Arguments.
    pub command: Vec<String>,
    /// Entry point.
    pub entrypoint: Vec<String>,
    /// Environment, injected variables included.
    pub environment: BTreeMap<String, String>,
    /// Labels, injected ones included.
    pub labels: BTreeMap<String, String>,
    /// Restart policy: `always`, `unless-stopped`, `on-failure` or `no`.
    pub restart: String,
    /// `host`, `none`, `bridge`, `container:<id>` or the engine name of a network.
    pub network_mode: String,
    /// Networks by engine name.
    pub networks: BTreeMap<String, Endpoint>,
    /// Published ports, ranges taken apart.
    pub ports: BTreeSet<PortBinding>,
    /// Binds and named volumes, `source:target[:mode]`, and bare paths of anonymous volumes.
    pub volumes: BTreeSet<String>,
    /// Mounts that the short form cannot say.
    pub mounts: BTreeSet<Mount>,
    /// tmpfs mounts, `path[:options]`.
    pub tmpfs: BTreeSet<String>,
    /// Health check.
    pub healthcheck: Healthcheck,
    /// Allocate a terminal.
    pub tty: bool,
    /// All capabilities and devices.
    pub privileged: bool,
    /// Read-only root file system.
    pub read_only: bool,
    /// Run a small init as pid 1.
    pub init: Option<bool>,
    /// Working directory, without a trailing slash.
    pub working_dir: String,
    /// User, `uid[:gid]` or names.
    pub user: String,
    /// Stop signal.
    pub stop_signal: String,
    /// Seconds from the stop signal to SIGKILL.
    pub stop_grace_period: i64,
    /// Host name; empty unless the host's network is used or it is set.
    pub hostname: String,
    /// Domain name.
    pub domainname: String,
    /// MAC address in the primary network, in lower case; empty is the engine's choice, which is read as that of a running
    /// container that another agent made.
    pub mac_address: String,
    /// Added capabilities.
    pub cap_add: BTreeSet<String>,
    /// Dropped capabilities.
    pub cap_drop: BTreeSet<String>,
    /// `host:container[:permissions]`.
    pub devices: BTreeSet<String>,
    /// DNS servers.
    pub dns: Vec<String>,
    /// DNS options.
    pub dns_opt: BTreeSet<String>,
    /// DNS search domains.
    pub dns_search: Vec<String>,
    /// `name:address`.
    pub extra_hosts: BTreeSet<String>,
    /// Additional groups.
    pub group_add: BTreeSet<String>,
    /// Security options, without those of `SELinux` labels.
    pub security_opt: BTreeSet<String>,
    /// Kernel parameters.
    pub sysctls: BTreeMap<String, String>,
    /// Limits by name: soft, hard.
    pub ulimits: BTreeMap<String, (i64, i64)>,
    /// Parent control group.
    pub cgroup_parent: String,
    /// Pid namespace: empty or `host`.
    pub pid: String,
    /// Limit of processes; 0 is none.
    pub pids_limit: i64,
    /// Ipc namespace.
    pub ipc: String,
    /// User namespace.
    pub userns_mode: String,
    /// Bytes of /dev/shm.
    pub shm_size: i64,
    /// Memory limit in bytes; 0 is none.
    pub mem_limit: i64,
    /// Memory reservation in bytes; 0 is none.
    pub mem_reservation: i64,
    /// No OOM killer. `None` is read of an engine whose kernel cannot do that, whatever was asked for.
    pub oom_kill_disable: Option<bool>,
    /// OOM score adjustment, -1000..=1000.
    pub oom_score_adj: i64,
    /// Relative CPU weight; 0 is the default.
    pub cpu_shares: i64,
    /// CFS quota in microseconds; 0 is none.
    pub cpu_quota: i64,
    /// CPUs × 10⁹; not compared.
    pub nano_cpus: i64,
    /// CPUs that may be used.
    pub cpuset: String,
    /// Devices that the engine's device drivers choose, graphics processors for example.
    pub device_requests: Vec<DeviceRequest>,
}

impl ServiceConfig {
    /// Label under which [`ServiceConfig::digest`] is kept on the container.
    pub const DIGEST_LABEL: &'static str = "os.config-digest";

    /// Label under which the reason is kept for which the container was created.
    pub const BECAUSE_LABEL: &'static str = "os.because";

    /// Label under which the MAC address is kept that was asked for: engines tell the one that there is.
    pub const MAC_LABEL: &'static str = "os.mac-address";

    /// 32 hex digits over every field: equal configurations have equal digests, within one version of the agent.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut hex = blake3::hash(format!("{self:?}").as_bytes())
            .to_hex()
            .to_string();
        hex.truncate(32);
        hex
    }

    /// A path as it is compared: without a trailing slash.
    #[must_use]
    pub fn path(path: &str) -> String {
        match path.strip_suffix('/') {
            Some(rest) if !rest.is_empty() => rest.to_owned(),
            _ => path.to_owned(),
        }
    }

    /// A capability as it is compared: upper case, without `CAP_`.
    #[must_use]
    pub fn capability(name: &str) -> String {
        agent_api::compose::capability(name)
    }
}

/// A mount in the long form.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mount {
    /// Path in the container.
    pub target: String,
    /// Not writable.
    pub read_only: bool,
    /// What is mounted.
    pub source: MountSource,
}

/// What a [`Mount`] mounts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum MountSource {
    /// A volume of the engine.
    Volume {
        /// Engine name; empty is an anonymous volume.
        name: String,
        /// Whether the image's content is left out of a new volume.
        no_copy: bool,
    },
    /// Memory.
    Tmpfs {
        /// Limit in bytes; 0 is none.
        size: i64,
    },
    /// A file or folder of the host, which must be there.
    Bind {
        /// Path on the host.
        source: String,
        /// How mounts below it are passed on, `rprivate` for example; `None` is the engine's choice.
        propagation: Option<String>,
    },
}

/// A wish for devices that the engine's device drivers choose.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct DeviceRequest {
    /// Name of the driver; empty is any that has the capabilities.
    pub driver: String,
    /// How many.
    pub count: i64,
    /// Which ones.
    pub device_ids: Vec<String>,
    /// Alternatives of which each names capabilities that are needed together.
    pub capabilities: Vec<Vec<String>>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// How a container is attached to one network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Endpoint {
    /// Names by which others reach it; the engine adds the short container id, which is ignored.
    pub aliases: BTreeSet<String>,
    /// Fixed IPv4 address.
    pub ipv4_address: Option<String>,
    /// Fixed IPv6 address.
    pub ipv6_address: Option<String>,
    /// Link-local addresses.
    pub link_local_ips: Vec<String>,
}

/// One published port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct PortBinding {
    /// Port in the container.
    pub container: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Address on the host; empty is all of them.
    pub host_ip: String,
    /// Port on the host; `None` lets the engine choose.
    pub host: Option<u16>,
}

/// A health check, durations in nanoseconds.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: Option<i64>,
    /// For one check.
    pub timeout: Option<i64>,
    /// Before failures count.
    pub start_period: Option<i64>,
    /// Failures until unhealthy.
    pub retries: Option<i64>,
}

impl Healthcheck {
    /// No check, not even the image's.
    #[must_use]
    pub fn none() -> Self {
        Self {
            test: vec!["NONE".to_owned()],
            ..Self::default()
        }
    }
}
