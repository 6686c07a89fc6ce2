//! What nobody wants, whatever else is to be done: dead containers, those of applications that are gone, duplicates.

use crate::model::{ContainerState, ObservedContainer, Step};
use crate::plan::found::Found;
use crate::plan::survey::Survey;

/// See the module.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for container in &survey.observed.containers {
        if container.state == ContainerState::Dead {
            let step = Step::RemoveDead {
                service: container.service_name.clone(),
                id: container.id.clone(),
            };
            found.offer(survey, step);
        } else if container.state == ContainerState::Removing {
            let name = &container.service_name;
            found.wait_for(format!("the engine is removing a container of {name}"));
        }
    }
    for container in &survey.orphans {
        found.offer(
            survey,
            kill(container, "its application has nothing to run"),
        );
    }
    for service in survey.apps.iter().flat_map(|app| &app.services) {
        for container in &service.duplicates {
            let because = "there is a newer container of this service";
            found.offer(survey, kill(container, because));
        }
    }
    found
}

/// The step that takes a container away.
pub(super) fn kill(container: &ObservedContainer, because: &str) -> Step {
    Step::Kill {
        app_id: container.app_id,
        service: container.service_name.clone(),
        id: container.id.clone(),
        image: container.config.image.clone(),
        because: because.to_owned(),
    }
}
