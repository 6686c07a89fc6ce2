//! What the engine says that happened, reduced to what concerns us.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};

/// One thing that happened on the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Happened {
    /// To a container that carries our labels.
    Container(ContainerEvent),
    /// To a network, a volume or an image: the world has to be read again.
    Other,
    /// Some events may be missing: the connection is new, or too much happened at once.
    Gap,
}

/// Something that happened to a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ContainerEvent {
    /// What.
    pub(crate) action: Action,
    /// Engine id.
    pub(crate) id: String,
    /// The image it was created from, as the engine names it.
    pub(crate) image: String,
    /// Its labels, and what else the engine tells.
    pub(crate) attributes: HashMap<String, String>,
}

/// What happens to containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Its first process runs.
    Start,
    /// Its first process has ended.
    Die,
    /// It is gone.
    Destroy,
    /// Anything else that changes what an inspection shows.
    Changed,
}

/// Labels of everything that we manage, present and legacy.
pub(crate) const SUPERVISED: [&str; 2] = ["io.balena.supervised", "io.resin.supervised"];

/// What an engine event means to us; `None` when nothing.
pub(crate) fn understand(event: EventMessage) -> Option<Happened> {
    let action = event.action?;
    let actor = event.actor.unwrap_or_default();
    match event.typ? {
        EventMessageTypeEnum::CONTAINER => {
            let attributes = actor.attributes.unwrap_or_default();
            if !SUPERVISED
                .iter()
                .any(|label| attributes.contains_key(*label))
            {
                return None;
            }
            let action = match action.as_str() {
                "start" => Action::Start,
                "die" => Action::Die,
                "destroy" => Action::Destroy,
                "create" | "rename" | "pause" | "unpause" | "update" | "oom" => Action::Changed,
                // exec, attach, top, resize, health checks, archive access: nothing that we look at.
                _ => return None,
            };
            Some(Happened::Container(ContainerEvent {
                action,
                id: actor.id?,
                image: attributes.get("image").cloned().unwrap_or_default(),
                attributes,
            }))
        }
        EventMessageTypeEnum::NETWORK | EventMessageTypeEnum::VOLUME => {
            matches!(action.as_str(), "create" | "destroy").then_some(Happened::Other)
        }
        EventMessageTypeEnum::IMAGE => matches!(
            action.as_str(),
            "pull" | "tag" | "load" | "import" | "build"
        )
        .then_some(Happened::Other),
        _ => None,
    }
}
