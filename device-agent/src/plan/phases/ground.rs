//! Volumes and networks that are missing, and volumes that are to go. Making them disturbs nothing that runs.

use crate::model::{Millis, Step};
use crate::plan::found::{About, Found};
use crate::plan::survey::{NetworkSurvey, Survey, uses};

/// When it is tried again to note that a volume is gone.
const NOTED_AGAIN: Millis = 5_000;

/// What is missing.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for app in &survey.apps {
        let app_id = Some(app.app.id);
        let exists = |name: &str| survey.observed.volumes.iter().any(|v| v.name == name);
        for volume in app.volumes.iter().filter(|volume| !exists(&volume.name)) {
            if survey.observed.unnoted_discards.contains(&volume.name) {
                wait_for_note(
                    survey,
                    About(app.app.id, None),
                    &volume.logical_name,
                    &mut found,
                );
                continue;
            }
            let step = Step::CreateVolume {
                name: volume.name.clone(),
                logical_name: volume.logical_name.clone(),
                spec: volume.spec.clone(),
            };
            found.offer_for(survey, app_id, step);
        }
        for network in app.networks.iter().filter(|n| n.found.is_empty()) {
            found.offer_for(survey, app_id, create(network));
        }
    }
    for network in survey.api_network.iter().filter(|n| n.found.is_empty()) {
        found.offer(survey, create(network));
    }
    found
}

/// A volume went on request and that could not be noted: what is written into a new one must not go after a crash.
pub(super) fn wait_for_note(
    survey: &Survey<'_>,
    about: About<'_>,
    volume: &str,
    found: &mut Found,
) {
    let because = format!(
        "the volume {volume} is made again when it is noted that it was emptied: is the disk full?"
    );
    found.fault_until(about, survey.now + NOTED_AGAIN, because);
}

fn create(network: &NetworkSurvey<'_>) -> Step {
    Step::CreateNetwork {
        name: network.wanted.name.clone(),
        logical_name: network.wanted.logical_name.clone(),
        spec: network.wanted.spec.clone(),
    }
}

/// Volumes that somebody let go of, when no container has them any more.
pub(super) fn doomed(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for (name, doomed) in &survey.doomed_volumes {
        let in_use = survey.observed.containers.iter().find(|c| uses(c, name));
        let Some(container) = in_use else {
            let step = Step::RemoveVolume {
                name: name.clone(),
                logical_name: doomed.logical_name.clone(),
            };
            found.offer_for(survey, doomed.app_id, step);
            continue;
        };
        let about = About(doomed.app_id.unwrap_or(container.app_id), None);
        let because = format!(
            "the volume {} waits for a container of {} to be gone",
            doomed.logical_name, container.service_name
        );
        if survey.is_left_alone(container.app_id) {
            let because = format!("{because}, which stays: its release is rejected");
            found.fault(about, because);
        } else {
            found.wait_for(about, because);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::{Observed, Plan, Step};
    use crate::plan::plan;
    use crate::plan::tests::{device, target};

    #[test]
    fn a_volume_that_was_emptied_is_made_again_when_that_is_noted() {
        let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {}, "volumes": {"data": {}}});
        let target = target(&json!({"apps": {"1": app}}));
        let mut observed = Observed::empty(device());
        let makes = |observed: &Observed| match plan(observed, &target, 0) {
            Plan::Run(batch) => batch
                .steps()
                .any(|step| matches!(step, Step::CreateVolume { .. })),
            Plan::Wait { .. } | Plan::Converged => false,
        };
        assert!(makes(&observed));
        observed.unnoted_discards.insert("1_data".to_owned());
        assert!(!makes(&observed));
    }
}
