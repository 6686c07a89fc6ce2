//! What others than the present agent do to containers.

use super::{Container, EPOCH};
use crate::model::ContainerState;
use crate::simulation::met::Met;
use crate::simulation::script::Hand;
use crate::simulation::spec::NetworkChoice;
use crate::simulation::state::State;

impl State {
    /// Somebody stops, starts or restarts a container. Where another one waits for it, that is left alone: nobody could say
    /// what is right then.
    pub(in crate::simulation) fn by_hand(&mut self, hand: Hand) {
        let specs = self.judge.specs.iter();
        let apps = specs.flat_map(|spec| spec.apps.values());
        let mut services = apps.flat_map(|app| app.services.values());
        if services.any(|service| matches!(service.network, NetworkChoice::Of(_))) {
            return;
        }
        let all = self.engine.containers.values();
        let is_free = |c: &&Container| {
            let (app, service) = (c.told.app_id, c.told.service_name.as_str());
            let others = self.engine.containers.values();
            let is_alone = others.filter(|c| c.is_of(app, service)).count() == 1;
            let labels = &c.told.config.labels;
            let strategy = labels.get("io.balena.update.strategy");
            let hands_over = strategy.is_some_and(|strategy| strategy == "hand-over");
            let fits = match hand {
                Hand::Stop | Hand::Restart => c.state == ContainerState::Running,
                Hand::Start => c.state == ContainerState::Exited && c.told.ever_started,
            };
            fits && is_alone && !hands_over
        };
        let ids: Vec<String> = all.filter(is_free).map(|c| c.told.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let id = self.random.pick(&ids);
        self.counts.add(Met::ByHand);
        self.note(|| format!("people: {hand:?} {}", &id[..8]));
        if let Hand::Stop | Hand::Restart = hand {
            // It is there and runs.
            self.stop(&id).unwrap();
            if let Some(container) = self.engine.containers.get_mut(&id) {
                container.by_hand = true;
            }
        }
        if let Hand::Start | Hand::Restart = hand {
            // Its network may be gone.
            drop(self.start(&id));
        }
    }

    /// A container of a service comes once more, under the name of another release, as by the late call of an agent that is
    /// dead.
    pub(in crate::simulation) fn duplicate(&mut self) {
        let all = self.engine.containers.values();
        let fits = |c: &&Container| !c.told.is_predecessor && c.is_live();
        let ids: Vec<String> = all.filter(fits).map(|c| c.told.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let id = self.random.pick(&ids);
        let mut copy = self.engine.containers[&id].clone();
        copy.told.id = self.new_id();
        copy.told.release_id += 500;
        copy.told.commit = Some("before".to_owned());
        copy.told.name = format!(
            "{}_{}_{}_before",
            copy.told.service_name, copy.told.image_id, copy.told.release_id
        );
        let name = copy.told.name.clone();
        if self.engine.containers.values().any(|c| c.told.name == name) {
            return;
        }
        copy.told.created = EPOCH + i64::try_from(self.now).unwrap();
        copy.told.ever_started = false;
        copy.state = ContainerState::Created;
        copy.exit_code = Some(0);
        copy.codes = vec![(self.now, 0)];
        copy.was_stopped = false;
        copy.by_hand = false;
        copy.run = 0;
        copy.failures = 0;
        copy.history = vec![(self.now, ContainerState::Created)];
        copy.born = self.now;
        copy.born_in = self.boots;
        self.counts.add(Met::Duplicate);
        self.engine.containers.insert(copy.told.id.clone(), copy);
        self.changed(|| format!("engine: {name} is there too"));
        self.tell();
    }
}
