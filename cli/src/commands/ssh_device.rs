//! Devices as plain `ssh` is told of them: from a name to a uuid, and from a uuid to addresses.

use std::path::Path;

use crate::{
    agent::{Agent, Kind as AgentKind},
    commands::{Context, identify},
    discovery::{self, Device, DiscoveryError, Memory, Places, Selector},
    failure::Failure,
    transport::ssh::{
        Named, PrivateFile,
        host_keys::{HostName, InvalidHostName, Store},
    },
};

/// What follows the name of a device.
const SUFFIX: &str = ".os";

/// Names and host keys, in the folder that both lie in.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) names: PrivateFile,
    pub(super) keys: Store,
}

impl Kept {
    pub(super) fn below(folder: &Path) -> Self {
        Self {
            names: PrivateFile::new(folder.join("names")),
            keys: Store::new(folder.join("known_hosts")),
        }
    }
}

/// The device's part of a name as `ssh` was given it.
pub(super) fn label(name: &str) -> &str {
    name.strip_suffix(SUFFIX).unwrap_or(name)
}

/// Under which name a device's host key is kept, and where its SSH server listens.
pub(super) fn named(device: &Device) -> Result<Named, InvalidHostName> {
    let name = device.uuid.as_deref().unwrap_or(&device.name);
    Ok(Named {
        device: HostName::device(name)?,
        port: device.ssh_port,
    })
}

/// Where a device is. An address of before is believed only if its agent says that it is still that device, or if nobody in the network
/// says better: addresses move between devices, and another one's host key would look like an attack.
pub(super) async fn find(context: &Context, selector: &Selector) -> Result<Device, Failure> {
    let places = Places::below(&context.environment.paths.state);
    let network = discovery::resolve(&places, selector, Memory::Ignore);
    let memory = async {
        let device = discovery::resolve(&places, selector, Memory::Use)
            .await
            .ok()?;
        let proof = prove(&device).await;
        Some((device, proof))
    };
    tokio::pin!(network, memory);
    let found = tokio::select! {
        found = &mut network => match found {
            Err(error @ DiscoveryError::NotFound { .. }) => match memory.await {
                Some((device, Proof::Same | Proof::None)) => Ok(device),
                Some((_, Proof::Another)) | None => Err(error),
            },
            found => found,
        },
        remembered = &mut memory => match remembered {
            Some((device, Proof::Same)) => Ok(device),
            Some((device, Proof::None)) => match network.await {
                Err(DiscoveryError::NotFound { .. }) => Ok(device),
                found => found,
            },
            Some((_, Proof::Another)) | None => network.await,
        },
    };
    Ok(found?)
}

/// Whether what answers at a device's address says that it is that device. It is no proof against an enemy; the host key is.
enum Proof {
    Same,
    Another,
    None,
}

async fn prove(device: &Device) -> Proof {
    let Some(uuid) = &device.uuid else {
        return Proof::None;
    };
    let agent = Agent::new(device.name.clone(), identify::tcp(device, device.api_port));
    match agent.detect().await {
        Ok(AgentKind::Ours(info)) if info.uuid == *uuid => Proof::Same,
        Ok(AgentKind::Ours(_)) => Proof::Another,
        Ok(AgentKind::Reference { .. }) | Err(_) => Proof::None,
    }
}
