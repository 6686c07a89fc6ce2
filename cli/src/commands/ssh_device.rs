//! Devices as plain `ssh` is told of them: from a name to a uuid, and from a uuid to addresses.

use std::path::Path;

use crate::{
    agent::{Agent, Kind as AgentKind},
    commands::{Context, identify},
    discovery::{self, Device, DiscoveryError, Memory, Places, Selector},
    failure::Failure,
    transport::ssh::{
        Named, Names, PrivateFile,
        host_keys::{HostName, InvalidHostName, KnownHosts, Store},
    },
};

/// What follows the name of a device.
const SUFFIX: &str = ".os";

/// Names and host keys, in the folder that both lie in.
#[derive(Debug)]
pub(super) struct KnownDevices {
    pub(super) names: PrivateFile,
    pub(super) keys: Store,
}

impl KnownDevices {
    pub(super) fn below(folder: &Path) -> Self {
        Self {
            names: PrivateFile::new(folder.join("names")),
            keys: Store::new(folder.join("known_hosts")),
        }
    }

    /// The device that a name means already, if a key of it is kept: another one does not become it by taking the name.
    pub(super) fn bound(&self, typed: &str) -> Result<Option<Named>, Failure> {
        let names = Names::parse(&self.names.text()?);
        Ok(bound(&names, &self.keys.load()?, &full(typed)).cloned())
    }

    /// Lets a name mean a device whose key is kept, unless it means another one.
    pub(super) fn bind(&self, typed: &str, now: &Named) -> Result<(), Failure> {
        let known = self.keys.load()?;
        let name = full(typed);
        self.names.change(|text| {
            let mut names = Names::parse(text);
            let is_free = bound(&names, &known, &name).is_none();
            // What is no name for `ssh` is found anew every time.
            let is_set = is_free && names.set(&name, now.clone()).is_ok();
            let after = names.text(&known);
            ((is_set && after != text).then_some(after), ())
        })?;
        Ok(())
    }

    /// Lets a name mean nobody.
    pub(super) fn unbind(&self, typed: &str) -> Result<(), Failure> {
        let known = self.keys.load()?;
        let name = full(typed);
        self.names.change(|text| {
            let mut names = Names::parse(text);
            let was_there = names.unset(&name);
            (was_there.then(|| names.text(&known)), ())
        })?;
        Ok(())
    }
}

/// The device's part of a name as `ssh` was given it.
pub(super) fn label(name: &str) -> &str {
    name.strip_suffix(SUFFIX).unwrap_or(name)
}

/// What `ssh` is given for it.
fn full(typed: &str) -> String {
    format!("{}{SUFFIX}", label(typed))
}

/// What the name means already: the device of it whose key is kept.
pub(super) fn bound<'a>(names: &'a Names, known: &KnownHosts, name: &str) -> Option<&'a Named> {
    let meant = names.get(name)?;
    (!known.pinned(&meant.device).is_empty()).then_some(meant)
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
/// says better: addresses move between devices, and another one's host key would look like an attack. Who is not found may be somewhere else.
pub(super) async fn look(context: &Context, selector: &Selector) -> Result<Device, DiscoveryError> {
    let places = Places::below(&context.environment.paths.state);
    let network = discovery::resolve(&places, selector, Memory::Ignore);
    let memory = async {
        let device = discovery::resolve(&places, selector, Memory::Use)
            .await
            .ok()?;
        let proof = prove(&device).await;
        Some((device, proof))
    };
    let known = KnownDevices::below(&context.environment.paths.ssh())
        .keys
        .load();
    let known = known.unwrap_or_default();
    let is_pinned = |device: &Device| {
        let host = device.uuid.as_deref().map(HostName::device);
        host.is_some_and(|host| host.is_ok_and(|host| !known.pinned(&host).is_empty()))
    };
    tokio::pin!(network, memory);
    tokio::select! {
        found = &mut network => match found {
            Err(error @ DiscoveryError::NotFound { .. }) => match memory.await {
                Some((device, Proof::Same | Proof::None)) => Ok(device),
                Some((_, Proof::Another)) | None => Err(error),
            },
            found => found,
        },
        remembered = &mut memory => match remembered {
            // What one that is entered for the first time announces now is worth a wait.
            Some((device, Proof::Same)) if device.ssh_fingerprint.is_some() || is_pinned(&device) => Ok(device),
            Some((device, Proof::Same | Proof::None)) => match network.await {
                Err(DiscoveryError::NotFound { .. }) => Ok(device),
                found => found,
            },
            Some((_, Proof::Another)) | None => network.await,
        },
    }
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
