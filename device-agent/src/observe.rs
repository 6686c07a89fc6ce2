//! Reads the world once: the only reader of containers, networks, volumes and images.
//!
//! In: the engine, the target's image references, what the agent remembers. Out: a [`World`]. Only what carries our
//! labels is looked at, and of that, on a simulated device, only what is its own. Must not change anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use agent_api::os::Room;
use agent_api::preload::archived_name;
use bollard::models::{ContainerInspectResponse, Network, PortMap};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    ListImagesOptionsBuilder, ListNetworksOptions, ListNetworksOptionsBuilder, ListVolumesOptions,
    ListVolumesOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::engine::decode::{self, NotOurs};
use crate::engine::events::SUPERVISED;
use crate::engine::{Connected, EngineError, QUICK, bounded};
use crate::locks::{self, Held};
use crate::memory::Memory;
use crate::model::{
    API_NETWORK, DeviceFacts, EXTRA_FIRMWARE, Failure, ImageFacts, Inventory, Observed,
    ObservedContainer, ObservedNetwork, ObservedVolume, Space, Target,
};
use crate::plan;

/// Inspections at a time: quick, without flooding a small device's engine.
const PARALLEL: usize = 8;

/// Everything that one reading gives.
#[derive(Debug)]
pub(crate) struct World {
    /// For the planner.
    pub(crate) observed: Observed,
    /// Published ports of running containers, by container id.
    pub(crate) ports: BTreeMap<String, Vec<String>>,
    /// What is marked as ours and cannot be placed, for people.
    pub(crate) faults: Vec<String>,
}

/// What the reading needs to know beforehand.
#[derive(Debug, Clone)]
pub(crate) struct Known<'a> {
    pub(crate) facts: &'a DeviceFacts,
    pub(crate) target: Option<&'a Target>,
    pub(crate) failures: &'a BTreeMap<String, Failure>,
    pub(crate) memory: &'a Memory,
    /// Engine image ids by reference, for those that must not be looked up by their name.
    pub(crate) pinned: &'a BTreeMap<String, String>,
    /// Update locks that this agent holds.
    pub(crate) locks: &'a Held,
    /// References of images that are being fetched.
    pub(crate) pulling: BTreeSet<String>,
    /// Why services are being given new containers.
    pub(crate) reasons: &'a BTreeMap<(u32, String), String>,
    pub(crate) local_mode: bool,
    /// What the engine had when a local session began that has ended.
    pub(crate) ended_session: Option<&'a Inventory>,
    /// Engine names of the volumes of a fleet's applications that have given way to local ones.
    pub(crate) fleet_volumes: &'a BTreeSet<String>,
}

/// Reads everything, in parallel where it can.
pub(crate) async fn observe(connected: &Connected, known: Known<'_>) -> Result<World, EngineError> {
    let mut faults = Vec::new();
    let confinement = known.facts.confinement.as_ref();
    let (inspected, networks, volumes, images, api_network, firmware) = tokio::try_join!(
        containers(connected),
        networks(connected),
        volumes(connected),
        images(connected, &known),
        api_network(connected, known.facts),
        firmware_volume(connected, known.facts),
    )?;
    let signs = locks::read(std::path::Path::new(&known.facts.services_dir), known.locks);
    let mut containers = Vec::new();
    let mut ports = BTreeMap::new();
    for inspect in &inspected {
        if let Some(mut container) = place(decode::container(inspect, confinement), &mut faults) {
            container.stopped_by_agent = known.memory.has_stopped(&container.id);
            ports.insert(container.id.clone(), published(inspect));
            containers.push(container);
        }
    }
    let networks: Vec<_> = networks
        .iter()
        .filter_map(|network| place(decode::network(network, confinement), &mut faults))
        .collect();
    let leftovers = match known.ended_session {
        Some(session) => {
            let left = leftovers(connected, session, &known).await?;
            Some(spare(
                left,
                &known,
                &containers,
                &networks,
                api_network.as_ref(),
            ))
        }
        None => None,
    };
    let volumes = volumes
        .iter()
        .filter_map(|volume| place(decode::volume(volume, confinement), &mut faults))
        .chain(firmware)
        .collect();
    Ok(World {
        observed: Observed {
            device: known.facts.clone(),
            containers,
            networks,
            api_network,
            volumes,
            images,
            api_keys: known.memory.api_keys(),
            failures: known.failures.clone(),
            pulling: known.pulling,
            asked: known.memory.asked().clone(),
            // The loop knows the machine.
            boot: String::new(),
            locks: signs.locks,
            handed_over: signs.handed_over,
            // The loop notes when it sees containers run.
            running_since: BTreeMap::new(),
            leftovers,
            // The loop remembers in which run of the machine it saw them first.
            created_since_boot: BTreeSet::new(),
            unnoted_discards: BTreeSet::new(),
            reasons: known.reasons.clone(),
            disk: space(connected).await,
            local_mode: known.local_mode,
            fleet_volumes: known.fleet_volumes.clone(),
            unused_images: BTreeSet::new(),
            cannot_limit: connected.cannot_limit.clone(),
        },
        ports,
        faults,
    })
}

