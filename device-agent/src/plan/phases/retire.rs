//! Containers that must go before their services get new ones, or for good.
//!
//! Not before every image of the release is on the device: until then the old release keeps running, unless a service's
//! strategy says that it goes first.

use super::remains::kill;
use super::services::is_up;
use crate::model::{ContainerState, ObservedContainer, Step, names};
use crate::plan::found::{About, Found};
use crate::plan::strategy::{self, Reason, Strategy};
use crate::plan::survey::{AppSurvey, ServiceSurvey, Survey, uses};

/// See the module.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for app in &survey.apps {
        if app.images_ready {
            for container in &app.leftovers {
                let because = "its service is not in the target state";
                found.offer(survey, kill(container, because));
            }
        }
        for service in &app.services {
            if let Some(container) = service.container {
                give_way(survey, app, service, container, &mut found);
            }
            if let Some(predecessor) = service.predecessor {
                end_hand_over(survey, app, service, predecessor, &mut found);
            }
        }
    }
    found
}

fn give_way(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    container: &ObservedContainer,
    found: &mut Found,
) {
    let Some(reason) = survey.reason_to_go(service, container) else {
        return;
    };
    if !app.images_ready && !service.strategy.kills_first() {
        if survey.observed.asked.replace.contains_key(&container.id) {
            let name = &service.service.name;
            let because = format!("{name} goes on until every image of its release is there");
            found.wait_for(About(app.app.id, Some(name)), because);
        }
        return;
    }
    if matches!(reason, Reason::Changed(_)) && strategy::can_hand_over(service, container) {
        let step = Step::HandOver {
            app_id: app.app.id,
            service: service.service.name.clone(),
            id: container.id.clone(),
            name: format!("{}{}", names::PREDECESSOR, container.name),
            image: container.config.image.clone(),
            because: reason.words().to_owned(),
        };
        found.offer(survey, step);
        return;
    }
    let image_is_missing = !survey.observed.images.contains_key(&service.service.image);
    if service.strategy == Strategy::DeleteThenDownload && image_is_missing {
        found.then.push(Step::RemoveImage {
            image: container.config.image.clone(),
        });
    }
    found.offer(
        survey,
        Step::Kill {
            app_id: app.app.id,
            service: service.service.name.clone(),
            id: container.id.clone(),
            image: container.config.image.clone(),
            because: reason.words().to_owned(),
            recreates: true,
        },
    );
}

/// The old container goes when the new one says so, or has run for long enough.
fn end_hand_over(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    predecessor: &ObservedContainer,
    found: &mut Found,
) {
    let observed = survey.observed;
    let (app_id, name) = (app.app.id, service.service.name.clone());
    let about = About(app_id, Some(&service.service.name));
    if !service.service.running || observed.asked.is_stopped(app_id, &name) {
        found.offer(survey, kill(predecessor, "its service is to be stopped"));
        return;
    }
    if let Some(volume) = survey.doomed_volumes.keys().find(|v| uses(predecessor, v)) {
        found.offer(
            survey,
            kill(predecessor, &format!("volume {volume} is to go")),
        );
        return;
    }
    // The network waits for it, and whatever succeeds it for the network.
    if app.images_ready
        && let Some(network) = survey.stands_in_changed_network(predecessor)
    {
        found.offer(
            survey,
            kill(predecessor, &format!("network {network} is made anew")),
        );
        return;
    }
    let Some(successor) = service.container else {
        // Until there is a new one, the old one does its work.
        return;
    };
    let Some(since) = observed.running_since.get(&successor.id) else {
        if successor.state == ContainerState::Exited && successor.exit_code == Some(0) {
            found.offer(survey, kill(predecessor, "its successor has ended"));
        } else if successor.state == ContainerState::Exited
            && successor.ever_started
            && !is_up(predecessor)
        {
            // Nothing restarts it any more: there is nothing to go on with.
            found.offer(
                survey,
                kill(predecessor, "neither it nor its successor runs"),
            );
        } else if successor.ever_started {
            let because = format!("{name} goes on in its old container until the new one runs");
            found.fault(about, because);
        }
        return;
    };
    let timeout = strategy::timeout(&service.service.labels);
    let end = since.saturating_add(timeout);
    if service.strategy != Strategy::HandOver
        || observed.handed_over.contains(&(app_id, name.clone()))
    {
        found.offer(survey, kill(predecessor, "its successor has taken over"));
    } else if end <= survey.now {
        let because = format!("its successor has run for {timeout} ms");
        found.offer(survey, kill(predecessor, &because));
    } else {
        let because = format!("{name} waits for its successor to take over");
        found.wait_until(about, end, because);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::{ContainerState, ImageFacts, Observed, Plan, Step, Target};
    use crate::plan::plan;
    use crate::plan::tests::{apply, device, target};

    fn wanted(level: &str) -> Target {
        target(&json!({"apps": {"1": {
            "name": "app", "commit": "c", "releaseId": 1,
            "services": {"1": {
                "serviceName": "web", "image": "web", "imageId": 1, "environment": {"LEVEL": level},
                "labels": {"io.balena.update.strategy": "hand-over"}
            }}
        }}}))
    }

    fn proceed(observed: &mut Observed, target: &Target) {
        let mut serial = 10 * u32::try_from(observed.containers.len()).unwrap();
        while let Plan::Run(batch) = plan(observed, target, 0) {
            for step in batch.steps() {
                serial += 1;
                apply(observed, step, serial);
            }
        }
    }

    #[test]
    fn an_old_container_that_has_ended_does_not_wait_for_a_successor_that_has() {
        let mut observed = Observed::empty(device());
        let image = ImageFacts {
            id: "sha256:web".to_owned(),
            command: vec!["run".to_owned()],
            ..ImageFacts::default()
        };
        observed.images.insert("web:latest".to_owned(), image);
        proceed(&mut observed, &wanted("1"));
        proceed(&mut observed, &wanted("2"));
        let is_old: Vec<bool> = observed
            .containers
            .iter()
            .map(|c| c.is_predecessor)
            .collect();
        assert_eq!(is_old, [true, false]);
        let mut ended = observed.clone();
        ended.containers[1].state = ContainerState::Exited;
        ended.containers[1].exit_code = Some(1);
        let Plan::Wait { blocks, .. } = plan(&ended, &wanted("2"), 0) else {
            panic!("the old one still runs");
        };
        assert!(blocks[0].because.contains("goes on in its old container"));
        ended.containers[0].state = ContainerState::Exited;
        let mut begins = ended.clone();
        begins.containers[1].state = ContainerState::Restarting;
        assert!(matches!(plan(&begins, &wanted("2"), 0), Plan::Wait { .. }));
        let Plan::Run(batch) = plan(&ended, &wanted("2"), 0) else {
            panic!("nothing runs");
        };
        let goes: Vec<&String> = batch
            .steps()
            .filter_map(|step| match step {
                Step::Kill { id, .. } => Some(id),
                _ => None,
            })
            .collect();
        assert_eq!(goes, [&ended.containers[0].id]);
    }
}
