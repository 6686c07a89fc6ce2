//! The host's service manager and its power, over the system bus.
//!
//! In: the bus' socket. Out: whether a unit is active; reboot, shutdown and restarts of units. Decides nothing.

use std::path::Path;

use zbus::{OwnedObjectPath, OwnedVariant};

use super::bus::{Bus, BusError, Method};

const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";
/// A unit that was made impossible to start.
const MASKED: &str = "org.freedesktop.systemd1.UnitMasked";

/// How the machine is to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Power {
    /// And start again.
    Reboot,
    /// And stay off.
    Shutdown,
}

fn login(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.login1",
        path: "/org/freedesktop/login1",
        interface: "org.freedesktop.login1.Manager",
        member,
    }
}

fn manager(member: &str) -> Method<'_> {
    Method {
        destination: "org.freedesktop.systemd1",
        path: "/org/freedesktop/systemd1",
        interface: "org.freedesktop.systemd1.Manager",
        member,
    }
}

/// Whether [`end`] can work: there is a bus, and on it somebody who ends machines.
pub(crate) async fn can_end(bus: &Path, how: Power) -> Result<(), BusError> {
    let member = match how {
        Power::Reboot => "CanReboot",
        Power::Shutdown => "CanPowerOff",
    };
    let bus = Bus::connect(bus).await?;
    let answer: String = bus.call(&login(member), &()).await?;
    match answer.as_str() {
        "na" | "no" => Err(BusError::Refused {
            name: member.to_owned(),
            words: "this machine does not let itself be restarted or switched off".to_owned(),
        }),
        _ => Ok(()),
    }
}

/// Asks for the machine's end; it comes after the reply.
pub(crate) async fn end(bus: &Path, how: Power) -> Result<(), BusError> {
    let member = match how {
        Power::Reboot => "Reboot",
        Power::Shutdown => "PowerOff",
    };
    let bus = Bus::connect(bus).await?;
    // Nobody is there to be asked for a password.
    bus.call(&login(member), &false).await
}

/// Whether a unit is active; one that does not exist is not.
pub(crate) async fn is_active(bus: &Path, unit: &str) -> Result<bool, BusError> {
    Ok(state(bus, unit).await?.as_deref() == Some("active"))
}

/// What a unit does, `inactive` for example; `None` where it cannot be told.
pub(crate) async fn state(bus: &Path, unit: &str) -> Result<Option<String>, BusError> {
    let bus = Bus::connect(bus).await?;
    let state = property(&bus, unit, "ActiveState").await?;
    let state = state.map(String::try_from).transpose();
    state.map_err(BusError::Unusable)
}

/// Whether there is such a unit.
pub(crate) async fn is_loaded(bus: &Path, unit: &str) -> Result<bool, BusError> {
    let bus = Bus::connect(bus).await?;
    let state = property(&bus, unit, "LoadState").await?;
    let state = state.map(String::try_from).transpose();
    Ok(state.map_err(BusError::Unusable)?.as_deref() == Some("loaded"))
}

/// Whether a unit is started and stopped along with another.
pub(crate) async fn is_part_of(bus: &Path, unit: &str, other: &str) -> Result<bool, BusError> {
    let bus = Bus::connect(bus).await?;
    let others = property(&bus, unit, "PartOf").await?;
    let others = others.map(Vec::<String>::try_from).transpose();
    let others = others.map_err(BusError::Unusable)?.unwrap_or_default();
    Ok(others.iter().any(|unit| unit == other))
}

/// Lets `NetworkManager` read its connections again, if it runs: it is not started by this.
pub(crate) async fn reload_connections(bus: &Path) -> Result<(), BusError> {
    match is_active(bus, "NetworkManager.service").await {
        Ok(true) => {}
        Ok(false) => return Ok(()),
        Err(error) => return Err(error),
    }
    let bus = Bus::connect(bus).await?;
    let reload = Method {
        destination: "org.freedesktop.NetworkManager",
        path: "/org/freedesktop/NetworkManager/Settings",
        interface: "org.freedesktop.NetworkManager.Settings",
        member: "ReloadConnections",
    };
    let _is_done: bool = bus.call(&reload, &()).await?;
    Ok(())
}

/// Restarts a unit. Returns whether there is one.
pub(crate) async fn restart(bus: &Path, unit: &str) -> Result<bool, BusError> {
    job(bus, "RestartUnit", unit).await
}

/// Begins a job on a unit: `StartUnit`, `TryRestartUnit`, and so on. Returns whether there is such a unit.
pub(crate) async fn job(bus: &Path, member: &str, unit: &str) -> Result<bool, BusError> {
    let bus = Bus::connect(bus).await?;
    let method = manager(member);
    let arguments = (unit, "replace");
    let job = bus.call::<_, OwnedObjectPath>(&method, &arguments);
    match job.await {
        Ok(_) => Ok(true),
        Err(BusError::Refused { name, .. }) if name == NO_SUCH_UNIT || name == MASKED => Ok(false),
        Err(error) => Err(error),
    }
}

/// A property of a unit; `None` when there is no such unit.
async fn property(bus: &Bus, unit: &str, property: &str) -> Result<Option<OwnedVariant>, BusError> {
    let load = manager("LoadUnit");
    let place = match bus.call::<_, OwnedObjectPath>(&load, &unit).await {
        Ok(place) => place,
        Err(BusError::Refused { name, .. }) if name == NO_SUCH_UNIT => return Ok(None),
        Err(error) => return Err(error),
    };
    let get = Method {
        destination: "org.freedesktop.systemd1",
        path: place.as_str(),
        interface: "org.freedesktop.DBus.Properties",
        member: "Get",
    };
    let arguments = ("org.freedesktop.systemd1.Unit", property);
    bus.call(&get, &arguments).await.map(Some)
}
