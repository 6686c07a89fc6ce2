//! What a local session changes: which target counts, and whose the volumes are that came since. Pure.

use std::sync::Arc;

use super::format::Content;
use super::{Accepted, Mode};
use crate::model::{AppClass, Confinement, Target, names};

/// What counts of a state: pure.
pub(super) fn accepted(
    content: &Content,
    managed: bool,
    confinement: Option<&Confinement>,
    fault: Option<String>,
) -> Accepted {
    let mode = if managed { content.mode } else { Mode::Local };
    let target = match mode {
        Mode::Fleet => content.fleet.clone(),
        Mode::Local => local(content, managed),
    };
    let gives_way = managed && mode == Mode::Local;
    let fleet = content.fleet.iter().filter(|_| gives_way);
    // What stays of the fleet's beside a local target was not sent with it.
    let local = content.local.as_ref().filter(|_| mode == Mode::Local);
    let sent = local.or(target.as_ref()).filter(|sent| sent.force);
    let forced = sent.iter().flat_map(|sent| sent.apps.keys().copied());
    let forced = Arc::new(forced.collect());
    let is_sent = mode == Mode::Local && content.local.is_some();
    Accepted {
        generation: content.generation,
        given: if is_sent {
            content.local_given
        } else {
            content.generation
        },
        target,
        mode,
        ended_session: content
            .session
            .clone()
            .filter(|_| managed && mode == Mode::Fleet),
        forced,
        fleet_volumes: Arc::new(
            fleet
                .flat_map(|fleet| volumes(fleet, confinement))
                .collect(),
        ),
        fault,
    }
}

/// In a local session the fleet's own applications give way; others of the fleet's target stay. A device that left its
/// fleet keeps nothing of it.
fn local(content: &Content, managed: bool) -> Option<Arc<Target>> {
    let Some(fleet) = &content.fleet else {
        return content.local.clone();
    };
    let target = content.local.as_deref().cloned();
    let target = target.unwrap_or_else(|| Target {
        apps: std::collections::BTreeMap::new(),
        ..fleet.as_ref().clone()
    });
    Some(Arc::new(beside_fleet(target, content, managed)))
}

/// A local target with what stays of the fleet's beside it.
pub(super) fn beside_fleet(mut target: Target, content: &Content, managed: bool) -> Target {
    let fleet = content.fleet.iter().filter(|_| managed);
    let apps = fleet.flat_map(|fleet| fleet.apps.values());
    for app in apps.filter(|app| app.class != AppClass::Fleet) {
        // Two of one uuid would fight over their networks.
        if !target.apps.values().any(|local| local.uuid == app.uuid) {
            target.apps.entry(app.id).or_insert_with(|| app.clone());
        }
    }
    target
}

/// The volumes that the fleet's target names since a session has ended belong to the fleet, whenever they came: they are no
/// leftovers of that session, also when a later target does not name them any more.
pub(super) fn adopt_volumes(content: &mut Content, confinement: Option<&Confinement>) {
    let (Some(session), Some(fleet), Mode::Fleet) =
        (&mut content.session, &content.fleet, content.mode)
    else {
        return;
    };
    let named = volumes(fleet, confinement);
    Arc::make_mut(session).volumes.extend(named);
}

/// Engine names of the volumes that a target names.
pub(super) fn volumes<'t>(
    target: &'t Target,
    confinement: Option<&'t Confinement>,
) -> impl Iterator<Item = String> + 't {
    target.apps.values().flat_map(move |app| {
        let names = app.volumes.keys();
        names.map(move |name| names::volume(app.id, name, confinement))
    })
}