fn place<T>(decoded: Result<T, NotOurs>, faults: &mut Vec<String>) -> Option<T> {
    match decoded {
        Ok(value) => Some(value),
        Err(NotOurs::OtherOwner { .. }) => None,
        Err(error @ NotOurs::Unplaceable { .. }) => {
            faults.push(error.to_string());
            None
        }
    }
}

/// What vanished between being listed and being looked at is not there.
async fn unless_gone<T>(
    call: impl Future<Output = Result<T, EngineError>>,
) -> Result<Option<T>, EngineError> {
    match call.await {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound(_)) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn containers(connected: &Connected) -> Result<Vec<ContainerInspectResponse>, EngineError> {
    let mut ids = BTreeSet::new();
    for label in SUPERVISED {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = bounded(QUICK, connected.docker.list_containers(Some(options))).await?;
        ids.extend(listed.into_iter().filter_map(|container| container.id));
    }
    stream::iter(ids)
        .map(|id| async move {
            let call = connected
                .docker
                .inspect_container(&id, None::<InspectContainerOptions>);
            unless_gone(bounded(QUICK, call)).await
        })
        .buffered(PARALLEL)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

async fn networks(connected: &Connected) -> Result<Vec<Network>, EngineError> {
    let mut found: BTreeMap<String, Network> = BTreeMap::new();
    for label in SUPERVISED {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        for network in bounded(QUICK, connected.docker.list_networks(Some(options))).await? {
            found.insert(network.id.clone().unwrap_or_default(), network);
        }
    }
    Ok(found.into_values().collect())
}

async fn volumes(connected: &Connected) -> Result<Vec<bollard::models::Volume>, EngineError> {
    let mut found = BTreeMap::new();
    for label in SUPERVISED {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListVolumesOptionsBuilder::default()
            .filters(&filters)
            .build();
        let listed = bounded(QUICK, connected.docker.list_volumes(Some(options))).await?;
        for volume in listed.volumes.unwrap_or_default() {
            found.insert(volume.name.clone(), volume);
        }
    }
    Ok(found.into_values().collect())
}

async fn images(
    connected: &Connected,
    known: &Known<'_>,
) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
    let references: BTreeSet<String> = known
        .target
        .into_iter()
        .flat_map(|target| target.apps.values())
        .flat_map(|app| app.services.values())
        .map(|service| service.image.clone())
        .collect();
    stream::iter(references)
        .map(|reference| async move {
            let pinned = match known.pinned.get(&reference) {
                Some(id) => image(connected, id).await?,
                None => None,
            };
            let found = match pinned {
                Some(facts) => Some(facts),
                None => image(connected, &reference).await?,
            };
            Ok(found.map(|facts| (reference, facts)))
        })
        .buffered(PARALLEL)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// An image by its name, and one that is named by its digest by the name that it was brought along with, too.
async fn image(connected: &Connected, name: &str) -> Result<Option<ImageFacts>, EngineError> {
    if let Some(found) = inspected(connected, name).await? {
        return Ok(Some(found));
    }
    match archived_name(name) {
        Some(name) => inspected(connected, &name).await,
        None => Ok(None),
    }
}

async fn inspected(connected: &Connected, name: &str) -> Result<Option<ImageFacts>, EngineError> {
    let call = bounded(QUICK, connected.docker.inspect_image(name));
    Ok(unless_gone(call).await?.as_ref().map(decode::image))
}

/// Everything on the engine, whoever made it.
pub(crate) async fn inventory(connected: &Connected) -> Result<Inventory, EngineError> {
    let docker = &connected.docker;
    let all_containers = ListContainersOptionsBuilder::default().all(true).build();
    let all_images = ListImagesOptionsBuilder::default().build();
    let (containers, images, networks, volumes) = tokio::try_join!(
        bounded(QUICK, docker.list_containers(Some(all_containers))),
        bounded(QUICK, docker.list_images(Some(all_images))),
        bounded(QUICK, docker.list_networks(None::<ListNetworksOptions>)),
        bounded(QUICK, docker.list_volumes(None::<ListVolumesOptions>)),
    )?;
    Ok(Inventory {
        containers: containers.into_iter().filter_map(|c| c.id).collect(),
        images: images.into_iter().map(|image| image.id).collect(),
        networks: networks.into_iter().filter_map(|n| n.id).collect(),
        volumes: volumes
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(|volume| volume.name)
            .collect(),
    })
}

async fn leftovers(
    connected: &Connected,
    session: &Inventory,
    known: &Known<'_>,
) -> Result<Inventory, EngineError> {
    let present = inventory(connected).await?;
    let mut needed = BTreeSet::new();
    let apps = known.target.into_iter().flat_map(|t| t.apps.values());
    for service in apps.flat_map(|app| app.services.values()) {
        if let Some(facts) = image(connected, &service.image).await? {
            needed.insert(facts.id);
        }
    }
    Ok(left_over(&present, session, known, &needed))
}

/// What came since a session began. What the fleet's target names stays, whenever it came. Pure.
pub(crate) fn left_over(
    present: &Inventory,
    session: &Inventory,
    known: &Known<'_>,
    needed_images: &BTreeSet<String>,
) -> Inventory {
    let mut left = present.without(session);
    let confinement = known.facts.confinement.as_ref();
    for app in known.target.into_iter().flat_map(|t| t.apps.values()) {
        for name in app.volumes.keys() {
            left.volumes
                .remove(&crate::model::names::volume(app.id, name, confinement));
        }
    }
    left.images.retain(|id| !needed_images.contains(id));
    left
}

/// What the present target has made is no leftover, although it came later than the session began.
pub(crate) fn spare(
    mut left: Inventory,
    known: &Known<'_>,
    containers: &[ObservedContainer],
    networks: &[ObservedNetwork],
    api_network: Option<&ObservedNetwork>,
) -> Inventory {
    let app = |id: u32| known.target.and_then(|target| target.apps.get(&id));
    for container in containers {
        if app(container.app_id)
            .is_some_and(|app| app.services.contains_key(&container.service_name))
        {
            left.containers.remove(&container.id);
        }
    }
    for network in networks.iter().filter(|n| app(n.app_id).is_some()) {
        left.networks.remove(&network.id);
    }
    if let Some(network) = api_network {
        left.networks.remove(&network.id);
    }
    left
}

/// How full the engine's disk is. Asking what could be freed takes the engine long, and is only of use when it is needed.
async fn space(connected: &Connected) -> Option<Space> {
    let room = room(connected)?;
    let could_be_freed = if plan::is_short(room) {
        connected.freeable.get(connected).await
    } else {
        None
    };
    Some(Space {
        room,
        could_be_freed,
    })
}

/// Room on the engine's disk, if it is one of this machine.
pub(crate) fn room(connected: &Connected) -> Option<Room> {
    let root = connected.root.as_ref()?;
    let stat = rustix::fs::statvfs(root).ok()?;
    Some(Room {
        free: stat.f_bavail.saturating_mul(stat.f_frsize),
        total: stat.f_blocks.saturating_mul(stat.f_frsize),
    })
}

/// Room on the engine's disk, and what could be freed.
pub(crate) async fn disk(connected: &Connected) -> Result<agent_api::os::Disk, EngineError> {
    let usage = crate::engine::usage(connected).await?;
    let room = room(connected);
    let folder = connected.root.as_ref();
    Ok(agent_api::os::Disk {
        path: folder
            .map(|root| root.display().to_string())
            .unwrap_or_default(),
        total: room.map(|room| room.total).unwrap_or_default(),
        free: room.map(|room| room.free).unwrap_or_default(),
        unused_images: usage.unused_images,
        build_cache: usage.build_cache,
    })
}

async fn api_network(
    connected: &Connected,
    facts: &DeviceFacts,
) -> Result<Option<ObservedNetwork>, EngineError> {
    if facts.confinement.is_some() {
        return Ok(None);
    }
    let call = connected
        .docker
        .inspect_network(API_NETWORK, None::<InspectNetworkOptions>);
    let found = unless_gone(bounded(QUICK, call)).await?;
    Ok(found.map(decode::api_network))
}

async fn firmware_volume(
    connected: &Connected,
    facts: &DeviceFacts,
) -> Result<Option<ObservedVolume>, EngineError> {
    if facts.confinement.is_some() {
        return Ok(None);
    }
    let call = connected.docker.inspect_volume(EXTRA_FIRMWARE);
    let found = unless_gone(bounded(QUICK, call)).await?;
    // One that says that it is ours is listed with the others, and cannot be placed.
    let is_listed = |labels: &HashMap<String, String>| {
        SUPERVISED.iter().any(|label| labels.contains_key(*label))
    };
    let found = found.filter(|volume| !is_listed(&volume.labels));
    Ok(found.as_ref().map(decode::firmware_volume))
}

/// Published ports as `address:port->port/protocol`. The IPv6 twin of a port on all IPv4 addresses is left out.
fn published(inspect: &ContainerInspectResponse) -> Vec<String> {
    let ports: Option<&PortMap> = inspect
        .network_settings
        .as_ref()
        .and_then(|settings| settings.ports.as_ref());
    let mut texts = BTreeSet::new();
    for (inner, bindings) in ports.into_iter().flatten() {
        for binding in bindings.iter().flatten() {
            let port = binding.host_port.as_deref().unwrap_or_default();
            let address = match binding.host_ip.as_deref().unwrap_or_default() {
                "::" => continue,
                "" => "0.0.0.0".to_owned(),
                v6 if v6.contains(':') => format!("[{v6}]"),
                v4 => v4.to_owned(),
            };
            texts.insert(format!("{address}:{port}->{inner}"));
        }
    }
    texts.into_iter().collect()
}
