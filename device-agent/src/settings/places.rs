//! Where `os-agent configure` and `os-config` find and put things, by their flags and by the environment.

use std::path::{Path, PathBuf};

use super::{BUS_VARIABLE, ConfigureArguments, ENGINE_SOCKETS, variable};
use crate::configure::ConfigurePlaces;
use crate::health::HealthPlaces;
use crate::host::bus;
use crate::os_config::{self, Manager};

/// The reference's variables, of which its own tests and people's scripts know.
const CONFIG_JSON_VARIABLE: &str = "CONFIG_JSON_PATH_REDEFINE";
const FLASHER_CONFIG_JSON_VARIABLE: &str = "CONFIG_JSON_FLASHER_PATH_REDEFINE";
const FLASHER_FLAG_VARIABLE: &str = "FLASHER_FLAG_PATH_REDEFINE";
const OS_CONFIG_VARIABLE: &str = "OS_CONFIG_PATH_REDEFINE";
const ROUTE_VARIABLE: &str = "CONFIG_ROUTE_REDEFINE";
const MOCK_VARIABLE: &str = "MOCK_SYSTEMD";
/// Ours.
const STATE_VARIABLE: &str = "OS_CONFIG_STATE_REDEFINE";

/// The places of `os-config`. An image that only writes another one to a disk has its config.json elsewhere.
pub(crate) fn os_config() -> os_config::Places {
    let place = |name: &str, usual: &str| PathBuf::from(variable(name).unwrap_or(usual.to_owned()));
    let flag = place(FLASHER_FLAG_VARIABLE, "/mnt/boot/balena-image-flasher");
    let config_json = if flag.exists() {
        place(FLASHER_CONFIG_JSON_VARIABLE, "/mnt/boottmp/config.json")
    } else {
        place(CONFIG_JSON_VARIABLE, "/mnt/boot/config.json")
    };
    let root = PathBuf::from("/");
    let addresses = variable(BUS_VARIABLE);
    let bus = bus::socket(addresses.as_deref(), &root);
    os_config::Places {
        config_json,
        os_config_json: place(OS_CONFIG_VARIABLE, "/etc/os-config.json"),
        route: variable(ROUTE_VARIABLE).unwrap_or("/os/v1/config".to_owned()),
        state_dir: place(STATE_VARIABLE, "/mnt/state/os"),
        manager: match variable(MOCK_VARIABLE) {
            Some(_) => Manager::Mock,
            None => Manager::Bus(bus),
        },
        root,
    }
}

/// The places of `os-agent health`.
pub(crate) fn health() -> HealthPlaces {
    let root = PathBuf::from("/");
    let addresses = variable(BUS_VARIABLE);
    HealthPlaces {
        boot: root.join("mnt/boot"),
        state: root.join("mnt/state"),
        command_line: root.join("proc/cmdline"),
        engine: ENGINE_SOCKETS.iter().map(PathBuf::from).collect(),
        agent: PathBuf::from(agent_api::AGENT_SOCKET),
        bus: bus::socket(addresses.as_deref(), &root),
        root,
    }
}

/// The boot partition's file, below the root.
const CONFIG_JSON: &str = "mnt/boot/config.json";
/// The state partition's folder, below the root.
const STATE: &str = "mnt/state/os";

impl ConfigureArguments {
    /// The places. Units of an image do not run here.
    #[must_use]
    pub fn places(&self) -> ConfigurePlaces {
        let below = |path: &str| self.root.join(path);
        let is_image = self.root != Path::new("/");
        let addresses = variable(BUS_VARIABLE);
        let bus = bus::socket(addresses.as_deref(), &self.root);
        ConfigurePlaces {
            root: self.root.clone(),
            config_json: self.config.clone().unwrap_or_else(|| below(CONFIG_JSON)),
            state_dir: self.state.clone().unwrap_or_else(|| below(STATE)),
            bus: (!is_image && !self.no_restart).then_some(bus),
        }
    }
}
