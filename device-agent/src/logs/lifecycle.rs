//! What happens to services outside of the agent's own steps, in the reference's words: they exit, and the engine
//! restarts them.

use std::collections::HashSet;

use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

use super::Hub;
use super::source::Source;
use crate::engine::events::{Action, Happened};
use crate::model::Confinement;

/// Containers that ended are remembered up to this many; then all are forgotten, and a restart goes untold.
const MAX_REMEMBERED: usize = 4096;

/// Publishes system lines until the engine's events end.
pub(crate) async fn narrate(
    hub: Hub,
    confinement: Option<Confinement>,
    mut happened: broadcast::Receiver<Happened>,
) {
    let mut ended = HashSet::new();
    loop {
        let event = match happened.recv().await {
            Ok(Happened::Container(event)) => event,
            Ok(_) | Err(RecvError::Lagged(_)) => continue,
            Err(RecvError::Closed) => return,
        };
        let Some(source) = Source::from_labels(&event.id, &event.attributes, confinement.as_ref())
        else {
            continue;
        };
        let object = format!("'{} {}'", source.service, event.image);
        match event.action {
            Action::Die => {
                if ended.len() == MAX_REMEMBERED {
                    ended.clear();
                }
                ended.insert(event.id);
                hub.system(format!("Service exited {object}"));
            }
            Action::Start => {
                if ended.remove(&event.id) {
                    hub.system(format!("Restarting service {object}"));
                }
            }
            Action::Destroy => {
                ended.remove(&event.id);
            }
            Action::Changed => {}
        }
    }
}
