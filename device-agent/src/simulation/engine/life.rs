//! What containers do of themselves, and what restarts them.

use super::containers::named_volumes;
use crate::model::ContainerState;
use crate::simulation::met::Met;
use crate::simulation::state::State;

/// Between the first two runs, in milliseconds; it doubles.
const BACKOFF: u64 = 100;

impl State {
    /// What a lying disk has lost cannot be known again of a volume but from a container that has run with it.
    pub(in crate::simulation) fn forget_lost_uses(&mut self) {
        let engine = &mut self.engine;
        for (name, volume) in &mut engine.volumes {
            let mut all = engine.containers.values().filter(|c| c.run > 0);
            volume.is_used = all.any(|c| named_volumes(&c.told.config).contains(name));
        }
    }

    /// A container's process begins.
    pub(super) fn run(&mut self, id: &str) {
        let Some(container) = self.engine.containers.get_mut(id) else {
            return;
        };
        container.run += 1;
        container.was_stopped = false;
        container.by_hand = false;
        container.told.ever_started = true;
        for volume in named_volumes(&container.told.config) {
            if let Some(volume) = self.engine.volumes.get_mut(&volume) {
                volume.is_used = true;
            }
        }
        let told = &container.told;
        // What is mounted and is not there is made by the engine.
        self.locks.make_directory(told.app_id, &told.service_name);
        self.set_state(id, ContainerState::Running);
        self.judge_first_run(id);
        self.behave(id);
    }

    /// What this run will do.
    fn behave(&mut self, id: &str) {
        let container = &self.engine.containers[id];
        let run = container.run;
        let (app, service) = (container.told.app_id, container.told.service_name.clone());
        let ends_itself = container.told.config.restart == "no" && !container.told.is_predecessor;
        let hands_over = container
            .told
            .config
            .labels
            .get("io.balena.update.strategy");
        let hands_over = hands_over.is_some_and(|strategy| strategy == "hand-over");
        if ends_itself {
            let code = if self.calm {
                0
            } else {
                self.random.pick(&[0, 0, 1])
            };
            self.later(id, run, 5_000, move |state, id| state.exit(id, code));
        } else if !self.calm && self.random.chance(self.faults.exits) {
            let code = self.random.pick(&[0, 1]);
            self.later(id, run, 20_000, move |state, id| state.exit(id, code));
        }
        if hands_over && self.random.chance(60) {
            let service = service.clone();
            self.later(id, run, 8_000, move |state, _| state.mark(app, &service));
        }
        if !self.calm && self.random.chance(self.faults.locks) {
            let taken = self.random.between(1, 5_000);
            let let_go = taken + self.random.between(1, 60_000);
            let name = service.clone();
            self.after(taken, move |state| {
                if !state.calm {
                    state.service_locks(app, &name);
                }
            });
            self.after(let_go, move |state| state.service_unlocks(app, &service));
        }
    }

    /// Something that this run does, if it lasts so long.
    fn later(
        &mut self,
        id: &str,
        run: u32,
        most: u64,
        act: impl FnOnce(&mut Self, &str) + Send + 'static,
    ) {
        let (id, delay) = (id.to_owned(), self.random.between(1, most));
        self.after(delay, move |state| {
            let container = state.engine.containers.get(&id);
            if container.is_some_and(|c| c.run == run && c.state == ContainerState::Running) {
                act(state, &id);
            }
        });
    }

    /// A container's process ends by itself.
    pub(in crate::simulation) fn exit(&mut self, id: &str, code: i64) {
        let now = self.now;
        let Some(container) = self.engine.containers.get_mut(id) else {
            return;
        };
        container.ends_with(code, now);
        let restarts = match container.told.config.restart.as_str() {
            "always" | "unless-stopped" => true,
            "on-failure" => code != 0,
            _ => false,
        };
        if !restarts {
            self.set_state(id, ContainerState::Exited);
            return;
        }
        let delay = BACKOFF << container.failures.min(6);
        container.failures += 1;
        let run = container.run;
        self.set_state(id, ContainerState::Restarting);
        let id = id.to_owned();
        self.after(delay, move |state| {
            let container = state.engine.containers.get(&id);
            if container.is_some_and(|c| c.run == run && c.state == ContainerState::Restarting) {
                state.run(&id);
            }
        });
    }

    /// The engine ends, with all processes.
    pub(in crate::simulation) fn engine_ends(&mut self) {
        self.counts.add(Met::EngineEnd);
        self.engine.link = 0;
        self.engine.busy.clear();
        let up: Vec<String> = self
            .engine
            .containers
            .values()
            .filter(|c| c.is_up())
            .map(|c| c.told.id.clone())
            .collect();
        for id in up {
            self.set_state(&id, ContainerState::Exited);
        }
    }

    /// The engine begins; it starts what its policies say.
    pub(in crate::simulation) fn engine_begins(&mut self) {
        let ids: Vec<String> = self.engine.containers.keys().cloned().collect();
        for id in ids {
            let container = &self.engine.containers[&id];
            match container.state {
                ContainerState::Removing => self.take_away(&id),
                ContainerState::Exited if container.told.ever_started => {
                    let starts = match container.told.config.restart.as_str() {
                        // Even what somebody stopped.
                        "always" => true,
                        "unless-stopped" => !container.was_stopped,
                        _ => false,
                    };
                    if starts {
                        self.run(&id);
                    }
                }
                _ => {}
            }
        }
        self.engine.links += 1;
        self.engine.link = self.engine.links;
    }
}
