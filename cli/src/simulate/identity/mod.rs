//! What a simulated device is, and where its files are. Decisions are pure; only [`load_all`] and [`Identity::record`] read.

use std::{
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::SimulateError;
use crate::discovery::{
    Address, Device, Origin, record_file,
    simulated::{self, Record},
};

/// Length of a short uuid.
const SHORT: usize = 7;
/// Addresses of simulated devices: 127.71.0.1 to 127.71.255.254.
const NETWORK: [u8; 2] = [127, 71];
/// How many addresses are tried for one device.
const TRIES: u32 = 256;

/// A simulated device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Host name; `<name>.local` in mDNS.
    pub name: String,
    /// 32 hex digits.
    pub uuid: String,
    /// Beginning of the uuid: keeps its containers apart from those of others, and names its folder.
    pub namespace: String,
    /// Loopback address of its API and of the ports that its services publish.
    pub address: Ipv4Addr,
    /// Device type slug.
    pub device_type: String,
    /// Architecture slug.
    pub arch: String,
    /// The engine that runs its containers.
    pub engine_socket: PathBuf,
    /// Whether its services may run privileged and in the host's network.
    pub allow_privileged: bool,
}

/// What a person asked for; absent means the usual.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wish {
    /// Host name.
    pub name: Option<String>,
    /// Device type slug.
    pub device_type: Option<String>,
    /// Architecture slug.
    pub arch: Option<String>,
    /// Whether services may run privileged and in the host's network.
    pub allow_privileged: bool,
}

/// The text cannot be the name of a device.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` cannot be the name of a device: use letters, digits and `-` inside, at most 63")]
pub struct InvalidName {
    /// What was typed.
    pub name: String,
}

impl Wish {
    /// Checks a host name and brings it to lower case.
    ///
    /// # Errors
    /// [`InvalidName`] when it is not a label of a host name.
    pub fn host_name(name: &str) -> Result<String, InvalidName> {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let good = (1..=63).contains(&name.len())
            && name.bytes().all(fits)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if good {
            Ok(name.to_ascii_lowercase())
        } else {
            Err(InvalidName {
                name: name.to_owned(),
            })
        }
    }
}

impl Identity {
    /// A new device. `random` makes its uuid; `taken` are the devices there are; `free` says whether an address can be used.
    /// `None` when its short uuid is taken: try again with other random bytes.
    ///
    /// # Errors
    /// [`SimulateError::NoAddress`].
    pub fn new(
        random: [u8; 16],
        wish: &Wish,
        engine_socket: &Path,
        taken: &[Self],
        free: impl Fn(Ipv4Addr) -> bool,
    ) -> Result<Option<Self>, SimulateError> {
        let uuid = hex(&random);
        let namespace: String = uuid.chars().take(SHORT).collect();
        let name = wish.name.clone().unwrap_or_else(|| namespace.clone());
        if taken
            .iter()
            .any(|other| other.namespace == namespace || other.name == name)
        {
            return Ok(None);
        }
        let mut last = Ipv4Addr::LOCALHOST;
        let address = addresses(random).find(|address| {
            last = *address;
            taken.iter().all(|other| other.address != *address) && free(*address)
        });
        let arch = wish
            .arch
            .clone()
            .unwrap_or_else(|| machine_arch().to_owned());
        Ok(Some(Self {
            name,
            namespace,
            address: address.ok_or(SimulateError::NoAddress { last })?,
            device_type: wish
                .device_type
                .clone()
                .unwrap_or_else(|| usual_device_type(&arch)),
            arch,
            engine_socket: engine_socket.to_path_buf(),
            allow_privileged: wish.allow_privileged,
            uuid,
        }))
    }

    /// A device of which nothing but its folder can be read: enough to remove what it left.
    fn remains(namespace: &str) -> Self {
        Self {
            name: namespace.to_owned(),
            uuid: namespace.to_owned(),
            namespace: namespace.to_owned(),
            address: Ipv4Addr::UNSPECIFIED,
            device_type: String::new(),
            arch: String::new(),
            engine_socket: PathBuf::new(),
            allow_privileged: false,
        }
    }

    /// In what the device differs from a wish.
    #[must_use]
    pub fn differs(&self, wish: &Wish) -> Option<String> {
        let other = |what: &str, has: &str, wished: &Option<String>| {
            wished
                .as_ref()
                .filter(|wished| *wished != has)
                .map(|_| format!("{what} {has}"))
        };
        other("device type", &self.device_type, &wish.device_type)
            .or_else(|| other("architecture", &self.arch, &wish.arch))
            .or_else(|| {
                (wish.allow_privileged && !self.allow_privileged)
                    .then(|| "nothing privileged allowed".to_owned())
            })
    }

