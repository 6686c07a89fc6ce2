//! What a target would change, found without changing anything. Pure.

use std::collections::BTreeSet;

use agent_api::os::{ChangeAction, Loss, NetworkChange, Preview, ServiceChange, VolumeChange};

use super::phases::nobodys;
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
        volumes: volumes(&survey),
        networks: networks(&survey),
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

/// Volumes of the target, then those of applications that nothing in it names. Data goes only with a word for it: such volumes
/// stay.
fn volumes(survey: &Survey<'_>) -> Vec<VolumeChange> {
    let observed = &survey.observed.volumes;
    let mut changes = Vec::new();
    let mut named = BTreeSet::new();
    for app in &survey.apps {
        for wanted in &app.volumes {
            named.insert(wanted.name.as_str());
            let doomed = survey.doomed_volumes.get(&wanted.name);
            let mut losses = app.losses.iter();
            let differs = losses.find(|(volume, _)| volume.name == wanted.name);
            let is_there = observed.iter().any(|volume| volume.name == wanted.name);
            changes.push(VolumeChange {
                app_id: app.app.id,
                name: wanted.logical_name.clone(),
                action: match (is_there, doomed) {
                    (false, _) => ChangeAction::Create,
                    (true, None) => ChangeAction::Keep,
                    (true, Some(_)) => ChangeAction::Recreate,
                },
                wanted: true,
                because: doomed
                    .map(|doomed| &doomed.because)
                    .or(differs.map(|(_, because)| because))
                    .cloned(),
            });
        }
    }
    // The one for firmware is of no application.
    let others = observed.iter().filter(|volume| volume.app().is_some());
    for volume in others.filter(|volume| !named.contains(volume.name.as_str())) {
        let doomed = survey.doomed_volumes.get(&volume.name);
        changes.push(VolumeChange {
            app_id: volume.app_id,
            name: volume.logical_name.clone(),
            action: match doomed {
                None => ChangeAction::Keep,
                Some(_) => ChangeAction::Remove,
            },
            // A release that is refused changes nothing: what it names is as wanted as before.
            wanted: survey.rejected.iter().any(|(app, _)| {
                app.id == volume.app_id && app.volumes.contains_key(&volume.logical_name)
            }),
            because: doomed.map(|doomed| doomed.because.clone()),
        });
    }
    changes
}

/// Networks of the target, then those that would go.
fn networks(survey: &Survey<'_>) -> Vec<NetworkChange> {
    let mut changes = Vec::new();
    for app in &survey.apps {
        changes.extend(app.networks.iter().map(|network| NetworkChange {
            app_id: app.app.id,
            name: network.wanted.logical_name.clone(),
            action: match (network.found.is_empty(), network.must_go()) {
                (true, _) => ChangeAction::Create,
                (false, true) => ChangeAction::Recreate,
                (false, false) => ChangeAction::Keep,
            },
            because: network.differences.clone(),
        }));
    }
    // The network of the agent's own API belongs to no application.
    let gone = nobodys(survey).filter(|network| network.app().is_some());
    changes.extend(gone.map(|network| NetworkChange {
        app_id: network.app_id,
        name: network.logical_name.clone(),
        action: ChangeAction::Remove,
        because: Vec::new(),
    }));
    changes
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{
        App, AppClass, EXTRA_FIRMWARE, NetworkSpec, ObservedNetwork, ObservedVolume, VolumeSpec,
    };
    use crate::plan::tests::{device, target};

    /// A device with the volumes `data` and `old` and the networks `net` and `spare` of application 1, and with the volume for
    /// firmware.
    fn observed() -> Observed {
        let mut observed = Observed::empty(device());
        observed.volumes.push(ObservedVolume {
            name: EXTRA_FIRMWARE.to_owned(),
            app_id: 0,
            logical_name: EXTRA_FIRMWARE.to_owned(),
            spec: VolumeSpec::default(),
        });
        for name in ["data", "old"] {
            observed.volumes.push(ObservedVolume {
                name: format!("1_{name}"),
                app_id: 1,
                logical_name: name.to_owned(),
                spec: VolumeSpec::default(),
            });
        }
        for name in ["net", "spare"] {
            observed.networks.push(ObservedNetwork {
                id: format!("id of {name}"),
                name: format!("1_{name}"),
                logical_name: name.to_owned(),
                app_id: 1,
                spec: NetworkSpec::default(),
            });
        }
        observed
    }

    fn app(more: &Value) -> Value {
        let mut app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {}});
        let members = more.as_object().unwrap().clone();
        app.as_object_mut().unwrap().extend(members);
        json!({"apps": {"1": app}})
    }

    /// Name and action, whether it is wanted, and why.
    fn of_volumes(target: &Target) -> Value {
        let found = preview(&observed(), target, &BTreeSet::new()).volumes;
        let told = found.iter().map(|volume| {
            let VolumeChange {
                name,
                action,
                wanted,
                because,
                ..
            } = volume;
            json!([name, action, wanted, because])
        });
        told.collect()
    }

    #[test]
    fn it_is_told_what_becomes_of_every_volume() {
        let mut target = target(&app(
            &json!({"volumes": {"data": {"driver": "other"}, "new": {}}}),
        ));
        let kept = json!([
            ["data", "keep", true, "driver changed"],
            ["new", "create", true, null],
            ["old", "keep", false, null],
        ]);
        assert_eq!(of_volumes(&target), kept);
        target.let_go(&["data".to_owned()].into());
        let lost = json!([
            ["data", "recreate", true, "driver changed"],
            ["new", "create", true, null],
            ["old", "keep", false, null],
        ]);
        assert_eq!(of_volumes(&target), lost);
    }

    #[test]
    fn a_word_lets_go_of_volumes_of_its_own_target_only() {
        let changed = json!({"volumes": {"data": {"driver": "other"}}});
        let mut both = target(&app(&changed));
        both.let_go(&["data".to_owned()].into());
        // As a block of the fleet's stays beside what is pushed.
        let block = App {
            id: 2,
            class: AppClass::Block,
            ..target(&app(&changed)).apps[&1].clone()
        };
        both.apps.insert(block.id, block);
        let mut observed = observed();
        observed.volumes.push(ObservedVolume {
            name: "2_data".to_owned(),
            app_id: 2,
            ..observed.volumes[1].clone()
        });
        let told = preview(&observed, &both, &BTreeSet::new()).volumes;
        let told: Vec<_> = told.iter().filter(|volume| volume.name == "data").collect();
        let told: Vec<_> = told.iter().map(|v| (v.app_id, v.action)).collect();
        let expected = [(1, ChangeAction::Recreate), (2, ChangeAction::Keep)];
        assert_eq!(told, expected);
        let warnings = crate::plan::warnings(&observed, &both);
        let told: Vec<_> = warnings.iter().map(|w| w.message.as_str()).collect();
        assert!(
            matches!(told[..], [only] if only.ends_with("it goes when the fleet's target names it in discardVolumes")),
            "{told:?}"
        );
    }

    #[test]
    fn it_is_told_what_becomes_of_every_network() {
        let networks = json!({"networks": {"net": {"driver": "macvlan"}, "new": {}}});
        let target = target(&app(&networks));
        let found = preview(&observed(), &target, &BTreeSet::new()).networks;
        let told: Value = found
            .iter()
            .map(|network| json!([network.name, network.action, network.because]))
            .collect();
        assert_eq!(
            told,
            json!([
                ["default", "create", []],
                ["net", "recreate", ["driver"]],
                ["new", "create", []],
                ["spare", "remove", []],
            ])
        );
    }
}
