//! `os ssh-forget`: host keys that do not count any more.

use std::collections::BTreeSet;

use super::{
    plainly::Plainly,
    ssh_device::{KnownDevices, label, named},
};
use crate::{
    commands::Context,
    discovery::{
        Device, Places, Selector,
        remembered::{self, Remembered},
        selector::Target,
        simulated,
    },
    failure::{Failure, Kind},
    transport::ssh::{HostKey, Names, host_keys::HostName},
    ui::render,
};

/// Removes the host keys that are kept of a device
///
/// After a reflash a device has a new key, and is refused until the old one is removed. The next connection shows the new key and asks.
/// If nobody has made the device anew, somebody else may be answering in its place: do not remove the key then.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Name, name.local, name.os, uuid or its beginning; or address:port of a host that is no device
    device: String,
}

/// Removes.
pub fn run(context: &Context, args: &Args) -> Result<(), Failure> {
    let paths = &context.environment.paths;
    let kept = KnownDevices::below(&paths.ssh());
    let hosts = meant(context, &kept, &args.device)?;
    let was_announced = unannounce(context, &hosts);
    let forgotten = forget(&kept, &Plainly::below(&paths.ssh()), hosts)?;
    if forgotten.is_empty() && !was_announced {
        let message = format!("no host key of `{}` is kept", args.device);
        return Err(Failure::new(Kind::Device, message).hint(format!(
            "the keys that are kept, by uuid: {}",
            kept.keys.path().display()
        )));
    }
    render::ssh_forget::forgotten(&context.console, &args.device, &forgotten)?;
    Ok(())
}

/// Removes all that is kept of a device that is no more, by its uuid: another one may get its name.
pub(super) fn forget_device(context: &Context, uuid: &str) -> Result<(), Failure> {
    let hosts: BTreeSet<HostName> = HostName::device(uuid).into_iter().collect();
    unannounce(context, &hosts);
    forget_hosts(context, hosts)
}

/// Removes the keys that are kept under these names.
pub(super) fn forget_hosts(context: &Context, hosts: BTreeSet<HostName>) -> Result<(), Failure> {
    let folder = context.environment.paths.ssh();
    forget(
        &KnownDevices::below(&folder),
        &Plainly::below(&folder),
        hosts,
    )?;
    Ok(())
}

/// Removes keys, names and marks; returns the keys.
fn forget(
    kept: &KnownDevices,
    plainly: &Plainly,
    hosts: BTreeSet<HostName>,
) -> Result<Vec<(HostName, HostKey)>, Failure> {
    let mut forgotten = Vec::new();
    for host in hosts {
        // The next device of this name may let us in.
        plainly.forget(host.as_str())?;
        for pinned in kept.keys.forget(&host)? {
            forgotten.push((host.clone(), pinned.key));
        }
        if Names::parse(&kept.names.text()?)
            .iter()
            .any(|(_, named)| named.device == host)
        {
            let known = kept.keys.load()?;
            kept.names.change(|text| {
                let mut names = Names::parse(text);
                names.forget(&host);
                (Some(names.text(&known)), ())
            })?;
        }
    }
    Ok(forgotten)
}

/// What they announced when they were seen last was the key of before: it would speak against the next one.
/// Whether there was one.
fn unannounce(context: &Context, hosts: &BTreeSet<HostName>) -> bool {
    let places = Places::below(&context.environment.paths.state);
    let seen = Remembered::peek(&places.remembered);
    let meant = seen.devices().iter().filter(|device| {
        device.ssh_fingerprint.is_some()
            && named(device).is_ok_and(|named| hosts.contains(&named.device))
    });
    let meant: Vec<Device> = meant
        .map(|device| Device {
            ssh_fingerprint: None,
            ..device.clone()
        })
        .collect();
    if let Err(error) = remembered::learn(&places.remembered, &meant) {
        context.console.detail(&error.to_string());
        return false;
    }
    !meant.is_empty()
}

/// All under which keys of it may be kept. Nobody in the network is asked: the device need not be there.
fn meant(
    context: &Context,
    kept: &KnownDevices,
    typed: &str,
) -> Result<BTreeSet<HostName>, Failure> {
    let selector = Selector::parse(label(typed))?;
    let mut hosts = BTreeSet::new();
    let label = match &selector.target {
        Target::Label(label) => label,
        Target::Ip { ip, .. } => {
            let port = selector.port.unwrap_or(agent_api::SSH_PORT);
            hosts.extend(HostName::host(&ip.to_string(), port));
            return Ok(hosts);
        }
    };
    hosts.extend(HostName::device(label));
    let begins = |device: &HostName| {
        selector
            .uuid_prefix()
            .is_some_and(|prefix| device.as_str().starts_with(prefix))
    };
    for (name, named) in Names::parse(&kept.names.text()?).iter() {
        if self::label(name).eq_ignore_ascii_case(label) || begins(&named.device) {
            hosts.insert(named.device.clone());
        }
    }
    let places = Places::below(&context.environment.paths.state);
    let seen = Remembered::peek(&places.remembered);
    let (records, _) = simulated::load(&places.simulated).unwrap_or_default();
    let simulated = records.iter().map(|record| &record.device);
    let known = seen.devices().iter().chain(simulated);
    for device in known.filter(|device| selector.matches(device)) {
        hosts.extend(named(device).map(|named| named.device));
    }
    Ok(hosts)
}
