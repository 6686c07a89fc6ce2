//! The world beside what people asked for.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{ContainerState, ObservedVolume};
use crate::simulation::engine::Container;
use crate::simulation::spec::{AppSpec, LABELS, LEVEL, NetworkChoice, ServiceSpec, Spec};
use crate::simulation::state::State;
use crate::store::{Accepted, SharedStore, Store};

/// What counts now, of what is stored.
#[derive(Debug, Clone, Default)]
pub(in crate::simulation) struct View {
    pub(in crate::simulation) generation: u64,
    /// The target's, if there is one.
    pub(super) name: String,
    pub(in crate::simulation) has_target: bool,
    pub(in crate::simulation) is_local: bool,
    /// Services of applications without a commit are none.
    pub(in crate::simulation) apps: BTreeMap<u32, AppSpec>,
    /// Volumes by application that may lose their data: the word of a target is about its own applications.
    discard: BTreeMap<u32, BTreeSet<String>>,
    /// Volumes of the fleet's target by application, in a local session.
    held: BTreeMap<u32, BTreeSet<String>>,
}

fn known<'a>(specs: &'a [Spec], name: &str) -> &'a Spec {
    specs.iter().find(|spec| spec.name == name).unwrap()
}

fn volumes(spec: &Spec) -> BTreeMap<u32, BTreeSet<String>> {
    let apps = spec.apps.iter().filter(|(_, app)| app.has_commit);
    apps.map(|(id, app)| (*id, app.volumes.keys().cloned().collect()))
        .collect()
}

impl View {
    pub(in crate::simulation) fn of(store: &SharedStore, specs: &[Spec]) -> Self {
        let (accepted, fleet): (Accepted, _) =
            store.look(|store: &Store| (store.accepted().clone(), store.fleet()));
        let Some(target) = &accepted.target else {
            return Self {
                generation: accepted.generation,
                is_local: accepted.is_local(),
                ..Self::default()
            };
        };
        let fleet = fleet.map(|target| target.name.clone());
        let spec = known(specs, &target.name);
        // The fleet's own applications give way, also to a local target that was not sent yet.
        let is_session_without_target = accepted.is_local() && fleet.as_ref() == Some(&target.name);
        let mut apps = spec.apps.clone();
        if is_session_without_target {
            apps.clear();
        }
        let gives_way = fleet.as_ref().filter(|_| accepted.is_local());
        let held = gives_way.map_or_else(BTreeMap::new, |fleet| volumes(known(specs, fleet)));
        let mut discard: BTreeMap<_, _> =
            apps.keys().map(|id| (*id, spec.discard.clone())).collect();
        if let (Some(fleet), true) = (&fleet, accepted.is_local()) {
            let fleet = known(specs, fleet);
            for (id, app) in fleet.apps.iter().filter(|(_, app)| app.is_block) {
                apps.entry(*id).or_insert_with(|| app.clone());
                discard.entry(*id).or_insert_with(|| fleet.discard.clone());
            }
        }
        for app in apps.values_mut().filter(|app| !app.has_commit) {
            app.services.clear();
            app.volumes.clear();
        }
        Self {
            generation: accepted.generation,
            name: target.name.clone(),
            has_target: true,
            is_local: accepted.is_local(),
            apps,
            discard,
            held,
        }
    }

    /// Whether a volume is of an application that counts, or that counts again when a local session has ended.
    pub(super) fn names(&self, volume: &ObservedVolume) -> bool {
        let name = &volume.logical_name;
        let of = self.apps.get(&volume.app_id);
        let held = self.held.get(&volume.app_id);
        of.is_some_and(|app| app.volumes.contains_key(name))
            || held.is_some_and(|held| held.contains(name))
    }

    /// Whether a release is rejected.
    pub(in crate::simulation) fn is_rejected(&self) -> bool {
        self.apps.values().any(AppSpec::is_rejected)
    }
}

impl State {
    /// What is not as it should be. `is_last`: everything has come to rest.
    pub(in crate::simulation) fn differences(&self, view: &View, is_last: bool) -> Vec<String> {
        let mut found = Vec::new();
        // Of a rejected release nothing is touched.
        let runs = |app: &AppSpec| app.has_commit && !app.is_rejected();
        for (id, app) in view.apps.iter().filter(|(_, app)| runs(app)) {
            let services = app.services.iter().zip(1..);
            for ((name, service), key) in services.filter(|((_, s), _)| !s.is_left_out()) {
                let container_name = format!(
                    "{name}_{key}_{}_c{}",
                    id * 1000 + app.revision,
                    app.revision
                );
                let of_it = |c: &&Container| c.told.app_id == *id && c.told.service_name == *name;
                let all: Vec<_> = self.engine.containers.values().filter(of_it).collect();
                let [container] = all.as_slice() else {
                    found.push(format!("{id}/{name} has {} containers", all.len()));
                    continue;
                };
                if container.told.name != container_name {
                    found.push(format!(
                        "{} should be {container_name}",
                        container.told.name
                    ));
                }
                self.compare(*id, service, container, &mut found);
                self.compare_state(*id, (service, is_last), container, &mut found);
            }
            self.compare_ground(*id, (app, view), &mut found);
        }
        let is_wanted = |app: u32| view.apps.get(&app).is_some_and(|app| app.has_commit);
        for container in self.engine.containers.values() {
            let app = view
                .apps
                .get(&container.told.app_id)
                .filter(|app| app.has_commit);
            let stays = |app: &AppSpec| {
                app.is_rejected() || app.service(&container.told.service_name).is_some()
            };
            if !app.is_some_and(stays) {
                found.push(format!("nobody wants {}", container.told.name));
            }
        }
        for network in self.engine.networks.values() {
            if network.app_id != 0 && !is_wanted(network.app_id) {
                found.push(format!("nobody wants network {}", network.name));
            }
        }
        found
    }

