//! What a purge of one service means: the volumes that it has or is to have, and whoever shares them.

use super::View;
use crate::model::Wish;
use crate::simulation::engine::Container;
use crate::simulation::met::Met;
use crate::simulation::state::State;

impl State {
    /// Notes which volumes a purge of one service may mean: those of the containers that it has had since, and that of the target.
    pub(super) fn note_meant(&mut self, index: usize, view: &View) {
        let promise = &self.judge.promises[index];
        let Wish::Purge(Some(name)) = &promise.request.what else {
            return;
        };
        let (app, since) = (promise.request.app_id, promise.since);
        let service = view.apps.get(&app).and_then(|app| app.services.get(name));
        let wished = service.and_then(|service| service.volume.clone());
        let containers = self.all_containers();
        let containers = containers.filter(|c| c.is_of(app, name) && c.existed(since));
        let has = containers.flat_map(|container| volumes_of(app, container));
        let means: Vec<String> = has.chain(wished).collect();
        self.judge.promises[index].means.extend(means);
    }

    /// The same where it is not known under which target it was taken.
    pub(super) fn note_all_meant(&mut self, index: usize) {
        let promise = &self.judge.promises[index];
        let Wish::Purge(Some(name)) = &promise.request.what else {
            return;
        };
        let app = promise.request.app_id;
        let sent = self.judge.sent.iter().flatten();
        let wished = sent.filter_map(|sent| {
            let app = self.judge.specs[sent.number].apps.get(&app)?;
            app.services.get(name)?.volume.clone()
        });
        let means: Vec<String> = wished.collect();
        self.judge.promises[index].means.extend(means);
    }

    /// A target is about to count: purges whose answer is still awaited may be taken under it.
    pub(super) fn may_mean_of(&mut self, number: usize) {
        let spec = &self.judge.specs[number];
        for promise in self.judge.promises.iter_mut().filter(|p| !p.is_over) {
            let Wish::Purge(Some(name)) = &promise.request.what else {
                continue;
            };
            let app = spec.apps.get(&promise.request.app_id);
            let service = app.and_then(|app| app.services.get(name));
            let volume = service.and_then(|service| service.volume.clone());
            promise.means.extend(volume);
        }
    }

    /// A session is about to begin or to end: then any of them may count.
    pub(super) fn may_mean_of_any(&mut self) {
        for index in 0..self.judge.promises.len() {
            if !self.judge.promises[index].is_over {
                self.note_all_meant(index);
            }
        }
    }

    /// A purge of one service was taken: what its containers had when the world was read must go, with whatever has it too.
    pub(super) fn promise_purge(&mut self, index: usize) {
        let promise = &self.judge.promises[index];
        let (Wish::Purge(Some(name)), Some(reading)) = (&promise.request.what, self.judge.reading)
        else {
            return;
        };
        let app = promise.request.app_id;
        let all = self.engine.containers.values();
        let own = all.filter(|c| c.is_of(app, name) && c.is_live() && c.born < reading.since);
        let names: Vec<String> = own
            .flat_map(|container| volumes_of(app, container))
            .collect();
        let volumes = names.iter().filter_map(|name| {
            let volume = self.engine.volumes.get(&format!("{app}_{name}"))?;
            volume.told.is_some().then_some(volume.content)
        });
        let purges: Vec<u64> = volumes.collect();
        let all = self
            .engine
            .containers
            .values()
            .filter(|c| c.told.app_id == app);
        let shares = |c: &&Container| volumes_of(app, c).any(|volume| names.contains(&volume));
        let sharing: Vec<&Container> = all.filter(shares).collect();
        if sharing.iter().any(|c| c.told.service_name != *name) {
            self.counts.add(Met::SharedPurge);
        }
        let replaces: Vec<String> = sharing.iter().map(|c| c.told.id.clone()).collect();
        let promise = &mut self.judge.promises[index];
        promise.purges.extend(purges);
        promise.replaces.extend(replaces);
    }
}

/// Names of the volumes that a container has, in its application.
fn volumes_of(app: u32, container: &Container) -> impl Iterator<Item = String> {
    let of = format!("{app}_");
    let binds = container.told.config.volumes.iter();
    binds.filter_map(move |bind| {
        let (name, _) = bind.strip_prefix(&of)?.split_once(':')?;
        Some(name.to_owned())
    })
}
