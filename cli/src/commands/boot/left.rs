//! What is kept of a machine, which is not to outlast it: the next one has its name and its address, and other keys.

use std::collections::BTreeSet;

use crate::{
    commands::{
        Context,
        ssh_device::{KnownDevices, named},
        ssh_forget,
    },
    discovery::{
        Device, Places,
        machines::{self, Held},
        record_file::FileError,
    },
    failure::Failure,
    transport::ssh::host_keys::{HostName, KnownHosts},
};

/// Under which names others may keep a key of a machine. Noted before they can, for whoever comes after one that was killed.
#[derive(Debug)]
pub(super) struct Left {
    hosts: BTreeSet<HostName>,
    /// Keys of before it: these are of others, even where it shows the same ones.
    before: KnownHosts,
}

impl Left {
    /// Begins with what everybody knows of it.
    pub(super) fn new(
        context: &Context,
        held: &mut Held,
        device: &Device,
    ) -> Result<Self, Failure> {
        let mut left = Self {
            hosts: BTreeSet::new(),
            before: known(context).keys.load()?,
        };
        let by_address = device.addresses.iter();
        let hosts = by_address
            .filter_map(|address| HostName::host(&address.ip.to_string(), device.ssh_port).ok());
        left.extend(hosts);
        left.learn(held, device)?;
        Ok(left)
    }

    /// Notes what it has told of itself.
    pub(super) fn learn(&mut self, held: &mut Held, device: &Device) -> Result<(), Failure> {
        self.extend(named(device).map(|named| named.device));
        held.note(&Some(&self.hosts))?;
        Ok(())
    }

    fn extend(&mut self, hosts: impl IntoIterator<Item = HostName>) {
        for host in hosts {
            if self.before.pinned(&host).is_empty() {
                self.hosts.insert(host);
            }
        }
    }

    /// Removes it.
    pub(super) fn remove(mut self, context: &Context, held: &mut Held) -> Result<(), Failure> {
        // Whoever entered it before it was up, or where it never was, asked it himself which one it is.
        let bound = known(context).bound(held.name())?;
        self.extend(bound.map(|bound| bound.device));
        remove(context, held, self.hosts)
    }
}

/// Removes what those have left that were killed: the last one of this name, which has to succeed, and others.
pub(super) fn tidy(context: &Context, held: &mut Held) -> Result<(), Failure> {
    removed(context, held)?;
    let places = Places::below(&context.environment.paths.state);
    for name in machines::names(&places.machines) {
        let others = Held::take_free(&places.machines, &name).map_err(Failure::from);
        let tidied = others.and_then(|held| match held {
            Some(mut held) => removed(context, &mut held),
            None => Ok(()),
        });
        if let Err(failure) = tidied {
            context.console.detail(failure.message());
        }
    }
    Ok(())
}

fn removed(context: &Context, held: &mut Held) -> Result<(), Failure> {
    match held.noted() {
        Ok(None) => Ok(()),
        Ok(Some(hosts)) => remove(context, held, hosts),
        Err(error @ (FileError::Content { .. } | FileError::TooLarge { .. })) => {
            let name = held.name();
            context.console.warn(&format!(
                "{error}: if the key of {name} is refused, `os ssh-forget {name}` removes that of the last one"
            ));
            remove(context, held, BTreeSet::new())
        }
        Err(error) => Err(error.into()),
    }
}

/// In this order: what fails is tried again by the next one.
fn remove(context: &Context, held: &mut Held, hosts: BTreeSet<HostName>) -> Result<(), Failure> {
    ssh_forget::forget_hosts(context, hosts)?;
    known(context).unbind(held.name())?;
    held.note(&None::<()>)?;
    Ok(())
}

fn known(context: &Context) -> KnownDevices {
    KnownDevices::below(&context.environment.paths.ssh())
}
