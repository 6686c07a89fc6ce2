//! Volumes and networks that are missing. They disturb nothing that runs, so they are made first.

use crate::model::Step;
use crate::plan::found::Found;
use crate::plan::survey::Survey;

/// See the module.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for volume in survey.apps.iter().flat_map(|app| &app.volumes) {
        if !survey
            .observed
            .volumes
            .iter()
            .any(|v| v.name == volume.name)
        {
            let step = Step::CreateVolume {
                name: volume.name.clone(),
                logical_name: volume.logical_name.clone(),
                spec: volume.spec.clone(),
            };
            found.offer(survey, step);
        }
    }
    for network in survey.networks().filter(|n| n.found.is_empty()) {
        let step = Step::CreateNetwork {
            name: network.wanted.name.clone(),
            logical_name: network.wanted.logical_name.clone(),
            spec: network.wanted.spec.clone(),
        };
        found.offer(survey, step);
    }
    found
}
