//! Feature labels: what `io.balena.features.…` on a service gives it of the device.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::compose::mounts::clean;

use super::resource::API_GATEWAY;
use crate::model::{
    DeviceFacts, DeviceRequest, EXTRA_FIRMWARE, ImageFacts, Mount, MountSource, Service, labels,
};
use crate::target::compose::{Composition, NetworkMode};

const PREFIX: &str = "io.balena.features.";

/// Where services find the engine's socket.
pub(super) const ENGINE_SOCKET: &str = "/host/run/balena-engine.sock";
/// Where older services find it.
const OLDER_ENGINE_SOCKET: &str = "/var/run/balena.sock";
/// Writing to config.json is not done yet.
const NOT_TOLD: &str = "the volume extra-firmware is mounted, but the operating system is not told of it: it looks for firmware \
                        there once os.kernel.extraFirmwareVol in config.json names the volume";

/// Something of the device that a service may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Feature {
    /// The system's message bus.
    Dbus,
    /// The kernel's modules.
    KernelModules,
    /// Firmware files.
    Firmware,
    /// The agent's API.
    AgentApi,
    /// Address and key of the cloud.
    CloudApi,
    /// The host's journal, to be read.
    JournalLogs,
    /// The kernel's devices and settings.
    Sysfs,
    /// The host's processes.
    Procfs,
    /// The engine.
    EngineSocket,
    /// A graphics processor.
    Gpu,
    /// The revision of the board that the operating system was made for.
    BoardRev,
    /// Firmware that services bring along.
    ExtraFirmware,
}

/// The features of one service.
#[derive(Debug, Clone, Default)]
pub(super) struct Features {
    /// Those that take effect.
    pub(super) on: BTreeSet<Feature>,
    /// Address of the agent's API as the service reaches it.
    pub(super) api_host: Option<String>,
    /// Whether the service is attached to the agent's network.
    pub(super) api_network: bool,
}

impl Feature {
    fn by_label(key: &str) -> Option<Self> {
        if key == labels::AGENT_API {
            return Some(Self::AgentApi);
        }
        Some(match key.strip_prefix(PREFIX)? {
            "dbus" => Self::Dbus,
            "kernel-modules" => Self::KernelModules,
            "firmware" => Self::Firmware,
            "balena-api" => Self::CloudApi,
            "journal-logs" => Self::JournalLogs,
            "sysfs" => Self::Sysfs,
            "procfs" => Self::Procfs,
            "balena-socket" => Self::EngineSocket,
            "gpu" => Self::Gpu,
            "host-os.board-rev" => Self::BoardRev,
            "extra-firmware" => Self::ExtraFirmware,
            _ => return None,
        })
    }

    /// Binds in the short form: what the host lacks is made by the engine, as a folder.
    pub(super) fn binds(self) -> &'static [&'static str] {
        match self {
            Self::Dbus => &["/run/dbus:/host/run/dbus"],
            Self::KernelModules => &["/lib/modules:/lib/modules"],
            Self::Firmware => &["/lib/firmware:/lib/firmware"],
            Self::JournalLogs => &[
                "/var/log/journal:/var/log/journal:ro",
                "/run/log/journal:/run/log/journal:ro",
                "/etc/machine-id:/etc/machine-id:ro",
            ],
            Self::Sysfs => &["/sys:/sys"],
            Self::Procfs => &["/proc:/proc"],
            _ => &[],
        }
    }

    /// Mounts in the long form: what the host lacks is an error.
    pub(super) fn mounts(self, device: &DeviceFacts) -> Vec<Mount> {
        let mount = |target: &str, source: MountSource| Mount {
            target: target.to_owned(),
            read_only: false,
            source,
        };
        match self {
            Self::EngineSocket => {
                let socket = device.host.engine_socket.as_str();
                let targets = BTreeSet::from([ENGINE_SOCKET, socket, OLDER_ENGINE_SOCKET]);
                let bind = |target: &str| {
                    mount(
                        target,
                        MountSource::Bind {
                            source: socket.to_owned(),
                            propagation: None,
                        },
                    )
                };
                targets.into_iter().map(bind).collect()
            }
            Self::ExtraFirmware => vec![mount(
                "/extra-firmware",
                MountSource::Volume {
                    name: EXTRA_FIRMWARE.to_owned(),
                    no_copy: false,
                },
            )],
            _ => Vec::new(),
        }
    }

    /// Devices that the engine is to choose.
    pub(super) fn device_request(self) -> Option<DeviceRequest> {
        (self == Self::Gpu).then(|| DeviceRequest {
            count: 1,
            capabilities: vec![vec!["gpu".to_owned()]],
            ..DeviceRequest::default()
        })
    }
}

