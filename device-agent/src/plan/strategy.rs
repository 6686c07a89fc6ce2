//! How a service's container gives way to a new one.

use std::collections::BTreeMap;

use crate::model::{Millis, Observed, ObservedContainer, ServiceConfig, labels};

use super::survey::ServiceSurvey;

/// Label with the strategy of a service.
const STRATEGY: &str = "io.balena.update.strategy";
/// Label with the longest time of a hand-over, in milliseconds.
const TIMEOUT: &str = "io.balena.update.handover-timeout";
/// Label that holds a new container back until the device was started anew.
const REQUIRES_REBOOT: &str = "io.balena.update.requires-reboot";
/// The reference's default.
const DEFAULT_TIMEOUT: Millis = 60_000;

/// See the module. An unknown name means the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Strategy {
    /// All images are fetched; then the old container goes and the new one comes.
    #[default]
    DownloadThenKill,
    /// The old container goes; then the image is fetched: for devices without room for both.
    KillThenDownload,
    /// The old container and its image go; then the image is fetched.
    DeleteThenDownload,
    /// Both run until the new one says that it has taken over, or until a time has passed.
    HandOver,
}

/// Why a container goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Reason {
    /// The service's configuration changed.
    Changed(String),
    /// Something that no second container beside it can stand.
    Other(String),
}

impl Reason {
    pub(super) fn words(&self) -> &str {
        match self {
            Self::Changed(words) | Self::Other(words) => words,
        }
    }
}

impl Strategy {
    pub(super) fn of(service_labels: &BTreeMap<String, String>) -> Self {
        let labels = labels::renamed(service_labels);
        match labels.get(STRATEGY).map(String::as_str) {
            Some("kill-then-download") => Self::KillThenDownload,
            Some("delete-then-download") => Self::DeleteThenDownload,
            Some("hand-over") => Self::HandOver,
            _ => Self::DownloadThenKill,
        }
    }

    /// Whether the old container goes before the image is fetched.
    pub(super) fn kills_first(self) -> bool {
        matches!(self, Self::KillThenDownload | Self::DeleteThenDownload)
    }
}

/// How long a hand-over may take, in milliseconds.
pub(super) fn timeout(service_labels: &BTreeMap<String, String>) -> Millis {
    labels::renamed(service_labels)
        .get(TIMEOUT)
        .and_then(|text| text.trim().parse().ok())
        .filter(|timeout| *timeout >= 0)
        .unwrap_or(DEFAULT_TIMEOUT)
}

/// Whether a container is not to be started in the run of the machine in which it was created.
pub(super) fn requires_restart(container: &ObservedContainer) -> bool {
    let value = container.config.labels.get(REQUIRES_REBOOT);
    value.is_some_and(|value| labels::is_on(value)) && !container.ever_started
}

/// Whether a new container of a service waits for the next start of the machine.
pub(super) fn waits_for_restart(observed: &Observed, container: &ObservedContainer) -> bool {
    requires_restart(container) && observed.created_since_boot.contains(&container.id)
}

/// Whether the old container may run beside the new one: nothing that only one of them can have is in both.
pub(super) fn can_hand_over(service: &ServiceSurvey<'_>, old: &ObservedContainer) -> bool {
    let Some(new) = &service.desired else {
        return false;
    };
    service.strategy == Strategy::HandOver
        && service.predecessor.is_none()
        && service.service.running
        && !have_same_port(&old.config, new)
        && !have_same_address(&old.config, new)
}

fn have_same_port(old: &ServiceConfig, new: &ServiceConfig) -> bool {
    let fixed = |config: &ServiceConfig| -> Vec<(u16, String)> {
        let ports = config.ports.iter();
        ports
            .filter_map(|port| Some((port.host?, port.protocol.clone())))
            .collect()
    };
    let new = fixed(new);
    fixed(old).iter().any(|port| new.contains(port))
}

fn have_same_address(old: &ServiceConfig, new: &ServiceConfig) -> bool {
    old.networks.iter().any(|(name, old)| {
        new.networks.get(name).is_some_and(|new| {
            let same = |a: &Option<String>, b: &Option<String>| a.is_some() && a == b;
            same(&old.ipv4_address, &new.ipv4_address) || same(&old.ipv6_address, &new.ipv6_address)
        })
    }) || (!old.mac_address.is_empty() && old.mac_address == new.mac_address)
}
