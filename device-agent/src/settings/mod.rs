//! What the agent was told to be: flags and config.json as written → merged → valid [`Settings`].
//!
//! In: the command line, the environment (here and nowhere else), config.json, os-release, device-type.json.
//! Out: one [`Settings`] value that is passed down. Must not: open sockets, talk to the engine, print.

mod arguments;
pub(crate) mod config_file;
pub(crate) mod config_json;
mod identity;
mod places;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use agent_api::os::Variant;
use thiserror::Error;

pub use arguments::{
    AnnounceScope, Arguments, Command, ConfigureArguments, OsConfigArguments, OsConfigCommand,
    RunArguments,
};
use config_json::ConfigJson;

pub(crate) use identity::{is_hostname, is_uuid};
pub(crate) use places::{health as health_places, os_config as os_config_places};

use crate::configure::{self, Config};
use crate::host;
use crate::model::{CloudAccess, Confinement, DeviceFacts, HostFacts};

/// How much the agent tells of itself: a level, or a filter in the syntax of `tracing_subscriber::EnvFilter`; `info` unless set.
pub(crate) const LOG_VARIABLE: &str = "OS_AGENT_LOG";
/// Levels of which only the agent's own lines are told: the libraries' show what is sent, secrets included.
const OWN_LEVELS: [&str; 2] = ["debug", "trace"];
/// Set by systemd for services whose standard error goes to the journal.
const JOURNAL_VARIABLE: &str = "JOURNAL_STREAM";

/// The kernel's file for the brightness of the board's LED.
const LED_VARIABLE: &str = "LED_FILE";
/// Addresses of the system's message bus.
const BUS_VARIABLE: &str = "DBUS_SYSTEM_BUS_ADDRESS";

/// Where engines put their socket, in order of preference.
const ENGINE_SOCKETS: [&str; 3] = [
    "/run/balena-engine.sock",
    "/run/balena.sock",
    "/var/run/docker.sock",
];
/// Where the data partition is on a device.
const DATA_DIR: &str = "/mnt/data";
/// Where services find their own directory on a device.
const SERVICES_DIR: &str = "/tmp/balena-supervisor/services";
/// The name of a device that was never given one.
const DEFAULT_NAME: &str = "local";

/// Why the agent cannot start with what it was given.
#[derive(Debug, Error)]
pub enum SettingsError {
    /// Not a device uuid.
    #[error("`{0}` is not a device uuid: 32 or 62 hexadecimal digits are expected")]
    Uuid(String),
    /// Would not work as a host name.
    #[error("`{0}` is not a host name: letters, digits and inner hyphens are expected, at most 63")]
    Hostname(String),
    /// Would not work in container names.
    #[error("`{0}` is not a namespace: 1 to 32 lower case letters and digits are expected")]
    Namespace(String),
    /// Would be reached from other machines.
    #[error(
        "`{0}` is no address for a simulated device: one of this machine's loopback is expected"
    )]
    Address(IpAddr),
    /// Only unix sockets are supported.
    #[error("`{0}` is not an engine socket: an absolute path or unix:///path is expected")]
    Engine(String),
    /// The uuid could not be kept.
    #[error("could not read or keep the uuid of this device")]
    Identity(#[source] std::io::Error),
}

/// Everything that the agent needs to know before it starts, valid.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Addresses of the HTTP API.
    pub listen: Vec<SocketAddr>,
    /// Path of the API's unix socket.
    pub socket: PathBuf,
    /// Sockets at which the engine may be, in order of preference.
    pub engine: Vec<PathBuf>,
    /// Where the agent keeps its state.
    pub state_dir: PathBuf,
    /// The data partition; a simulated device has none of its own.
    pub data_dir: Option<PathBuf>,
    /// What ends up in containers.
    pub facts: DeviceFacts,
    /// Device name until a target sets one.
    pub initial_name: String,
    /// Development or production mode.
    pub variant: Variant,
    /// Whether config.json names a fleet's API.
    pub managed: bool,
    /// Whether config.json could be read: else a device stays in the fleet that it is in.
    pub is_membership_known: bool,
    /// The machine that the agent may restart and configure; a simulated device has none of its own.
    pub machine: Option<MachinePlaces>,
    /// Where the device announces itself.
    pub announce: AnnounceScope,
    /// What was wrong with the sources and is worked around.
    pub faults: Vec<String>,
}

