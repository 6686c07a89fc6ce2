//! Images that are not on the device.

use std::collections::BTreeSet;

use crate::model::Step;
use crate::plan::found::Found;
use crate::plan::survey::Survey;

/// One pull an image. An image that was built on the device and is gone is tried as well: that fails, which says it.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    let mut asked = BTreeSet::new();
    for app in &survey.apps {
        for service in app.services.iter().map(|s| s.service) {
            if survey.observed.images.contains_key(&service.image) || !asked.insert(&service.image)
            {
                continue;
            }
            let step = Step::Pull {
                app_id: app.app.id,
                service: service.name.clone(),
                image: service.image.clone(),
            };
            found.offer(survey, step);
        }
    }
    found
}
