//! Which containers have lines: what their labels say about them.

use std::collections::HashMap;
use std::sync::Arc;

use agent_api::cursor::{Cursor, short_id};
use agent_api::log::LogLine;

use super::Line;
use super::lines::Text;
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

    /// From the name that a container had, where its labels are gone with it; `None` when it was not one of ours.
    pub(super) fn from_name(
        id: &str,
        name: &str,
        confinement: Option<&Confinement>,
    ) -> Option<Self> {
        let name = match confinement {
            Some(c) => name.strip_suffix(&c.namespace)?.strip_suffix('_')?,
            None => name,
        };
        // A service's name may hold what stands between the parts, so they are taken from the end.
        let mut parts = name.rsplitn(4, '_');
        let (commit, release, image) = (parts.next()?, parts.next()?, parts.next()?);
        let service = parts.next().filter(|service| !service.is_empty())?;
        let numbers = [release, image]
            .iter()
            .all(|number| number.parse::<u32>().is_ok());
        let is_commit = commit.bytes().all(|byte| byte.is_ascii_hexdigit());
        (numbers && is_commit).then(|| Self {
            id: Arc::from(id),
            service: service.to_owned(),
            service_id: None,
        })
    }

    /// Its id in places.
    pub(super) fn container(&self) -> u64 {
        short_id(&self.id)
    }

    /// A line as clients get it.
    pub(super) fn line(&self, text: Text, place: Cursor) -> Line {
        let line = LogLine {
            service_name: Some(self.service.clone()),
            message: text.message,
            is_system: None,
            is_std_err: Some(text.is_std_err),
            timestamp: Some(text.nanos / 1_000_000),
            service_id: self.service_id,
            ..LogLine::greeting()
        };
        Line::new(line, place)
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

    #[test]
    fn a_name_tells_the_service_when_the_labels_are_gone() {
        let confined = Confinement {
            namespace: "ab".to_owned(),
            address: std::net::IpAddr::from([127, 71, 0, 1]),
            allow_privileged: false,
        };
        let service = |name, confinement| {
            Source::from_name("id", name, confinement).map(|source| source.service)
        };
        for (name, known) in [
            ("web_1_2_10ca12e1ea5e", Some("web")),
            ("my_web_1_22_10ca12e1ea5e", Some("my_web")),
            ("_1_2_10ca12e1ea5e", None),
            ("1_2_10ca12e1ea5e", None),
            ("web_1_x_10ca12e1ea5e", None),
            ("web_1_2_release", None),
            ("some-other-container", None),
            ("web_1_2_10ca12e1ea5e_ab", None),
            ("", None),
        ] {
            assert_eq!(service(name, None).as_deref(), known, "{name}");
        }
        let name = "web_1_2_10ca12e1ea5e_ab";
        assert_eq!(service(name, Some(&confined)).as_deref(), Some("web"));
        assert_eq!(service("web_1_2_10ca12e1ea5e_abc", Some(&confined)), None);
        assert_eq!(service("web_1_2_10ca12e1ea5e", Some(&confined)), None);
    }
}