impl Features {
    /// Where in the container they mount something, cleaned.
    pub(super) fn mount_points(&self, device: &DeviceFacts) -> BTreeSet<String> {
        let binds = self.on.iter().flat_map(|feature| feature.binds());
        let binds = binds.filter_map(|bind| bind.split(':').nth(1).map(clean));
        let mounts = self.on.iter().flat_map(|feature| feature.mounts(device));
        binds
            .chain(mounts.map(|mount| clean(&mount.target)))
            .collect()
    }
}

/// Whether the service talks to the agent, by its own word or its image's, so that it needs a key of its own.
pub(crate) fn wants_api_key(service: &Service, image: Option<&ImageFacts>) -> bool {
    asks_for_api(&super::labels::asked(service, image))
}

/// Whether labels, in the newer spelling, turn the agent's API on.
pub(crate) fn asks_for_api(given: &BTreeMap<String, String>) -> bool {
    given
        .get(labels::AGENT_API)
        .is_some_and(|value| labels::is_on(value))
}

/// The features that the labels turn on. What has no effect is warned about.
pub(super) fn of(
    device: &DeviceFacts,
    labels: &BTreeMap<String, String>,
    wish: &Composition,
    warnings: &mut Vec<String>,
) -> Features {
    let mut features = Features::default();
    for (key, value) in labels {
        let Some(name) = key.strip_prefix(PREFIX).filter(|_| labels::is_on(value)) else {
            continue;
        };
        match Feature::by_label(key) {
            Some(Feature::AgentApi) => agent_api(device, wish, &mut features, warnings),
            Some(feature) if may(device, feature) => {
                features.on.insert(feature);
                if feature == Feature::ExtraFirmware {
                    warnings.push(NOT_TOLD.to_owned());
                }
            }
            Some(_) if device.confinement.is_some() => {
                warnings.push(format!(
                    "the feature {name} has no effect on a simulated device"
                ));
            }
            // The host has nothing to give: no fault of the project's, and the reference passes over it, too.
            Some(_) => {}
            None if name.starts_with("requires.") || name == "optional" => {}
            None => warnings.push(format!("the feature {name} has no effect on this device")),
        }
    }
    features
}

/// Whether the device has what a feature needs, and may give it away.
fn may(device: &DeviceFacts, feature: Feature) -> bool {
    let host = device
        .confinement
        .as_ref()
        .is_none_or(|confinement| confinement.allow_privileged);
    match feature {
        Feature::Dbus | Feature::JournalLogs | Feature::Sysfs | Feature::Procfs | Feature::Gpu => {
            host
        }
        Feature::KernelModules => host && device.kernel_modules,
        Feature::Firmware => host && device.firmware,
        Feature::EngineSocket => host && !device.host.engine_socket.is_empty(),
        // One volume for all of a host's devices would not keep them apart.
        Feature::ExtraFirmware => device.confinement.is_none(),
        Feature::BoardRev => device.host.board_rev.is_some(),
        Feature::AgentApi | Feature::CloudApi => true,
    }
}

/// On a device the agent is reached over its own network, or on loopback from the host's. A simulated device answers on
/// one address of the workstation's loopback, which no bridged container reaches.
fn agent_api(
    device: &DeviceFacts,
    wish: &Composition,
    features: &mut Features,
    warnings: &mut Vec<String>,
) {
    let host = wish.network_mode == Some(NetworkMode::Host);
    features.api_host = match (&device.confinement, host) {
        (None, true) => Some("127.0.0.1".to_owned()),
        (None, false) => Some(API_GATEWAY.to_owned()),
        (Some(confinement), true) => Some(confinement.address.to_string()),
        (Some(_), false) => {
            warnings.push(
                "the feature supervisor-api has no effect in a bridged network of a simulated device"
                    .to_owned(),
            );
            None
        }
    };
    features.api_network = device.confinement.is_none()
        && matches!(
            wish.network_mode,
            None | Some(NetworkMode::Bridge | NetworkMode::Named(_))
        );
    if features.api_host.is_some() {
        features.on.insert(Feature::AgentApi);
    }
}
