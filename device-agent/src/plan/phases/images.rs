//! Images that are not on the device, and those that nobody needs any more.

use std::collections::BTreeSet;

use agent_api::os::Room;

use crate::model::{Millis, Step};
use crate::plan::found::{About, Found};
use crate::plan::survey::{ServiceSurvey, Survey};

/// Below this many free bytes nothing is fetched: an engine without any room cannot even remove.
const RESERVE: u64 = 64 << 20;

/// When a disk without room is looked at again, in milliseconds: no event tells that a file was removed.
const LOOK_AGAIN: Millis = 60_000;

/// One pull an image. An image that was built on the device and is gone is tried as well: that fails, which says it.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    let mut asked = BTreeSet::new();
    for app in &survey.apps {
        for service in &app.services {
            let image = &service.service.image;
            if survey.observed.images.contains_key(image) || goes_first(service) {
                continue;
            }
            let name = &service.service.name;
            let about = About(app.app.id, Some(name));
            if survey.observed.pulling.contains(image) {
                found.wait_for(about, format!("{name} waits for its image"));
            } else if let Some(because) = no_room(survey) {
                let again = survey.now.saturating_add(LOOK_AGAIN);
                found.fault_until(about, again, because);
            } else if asked.insert(image) {
                let step = Step::Pull {
                    app_id: app.app.id,
                    service: name.clone(),
                    image: image.clone(),
                };
                found.offer(survey, step);
            }
        }
    }
    found
}

/// Whether its container goes before its image is fetched, and has not gone yet.
fn goes_first(service: &ServiceSurvey<'_>) -> bool {
    service.strategy.kills_first() && service.container.is_some()
}

/// Whether there is too little room to fetch anything.
pub(in crate::plan) fn is_short(room: Room) -> bool {
    room.free < RESERVE
}

fn no_room(survey: &Survey<'_>) -> Option<String> {
    let space = survey.observed.disk.filter(|space| is_short(space.room))?;
    let freed = match space.could_be_freed {
        Some(bytes) => format!(
            "removing unused images and the cache of builds frees {} MiB at most",
            bytes >> 20
        ),
        None => "remove images or volumes that are not needed".to_owned(),
    };
    Some(format!(
        "there is no room for an image: {} MiB of {} MiB are free on the engine's disk, {} MiB are needed at least; {freed}",
        space.room.free >> 20,
        space.room.total >> 20,
        RESERVE >> 20
    ))
}

/// In local mode everything is kept: the next push may need it.
pub(super) fn unused(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    if survey.observed.local_mode {
        return found;
    }
    for image in &survey.observed.unused_images {
        let step = Step::RemoveImage {
            image: image.clone(),
        };
        // One that cannot be removed is in use by something else, which holds up nothing.
        if !survey.observed.failures.contains_key(&step.key()) {
            found.steps.push(step);
        }
    }
    found
}
