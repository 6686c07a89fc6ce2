//! Requests → facts for the planner, and which of them are done. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{
    Asked, ContainerState, Observed, ObservedContainer, ObservedVolume, Refused, Request, Scope,
    Target, Wish, names,
};

use super::locks;
use super::survey::{Survey, has, live, uses};

/// Words for the new container of a service that was restarted.
const RESTARTED: &str = "a restart was asked for";
/// Words for the new container of a service whose application was purged.
const PURGED: &str = "a purge was asked for";
/// Words for a volume of an application that was purged.
const PURGED_VOLUME: &str = "is purged";
/// Words for a volume that no service of its application uses.
const NOT_IN_TARGET: &str = "is not in the target state";

/// What is asked for when a request is added to what was; nothing is done yet.
///
/// # Errors
/// When there is no such application or service, when its release is rejected, and when a lock is held that the request
/// does not override.
pub fn take(
    asked: &Asked,
    request: &Request,
    observed: &Observed,
    target: &Target,
) -> Result<Asked, Refused> {
    if let Wish::CleanVolumes(scope) = request.what {
        return Ok(clean_volumes(asked, scope, observed, target));
    }
    let app = target.apps.get(&request.app_id);
    let app = app.ok_or(Refused::NoApp(request.app_id))?;
    let service = match &request.what {
        Wish::Restart(service)
        | Wish::Stop(service)
        | Wish::Start(service)
        | Wish::Purge(service) => service.as_deref(),
        Wish::CleanVolumes(_) | Wish::Update | Wish::Anew => None,
    };
    if let Some(name) = service.filter(|name| !app.services.contains_key(*name)) {
        return Err(Refused::NoService(name.to_owned()));
    }
    let disturbs = matches!(
        request.what,
        Wish::Restart(_) | Wish::Stop(_) | Wish::Purge(_)
    );
    let survey = Survey::of(observed, target, 0);
    let rejected = survey.rejected.iter().find(|(other, _)| other.id == app.id);
    // An update asks for nothing that the target does not ask for anyway.
    let is_update = matches!(request.what, Wish::Update | Wish::Anew);
    if let Some((_, verdict)) = rejected.filter(|_| !is_update) {
        let reasons: Vec<_> = verdict.unmet().map(|(_, because)| because).collect();
        return Err(Refused::Rejected(reasons.join("; ")));
    }
    if disturbs && !request.force && !locks::forced(&survey, target, app.id) {
        refuse_locked(observed, app.id)?;
    }
    let mut asked = asked.clone();
    asked.number = asked.number.saturating_add(1);
    if request.force {
        asked.force.insert(app.id);
    }
    let meant = |name: &str| service.is_none_or(|service| service == name);
    let services: Vec<&String> = app.services.keys().filter(|name| meant(name)).collect();
    let containers: Vec<&ObservedContainer> = live(observed)
        .filter(|c| c.app_id == app.id && meant(&c.service_name))
        .collect();
    match &request.what {
        Wish::Restart(_) => {
            run(&mut asked, app.id, &services);
            let ids = containers
                .iter()
                .map(|c| (c.id.clone(), RESTARTED.to_owned()));
            asked.replace.extend(ids);
        }
        Wish::Stop(_) => {
            let stopped = services.iter().map(|name| Asked::service(app.id, name));
            asked.stopped.extend(stopped);
        }
        Wish::Start(_) => {
            run(&mut asked, app.id, &services);
            let ended = containers
                .iter()
                .filter(|c| c.state == ContainerState::Exited);
            asked.start.extend(ended.map(|c| c.id.clone()));
        }
        Wish::Purge(_) => {
            let ids = containers.iter().map(|c| (c.id.clone(), PURGED.to_owned()));
            asked.replace.extend(ids);
            let volumes = purged(&survey, app.id, service, &containers);
            asked.discard.extend(volumes);
        }
        Wish::CleanVolumes(_) | Wish::Update | Wish::Anew => {}
    }
    note_users(&mut asked, observed);
    Ok(asked)
}

/// The volumes that a purge empties. Of one service these are what it has and what it is to have; whoever shares one
/// gets another container for that.
fn purged(
    survey: &Survey<'_>,
    app_id: u32,
    service: Option<&str>,
    containers: &[&ObservedContainer],
) -> BTreeMap<String, String> {
    let wished = service.and_then(|name| {
        let app = survey.apps.iter().find(|other| other.app.id == app_id)?;
        app.service(name)?.desired.as_ref()
    });
    let is_meant = |volume: &str| {
        service.is_none()
            || containers.iter().any(|c| uses(c, volume))
            || wished.is_some_and(|config| has(config, volume))
    };
    let volumes = survey.observed.volumes.iter();
    volumes
        .filter(|v| is_purged(survey.observed, app_id, v) && is_meant(&v.name))
        .map(|v| (v.name.clone(), PURGED_VOLUME.to_owned()))
        .collect()
}

