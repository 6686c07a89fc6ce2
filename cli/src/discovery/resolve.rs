//! Finds the one device that a person means.
//!
//! In this order: a simulated device of this machine; an address, which needs no search; a device that was seen before, whose address is
//! tried while the local network is asked. Whoever answers first and can be told from others wins.

use std::{net::IpAddr, time::Duration};

use tokio::{
    net::TcpStream,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Address, Device, DiscoveryError, Memory, Origin, Places, Selector, machines,
    querier::Querier,
    remembered::{self, Remembered},
    scan::{known_addresses, living_records, with_records},
    schedule::Next,
    selector::Target,
};

/// Another device of the same name has this long to speak up.
const SETTLE: Duration = Duration::from_millis(100);
/// A remembered address that cannot prove whose it is waits this long for the network to answer.
const HEAD_START: Duration = Duration::from_millis(500);
/// A remembered address that does not answer within this time is not reached.
const CONNECT: Duration = Duration::from_secs(2);

/// Finds the one device that a selector means. With a port in the selector the agent's API is expected there.
///
/// A remembered device is given back as soon as something listens at its API's or SSH server's port: the caller compares the uuid that is answered there, and
/// asks again with [`Memory::Ignore`] when it is another one.
///
/// # Errors
/// [`DiscoveryError::NotFound`] after one to three seconds; [`DiscoveryError::Ambiguous`] when several devices answer to the name.
pub async fn resolve(
    places: &Places,
    selector: &Selector,
    memory: Memory,
) -> Result<Device, DiscoveryError> {
    let mut device = find(places, selector, memory).await?;
    if let Some(port) = selector.port {
        device.api_port = port;
    }
    Ok(device)
}

async fn find(
    places: &Places,
    selector: &Selector,
    memory: Memory,
) -> Result<Device, DiscoveryError> {
    let mut simulated = living_records(places).await;
    simulated.retain(|record| selector.matches(&record.device));
    let simulated = simulated.into_iter().map(|record| record.device);
    let mut machines = machines::living(&places.machines);
    machines.retain(|device| selector.matches(device));
    if let Some(device) = the_one(selector, simulated.chain(machines).collect())? {
        return Ok(device);
    }
    let label = match &selector.target {
        Target::Ip { ip, scope } => return given(*ip, scope.as_deref()),
        Target::Label(label) => label.clone(),
    };
    let known = Remembered::peek(&places.remembered);
    let mut seen_before: Vec<Device> = known.devices().to_vec();
    seen_before.retain(|device| memory == Memory::Use && selector.matches(device));
    let found = race(places, selector, label, known, seen_before).await?;
    Ok(found)
}

/// The network is asked while remembered addresses are tried.
async fn race(
    places: &Places,
    selector: &Selector,
    label: String,
    known: Remembered,
    seen_before: Vec<Device>,
) -> Result<Device, DiscoveryError> {
    let not_found = || DiscoveryError::NotFound {
        selector: selector.to_string(),
    };
    // Two of one name: only the network can tell which of them are still there.
    let candidate = match seen_before.as_slice() {
        [one] => Some(one.clone()),
        _ => None,
    };
    let proves_itself = candidate
        .as_ref()
        .is_some_and(|device| device.uuid.is_some());
    let head_start = Instant::now()
        + if proves_itself {
            Duration::ZERO
        } else {
            HEAD_START
        };
    let network = async {
        let searched = search(places, selector, label, known).await;
        searched.and_then(|devices| the_one(selector, devices))
    };
    let memory = async {
        let reached = match candidate {
            Some(device) => reachable(device).await,
            None => None,
        };
        sleep_until(head_start).await;
        reached
    };
    tokio::pin!(network, memory);
    tokio::select! {
        searched = &mut network => match searched {
            Ok(Some(device)) => Ok(device),
            Err(error @ DiscoveryError::Ambiguous { .. }) => Err(error),
            // Multicast may not reach it although its address does.
            Ok(None) => memory.await.ok_or_else(not_found),
            Err(error) => memory.await.ok_or(error),
        },
        reached = &mut memory => match reached {
            Some(device) => Ok(device),
            None => network.await?.ok_or_else(not_found),
        },
    }
}

