//! Which containers there are on the engine whose lines are read.

use std::collections::HashMap;
use std::sync::Arc;

use bollard::query_parameters::{InspectContainerOptions, ListContainersOptionsBuilder};

use super::level::Level;
use super::source::Source;
use crate::engine::events::SUPERVISED;
use crate::engine::{Connected, EngineError, QUICK, bounded};
use crate::model::Confinement;

/// What engines call the driver that logs to the journal.
pub(super) const JOURNAL_DRIVER: &str = "journald";

/// Our containers, and whether each runs.
pub(super) async fn supervised(
    connected: &Connected,
    confinement: Option<&Confinement>,
) -> Result<Vec<(Source, bool)>, EngineError> {
    let mut found: HashMap<Arc<str>, (Source, bool)> = HashMap::new();
    for label in SUPERVISED {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::default()
            .all(true)
            .filters(&filters)
            .build();
        let listed = bounded(QUICK, connected.docker.list_containers(Some(options))).await?;
        for container in listed {
            let labels = container.labels.unwrap_or_default();
            let id = container.id.unwrap_or_default();
            if let Some(source) = Source::from_labels(&id, &labels, confinement) {
                let runs = container
                    .state
                    .is_some_and(|state| state.to_string() == "running");
                found.insert(Arc::clone(&source.id), (source, runs));
            }
        }
    }
    Ok(found.into_values().collect())
}

/// Whether the engine would answer the same another time: it cannot give these lines at all.
pub(super) fn cannot_be_read(error: &EngineError) -> bool {
    matches!(
        error,
        EngineError::Refused {
            status: 400..=499 | 501,
            ..
        }
    )
}

/// How the engine gives a container's lines, and which of them are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Manner {
    /// It has a terminal: they come without frames.
    pub(super) tty: bool,
    /// They are read in the journal.
    pub(super) is_journal: bool,
    /// Which of them its service wants to be told.
    pub(super) level: Level,
}

/// Asks the engine how it gives a container's lines.
pub(super) async fn manner(connected: &Connected, id: &str) -> Result<Manner, EngineError> {
    let call = connected
        .docker
        .inspect_container(id, None::<InspectContainerOptions>);
    let container = bounded(QUICK, call).await?;
    let driver = container
        .host_config
        .and_then(|host| host.log_config)
        .and_then(|log| log.typ);
    let config = container.config.unwrap_or_default();
    Ok(Manner {
        tty: config.tty.unwrap_or(false),
        is_journal: driver.as_deref() == Some(JOURNAL_DRIVER),
        level: Level::from_environment(&config.env.unwrap_or_default()),
    })
}
