//! Containers are created, started, stopped and renamed.

use super::ground;
use crate::model::{
    ContainerState, EXTRA_FIRMWARE, MountSource, ObservedContainer, ServiceConfig, Step,
};
use crate::plan::found::{About, Found};
use crate::plan::strategy;
use crate::plan::survey::{AppSurvey, ServiceSurvey, Survey};

/// What the engine says when a port's address was not there yet at boot. The only end after which a container is
/// started again; every other is the restart policy's business.
const BOOT_RACE: &str = "cannot assign requested address";

/// New containers only in applications all of whose images are on the device.
pub(super) fn find(survey: &Survey<'_>) -> Found {
    let mut found = Found::default();
    for app in &survey.apps {
        for service in &app.services {
            match service.container {
                None if app.images_ready => install(survey, app, service, &mut found),
                None => {}
                // A container that is to go could not be taken away yet.
                Some(container) if !stays(survey, service, container) => {}
                Some(container) => settle(survey, app, service, container, &mut found),
            }
        }
    }
    found
}

fn stays(survey: &Survey<'_>, service: &ServiceSurvey<'_>, container: &ObservedContainer) -> bool {
    survey.reason_to_go(service, container).is_none()
}

fn is_to_run(survey: &Survey<'_>, app: &AppSurvey<'_>, service: &ServiceSurvey<'_>) -> bool {
    let stopped = survey
        .observed
        .asked
        .is_stopped(app.app.id, &service.service.name);
    service.service.running && !stopped
}

/// A new container, once everything that it names is there. What is missing is held up in an earlier phase.
fn install(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    found: &mut Found,
) {
    let name = &service.service.name;
    let about = About(app.app.id, Some(name));
    if is_taken(survey, about, &service.name, found) {
        return;
    }
    let Some(desired) = &service.desired else {
        let because = format!("{name} waits for the service whose network it shares");
        found.wait_for(about, because);
        return;
    };
    // The engine makes the one for firmware along with the container.
    let firmware = mounted(desired).find(|name| *name == EXTRA_FIRMWARE);
    if let Some(volume) = firmware.filter(|v| survey.observed.unnoted_discards.contains(*v)) {
        ground::wait_for_note(survey, about, volume, found);
        return;
    }
    let stays = |volume: &str| !survey.doomed_volumes.contains_key(volume);
    let has_volumes = app.volumes.iter().all(|wanted| {
        let mut present = survey.observed.volumes.iter();
        present.any(|v| v.name == wanted.name) && stays(&wanted.name)
    });
    let has_volumes = has_volumes && firmware.is_none_or(stays);
    let has_networks = desired.networks.keys().all(|n| survey.is_network_ready(n));
    if !has_volumes || !has_networks {
        found.wait_for(about, format!("{name} waits for its networks and volumes"));
        return;
    }
    let reason = survey.observed.reasons.get(&(app.app.id, name.clone()));
    let step = Step::Install {
        app_id: app.app.id,
        service: name.clone(),
        service_id: service.service.id,
        name: service.name.clone(),
        config: Box::new(desired.clone()),
        device_name: survey.device_name.to_owned(),
        because: reason.map_or("new", String::as_str).to_owned(),
    };
    found.offer(survey, step);
}

/// Volumes that a container mounts, other than by its binds.
fn mounted(config: &ServiceConfig) -> impl Iterator<Item = &str> {
    config
        .mounts
        .iter()
        .filter_map(|mount| match &mount.source {
            MountSource::Volume { name, .. } => Some(name.as_str()),
            _ => None,
        })
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
    let about = About(app.app.id, Some(name));
    let (app_id, id) = (app.app.id, container.id.clone());
    if container.name != service.name && !is_taken(survey, about, &service.name, found) {
        let step = Step::Rename {
            app_id,
            service: name.clone(),
            id: id.clone(),
            name: service.name.clone(),
        };
        found.offer(survey, step);
    }
    let image = container.config.image.clone();
    let service_name = name.clone();
    if !is_to_run(survey, app, service) {
        if is_up(container) {
            let step = Step::Stop {
                app_id,
                service: service_name,
                id,
                image,
            };
            found.offer(survey, step);
        }
    } else if must_start(survey, container) {
        if service.duplicates.iter().any(|old| may_run(old)) {
            // It could not be taken away yet, perhaps because of a lock: two must not run.
            let because = format!("{name} waits for an old container of {name} to be gone");
            found.wait_for(about, because);
        } else if let Some(other) = first_pending(survey, app, service) {
            found.wait_for_start(about, format!("{name} waits for {other} to be started"));
        } else if strategy::waits_for_restart(survey.observed, container) {
            let because =
                format!("{name} starts when the device was started anew, as its label asks");
            if survey.observed.device.confinement.is_some() {
                // The machine of a simulated device is somebody else's.
                found.fault(about, because);
            } else {
                found.restart(about, because);
            }
        } else {
            let step = Step::Start {
                app_id,
                service: service_name,
                id,
                image,
            };
            found.offer(survey, step);
        }
    }
}

