//! Which containers have lines: what their labels say about them.

use std::collections::HashMap;
use std::sync::Arc;

use crate::engine::events::SUPERVISED;
use crate::model::Confinement;

/// A container whose lines are read.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Source {
    pub(super) id: Arc<str>,
    pub(super) service: String,
    pub(super) service_id: Option<u32>,
}

impl Source {
    /// From a container's labels; `None` when it is not one of ours.
    pub(super) fn from_labels(
        id: &str,
        labels: &HashMap<String, String>,
        confinement: Option<&Confinement>,
    ) -> Option<Self> {
        let ours = SUPERVISED.iter().any(|label| labels.contains_key(*label))
            && confinement.is_none_or(|c| labels.get(Confinement::LABEL) == Some(&c.namespace));
        if !ours {
            return None;
        }
        let label = |name: &str| {
            ["io.balena.", "io.resin."]
                .iter()
                .find_map(|prefix| labels.get(&format!("{prefix}{name}")))
        };
        Some(Self {
            id: Arc::from(id),
            service: label("service-name")?.clone(),
            service_id: label("service-id").and_then(|id| id.parse().ok()),
        })
    }
}