    pub(super) fn compare(
        &self,
        app: u32,
        spec: &ServiceSpec,
        container: &Container,
        found: &mut Vec<String>,
    ) {
        let config = &container.told.config;
        let mut differs = |what: &str| found.push(format!("{what} of {}", container.told.name));
        if config.environment.get(LEVEL) != Some(&spec.level.to_string()) {
            differs("level");
        }
        if !config.image.starts_with(&format!("sha256:{}-", spec.image)) {
            differs("image");
        }
        let restart = if spec.is_one_shot { "no" } else { "always" };
        if config.restart != restart {
            differs("restart policy");
        }
        let labels = spec.labels();
        let of_agent = |key: &str| {
            let wanted = labels.get(key).and_then(|value| value.as_str());
            config.labels.get(key).map(String::as_str) != wanted
        };
        if LABELS.into_iter().any(of_agent) {
            differs("labels");
        }
        let volumes: Vec<&String> = config
            .volumes
            .iter()
            .filter(|volume| volume.ends_with(":/data"))
            .collect();
        let wanted = spec.volume.iter().map(|name| format!("{app}_{name}:/data"));
        if !volumes.into_iter().eq(wanted.collect::<Vec<_>>().iter()) {
            differs("volumes");
        }
        let wanted: Vec<String> = match &spec.network {
            NetworkChoice::Default => vec![format!("{app}_default")],
            NetworkChoice::Named(names) => names.iter().map(|n| format!("{app}_{n}")).collect(),
            NetworkChoice::Host | NetworkChoice::Of(_) => Vec::new(),
        };
        let prefix = format!("{app}_");
        let networks = config
            .networks
            .keys()
            .filter(|name| name.starts_with(&prefix));
        if !networks.eq(wanted.iter()) {
            differs("networks");
        }
        if let NetworkChoice::Of(owner) = &spec.network {
            let mut all = self.engine.containers.values();
            let owner = all.find(|c| c.told.app_id == app && c.told.service_name == *owner);
            let mode = owner.map(|owner| format!("container:{}", owner.told.id));
            if mode.as_ref() != Some(&config.network_mode) {
                differs("network mode");
            }
        }
    }

    fn compare_state(
        &self,
        app: u32,
        (spec, is_last): (&ServiceSpec, bool),
        container: &Container,
        found: &mut Vec<String>,
    ) {
        let name = &container.told.name;
        let stopped = self
            .judge
            .stops
            .is_stopped(app, &container.told.service_name);
        let Some(stopped) = stopped else { return };
        let is_up = container.is_up();
        if !spec.running || stopped {
            if is_up {
                found.push(format!("{name} should not run"));
            }
            return;
        }
        let ended = container.state == ContainerState::Exited && container.told.ever_started;
        let is_right = if ended && (container.by_hand || self.is_forgotten(container)) {
            // Who stopped it may start it again.
            true
        } else if spec.is_one_shot {
            is_up || (ended && !container.was_stopped)
        } else if is_last {
            container.state == ContainerState::Running
        } else {
            is_up
        };
        if !is_right {
            found.push(format!("{name} should run and is {:?}", container.state));
        }
    }

    /// Whether the agent may not know that it was the agent that stopped it.
    fn is_forgotten(&self, container: &Container) -> bool {
        self.judge.losses.is_betrayed && container.was_stopped
    }

    fn compare_ground(&self, id: u32, (app, view): (&AppSpec, &View), found: &mut Vec<String>) {
        for (network, internal) in [("front", false), ("back", app.internal)] {
            let name = format!("{id}_{network}");
            let all = self.engine.networks.values().filter(|n| n.name == name);
            let all: Vec<bool> = all.map(|network| network.spec.internal).collect();
            if all != [internal] {
                found.push(format!("network {name} is {all:?}"));
            }
        }
        for (volume, label) in &app.volumes {
            let name = format!("{id}_{volume}");
            let present = self.engine.volumes.get(&name).map(|volume| &volume.told);
            match present {
                Some(Some(told)) => {
                    let is_same = told.spec.labels.get("v") == Some(&label.to_string());
                    if !is_same
                        && view
                            .discard
                            .get(&id)
                            .is_some_and(|all| all.contains(volume))
                    {
                        found.push(format!("volume {name} should have been made anew"));
                    }
                }
                Some(None) => found.push(format!("volume {name} is not ours")),
                None => found.push(format!("volume {name} is missing")),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Inventory;

    fn spec(name: &str, app: u32, discard: &[&str]) -> Spec {
        let of = AppSpec {
            is_block: app == 9,
            has_commit: true,
            revision: 1,
            services: BTreeMap::new(),
            internal: false,
            volumes: [("data".to_owned(), 0)].into(),
        };
        Spec {
            name: name.to_owned(),
            apps: [(app, of)].into(),
            discard: discard.iter().map(|name| (*name).to_owned()).collect(),
            overrides_locks: false,
        }
    }

    #[test]
    fn the_word_of_a_target_is_about_its_own_applications() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = Store::open(dir.path(), Some(true), None).unwrap();
        let specs = [spec("fleet", 9, &["more"]), spec("local", 1, &["data"])];
        store.put_fleet(specs[0].target()).unwrap();
        store.begin_session(Inventory::default()).unwrap();
        store.put(specs[1].target()).unwrap();
        let (store, _) = SharedStore::new(store);
        let words = |name: &str| BTreeSet::from([name.to_owned()]);
        let expected = BTreeMap::from([(1, words("data")), (9, words("more"))]);
        assert_eq!(View::of(&store, &specs).discard, expected);
    }
}
