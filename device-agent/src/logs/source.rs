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
        // What belongs to a simulated device is nobody else's, and the other way round.
        let owner = labels.get(Confinement::LABEL);
        let ours = SUPERVISED.iter().any(|label| labels.contains_key(*label))
            && owner == confinement.map(|confinement| &confinement.namespace);
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

#[cfg(test)]
mod tests {
    use super::*;

    fn read(labels: &[(&str, &str)], namespace: Option<&str>) -> Option<Source> {
        let labels = labels
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let confinement = namespace.map(|namespace| Confinement {
            namespace: namespace.to_owned(),
            address: std::net::IpAddr::from([127, 71, 0, 1]),
            allow_privileged: false,
        });
        Source::from_labels("id", &labels, confinement.as_ref())
    }

    #[test]
    fn each_device_reads_its_own_containers_only() {
        let plain = [
            ("io.balena.supervised", "true"),
            ("io.balena.service-name", "web"),
            ("io.balena.service-id", "7"),
        ];
        let mut confined = plain.to_vec();
        confined.push((Confinement::LABEL, "ab"));
        assert_eq!(read(&plain, None).unwrap().service_id, Some(7));
        assert_eq!(read(&confined, Some("ab")).unwrap().service, "web");
        assert_eq!(read(&plain, Some("ab")), None);
        assert_eq!(read(&confined, None), None);
        assert_eq!(read(&confined, Some("cd")), None);
        assert_eq!(read(&[("io.balena.service-name", "web")], None), None);
        let legacy = [
            ("io.resin.supervised", "true"),
            ("io.resin.service-name", "old"),
        ];
        assert_eq!(read(&legacy, None).unwrap().service, "old");
    }
}