/// Whether a container has this name: one on its way out is waited for, any other is in the way.
fn is_taken(survey: &Survey<'_>, about: About<'_>, name: &str, found: &mut Found) -> bool {
    let Some(holder) = survey.observed.containers.iter().find(|c| c.name == name) else {
        return false;
    };
    let because = format!(
        "{} waits for an old container of {} to be gone",
        about.1.unwrap_or_default(),
        holder.service_name
    );
    match holder.state {
        ContainerState::Removing | ContainerState::Dead => found.wait_for(about, because),
        _ => found.fault(about, because),
    }
    true
}

pub(super) fn is_up(container: &ObservedContainer) -> bool {
    matches!(
        container.state,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
    )
}

/// Whether a container runs or may run again without the agent: when the engine begins it starts what has run before, also
/// what was stopped.
fn may_run(container: &ObservedContainer) -> bool {
    is_up(container) || (container.ever_started && container.config.restart != "no")
}

/// Never started, stopped by the agent, lost at boot, or asked for. Whatever else has ended was either meant to or is the
/// engine's to restart.
fn must_start(survey: &Survey<'_>, container: &ObservedContainer) -> bool {
    match container.state {
        ContainerState::Created => true,
        ContainerState::Exited => {
            !container.ever_started
                || container.stopped_by_agent
                || container.error.contains(BOOT_RACE)
                || survey.observed.asked.start.contains(&container.id)
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
                .is_some_and(|c| stays(survey, other, c) && !must_start(survey, c));
            is_to_run(survey, app, other) && !started
        })
    };
    service
        .waits_for
        .iter()
        .find(is_pending)
        .map(String::as_str)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use crate::model::{ContainerState, Failure, ImageFacts, Observed, Plan, Step};
    use crate::plan::plan;
    use crate::plan::tests::{container, device, target};

    #[test]
    fn of_two_containers_the_newer_waits_while_the_engine_may_start_the_older() {
        let target = target(&json!({"apps": {"1": {
            "name": "app", "commit": "c", "releaseId": 1,
            "services": {"1": {
                "serviceName": "web", "image": "web", "imageId": 1, "environment": {}, "labels": {}
            }}
        }}}));
        // Made step by step, as the newer one is to be.
        let mut made = Observed::empty(device());
        let image = ImageFacts {
            id: "sha256:web".to_owned(),
            command: vec!["run".to_owned()],
            ..ImageFacts::default()
        };
        made.images.insert("web:latest".to_owned(), image);
        let mut serial = 0;
        while let Plan::Run(batch) = plan(&made, &target, 0) {
            let steps: Vec<Step> = batch.steps().cloned().collect();
            if steps.iter().any(|step| matches!(step, Step::Start { .. })) {
                break;
            }
            for step in steps {
                serial += 1;
                crate::plan::tests::apply(&mut made, &step, serial);
            }
        }
        let starts = |change: &dyn Fn(&mut crate::model::ObservedContainer)| {
            let mut observed = made.clone();
            let mut older = container("older");
            older.name = "web_old".to_owned();
            older.state = ContainerState::Exited;
            older.ever_started = true;
            older.created = made.containers[0].created - 1;
            "always".clone_into(&mut older.config.restart);
            change(&mut older);
            observed.containers.push(older);
            let failure = Failure {
                count: 1,
                at: 0,
                error: "the engine is not well".to_owned(),
            };
            observed.failures.insert("kill older".to_owned(), failure);
            match plan(&observed, &target, 0) {
                Plan::Run(batch) => batch.steps().any(|step| matches!(step, Step::Start { .. })),
                Plan::Wait { .. } | Plan::Converged => false,
            }
        };
        assert!(
            !starts(&|_| {}),
            "the machine is started anew, and both run"
        );
        assert!(!starts(&|older| older.state = ContainerState::Running));
        assert!(starts(&|older| older.ever_started = false));
        assert!(starts(&|older| "no".clone_into(&mut older.config.restart)));
    }
}
