//! The parts of the system, each a few keys of config.json.
//!
//! | part | files | units |
//! | --- | --- | --- |
//! | `hostname` | `/run/os/hostname` | Avahi |
//! | `development` | `/run/os/development` (only in development mode), `/run/os/engine.env` | the engine, `development-features.target` |
//! | `ssh` | `/run/os/ssh.env`, `/run/os/ssh/authorized_keys` | none: a server is started for each session |
//! | `journal` | `/run/systemd/journald.conf.d/os.conf`, `/run/os/persistent-logging` (only when it is) | journald, `os-persistent-logging` |
//! | `name-servers` | `/run/dnsmasq.servers` | dnsmasq |
//! | `time-servers` | `/run/os/chrony/config.sources` | chrony |
//! | `country` | `/run/os/country.env` | `os-country` |
//! | `network` | `/run/NetworkManager/conf.d/os.conf` | `NetworkManager` |
//! | `udev` | `/run/udev/rules.d/NAME.rules` | udev, and its trigger |
//! | `root-certificates` | `/run/os/certificates/balenaRootCA.crt` | the engine |
//! | `fan`, `power`, `firmware` | `/run/os/{fan-profile,power-mode,firmware}.env` | `os-fan-profile`, `os-power-mode`, `os-extra-firmware` |
//! | `vpn` | `/var/volatile/vpn-auth` | `OpenVPN` |
//! | `os-config` | none | `os-config` |
//! | `agent` | none: it reads config.json itself | the agent |
//!
//! Almost everything lies below `/run`: it is made anew from config.json at every start, so that neither a read-only root nor a
//! full state partition is in its way. In: a [`Config`]. Out: [`Part`]s. Pure.

mod access;
mod cloud;
mod machine;
mod network;

use super::config::Config;
use super::files::CLOSED;
use super::plan::{Deed, Part, PlannedFile, UnitDeed};

/// For everybody.
const OPEN: u32 = 0o644;

const AVAHI: &str = "avahi-daemon.service";
const ENGINE: &str = "balena.service";
const AGENT: &str = "os-agent.service";

/// All parts.
pub(super) fn all(config: &Config, uuid: &str, hostname: &str) -> Vec<Part> {
    vec![
        machine::journal(config),
        machine::udev(config),
        machine::hostname(hostname),
        network::name_servers(config),
        network::time_servers(config),
        network::country(config),
        network::watch(config),
        cloud::root_certificates(config),
        access::ssh(config),
        access::development(config),
        machine::fan(config),
        machine::power(config),
        machine::firmware(config),
        cloud::vpn(config, uuid),
        cloud::os_config(config),
        cloud::agent(config, uuid, hostname),
    ]
}

fn part(name: &'static str, keys: &'static str) -> Part {
    Part {
        name,
        keys,
        files: Vec::new(),
        input: Vec::new(),
        units: Vec::new(),
    }
}

impl Part {
    fn file(mut self, path: impl Into<String>, mode: u32, content: impl Into<Vec<u8>>) -> Self {
        self.files.push(PlannedFile {
            path: path.into(),
            mode,
            content: content.into(),
        });
        self
    }

    fn file_if(self, wanted: bool, path: &str, content: &str) -> Self {
        if wanted {
            self.file(path, OPEN, content)
        } else {
            self
        }
    }

    fn unit(mut self, deed: Deed, unit: &'static str) -> Self {
        self.units.push(UnitDeed { unit, deed });
        self
    }
}

/// A line of a file that a unit takes its environment from. The values hold no character that means something there.
fn assignment(name: &str, value: Option<&str>) -> String {
    format!("{name}={}\n", value.unwrap_or_default())
}
