//! API keys that containers have, from whatever agent: they are kept, since a new key would be a new container.
//!
//! What stands in a container's environment is what somebody wrote there. Believed is only what an agent may have made,
//! and of a container that was to have a key.

use std::collections::{BTreeMap, BTreeSet};

use super::{desired, survey};
use crate::model::{Observed, ObservedContainer, Secret, Target};

/// The variable in which a service finds its key.
const VARIABLE: &str = "BALENA_SUPERVISOR_API_KEY";
/// Digits of a key.
const DIGITS: usize = 32;

/// The keys by application id and service name: of several containers of a service the newest counts. What two services
/// have is nobody's.
#[must_use]
pub fn found_api_keys(observed: &Observed, target: &Target) -> BTreeMap<(u32, String), Secret> {
    let mut containers: Vec<_> = survey::live(observed)
        .filter(|container| desired::asks_for_api(&container.config.labels))
        .collect();
    containers.sort_by_key(|container| (container.created, &container.id));
    let mut found = BTreeMap::new();
    let mut owners: BTreeMap<&str, BTreeSet<(u32, &str)>> = BTreeMap::new();
    for container in containers {
        let key = container.config.environment.get(VARIABLE);
        let Some(key) =
            key.filter(|key| is_key(key) && !is_written(container, key, observed, target))
        else {
            continue;
        };
        let owner = (container.app_id, container.service_name.as_str());
        owners.entry(key).or_default().insert(owner);
        found.insert((owner.0, owner.1.to_owned()), key.clone());
    }
    found.retain(|_, key: &mut String| owners.get(key.as_str()).is_some_and(|of| of.len() == 1));
    found
        .into_iter()
        .map(|(owner, key)| (owner, Secret::new(key)))
        .collect()
}

fn is_key(text: &str) -> bool {
    let is_digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    text.len() == DIGITS && text.bytes().all(is_digit)
}

/// Whether service or image say it themselves: everybody who reads them knows it.
fn is_written(
    container: &ObservedContainer,
    key: &str,
    observed: &Observed,
    target: &Target,
) -> bool {
    let app = target.apps.get(&container.app_id);
    let Some(service) = app.and_then(|app| app.services.get(&container.service_name)) else {
        return false;
    };
    let image = observed.images.get(&service.image);
    let says = |environment: &BTreeMap<String, String>| {
        environment.get(VARIABLE).is_some_and(|said| said == key)
    };
    says(&service.environment) || image.is_some_and(|image| says(&image.environment))
}
