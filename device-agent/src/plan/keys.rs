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

/// Who needs a key: the services that talk to the agent, by their own word or their image's, and those of which a container has
/// the key that was `given`. An old release may run for long beside a target that does not know its services: until the images
/// of that are there, or for ever if it is rejected. Of an image that is not there it is not known what it asks for, so a key
/// that was given stays.
#[must_use]
pub fn wanted_api_keys(
    observed: &Observed,
    target: &Target,
    given: &BTreeMap<(u32, String), Secret>,
    found: &BTreeMap<(u32, String), Secret>,
) -> BTreeSet<(u32, String)> {
    let in_use = found
        .iter()
        .filter(|(owner, key)| given.get(*owner) == Some(*key));
    let mut wanted: BTreeSet<_> = in_use.map(|(owner, _)| owner.clone()).collect();
    for app in target.apps.values() {
        for service in app.services.values() {
            let owner = (app.id, service.name.clone());
            let image = observed.images.get(&service.image);
            let may_want = image.is_none() && given.contains_key(&owner);
            if may_want || desired::wants_api_key(service, image) {
                wanted.insert(owner);
            }
        }
    }
    wanted
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::{ContainerState, labels};
    use crate::plan::tests::{device, target};

    fn container(app_id: u32, service: &str, key: &str) -> ObservedContainer {
        let mut config = crate::model::ServiceConfig::default();
        let on = (labels::AGENT_API.to_owned(), "1".to_owned());
        config.labels.extend([on]);
        let variable = (VARIABLE.to_owned(), key.to_owned());
        config.environment.extend([variable]);
        ObservedContainer {
            id: format!("{app_id}/{service}"),
            name: service.to_owned(),
            app_id,
            app_uuid: app_id.to_string(),
            service_id: 1,
            service_name: service.to_owned(),
            image_id: 1,
            release_id: 1,
            commit: None,
            state: ContainerState::Running,
            created: 0,
            exit_code: None,
            ever_started: true,
            error: String::new(),
            stopped_by_agent: false,
            config,
            created_from: None,
            asked_mac_address: None,
            because: None,
            is_predecessor: false,
        }
    }

    #[test]
    fn a_key_opens_as_long_as_its_container_is_there() {
        let key = |digit: &str| digit.repeat(DIGITS);
        let owner = |name: &str| (1, name.to_owned());
        let given: BTreeMap<_, _> = [("old", "a"), ("other", "b"), ("gone", "c"), ("web", "d")]
            .map(|(name, digit)| (owner(name), Secret::new(key(digit))))
            .into();
        let service = json!({"imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": {}});
        let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {"1": service}});
        let target = target(&json!({"apps": {"1": app}}));
        let mut observed = Observed::empty(device());
        observed.containers = vec![
            container(1, "old", &key("a")),
            // Not the one that it was given.
            container(1, "other", &key("e")),
        ];
        let wanted = |observed: &Observed| {
            let found = found_api_keys(observed, &target);
            wanted_api_keys(observed, &target, &given, &found)
        };
        // The image of the service in the target is not there.
        assert_eq!(wanted(&observed), [owner("old"), owner("web")].into());
        let image = crate::model::ImageFacts::default();
        observed.images.insert("web:latest".to_owned(), image);
        assert_eq!(wanted(&observed), [owner("old")].into());
        observed.containers.clear();
        assert_eq!(wanted(&observed), BTreeSet::new());
    }
}
