//! Containers are created, started, stopped and renamed.

use crate::model::{ContainerState, ObservedContainer, Step};
use crate::plan::found::Found;
use crate::plan::survey::{AppSurvey, ServiceSurvey, Survey};

/// What the engine says when a port's address was not there yet at boot. The only end after which a container is
/// started again; every other is the restart policy's business.
const BOOT_RACE: &str = "cannot assign requested address";

/// Only in applications all of whose images are on the device.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for app in survey.apps.iter().filter(|app| app.images_ready) {
        for service in &app.services {
            match service.container {
                None => install(survey, app, service, &mut found),
                // A container that is to go could not be taken away yet.
                Some(container) if !stays(survey, service, container) => {}
                Some(container) => settle(survey, app, service, container, &mut found),
            }
        }
    }
    found
}

fn stays(survey: &Survey<'_>, service: &ServiceSurvey<'_>, container: &ObservedContainer) -> bool {
    service.differences.is_empty() && survey.stands_in_changed_network(container).is_none()
}

/// A new container, once everything that it names is there. What is missing is held up in an earlier phase.
fn install(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    found: &mut Found,
) {
    let name = &service.service.name;
    if is_taken(survey, &service.name) {
        found.wait_for(format!("{name} waits for an old container to be gone"));
        return;
    }
    let Some(desired) = &service.desired else {
        found.wait_for(format!(
            "{name} waits for the service whose network it shares"
        ));
        return;
    };
    let has_volumes = app.volumes.iter().all(|wanted| {
        survey
            .observed
            .volumes
            .iter()
            .any(|v| v.name == wanted.name)
    });
    let has_networks = desired.networks.keys().all(|n| survey.is_network_ready(n));
    if !has_volumes || !has_networks {
        found.wait_for(format!("{name} waits for its networks and volumes"));
        return;
    }
    let step = Step::Install {
        app_id: app.app.id,
        service: name.clone(),
        service_id: service.service.id,
        name: service.name.clone(),
        config: Box::new(desired.clone()),
        device_name: survey.device_name.to_owned(),
    };
    found.offer(survey, step);
}

/// A container that is as it should be: its name and whether it runs.
fn settle(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    container: &ObservedContainer,
    found: &mut Found,
) {
    let name = &service.service.name;
    if container.name != service.name && is_taken(survey, &service.name) {
        found.wait_for(format!("{name} waits for an old container to be gone"));
    } else if container.name != service.name {
        let step = Step::Rename {
            service: name.clone(),
            id: container.id.clone(),
            name: service.name.clone(),
        };
        found.offer(survey, step);
    }
    let (app_id, id) = (app.app.id, container.id.clone());
    let image = container.config.image.clone();
    let service_name = name.clone();
    if !service.service.running {
        if is_up(container) {
            let step = Step::Stop {
                app_id,
                service: service_name,
                id,
                image,
            };
            found.offer(survey, step);
        }
    } else if must_start(container) {
        if let Some(other) = first_pending(survey, app, service) {
            found.wait_for(format!("{name} waits for {other} to be started"));
            return;
        }
        let step = Step::Start {
            app_id,
            service: service_name,
            id,
            image,
        };
        found.offer(survey, step);
    }
}

/// Whether a container has this name, be it on its way out.
fn is_taken(survey: &Survey<'_>, name: &str) -> bool {
    survey.observed.containers.iter().any(|c| c.name == name)
}

fn is_up(container: &ObservedContainer) -> bool {
    matches!(
        container.state,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
    )
}

/// Never started, stopped by the agent, or lost at boot. Whatever else has ended was either meant to or is the engine's
/// to restart.
fn must_start(container: &ObservedContainer) -> bool {
    match container.state {
        ContainerState::Created => true,
        ContainerState::Exited => {
            !container.ever_started
                || container.stopped_by_agent
                || container.error.contains(BOOT_RACE)
        }
        _ => false,
    }
}

/// The first service that this one waits for and that has not been started. One that is not to run, or that does not
/// exist, is not waited for.
fn first_pending<'a>(
    survey: &Survey<'_>,
    app: &'a AppSurvey<'_>,
    service: &'a ServiceSurvey<'_>,
) -> Option<&'a str> {
    let is_pending = |name: &&String| {
        app.service(name).is_some_and(|other| {
            let started = other
                .container
                .is_some_and(|c| stays(survey, other, c) && !must_start(c));
            other.service.running && !started
        })
    };
    service
        .waits_for
        .iter()
        .find(is_pending)
        .map(String::as_str)
}
