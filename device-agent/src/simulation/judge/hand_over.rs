//! Hand-overs: a target asks for them, and the old container waits for the word of the new one, or for its time.

use crate::model::ContainerState;
use crate::simulation::met::Met;
use crate::simulation::spec::{ServiceSpec, Spec};
use crate::simulation::state::{State, Time};

impl State {
    /// The agent begins a hand-over.
    pub(in crate::simulation) fn judge_hand_over(&mut self, id: &str) {
        let Some(container) = self.engine.containers.get(id) else {
            return;
        };
        let told = &container.told;
        let name = told.name.clone();
        let wishes = self.wishes(told.app_id, &told.service_name);
        if !wishes.into_iter().flatten().any(hands_over) {
            self.violated(format!("{name} is handed over, for which nobody has asked"));
        }
    }

    /// The agent takes a container away: the old one of a hand-over not before its time.
    pub(in crate::simulation) fn judge_end_of_hand_over(&mut self, id: &str, because: &str) {
        // Judged with the other reasons.
        if because.starts_with("network ") {
            return;
        }
        let old = self.engine.containers.get(id);
        let Some(old) = old.filter(|old| old.told.is_predecessor && old.is_up()) else {
            return;
        };
        let (app, service) = (old.told.app_id, old.told.service_name.clone());
        let name = old.told.name.clone();
        let Some(began) = self.successor(app, &service) else {
            return;
        };
        if self.locks.is_marked(app, &service) {
            self.counts.add(Met::HandOver);
            return;
        }
        let lasted = self.now - began;
        match self.patience(app, &service) {
            Some(patience) if lasted < patience => self.violated(format!(
                "{name} is taken away when its successor has run for {lasted} ms and says nothing"
            )),
            Some(_) => self.counts.add(Met::LongHandOver),
            None => {}
        }
    }

    /// When the new container of a service ran first, if it is known to have been running when the world was read, and
    /// there is but one old one.
    fn successor(&self, app: u32, service: &str) -> Option<Time> {
        let since = self.judge.reading?.since;
        let all = self.engine.containers.values();
        let of_it = all.filter(|c| c.told.app_id == app && c.told.service_name == service);
        let (old, new): (Vec<_>, Vec<_>) = of_it.partition(|c| c.told.is_predecessor);
        let runs = new.into_iter().find(|c| {
            let last = c.history.last();
            c.state == ContainerState::Running && last.is_some_and(|(at, _)| *at < since)
        })?;
        let mut runs = runs.history.iter();
        let first = runs.find(|(_, state)| *state == ContainerState::Running)?;
        (old.len() == 1).then_some(first.0)
    }

    /// How long a hand-over takes at most; `None` where the old container may go for another reason.
    fn patience(&self, app: u32, service: &str) -> Option<u64> {
        let may_go = !self.judge.sessions.is_empty()
            || self.judge.promises.iter().any(|p| p.may_end(app))
            || self.targets().any(|spec| !spec.discard.is_empty());
        let wishes: Option<Vec<&ServiceSpec>> = self.wishes(app, service).into_iter().collect();
        let wishes = wishes.filter(|all| !may_go && all.iter().all(|wish| hands_over(wish)))?;
        wishes.into_iter().map(|wish| wish.patience).min()
    }

    /// All targets that were sent.
    fn targets(&self) -> impl Iterator<Item = &Spec> {
        let specs = &self.judge.specs;
        let sent = self.judge.sent.iter().flatten();
        sent.map(move |sent| &specs[sent.number])
    }

    /// What each of them wants of a service.
    fn wishes(&self, app: u32, service: &str) -> Vec<Option<&ServiceSpec>> {
        let wishes = self.targets().map(|spec| {
            let app = spec.apps.get(&app).filter(|app| app.has_commit)?;
            app.service(service)
        });
        wishes.collect()
    }
}

fn hands_over(service: &ServiceSpec) -> bool {
    service.running && service.strategy == Some("hand-over")
}
