//! Keeps what a simulated device runs away from the workstation under it.
//!
//! Every wish that reaches out of a container is taken away here and said in a warning; ports are published on the
//! device's own loopback address. `--allow-privileged` leaves the wishes; names and addresses stay apart in any case.

use std::collections::BTreeSet;

use crate::model::{Confinement, ImageFacts, NetworkSpec, PortBinding, VolumeSpec};
use crate::target::compose::{Composition, NetworkMode};

/// The wishes of a service as far as a simulated device grants them.
pub(super) fn composition(
    mut wish: Composition,
    image: &ImageFacts,
    confinement: Option<&Confinement>,
) -> Composition {
    let Some(confinement) = confinement else {
        return wish;
    };
    if !confinement.allow_privileged {
        host_network(&mut wish, image);
        take_rights(&mut wish);
    }
    let address = confinement.address.to_string();
    let publish = |port: PortBinding| PortBinding {
        host_ip: address.clone(),
        ..port
    };
    wish.ports = std::mem::take(&mut wish.ports)
        .into_iter()
        .map(publish)
        .collect();
    wish
}

/// Instead of the workstation's network the app's own bridge, on which every port that the image exposes is published.
fn host_network(wish: &mut Composition, image: &ImageFacts) {
    if wish.network_mode != Some(NetworkMode::Host) {
        return;
    }
    wish.network_mode = None;
    wish.networks.clear();
    for (port, protocol) in &image.exposed_ports {
        let taken = |p: &PortBinding| p.host == Some(*port) && p.protocol == *protocol;
        if !wish.ports.iter().any(taken) {
            wish.ports.insert(PortBinding {
                container: *port,
                protocol: protocol.clone(),
                host_ip: String::new(),
                host: Some(*port),
            });
        }
    }
    warn(wish, "network_mode: host");
}

fn take_rights(wish: &mut Composition) {
    let empty = BTreeSet::is_empty;
    let binds = wish.volumes.len();
    wish.volumes.retain(|volume| !volume.is_bind());
    let foreign = |mode: &mut Option<String>| {
        mode.take_if(|mode| *mode == "host" || mode.starts_with("container:"))
            .is_some()
    };
    let taken = [
        ("privileged", wish.privileged.take() == Some(true)),
        ("pid", wish.pid.take().is_some_and(|pid| !pid.is_empty())),
        ("ipc", foreign(&mut wish.ipc)),
        ("userns_mode", wish.userns_mode.take().is_some()),
        ("cgroup_parent", wish.cgroup_parent.take().is_some()),
        ("a bind mount", wish.volumes.len() < binds),
        ("devices", !empty(&std::mem::take(&mut wish.devices))),
        ("cap_add", !empty(&std::mem::take(&mut wish.cap_add))),
        (
            "security_opt",
            !empty(&std::mem::take(&mut wish.security_opt)),
        ),
        (
            "oom_score_adj",
            wish.oom_score_adj.take_if(|score| *score < 0).is_some(),
        ),
        (
            "oom_kill_disable",
            wish.oom_kill_disable.take() == Some(true),
        ),
    ];
    for (key, _) in taken.into_iter().filter(|(_, was_set)| *was_set) {
        warn(wish, key);
    }
}

fn warn(wish: &mut Composition, key: &str) {
    wish.warnings.push(format!(
        "{key} has no effect on a simulated device without --allow-privileged"
    ));
}

/// Drivers other than the bridge, and its options, reach the workstation's own interfaces.
pub(super) fn network(
    name: &str,
    mut spec: NetworkSpec,
    confinement: Option<&Confinement>,
    warnings: &mut Vec<String>,
) -> NetworkSpec {
    if confinement.is_some_and(|c| !c.allow_privileged) {
        let driver = spec.driver.take_if(|driver| *driver != "bridge").is_some();
        let ipam = spec.ipam_driver.take_if(|d| *d != "default").is_some();
        if driver | ipam | !std::mem::take(&mut spec.driver_opts).is_empty() {
            warnings.push(outside("network", name));
        }
    }
    spec
}

/// A driver's options can name a folder of the workstation.
pub(super) fn volume(
    name: &str,
    mut spec: VolumeSpec,
    confinement: Option<&Confinement>,
    warnings: &mut Vec<String>,
) -> VolumeSpec {
    if confinement.is_some_and(|c| !c.allow_privileged) {
        let driver = spec.driver.take_if(|driver| *driver != "local").is_some();
        if driver | !std::mem::take(&mut spec.driver_opts).is_empty() {
            warnings.push(outside("volume", name));
        }
    }
    spec
}

fn outside(kind: &str, name: &str) -> String {
    format!(
        "driver and options of the {kind} {name} have no effect on a simulated device without --allow-privileged"
    )
}