    /// The device as other commands reach it.
    #[must_use]
    pub fn device(&self, folder: &Path) -> Device {
        Device {
            name: self.name.clone(),
            uuid: Some(self.uuid.clone()),
            addresses: vec![Address {
                ip: self.address.into(),
                scope: 0,
            }],
            api_port: agent_api::API_PORT,
            engine_port: agent_api::ENGINE_PORT,
            ssh_port: agent_api::SSH_PORT,
            device_type: Some(self.device_type.clone()),
            os_version: Some(os_version()),
            agent_version: None,
            variant: Some("development".to_owned()),
            ssh_fingerprint: None,
            origin: Origin::Simulated {
                agent_socket: self.folder(folder).socket(),
                engine_socket: self.engine_socket.clone(),
            },
        }
    }

    /// Where its files are, below the folder of all simulated devices.
    #[must_use]
    pub fn folder(&self, folder: &Path) -> Folder {
        Folder(folder.join(&self.namespace))
    }

    /// Its record, when there is one.
    #[must_use]
    pub fn record(&self, folder: &Path) -> Option<Record> {
        let (records, _) = simulated::load(folder).ok()?;
        records
            .into_iter()
            .find(|record| record.namespace == self.namespace)
    }
}

/// The files of one device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder itself.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the device is.
    #[must_use]
    pub fn identity(&self) -> PathBuf {
        self.0.join("identity.json")
    }

    /// The agent's state.
    #[must_use]
    pub fn state(&self) -> PathBuf {
        self.0.join("state")
    }

    /// Folders that are mounted into services.
    #[must_use]
    pub fn services(&self) -> PathBuf {
        self.0.join("services")
    }

    /// What the agent wrote to its standard streams.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("agent.log")
    }

    /// The agent's socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// Where the agent says that it is ready; there only while it starts.
    #[must_use]
    pub fn ready(&self) -> PathBuf {
        self.0.join("ready.sock")
    }

    /// The agent's `config.json`; there is none, so that it does not look for one of the machine.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.0.join("config.json")
    }
}

/// The devices of a folder. One whose file cannot be read is known by its folder's name alone.
pub(super) fn load_all(folder: &Path) -> Result<Vec<Identity>, SimulateError> {
    let failed = |source| SimulateError::Folder {
        folder: folder.to_path_buf(),
        source,
    };
    let entries = match fs_err::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let Some(namespace) = name.to_str().filter(|name| is_namespace(name)) else {
            continue;
        };
        if !entry.path().is_dir() {
            continue;
        }
        let file = Folder(entry.path()).identity();
        let identity = record_file::read::<Identity>(&file).ok().flatten();
        found.push(
            identity
                .filter(|identity| identity.namespace == namespace)
                .unwrap_or_else(|| Identity::remains(namespace)),
        );
    }
    found.sort_by(|a, b| a.namespace.cmp(&b.namespace));
    Ok(found)
}

fn is_namespace(name: &str) -> bool {
    name.len() == SHORT && name.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Addresses to try for a device, in an order of its own so that two devices rarely want the same one.
fn addresses(random: [u8; 16]) -> impl Iterator<Item = Ipv4Addr> {
    const HOSTS: u32 = 256 * 254;
    let [.., a, b, c, d] = random;
    let start = u32::from_be_bytes([a, b, c, d]) % HOSTS;
    (0..TRIES).map(move |step| {
        // The factor has no divisor in common with the number of hosts: no address comes twice.
        let host = (start + step * 7919) % HOSTS;
        let [_, _, third, _] = ((host / 254) << 8).to_be_bytes();
        let [.., fourth] = (host % 254 + 1).to_be_bytes();
        let [first, second] = NETWORK;
        Ipv4Addr::new(first, second, third, fourth)
    })
}

/// This machine's architecture as device types call it.
#[must_use]
pub fn machine_arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "x86" => "i386",
        "arm" => "armv7hf",
        // `aarch64` is called the same.
        other => other,
    }
}

/// The device type that stands for any device of an architecture.
#[must_use]
pub fn usual_device_type(arch: &str) -> String {
    match arch {
        "armv7hf" => "generic-armv7ahf".to_owned(),
        "rpi" => "raspberry-pi".to_owned(),
        "i386" => "qemux86".to_owned(),
        other => format!("generic-{other}"),
    }
}

/// What a simulated device says about its operating system.
pub(super) fn os_version() -> String {
    concat!("os ", env!("CARGO_PKG_VERSION"), " (simulated)").to_owned()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 0xf])
        .filter_map(|digit| char::from_digit(digit.into(), 16))
        .collect()
}

#[cfg(test)]
mod tests;