/// Whether a volume is emptied with an application: its own are, and that for firmware, unless a container of another
/// application has it, which the purge is not about.
fn is_purged(observed: &Observed, app_id: u32, volume: &ObservedVolume) -> bool {
    let is_others = |owner: u32| owner != app_id;
    let mut containers = observed.containers.iter();
    volume.app().map_or_else(
        || !containers.any(|c| is_others(c.app_id) && uses(c, &volume.name)),
        |owner| !is_others(owner),
    )
}

/// Names of the volumes that the applications of a target have.
fn volumes_of(observed: &Observed, target: &Target) -> BTreeSet<String> {
    let confinement = observed.device.confinement.as_ref();
    let apps = target.apps.values();
    apps.flat_map(|app| {
        let volumes = app.volumes.keys();
        volumes.map(|name| names::volume(app.id, name, confinement))
    })
    .collect()
}

/// Volumes in scope that no application of the target names and no container uses, also those of applications that are
/// gone. Those of a fleet's applications that have given way to local ones stay.
fn clean_volumes(asked: &Asked, scope: Scope, observed: &Observed, target: &Target) -> Asked {
    let mut wanted = volumes_of(observed, target);
    wanted.extend(observed.fleet_volumes.iter().cloned());
    let is_used = |name: &str| observed.containers.iter().any(|c| uses(c, name));
    let mut asked = asked.clone();
    asked.number = asked.number.saturating_add(1);
    let unused = observed.volumes.iter();
    // The one for firmware is of no application, and not for the clean-up of any.
    let unused = unused.filter(|v| v.app().is_some_and(|app_id| scope.holds(app_id)));
    let unused = unused.filter(|v| !wanted.contains(&v.name) && !is_used(&v.name));
    for volume in unused {
        // One that is purged is to go whatever a target says.
        let words = asked.discard.entry(volume.name.clone());
        words.or_insert_with(|| NOT_IN_TARGET.to_owned());
    }
    note_users(&mut asked, observed);
    asked
}

/// Notes which containers have the volumes that are to go. While they are to go nothing is started that has them.
fn note_users(asked: &mut Asked, observed: &Observed) {
    let Asked { users, discard, .. } = asked;
    users.retain(|volume, _| discard.contains_key(volume));
    for volume in discard.keys() {
        let have = observed.containers.iter().filter(|c| uses(c, volume));
        let users = users.entry(volume.clone()).or_default();
        users.extend(have.map(|container| container.id.clone()));
    }
    asked.seen_in = if asked.discard.is_empty() {
        String::new()
    } else {
        observed.boot.clone()
    };
}

/// Whether a volume was made anew since it was to go, and that this was noted got lost with the power, on a disk that says of
/// what it has written that it is safe when it is not. Its name is the same, and what engines say of when a volume was made may
/// be when somebody wrote into it last; but a container has it that was not there and has run since.
fn is_another(asked: &Asked, volume: &str, observed: &Observed) -> bool {
    let is_later_run =
        !asked.seen_in.is_empty() && !observed.boot.is_empty() && asked.seen_in != observed.boot;
    let is_known = |id: &str| {
        let users = asked.users.get(volume);
        users.is_some_and(|users| users.contains(id))
    };
    let mut containers = observed.containers.iter();
    is_later_run && containers.any(|c| c.ever_started && uses(c, volume) && !is_known(&c.id))
}

fn run(asked: &mut Asked, app_id: u32, services: &[&String]) {
    for name in services {
        asked.stopped.remove(&Asked::service(app_id, name));
    }
}

fn refuse_locked(observed: &Observed, app_id: u32) -> Result<(), Refused> {
    match observed.locks.get(&app_id) {
        Some(locks) if !locks.by_services.is_empty() => Err(Refused::Locked {
            app_id,
            services: locks.by_services.iter().cloned().collect(),
        }),
        _ => Ok(()),
    }
}