/// The devices in the local network that the selector means. Returns soon after the first.
async fn search(
    places: &Places,
    selector: &Selector,
    label: String,
    known: Remembered,
) -> Result<Vec<Device>, DiscoveryError> {
    let mut querier = Querier::open(Some(label), known_addresses(&known))?;
    let mut first: Option<Instant> = None;
    loop {
        let matching: Vec<Device> = with_records(querier.picture.devices(), &[])
            .into_values()
            .filter(|device| selector.matches(device))
            .collect();
        let now = Instant::now();
        if !matching.is_empty() {
            let settled = *first.get_or_insert(now) + SETTLE;
            let certain = matching.iter().any(|device| is_certain(selector, device));
            if certain || settled <= now {
                // A host that only has the name may be anything, and is not remembered.
                let devices = matching
                    .iter()
                    .filter(|device| querier.picture.is_device(&device.name));
                // Not remembered is no reason to fail; the next scan tells when the file is of no use.
                drop(remembered::learn(&places.remembered, devices));
                return Ok(matching);
            }
        }
        let deadline = first.map(|first| first + SETTLE);
        match querier.next(!matching.is_empty()) {
            Next::Ask => querier.ask().await,
            Next::Listen(until) => {
                let until = querier.at(until);
                tokio::select! {
                    () = querier.listen() => {}
                    () = sleep_until(deadline.map_or(until, |deadline| deadline.min(until))) => {}
                }
            }
            Next::Finish => return Ok(matching),
        }
    }
}

/// The whole uuid was typed and answered: no other device can be meant.
fn is_certain(selector: &Selector, device: &Device) -> bool {
    let whole = |prefix: &str| {
        device
            .uuid
            .as_deref()
            .is_some_and(|uuid| uuid.len() == prefix.len())
    };
    selector.means_uuid_of(device) && selector.uuid_prefix().is_some_and(whole)
}

/// None, one, or too many.
fn the_one(selector: &Selector, devices: Vec<Device>) -> Result<Option<Device>, DiscoveryError> {
    if devices.len() > 1 {
        return Err(DiscoveryError::Ambiguous {
            selector: selector.to_string(),
            devices,
        });
    }
    Ok(devices.into_iter().next())
}

/// The device with the address that answered first, when something listens at the port of its API, or at that of its SSH server, which is all that
/// one in production mode has.
async fn reachable(device: Device) -> Option<Device> {
    let mut probes = JoinSet::new();
    for address in device.addresses.iter().copied() {
        let ports = [device.api_port, device.ssh_port];
        probes.spawn(async move {
            // One after the other: an SSH server notes everybody who says nothing.
            for port in ports {
                let target = address.with_port(port);
                let connected = timeout(CONNECT, TcpStream::connect(target)).await;
                if matches!(connected, Ok(Ok(_))) {
                    return Some(address);
                }
            }
            None
        });
    }
    while let Some(probed) = probes.join_next().await {
        if let Ok(Some(answered)) = probed {
            let mut device = device;
            device.addresses.retain(|address| *address != answered);
            device.addresses.insert(0, answered);
            return Some(device);
        }
    }
    None
}

/// A device that is known by its address alone.
fn given(ip: IpAddr, scope: Option<&str>) -> Result<Device, DiscoveryError> {
    let link_local = matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let scope = match (scope, link_local) {
        (Some(name), true) => interface(name)?,
        (None, true) => only_interface(ip)?,
        (_, false) => 0,
    };
    Ok(Device {
        addresses: vec![Address { ip, scope }],
        ..Device::bare(ip.to_string(), None, Origin::Given)
    })
}

fn interface(name: &str) -> Result<u32, DiscoveryError> {
    let interfaces = if_addrs::get_if_addrs().map_err(DiscoveryError::Interfaces)?;
    let number = name.parse::<u32>().ok();
    interfaces
        .iter()
        .filter_map(|one| one.index.map(|index| (index, &one.name)))
        .find(|(index, known)| *known == name || Some(*index) == number)
        .map(|(index, _)| index)
        .ok_or_else(|| DiscoveryError::UnknownInterface {
            name: name.to_owned(),
        })
}

/// The interface of a link-local address that names none, when there is only one it can be.
fn only_interface(ip: IpAddr) -> Result<u32, DiscoveryError> {
    let interfaces = if_addrs::get_if_addrs().map_err(DiscoveryError::Interfaces)?;
    let mut indices: Vec<u32> = interfaces
        .iter()
        .filter(|one| matches!(one.ip(), IpAddr::V6(ip) if ip.is_unicast_link_local()))
        .filter_map(|one| one.index)
        .collect();
    indices.sort_unstable();
    indices.dedup();
    match indices.as_slice() {
        [one] => Ok(*one),
        _ => Err(DiscoveryError::ScopeMissing { ip }),
    }
}
