//! The command line as it was written. The doc comments are the help.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// What the environment says.
const ENVIRONMENT: &str = "\
Environment:
  OS_AGENT_LOG  How much the agent tells of itself on standard error: error, warn, info, debug or trace [default: info]";

/// Keeps the services of a target state running on a container engine.
#[derive(Debug, Parser)]
#[command(name = "os-agent", version, disable_help_subcommand = true, after_help = ENVIRONMENT)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the agent until SIGTERM or SIGINT.
    #[command(after_help = ENVIRONMENT)]
    Run(Box<RunArguments>),
    /// Make every part of the system what config.json asks for.
    ///
    /// Only what changed is written, and only units whose input changed are restarted or reloaded. A config.json that cannot be
    /// used leaves the last good one in force.
    Configure(ConfigureArguments),
    /// Join a fleet.
    ///
    /// The cloud is asked before anything is changed; then everything is, or nothing.
    Join {
        /// Configuration of the fleet, a JSON object with `apiEndpoint`; without it, or with `-`, it is read from standard input,
        /// where no other process sees the keys in it
        #[arg(value_name = "JSON")]
        json: Option<String>,
    },
    /// Leave the fleet: the device keeps its name, network and volumes.
    Leave,
    /// Fetch what the cloud asks of the services of the system, until it answers.
    UpdateConfig,
    /// Give the device a key for its cloud, unless it has one.
    GenerateApiKey,
    /// Let the data partition and its file system reach to the end of the disk.
    ///
    /// What is as large as it can be stays as it is; what a cut of power interrupted is completed.
    Grow {
        /// The partition's device
        #[arg(
            long,
            value_name = "PATH",
            default_value = "/dev/disk/by-label/resin-data"
        )]
        device: PathBuf,
    },
    /// After an update of the operating system: keep it once it has shown that it works, or go back to the one before.
    Health,
    /// Carry datagrams between standard input and output and a UDP port: for `os tunnel`, which runs it over SSH.
    #[command(hide = true)]
    RelayUdp {
        /// Where the datagrams go
        address: IpAddr,
        /// At which port
        port: u16,
    },
}

/// The command line of `os-config`: as which this program answers, too, when it is called by this name.
#[derive(Debug, Parser)]
#[command(name = "os-config", version, disable_help_subcommand = true)]
pub struct OsConfigArguments {
    /// What to do.
    #[command(subcommand)]
    pub command: OsConfigCommand,
}

/// What `os-config` does.
#[derive(Debug, Clone, PartialEq, Eq, Subcommand)]
pub enum OsConfigCommand {
    /// Generate the device's key.
    GenerateApiKey,
    /// Apply the configuration of the cloud.
    Update,
    /// Configure the device with a JSON object, and apply the configuration of the cloud.
    Join {
        /// The JSON object
        #[arg(value_name = "JSON")]
        json: String,
    },
    /// Deconfigure the device.
    Leave,
}

/// Flags of `os-agent configure`.
#[derive(Debug, Clone, Args)]
pub struct ConfigureArguments {
    /// The device's config.json [default: /mnt/boot/config.json below the root]
    #[arg(long, value_name = "PATH")]
    pub config: Option<PathBuf>,
    /// The root of the system that is configured: another one than `/` is an image, of which no unit runs
    #[arg(long, value_name = "DIR", default_value = "/")]
    pub root: PathBuf,
    /// Directory in which the last good config.json is kept [default: /mnt/state/os below the root]
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Write files only: no unit is restarted or reloaded
    #[arg(long)]
    pub no_restart: bool,
    /// Go on, and configure again whenever config.json changes
    #[arg(long, conflicts_with = "no_restart")]
    pub watch: bool,
}

/// Flags of `os-agent run`.
#[derive(Debug, Clone, Args)]
pub struct RunArguments {
    /// Address and port of the HTTP API; repeatable [default: [::]:48484, IPv4 included]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Vec<SocketAddr>,
    /// Unix socket of the HTTP API
    #[arg(long, value_name = "PATH", default_value = agent_api::AGENT_SOCKET)]
    pub socket: PathBuf,
    /// Socket of the container engine [default: the first of /run/balena-engine.sock, /run/balena.sock, /var/run/docker.sock]
    #[arg(long, value_name = "unix:///PATH")]
    pub engine: Option<String>,
    /// Directory in which the agent keeps its state
    #[arg(long, value_name = "DIR", default_value = "/var/lib/os-agent")]
    pub state_dir: PathBuf,
    /// The device's config.json; it may be absent
    #[arg(long, value_name = "PATH", default_value = "/mnt/boot/config.json")]
    pub config_json: PathBuf,
    /// The copy of the last config.json that could be used, which stands in for one that cannot
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/mnt/state/os/config.json",
        hide = true
    )]
    pub last_good_config_json: PathBuf,
    /// The device's device-type.json; it may be absent
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/mnt/boot/device-type.json",
        hide = true
    )]
    pub device_type_json: PathBuf,
    /// The data partition, with what an image brought along [default: /mnt/data, none for a simulated device]
    #[arg(long, value_name = "DIR", hide = true)]
    pub data_dir: Option<PathBuf>,
    /// The system's os-release
    #[arg(
        long,
        value_name = "PATH",
        default_value = "/etc/os-release",
        hide = true
    )]
    pub os_release: PathBuf,
    /// The root of the host's file system, where the agent sees it
    #[arg(long, value_name = "DIR", default_value = "/", hide = true)]
    pub host_root: PathBuf,
    /// Device uuid [default: from config.json, else kept in the state directory]
    #[arg(long)]
    pub uuid: Option<String>,
    /// Host name [default: from config.json, else the first 7 digits of the uuid]
    #[arg(long)]
    pub hostname: Option<String>,
    /// Device type slug [default: from device-type.json, else generic]
    #[arg(long, value_name = "SLUG")]
    pub device_type: Option<String>,
    /// Architecture slug [default: from device-type.json, else this machine's]
    #[arg(long, value_name = "SLUG")]
    pub arch: Option<String>,
    /// Operating system with version [default: `PRETTY_NAME` of os-release]
    #[arg(long, value_name = "TEXT")]
    pub os_version: Option<String>,
    /// Directory below which each service has its own, mounted at /tmp/balena
    #[arg(long, value_name = "DIR")]
    pub services_dir: Option<PathBuf>,
    /// Be a simulated device: keep everything on the engine apart under this name
    #[arg(long, value_name = "NAMESPACE", requires = "simulated_address")]
    pub simulated: Option<String>,
    /// Loopback address on which a simulated device publishes ports
    #[arg(long, value_name = "IP", requires = "simulated")]
    pub simulated_address: Option<IpAddr>,
    /// Let services of a simulated device run privileged and in the host's network
    #[arg(long, requires = "simulated")]
    pub allow_privileged: bool,
    /// Where to announce the device by mDNS
    #[arg(long, value_enum, default_value_t = AnnounceScope::All)]
    pub announce: AnnounceScope,
}

/// Where a device announces itself by mDNS.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum AnnounceScope {
    /// On every network interface that can multicast.
    All,
    /// On the loopback interface, for this machine only.
    Loopback,
    /// Nowhere.
    None,
}
