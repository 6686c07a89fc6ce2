//! Which service a request of the reference's API is about.
//!
//! It goes by the containers that are there, and then looks for the service in the target. Where an application has one container
//! only, that one is meant whatever the request says. In: ids and names. Out: the name of a service, or a [`NotChosen`].

use std::collections::BTreeMap;

use axum::http::StatusCode;

use super::Agent;
use crate::model::App;

/// What a request says of the service that it is about.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Selector<'a> {
    pub(super) name: Option<&'a str>,
    /// Of the target state.
    pub(super) image_id: Option<u32>,
}

/// Why no service is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NotChosen {
    /// The application has no container.
    NoApp,
    /// It has several services, and none is named.
    NoSelector,
    /// The service that is named has no container.
    NoService,
    /// The service has a container and is not to have one.
    NotInTarget,
}

impl NotChosen {
    /// The reference's words.
    pub(super) fn words(self) -> &'static str {
        match self {
            Self::NoApp => {
                "App not found: an app needs to be installed for this endpoint to work.\n\tIf you've recently moved this device \
                 from another app,\n\tplease push an app and wait for it to be installed first."
            }
            Self::NoSelector => {
                "serviceName or imageId parameters were not provided or the app is multi-container. Use the v2 service action \
                 endpoints."
            }
            Self::NoService => {
                "Service not found, a container must exist for this endpoint to work"
            }
            Self::NotInTarget => "Service does not exist in target release",
        }
    }

    /// The reference's status: `absent`, which differs between its versions, for what has no container.
    pub(super) fn status(self, absent: StatusCode) -> StatusCode {
        match self {
            Self::NoApp | Self::NoService => absent,
            Self::NoSelector => StatusCode::BAD_REQUEST,
            Self::NotInTarget => StatusCode::NOT_FOUND,
        }
    }
}

/// The service of an application that is meant.
pub(super) fn choose(
    agent: &Agent,
    app_id: u32,
    selector: Selector<'_>,
) -> Result<String, NotChosen> {
    let accepted = agent.store.accepted();
    let app = accepted.target.as_ref().and_then(|t| t.apps.get(&app_id));
    let snapshot = agent.snapshot.borrow().clone();
    let of_app = snapshot.containers.iter().filter(|c| c.app_id == app_id);
    // The newest comes first and counts.
    let mut present: BTreeMap<&str, u32> = BTreeMap::new();
    for container in of_app {
        let name = container.service_name.as_str();
        present.entry(name).or_insert(container.image_id);
    }
    if snapshot.seen < accepted.generation {
        // What the target has brought is not known yet; who takes the request knows.
        for service in app.into_iter().flat_map(|app| app.services.values()) {
            present.entry(&service.name).or_insert(service.image_id);
        }
    }
    of(&present, app, selector)
}

/// Pure.
fn of(
    present: &BTreeMap<&str, u32>,
    app: Option<&App>,
    selector: Selector<'_>,
) -> Result<String, NotChosen> {
    let mut all = present.iter();
    let name = match (all.next(), all.next()) {
        (None, _) => return Err(NotChosen::NoApp),
        (Some((only, _)), None) => only,
        (Some(_), Some(_)) if selector == Selector::default() => {
            return Err(NotChosen::NoSelector);
        }
        (Some(_), Some(_)) => {
            let is_meant = |name: &str, image_id: u32| {
                selector.name == Some(name) || selector.image_id == Some(image_id)
            };
            let found = present.iter().find(|(name, id)| is_meant(name, **id));
            found.ok_or(NotChosen::NoService)?.0
        }
    };
    let service = app.and_then(|app| app.services.get(*name));
    let service = service.ok_or(NotChosen::NotInTarget)?;
    Ok(service.name.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::local;

    #[test]
    fn what_is_there_is_chosen_from_and_then_looked_for_in_the_target() {
        let service = |name: &str, id: u32| serde_json::json!({"imageId": id, "serviceName": name, "image": name, "environment": {}, "labels": {}});
        let services = serde_json::json!({"1": service("web", 1), "2": service("worker", 2), "3": service("new", 3)});
        let app =
            serde_json::json!({"name": "app", "commit": "c", "releaseId": 1, "services": services});
        let body = serde_json::json!({"local": {"apps": {"1": app}}});
        let target = local::understand(&body, "local").unwrap();
        let select = |name, image_id| Selector { name, image_id };
        let several = BTreeMap::from([("web", 1), ("worker", 2), ("old", 9)]);
        let chosen = |present: &BTreeMap<&str, u32>, name, image_id| {
            of(present, target.apps.get(&1), select(name, image_id))
        };
        for (name, image_id, expected) in [
            (None, None, Err(NotChosen::NoSelector)),
            (Some("web"), None, Ok("web")),
            (None, Some(2), Ok("worker")),
            (Some("nosuch"), Some(2), Ok("worker")),
            (Some("nosuch"), None, Err(NotChosen::NoService)),
            (Some("new"), None, Err(NotChosen::NoService)),
            (None, Some(3), Err(NotChosen::NoService)),
            (Some("old"), None, Err(NotChosen::NotInTarget)),
        ] {
            let found = chosen(&several, name, image_id);
            let found = found.as_ref().map(String::as_str).map_err(|error| *error);
            assert_eq!(found, expected, "{name:?} {image_id:?}");
        }
        let only = BTreeMap::from([("web", 1)]);
        for name in [None, Some("web"), Some("nosuch")] {
            assert_eq!(chosen(&only, name, None), Ok("web".to_owned()));
        }
        let none = BTreeMap::new();
        assert_eq!(chosen(&none, Some("web"), None), Err(NotChosen::NoApp));
        let gone = of(&only, None, select(Some("web"), None));
        assert_eq!(gone, Err(NotChosen::NotInTarget));
    }
}
