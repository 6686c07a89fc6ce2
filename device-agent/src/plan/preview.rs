//! What a target would change, found without changing anything. Pure.

use std::collections::BTreeSet;

use agent_api::os::{ChangeAction, Loss, Preview, ServiceChange};

use super::strategy::Reason;
use super::survey::{AppSurvey, ServiceSurvey, Survey, live};
use crate::model::{ContainerState, Observed, ObservedContainer, Target};

/// What `target` would change. The images of the services in `rebuilt` will be others by then.
#[must_use]
pub fn preview(observed: &Observed, target: &Target, rebuilt: &BTreeSet<String>) -> Preview {
    let survey = Survey::of(observed, target, 0);
    let mut services: Vec<ServiceChange> = Vec::new();
    let mut disturbed = BTreeSet::new();
    for app in &survey.apps {
        for service in &app.services {
            let rebuilt = rebuilt.contains(&service.service.name);
            services.push(change(&survey, app, service, rebuilt));
        }
    }
    let wanted = |container: &ObservedContainer| {
        let rejected = survey.rejected.iter();
        rejected
            .map(|(app, _)| app.id)
            .any(|id| id == container.app_id)
            || survey.apps.iter().any(|app| {
                app.app.id == container.app_id && app.service(&container.service_name).is_some()
            })
    };
    for container in live(observed).filter(|container| !wanted(container)) {
        services.push(ServiceChange {
            app_id: container.app_id,
            name: container.service_name.clone(),
            action: ChangeAction::Remove,
            because: Vec::new(),
        });
    }
    for service in &services {
        let harmless = matches!(
            service.action,
            ChangeAction::Keep | ChangeAction::Create | ChangeAction::Start
        );
        if !harmless {
            disturbed.insert(service.app_id);
        }
    }
    let locks = observed.locks.iter();
    let locked = locks
        .filter(|(app_id, _)| disturbed.contains(app_id))
        .flat_map(|(_, locks)| locks.by_services.iter().cloned())
        .collect();
    let losses = survey.apps.iter().flat_map(|app| &app.losses);
    let losses = losses
        .map(|(volume, because)| Loss {
            kind: "volume".to_owned(),
            name: volume.logical_name.clone(),
            because: because.clone(),
        })
        .collect();
    let mut warnings: Vec<String> = survey.warnings.iter().map(ToString::to_string).collect();
    warnings.sort();
    warnings.dedup();
    Preview {
        services,
        losses,
        locked,
        rejected: survey
            .rejected
            .iter()
            .flat_map(|(_, verdict)| verdict.unmet())
            .map(|(_, because)| because.to_owned())
            .collect(),
        warnings,
    }
}

fn change(
    survey: &Survey<'_>,
    app: &AppSurvey<'_>,
    service: &ServiceSurvey<'_>,
    rebuilt: bool,
) -> ServiceChange {
    let mut because = service.differences.clone();
    if rebuilt && !because.iter().any(|field| field == "image") {
        because.insert(0, "image".to_owned());
    }
    let action = match service.container {
        None => ChangeAction::Create,
        Some(container) => {
            if let Some(Reason::Other(words)) = survey.reason_to_go(service, container) {
                because.push(words);
            }
            of_container(service, container, !because.is_empty())
        }
    };
    ServiceChange {
        app_id: app.app.id,
        name: service.service.name.clone(),
        action,
        because: if action == ChangeAction::Recreate {
            because
        } else {
            Vec::new()
        },
    }
}

fn of_container(
    service: &ServiceSurvey<'_>,
    container: &ObservedContainer,
    differs: bool,
) -> ChangeAction {
    let runs = matches!(
        container.state,
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
    );
    if differs {
        ChangeAction::Recreate
    } else if !service.service.running && runs {
        ChangeAction::Stop
    } else if service.service.running && (!container.ever_started || container.stopped_by_agent) {
        ChangeAction::Start
    } else if container.name != service.name {
        ChangeAction::Rename
    } else {
        ChangeAction::Keep
    }
}