/// Where the host is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachinePlaces {
    /// The root of its file system.
    pub root: PathBuf,
    /// Its config.json; the boot partition is the folder that it is in.
    pub config_json: PathBuf,
    /// The socket of its message bus.
    pub bus: PathBuf,
    /// The kernel's file for the brightness of the board's LED.
    pub led: Option<PathBuf>,
}

impl MachinePlaces {
    /// The folder of the proxy's files, on the boot partition.
    pub(crate) fn proxy_dir(&self) -> PathBuf {
        self.config_json.with_file_name("system-proxy")
    }
}

/// How the agent logs about itself.
#[derive(Debug, Clone)]
pub struct Logging {
    /// Filter directives.
    pub filter: String,
    /// Whether lines carry the time; the journal adds its own.
    pub timestamps: bool,
}

impl Logging {
    /// Reads the environment.
    #[must_use]
    pub fn from_environment() -> Self {
        Self {
            filter: log_filter(variable(LOG_VARIABLE)),
            timestamps: variable(JOURNAL_VARIABLE).is_none(),
        }
    }
}

fn log_filter(asked: Option<String>) -> String {
    let Some(asked) = asked else {
        return "info".to_owned();
    };
    let level = OWN_LEVELS
        .iter()
        .find(|level| asked.trim().eq_ignore_ascii_case(level));
    match level {
        Some(level) => format!("info,os_agent={level}"),
        None => asked,
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place that reads the environment"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Settings {
    /// Reads config.json and the facts of the host, and lets flags win.
    pub fn load(arguments: &RunArguments) -> Result<Self, SettingsError> {
        let mut faults = Vec::new();
        // What this machine was last is nothing of a device that is simulated on it.
        let last_good = match &arguments.simulated {
            Some(_) => None,
            None => Some(arguments.last_good_config_json.as_path()),
        };
        let ConfigJson {
            config,
            is_membership_known,
        } = ConfigJson::load(&arguments.config_json, last_good, &mut faults);
        let kept_uuid = last_good.and_then(configure::kept_uuid);
        let facts = device_facts(arguments, &config, kept_uuid.as_deref())?;
        let port = facts.listen_port;
        let listen = if arguments.listen.is_empty() {
            let address = arguments
                .simulated_address
                .unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
            vec![SocketAddr::new(address, port)]
        } else {
            arguments.listen.clone()
        };
        let managed = config.cloud.api_endpoint.is_some();
        if managed {
            faults.push(
                "config.json names a fleet, which this agent does not ask for targets: it keeps the one that it was provisioned with, and takes pushes while local mode is on".to_owned(),
            );
        }
        let development = config.is_development || facts.confinement.is_some();
        Ok(Self {
            listen,
            socket: arguments.socket.clone(),
            engine: engine_sockets(arguments.engine.as_deref())?,
            state_dir: arguments.state_dir.clone(),
            data_dir: data_dir(arguments),
            initial_name: config
                .initial_name
                .unwrap_or_else(|| DEFAULT_NAME.to_owned()),
            variant: if development {
                Variant::Development
            } else {
                Variant::Production
            },
            managed,
            is_membership_known,
            machine: facts.confinement.is_none().then(|| machine(arguments)),
            announce: arguments.announce,
            facts,
            faults,
        })
    }
}

fn data_dir(arguments: &RunArguments) -> Option<PathBuf> {
    let usual = || {
        arguments
            .simulated
            .is_none()
            .then(|| PathBuf::from(DATA_DIR))
    };
    arguments.data_dir.clone().or_else(usual)
}

fn machine(arguments: &RunArguments) -> MachinePlaces {
    let addresses = variable(BUS_VARIABLE);
    MachinePlaces {
        root: arguments.host_root.clone(),
        config_json: arguments.config_json.clone(),
        bus: host::bus::socket(addresses.as_deref(), &arguments.host_root),
        led: variable(LED_VARIABLE).map(PathBuf::from),
    }
}

fn device_facts(
    arguments: &RunArguments,
    config: &Config,
    kept_uuid: Option<&str>,
) -> Result<DeviceFacts, SettingsError> {
    let given = arguments.uuid.as_deref().or(config.uuid.as_deref());
    let kept = kept_uuid.filter(|uuid| is_uuid(uuid));
    let uuid = identity::uuid(given.or(kept), &arguments.state_dir)?;
    // Only a flag can be wrong here, and is its writer's to correct: config.json was looked at when it was read.
    let hostname = match arguments.hostname.as_ref().or(config.hostname.as_ref()) {
        Some(name) if is_hostname(name) => name.clone(),
        Some(name) => return Err(SettingsError::Hostname(name.clone())),
        None => uuid.chars().take(7).collect(),
    };
    let machine = host::machine();
    let on_boot = host::device_type_json(&arguments.device_type_json);
    let arch = arguments
        .arch
        .clone()
        .or(on_boot.arch)
        .unwrap_or_else(|| machine.arch.to_owned());
    let device_type = arguments
        .device_type
        .clone()
        .or(on_boot.slug)
        .unwrap_or_else(|| machine.device_type.to_owned());
    let listen_port = arguments
        .listen
        .first()
        .map(SocketAddr::port)
        .or(config.listen_port)
        .unwrap_or(agent_api::API_PORT);
    let confinement = confinement(arguments)?;
    let release = host::os_release(&arguments.os_release);
    let services_dir = match (&arguments.services_dir, &confinement) {
        (Some(dir), _) => dir.to_string_lossy().into_owned(),
        (None, Some(_)) => arguments
            .state_dir
            .join("services")
            .to_string_lossy()
            .into_owned(),
        (None, None) => SERVICES_DIR.to_owned(),
    };
    Ok(DeviceFacts {
        uuid,
        device_type,
        arch,
        os_version: arguments
            .os_version
            .clone()
            .or_else(|| release.pretty_name.clone())
            .unwrap_or_else(|| "unknown".to_owned()),
        hostname,
        listen_port,
        services_dir,
        kernel_modules: Path::new("/lib/modules").exists(),
        firmware: Path::new("/lib/firmware").exists(),
        confinement,
        host: host_facts(release, &engine_sockets(arguments.engine.as_deref())?),
        cloud: cloud_access(config),
    })
}

fn host_facts(release: host::OsRelease, sockets: &[PathBuf]) -> HostFacts {
    let kernel = host::kernel_release();
    HostFacts {
        engine_socket: engine_socket(sockets),
        board_rev: release.board_rev,
        os_slug: release.id,
        os_version: release.version,
        kernel: host::kernel_version(&kernel),
        l4t: host::l4t_version(&kernel),
    }
}

/// The first socket that exists, else the first, in the spelling that the reference gives to services: another one would
/// recreate its containers.
fn engine_socket(sockets: &[PathBuf]) -> String {
    let found = sockets.iter().find(|path| path.exists());
    let path = found.or(sockets.first()).cloned().unwrap_or_default();
    match path.strip_prefix("/run") {
        Ok(below) => Path::new("/var/run").join(below),
        Err(_) => path,
    }
    .to_string_lossy()
    .into_owned()
}

/// Each for itself: a device that has not registered yet has an address and no key.
fn cloud_access(config: &Config) -> Option<CloudAccess> {
    let cloud = &config.cloud;
    let access = CloudAccess {
        api_url: cloud.api_endpoint.clone(),
        registry: cloud.registry_endpoint.as_deref().map(registry_host),
        key: cloud.device_key.clone(),
    };
    Some(access).filter(|access| *access != CloudAccess::default())
}

/// Joining writes a host; by hand an address is written as often.
fn registry_host(endpoint: &str) -> String {
    let host = endpoint
        .split_once("://")
        .map_or(endpoint, |(_, rest)| rest);
    host.trim_end_matches('/').to_ascii_lowercase()
}

fn confinement(arguments: &RunArguments) -> Result<Option<Confinement>, SettingsError> {
    let (Some(namespace), Some(address)) = (&arguments.simulated, arguments.simulated_address)
    else {
        return Ok(None);
    };
    let fits = (1..=32).contains(&namespace.len())
        && namespace
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !fits {
        return Err(SettingsError::Namespace(namespace.clone()));
    }
    if !address.is_loopback() {
        return Err(SettingsError::Address(address));
    }
    Ok(Some(Confinement {
        namespace: namespace.clone(),
        address,
        allow_privileged: arguments.allow_privileged,
    }))
}

fn engine_sockets(asked: Option<&str>) -> Result<Vec<PathBuf>, SettingsError> {
    let Some(asked) = asked else {
        return Ok(ENGINE_SOCKETS.iter().map(PathBuf::from).collect());
    };
    let path = asked.strip_prefix("unix://").unwrap_or(asked);
    if path.starts_with('/') {
        Ok(vec![PathBuf::from(path)])
    } else {
        Err(SettingsError::Engine(asked.to_owned()))
    }
}
