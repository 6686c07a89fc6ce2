//! Reads the world once: the only reader of containers, networks, volumes and images.
//!
//! In: the engine, the target's image references, what the agent remembers. Out: a [`World`]. Only what carries our
//! labels is looked at, and of that, on a simulated device, only what is its own. Must not change anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{ContainerInspectResponse, Network, PortMap};
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder,
    ListNetworksOptionsBuilder, ListVolumesOptionsBuilder,
};
use futures_util::{StreamExt, TryStreamExt, stream};

use crate::engine::decode::{self, NotOurs};
use crate::engine::events::SUPERVISED;
use crate::engine::{Connected, EngineError, QUICK, bounded};
use crate::memory::Memory;
use crate::model::{API_NETWORK, DeviceFacts, Failure, ImageFacts, Observed, Target};

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
#[derive(Debug, Clone, Copy)]
pub(crate) struct Known<'a> {
    pub(crate) facts: &'a DeviceFacts,
    pub(crate) target: Option<&'a Target>,
    pub(crate) failures: &'a BTreeMap<String, Failure>,
    pub(crate) memory: &'a Memory,
    /// Engine image ids by reference, for those that must not be looked up by their name.
    pub(crate) pinned: &'a BTreeMap<String, String>,
}

/// Reads everything, in parallel where it can.
pub(crate) async fn observe(connected: &Connected, known: Known<'_>) -> Result<World, EngineError> {
    let mut faults = Vec::new();
    let confinement = known.facts.confinement.as_ref();
    let (inspected, networks, volumes, images, api_network) = tokio::try_join!(
        containers(connected),
        networks(connected),
        volumes(connected),
        images(connected, known),
        api_network(connected, known.facts),
    )?;
    let mut containers = Vec::new();
    let mut ports = BTreeMap::new();
    for inspect in &inspected {
        if let Some(mut container) = place(decode::container(inspect, confinement), &mut faults) {
            container.stopped_by_agent = known.memory.has_stopped(&container.id);
            ports.insert(container.id.clone(), published(inspect));
            containers.push(container);
        }
    }
    let networks = networks
        .iter()
        .filter_map(|network| place(decode::network(network, confinement), &mut faults))
        .collect();
    let volumes = volumes
        .iter()
        .filter_map(|volume| place(decode::volume(volume, confinement), &mut faults))
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
    known: Known<'_>,
) -> Result<BTreeMap<String, ImageFacts>, EngineError> {
    let references: BTreeSet<&String> = known
        .target
        .into_iter()
        .flat_map(|target| target.apps.values())
        .flat_map(|app| app.services.values())
        .map(|service| &service.image)
        .collect();
    stream::iter(references)
        .map(|reference| async move {
            let pinned = match known.pinned.get(reference) {
                Some(id) => image(connected, id).await?,
                None => None,
            };
            let found = match pinned {
                Some(facts) => Some(facts),
                None => image(connected, reference).await?,
            };
            Ok(found.map(|facts| (reference.clone(), facts)))
        })
        .buffered(PARALLEL)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

async fn image(connected: &Connected, name: &str) -> Result<Option<ImageFacts>, EngineError> {
    let call = bounded(QUICK, connected.docker.inspect_image(name));
    Ok(unless_gone(call).await?.as_ref().map(decode::image))
}

async fn api_network(
    connected: &Connected,
    facts: &DeviceFacts,
) -> Result<Option<crate::model::ObservedNetwork>, EngineError> {
    if facts.confinement.is_some() {
        return Ok(None);
    }
    let call = connected
        .docker
        .inspect_network(API_NETWORK, None::<InspectNetworkOptions>);
    let found = unless_gone(bounded(QUICK, call)).await?;
    Ok(found.map(decode::api_network))
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
