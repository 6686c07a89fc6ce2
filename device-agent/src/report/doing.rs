//! What is being done, in the words that are told of services and of containers. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::{ServiceKey, Sources};
use crate::model::{ObservedContainer, Step};

/// The reference's words for what is being done. What is done to one container is not told of another of its service:
/// the old one of a hand-over is stopped while the new one runs.
#[derive(Debug, Default)]
pub(super) struct Doing<'a> {
    /// To services, by key.
    services: BTreeMap<ServiceKey, &'static str>,
    /// To containers, by id.
    containers: BTreeMap<&'a str, &'static str>,
}

impl<'a> Doing<'a> {
    pub(super) fn of(sources: &'a Sources<'_>) -> Self {
        let mut doing = Self::default();
        let pulling = sources.observed.pulling.iter();
        let mut fetched: BTreeSet<&str> = pulling.map(String::as_str).collect();
        for step in sources.doing.steps() {
            match step {
                Step::Pull { image, .. } => {
                    fetched.insert(image);
                }
                Step::Install {
                    app_id, service, ..
                } => {
                    let key = (*app_id, service.clone());
                    doing.services.insert(key, "Installing");
                }
                Step::Start { id, .. } => {
                    doing.containers.insert(id, "Starting");
                }
                Step::Stop { id, .. } | Step::Kill { id, .. } => {
                    doing.containers.insert(id, "Stopping");
                }
                Step::HandOver { id, .. } => {
                    doing.containers.insert(id, "Handing over");
                }
                _ => {}
            }
        }
        // A pull may be about to end, or to be given up because nothing needs it any more.
        fetched.retain(|image| !sources.observed.images.contains_key(*image));
        for app in sources.target.into_iter().flat_map(|t| t.apps.values()) {
            let services = app.services.values();
            for service in services.filter(|s| fetched.contains(s.image.as_str())) {
                let word = doing.services.entry((app.id, service.name.clone()));
                word.or_insert("Downloading");
            }
        }
        doing
    }

    pub(super) fn to_container(&self, container: &ObservedContainer) -> Option<&'static str> {
        self.containers.get(container.id.as_str()).copied()
    }

    pub(super) fn to_service(&self, key: &ServiceKey) -> Option<&'static str> {
        self.services.get(key).copied()
    }
}
