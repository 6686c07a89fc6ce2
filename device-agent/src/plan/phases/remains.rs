//! What nobody wants, whatever else is to be done: dead containers, those of applications that are gone, duplicates.

use crate::model::{ContainerState, Inventory, Leftover, ObservedContainer, Step};
use crate::plan::found::{About, Found};
use crate::plan::survey::Survey;

/// How often the removal of a leftover is tried.
const TRIES: u32 = 5;

/// See the module.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for container in &survey.observed.containers {
        if container.state == ContainerState::Dead {
            let step = Step::RemoveDead {
                service: container.service_name.clone(),
                id: container.id.clone(),
            };
            found.offer_for(survey, Some(container.app_id), step);
        } else if container.state == ContainerState::Removing {
            let name = &container.service_name;
            let because = format!("the engine is removing a container of {name}");
            found.wait_for(About(container.app_id, Some(name)), because);
        }
    }
    let leftovers = survey.observed.leftovers.as_ref();
    let goes_anyway =
        |id: &String| leftovers.is_some_and(|leftovers| leftovers.containers.contains(id));
    for container in survey.orphans.iter().filter(|c| !goes_anyway(&c.id)) {
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
    if let Some(leftovers) = &survey.observed.leftovers {
        remove_leftovers(survey, leftovers, &mut found);
    }
    found
}

/// What a local session left behind: containers first, then what they were made of.
fn remove_leftovers(survey: &Survey<'_>, leftovers: &Inventory, found: &mut Found) {
    // One that the engine is removing already is waited for.
    let is_going = |id: &&String| {
        let mut all = survey.observed.containers.iter();
        all.any(|c| c.id == **id && c.state == ContainerState::Removing)
    };
    let containers = leftovers.containers.iter();
    let containers = containers.filter(|id| !is_going(id));
    let containers = containers.cloned().map(Leftover::Container);
    let others = (leftovers.images.iter().cloned().map(Leftover::Image))
        .chain(leftovers.networks.iter().cloned().map(Leftover::Network))
        .chain(leftovers.volumes.iter().cloned().map(Leftover::Volume));
    let steps: Vec<Leftover> = if leftovers.containers.is_empty() {
        others.collect()
    } else {
        containers.collect()
    };
    for step in steps.into_iter().map(Step::RemoveLeftover) {
        // What cannot be removed is given up, so that it does not keep the fleet's services away for ever.
        let failures = survey.observed.failures.get(&step.key());
        if failures.is_none_or(|failure| failure.count < TRIES) {
            found.offer(survey, step);
        }
    }
}

/// The step that takes a container away.
pub(super) fn kill(container: &ObservedContainer, because: &str) -> Step {
    Step::Kill {
        app_id: container.app_id,
        service: container.service_name.clone(),
        id: container.id.clone(),
        image: container.config.image.clone(),
        because: because.to_owned(),
        recreates: false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::{ContainerState, Inventory, Observed, Plan, Step};
    use crate::plan::plan;
    use crate::plan::tests::{container, device, target};

    #[test]
    fn a_leftover_that_is_being_removed_is_waited_for() {
        let target = target(&json!({"apps": {}}));
        let mut observed = Observed::empty(device());
        let container = container("abc");
        observed.leftovers = Some(Inventory {
            containers: [container.id.clone()].into(),
            ..Inventory::default()
        });
        observed.containers.push(container);
        let Plan::Run(batch) = plan(&observed, &target, 0) else {
            panic!("it stays");
        };
        let mut steps = batch.steps();
        assert!(steps.any(|step| matches!(step, Step::RemoveLeftover(_))));
        observed.containers[0].state = ContainerState::Removing;
        assert!(matches!(plan(&observed, &target, 0), Plan::Wait { .. }));
    }
}
