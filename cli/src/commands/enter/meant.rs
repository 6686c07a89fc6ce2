//! Which device is meant by what was typed.

use std::time::Duration;

use agent_api::os::Info;
use tokio::time::timeout;

use super::{Entry, Meant, Sought, target::host_name};
use crate::{
    agent,
    commands::{
        Context,
        cloud_device::{self, Asker, Found},
        identify, reach,
        ssh_device::KnownDevices,
    },
    discovery::{self, Device, Memory, Origin, Selector, selector::Target},
    failure::{Failure, Kind},
    transport::ssh::host_keys::HostName,
};

/// How long a device may take to say which one it is before it is entered.
const NAMING: Duration = Duration::from_secs(2);

/// The device that was connected to first: a name or an address may be another one's later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::commands) struct First {
    uuid: Option<String>,
    /// Whether it is reached through its cloud.
    is_remote: bool,
    host: HostName,
}

impl First {
    /// Which one it is that is meant; it is asked for it now.
    pub(in crate::commands) async fn new(
        context: &Context,
        meant: &mut Meant,
    ) -> Result<Self, Failure> {
        meant.device = named(context, meant.device.clone()).await;
        meant.is_asked = true;
        let uuid = meant.device.uuid.clone();
        let host =
            host_name(&meant.device).map_err(|error| Failure::from_error(Kind::Usage, &error))?;
        Ok(Self {
            uuid,
            is_remote: meant.device.origin == Origin::Cloud,
            host,
        })
    }

    /// The same one again, by the way that it was reached. What it has to show is the key of that one, whatever it calls itself.
    pub(in crate::commands) async fn again(
        &self,
        context: &Context,
        name: Option<&str>,
        entry: &Entry,
    ) -> Result<Meant, Failure> {
        // It may be the only one no longer.
        let name = name.or(self.uuid.as_deref());
        let mut entry = entry.clone();
        entry.sought = if self.is_remote {
            Sought::Elsewhere
        } else {
            Sought::Here
        };
        let entry = &entry;
        let mut meant = find(context, name, entry).await?;
        if let (Some(uuid), Some(now)) = (&self.uuid, &meant.device.uuid)
            && uuid != now
        {
            meant.device = find(context, Some(uuid), entry).await?.device;
        }
        meant.device.uuid.clone_from(&self.uuid);
        meant.is_asked = true;
        if host_name(&meant.device).ok().as_ref() == Some(&self.host) {
            return Ok(meant);
        }
        let called = &meant.device.name;
        let words = format!("{called} is somewhere else, where another device may be");
        Err(Failure::new(Kind::Device, words))
    }
}

/// The device that was named, else the only one.
pub(in crate::commands) async fn find(
    context: &Context,
    typed: Option<&str>,
    entry: &Entry,
) -> Result<Meant, Failure> {
    let mut meant = Box::pin(find_unasked(context, typed, entry)).await?;
    if let Some(typed) = meant.typed.as_deref().filter(|typed| is_address(typed)) {
        let answering = named(context, meant.device.clone()).await;
        meant.device = settled(context, typed, meant.device, answering)?;
    }
    Ok(meant)
}

/// The same; one that is named by an address is not asked who it is. [`settled`] is for whoever asks it.
pub(in crate::commands) async fn find_unasked(
    context: &Context,
    typed: Option<&str>,
    entry: &Entry,
) -> Result<Meant, Failure> {
    let (account, name) = divided(reach::named(context, typed));
    let mut entry = entry.clone();
    entry.token = Box::pin(cloud_device::token(context, &entry)).await?;
    if entry.account.is_none() {
        entry.account = account.map(str::to_owned);
    }
    let Some(name) = name else {
        if entry.sought == Sought::Elsewhere {
            let words = "--remote is for a device that is named, by its uuid";
            return Err(Failure::new(Kind::Usage, words));
        }
        return Ok(Meant {
            device: reach::only(context).await?,
            typed: None,
            entry,
            is_asked: false,
        });
    };
    let selector = parsed(name)?;
    entry.port = entry.port.or(selector.port);
    let typed = selector.without_port().to_owned();
    let device = called(context, &typed, &entry).await?;
    Ok(Meant {
        device,
        typed: Some(typed),
        entry,
        is_asked: false,
    })
}

