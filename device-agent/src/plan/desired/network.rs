//! Which networks a container is in, and by which names.

use std::collections::BTreeMap;

use super::Context;
use super::features::Features;
use crate::model::{API_NETWORK, Endpoint, labels::AGENT_API, names};
use crate::target::compose::{Composition, NetworkMode};

/// Takes out what contradicts the network mode, with a warning, because the engine would refuse it; and the agent's own
/// network, which a label asks for and not a list.
pub(super) fn settled(context: Context<'_>, wish: Composition) -> Composition {
    let mut wish = without_api_network(context, wish);
    let named = matches!(wish.network_mode, None | Some(NetworkMode::Named(_)));
    if !named && !wish.networks.is_empty() {
        // `default` alone is what the compose format fills in.
        if wish.networks.iter().any(|(name, _)| name != "default") {
            wish.warnings
                .push("networks have no effect beside this network_mode".to_owned());
        }
        wish.networks.clear();
    }
    let has_address = !matches!(
        wish.network_mode,
        Some(NetworkMode::Host | NetworkMode::None)
    );
    if !has_address && wish.mac_address.take().is_some() {
        wish.warnings
            .push("mac_address has no effect beside this network_mode".to_owned());
    }
    if let Some(NetworkMode::Service(_)) = wish.network_mode {
        let own = [
            ("hostname", wish.hostname.take().is_some()),
            ("domainname", wish.domainname.take().is_some()),
            ("mac_address", wish.mac_address.take().is_some()),
            ("ports", !std::mem::take(&mut wish.ports).is_empty()),
            ("dns", !std::mem::take(&mut wish.dns).is_empty()),
            (
                "extra_hosts",
                !std::mem::take(&mut wish.extra_hosts).is_empty(),
            ),
        ];
        for (key, _) in own.into_iter().filter(|(_, was_set)| *was_set) {
            wish.warnings.push(format!(
                "{key} has no effect in the network of another service"
            ));
        }
    }
    wish
}

/// An application may have a network of that name, which is another one.
fn without_api_network(context: Context<'_>, mut wish: Composition) -> Composition {
    if context.app.networks.contains_key(API_NETWORK) {
        return wish;
    }
    let listed = wish.networks.len();
    wish.networks.retain(|(name, _)| name != API_NETWORK);
    let is_mode = |mode: &mut NetworkMode| *mode == NetworkMode::Named(API_NETWORK.to_owned());
    if wish.network_mode.take_if(is_mode).is_some() || wish.networks.len() < listed {
        wish.warnings.push(format!(
            "the network {API_NETWORK} is left out: the label {AGENT_API} is what asks for it"
        ));
    }
    wish
}

/// The network mode as the engine spells it, and every network by engine name.
pub(super) fn of(
    context: Context<'_>,
    service: &str,
    wish: &Composition,
    features: &Features,
) -> (String, BTreeMap<String, Endpoint>) {
    let confinement = context.device.confinement.as_ref();
    let engine_name = |name: &str| names::network(&context.app.uuid, name, confinement);
    let mut networks = BTreeMap::new();
    let mode = match &wish.network_mode {
        Some(NetworkMode::Host) => "host".to_owned(),
        Some(NetworkMode::None) => "none".to_owned(),
        Some(NetworkMode::Bridge) => "bridge".to_owned(),
        Some(NetworkMode::Service(_)) => {
            format!(
                "container:{}",
                context.network_container.unwrap_or_default()
            )
        }
        Some(NetworkMode::Named(name)) => {
            networks.insert(engine_name(name), Endpoint::default());
            engine_name(name)
        }
        None => {
            let first = wish.networks.first().map_or("default", |(name, _)| name);
            networks.insert(engine_name(first), Endpoint::default());
            engine_name(first)
        }
    };
    for (name, endpoint) in &wish.networks {
        networks.insert(engine_name(name), endpoint.clone());
    }
    for endpoint in networks.values_mut() {
        endpoint.aliases.insert(service.to_owned());
    }
    if features.api_network {
        networks.insert(API_NETWORK.to_owned(), Endpoint::default());
    }
    (mode, networks)
}

/// Whether a service runs in the device's own network.
pub(crate) fn uses_host(wish: &Composition) -> bool {
    wish.network_mode == Some(NetworkMode::Host)
}