/// What is left of what was asked for, after the world was read: what is done is forgotten, and so is what was about
/// something that does not exist any more.
#[must_use]
pub fn settle(asked: &Asked, observed: &Observed, target: Option<&Target>) -> Asked {
    let mut left = asked.clone();
    let find = |id: &str| observed.containers.iter().find(|c| c.id == id);
    left.replace.retain(|id, _| find(id).is_some());
    left.start
        .retain(|id| find(id).is_some_and(|c| c.state == ContainerState::Exited));
    let wanted = target.map(|target| volumes_of(observed, target));
    let mut wanted = wanted.unwrap_or_default();
    wanted.extend(observed.fleet_volumes.iter().cloned());
    left.discard.retain(|name, because| {
        // What no target named when it was asked for, and one names now, was not meant.
        let is_meant = because != NOT_IN_TARGET || !wanted.contains(name);
        let is_there = observed.volumes.iter().any(|v| v.name == *name);
        is_meant && is_there && !is_another(asked, name, observed)
    });
    note_users(&mut left, observed);
    let exists = |service: &String| {
        let (app_id, name) = service.split_once('/')?;
        let app = target?.apps.get(&app_id.parse().ok()?)?;
        app.services.contains_key(name).then_some(())
    };
    left.stopped.retain(|service| exists(service).is_some());
    left.force
        .retain(|app_id| target.is_some_and(|target| target.apps.contains_key(app_id)));
    left
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::VolumeSpec;
    use crate::plan::tests::{container, device, target};

    #[test]
    fn a_rejected_release_is_not_touched_and_may_be_updated() {
        let service = json!({
            "imageId": 1, "serviceName": "web", "image": "web", "environment": {}, "labels": {},
            "contract": {"type": "sw.container", "requires": [{"type": "sw.supervisor", "version": ">=99.0.0"}]},
        });
        let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {"1": service}});
        let target = target(&json!({"apps": {"1": app}}));
        let observed = Observed::empty(device());
        let asked = |what| {
            let request = Request {
                app_id: 1,
                what,
                force: true,
            };
            take(&Asked::default(), &request, &observed, &target)
        };
        for touching in [Wish::Restart(None), Wish::Start(None), Wish::Purge(None)] {
            assert!(matches!(asked(touching), Err(Refused::Rejected(_))));
        }
        for update in [Wish::Update, Wish::Anew] {
            let asked = asked(update).unwrap();
            assert_eq!((asked.number, asked.force), (1, BTreeSet::from([1])));
        }
    }

    /// An application with a volume, and a container that has it.
    fn with_volume() -> (Observed, Target) {
        let app = json!({"name": "app", "commit": "c", "releaseId": 1, "services": {}, "volumes": {"data": {}}});
        let mut observed = Observed {
            boot: "one".to_owned(),
            ..Observed::empty(device())
        };
        observed.volumes.push(ObservedVolume {
            name: "1_data".to_owned(),
            app_id: 1,
            logical_name: "data".to_owned(),
            spec: VolumeSpec::default(),
        });
        observed.containers.push(with_data("old"));
        (observed, target(&json!({"apps": {"1": app}})))
    }

    #[test]
    fn a_clean_up_in_a_local_session_spares_the_volumes_of_the_fleet() {
        let (mut observed, target) = with_volume();
        observed.containers.clear();
        for (app_id, name) in [(7, "7_files"), (8, "8_old")] {
            let mut volume = observed.volumes[0].clone();
            volume.name = name.to_owned();
            volume.app_id = app_id;
            observed.volumes.push(volume);
        }
        observed.fleet_volumes.insert("7_files".to_owned());
        let request = Request {
            app_id: 0,
            what: Wish::CleanVolumes(Scope::Global),
            force: false,
        };
        let asked = take(&Asked::default(), &request, &observed, &target).unwrap();
        let goes: Vec<_> = asked.discard.keys().collect();
        assert_eq!(goes, ["8_old"]);
        // One that the fleet has come to name meanwhile was not meant either.
        observed.fleet_volumes.insert("8_old".to_owned());
        assert!(settle(&asked, &observed, Some(&target)).discard.is_empty());
    }

    fn with_data(id: &str) -> ObservedContainer {
        let mut container = container(id);
        container.config.volumes.insert("1_data:/data".to_owned());
        container.ever_started = true;
        container
    }

    fn purge(observed: &Observed, target: &Target) -> Asked {
        let request = Request {
            app_id: 1,
            what: Wish::Purge(None),
            force: false,
        };
        take(&Asked::default(), &request, observed, target).unwrap()
    }

    #[test]
    fn a_purge_goes_on_after_a_start_of_the_machine() {
        let (mut observed, target) = with_volume();
        let asked = purge(&observed, &target);
        observed.boot = "two".to_owned();
        let left = settle(&asked, &observed, Some(&target));
        assert!(left.discard.contains_key("1_data"));
        // One that came late and was never started has written nothing.
        let mut late = with_data("late");
        late.ever_started = false;
        observed.containers = vec![late];
        let left = settle(&asked, &observed, Some(&target));
        assert!(left.discard.contains_key("1_data"));
    }

    #[test]
    fn a_purge_that_comes_back_after_a_loss_of_power_leaves_the_new_volume_alone() {
        let (mut observed, target) = with_volume();
        let asked = purge(&observed, &target);
        // It was done, and what was written of that is lost with the power.
        observed.containers = vec![with_data("new")];
        // In the same run of the machine nothing is lost.
        let left = settle(&asked, &observed, Some(&target));
        assert!(left.discard.contains_key("1_data"));
        observed.boot = "two".to_owned();
        let left = settle(&asked, &observed, Some(&target));
        assert!(left.discard.is_empty());
        assert_eq!((left.users.len(), left.seen_in), (0, String::new()));
    }

    #[test]
    fn what_comes_while_a_volume_is_to_go_is_known() {
        let (mut observed, target) = with_volume();
        let asked = purge(&observed, &target);
        observed.containers.push(with_data("late"));
        let asked = settle(&asked, &observed, Some(&target));
        observed.boot = "two".to_owned();
        let left = settle(&asked, &observed, Some(&target));
        assert!(left.discard.contains_key("1_data"));
        assert_eq!(left.seen_in, "two");
    }
}