fn is_address(typed: &str) -> bool {
    Selector::parse(typed).is_ok_and(|selector| matches!(selector.target, Target::Ip { .. }))
}

/// The account and the device of what was typed.
pub(in crate::commands) fn divided(typed: Option<&str>) -> (Option<&str>, Option<&str>) {
    match typed.and_then(|typed| typed.rsplit_once('@')) {
        Some((account, device)) if !account.is_empty() => (Some(account), Some(device)),
        _ => (None, typed),
    }
}

fn parsed(name: &str) -> Result<Selector, Failure> {
    Selector::parse(name).map_err(|error| Failure::from_error(Kind::Usage, &error))
}

/// The device of a name or an address, which stays with the one whose key is kept for it: whoever answers may say what it likes.
async fn called(context: &Context, name: &str, entry: &Entry) -> Result<Device, Failure> {
    let selector = parsed(name)?;
    let kept = KnownDevices::below(&context.environment.paths.ssh());
    let bound = kept.bound(name)?;
    let meant = match &bound {
        Some(bound) => parsed(bound.device.as_str())?,
        None => selector.clone(),
    };
    // What is written of it stands under what it is called.
    let so_called = |device| Device {
        name: name.to_owned(),
        ..device
    };
    if entry.sought == Sought::Elsewhere {
        let wanted = cloud_device::wanted(context, entry, &meant).await;
        return wanted.map(so_called);
    }
    if !matches!(selector.target, Target::Ip { .. }) {
        let in_words = |nobody: Failure| {
            match bound {
            Some(_) => nobody.hint(format!(
                "{name} is the device whose key is kept; `os ssh-forget {name}` lets another one have the name"
            )),
            None => nobody,
        }
        };
        let asker = Asker::Command(entry);
        let found = cloud_device::here_or_elsewhere(context, asker, &meant, in_words);
        return match Box::pin(found).await? {
            Found::Here(mut device) => {
                if let Some(bound) = &bound {
                    device.uuid = Some(bound.device.as_str().to_owned());
                }
                Ok(device)
            }
            Found::Elsewhere(device, _) => Ok(so_called(device)),
        };
    }
    Ok(discovery::resolve(&reach::places(context), &selector, Memory::Use).await?)
}

/// Which device answers at an address, as it was typed and as it says: one of which a key is kept has to show it.
pub(in crate::commands) fn settled(
    context: &Context,
    typed: &str,
    device: Device,
    mut answering: Device,
) -> Result<Device, Failure> {
    let kept = KnownDevices::below(&context.environment.paths.ssh());
    let bound = kept.bound(typed)?;
    let known = kept.keys.load()?;
    let is_known =
        |device: &Device| host_name(device).is_ok_and(|host| !known.pinned(&host).is_empty());
    // One of which a key is kept has to show it; addresses move between devices.
    if !is_known(&answering) {
        if let Some(bound) = bound {
            answering.uuid = Some(bound.device.as_str().to_owned());
        } else if is_known(&device) {
            return Ok(device);
        }
    }
    Ok(answering)
}

/// With its uuid, if it tells it. It may say what it likes: the key that belongs to the uuid is what counts.
pub(in crate::commands) async fn named(context: &Context, mut device: Device) -> Device {
    if device.uuid.is_some() {
        return device;
    }
    let asked = timeout(NAMING, identify::identify(device.clone(), None)).await;
    if let Ok(Ok(reached)) = asked {
        if let agent::Kind::Ours(info) = reached.kind {
            tells(&mut device, &info);
        }
    } else {
        let name = &device.name;
        let text = format!("{name} does not say which device it is: it is known by its address");
        context.console.detail(&text);
    }
    device
}

/// Takes over which one a device says it is. What it says of its key there is no word of the key's: whoever answers at an address would vouch
/// for himself.
pub(in crate::commands) fn tells(device: &mut Device, info: &Info) {
    device.uuid = Some(info.uuid.clone());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_stands_before_the_device() {
        assert_eq!(divided(Some("ann@kitchen")), (Some("ann"), Some("kitchen")));
        assert_eq!(divided(Some("kitchen")), (None, Some("kitchen")));
        assert_eq!(divided(None), (None, None));
    }
}
