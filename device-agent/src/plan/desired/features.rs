//! Feature labels: what `io.balena.features.…` on a service gives it of the device.

use std::collections::{BTreeMap, BTreeSet};

use super::resource::API_GATEWAY;
use crate::model::{DeviceFacts, Service, labels};
use crate::target::compose::{Composition, NetworkMode};

const PREFIX: &str = "io.balena.features.";

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
    fn by_name(name: &str) -> Option<Self> {
        Some(match name {
            "dbus" => Self::Dbus,
            "kernel-modules" => Self::KernelModules,
            "firmware" => Self::Firmware,
            "supervisor-api" => Self::AgentApi,
            "balena-api" => Self::CloudApi,
            _ => return None,
        })
    }

    /// Bind that the feature adds.
    pub(super) fn bind(self) -> Option<&'static str> {
        match self {
            Self::Dbus => Some("/run/dbus:/host/run/dbus"),
            Self::KernelModules => Some("/lib/modules:/lib/modules"),
            Self::Firmware => Some("/lib/firmware:/lib/firmware"),
            Self::AgentApi | Self::CloudApi => None,
        }
    }
}

/// Whether the service talks to the agent, so that it needs a key of its own.
pub(crate) fn wants_api_key(service: &Service) -> bool {
    labels::renamed(&service.labels)
        .iter()
        .any(|(key, value)| key == "io.balena.features.supervisor-api" && is_on(value))
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
        let Some(name) = key.strip_prefix(PREFIX).filter(|_| is_on(value)) else {
            continue;
        };
        match Feature::by_name(name) {
            Some(Feature::AgentApi) => agent_api(device, wish, &mut features, warnings),
            Some(feature) if may(device, feature) => {
                features.on.insert(feature);
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

fn is_on(value: &str) -> bool {
    matches!(value, "1" | "true" | "on")
}

fn may(device: &DeviceFacts, feature: Feature) -> bool {
    let host = device
        .confinement
        .as_ref()
        .is_none_or(|confinement| confinement.allow_privileged);
    match feature {
        Feature::Dbus => host,
        Feature::KernelModules => host && device.kernel_modules,
        Feature::Firmware => host && device.firmware,
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
