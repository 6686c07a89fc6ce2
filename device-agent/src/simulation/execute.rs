//! Steps as the executor does them, call by call, on the model of an engine.

use super::engine::{Created, Order, conflict};
use super::met::Met;
use super::outside::ModelEngine;
use super::state::{Call, State};
use crate::engine::{EngineError, QUICK, SLOW};
use crate::model::{Leftover, Step};
use crate::reconcile::{Progress, Tools};

/// A stop takes up to so many milliseconds.
const GRACE: u64 = 300;

impl ModelEngine {
    pub(super) async fn do_step(&self, step: &Step, tools: &Tools) -> Result<(), EngineError> {
        let mut deed = None;
        self.judge(|state| {
            state.note(|| format!("agent: {}", step.key()));
            state.judge_step(step);
            deed = Some((state.agent, state.begins(step)));
        });
        let outcome = self.effect(step, tools).await;
        self.judge(|state| {
            // An agent before this one may have begun it.
            let own = deed.filter(|(agent, _)| *agent == state.agent);
            if let Some((_, deed)) = own {
                state.ends(deed, outcome.as_ref().map(drop));
            }
        });
        match &outcome {
            Ok(()) if matches!(step, Step::RemoveLeftover(_)) => {
                self.judge(|state| state.counts.add(Met::Leftover));
            }
            Ok(()) => {}
            Err(error) => self.judge(|state| {
                state.note(|| format!("agent: {} failed: {error}", step.key()));
                state.note_failure(step);
            }),
        }
        outcome
    }

    async fn effect(&self, step: &Step, tools: &Tools) -> Result<(), EngineError> {
        match step {
            Step::Pull { image, .. } => self.pull(image, tools).await,
            Step::CreateNetwork { .. } | Step::CreateVolume { .. } => self.make_ground(step).await,
            Step::Install { .. } => self.install(step).await,
            Step::RemoveNetwork { id, .. } => self.remove_network(id).await,
            Step::Start {
                app_id,
                service,
                id,
                ..
            } => {
                self.judge(|state| state.locks.make_directory_as_agent(*app_id, service));
                self.start(id).await
            }
            Step::Stop { id, .. } => {
                self.judge(|state| {
                    state.judge_disturbance(id, "stopped");
                    state.judge_noted(id);
                });
                self.stop(id).await
            }
            Step::Kill { id, because, .. } => {
                self.judge(|state| {
                    state.judge_disturbance(id, "killed");
                    state.judge_noted(id);
                    state.judge_end_of_hand_over(id, because);
                });
                self.stop(id).await?;
                self.remove(id, false).await
            }
            Step::RemoveDead { id, .. } => self.remove(id, true).await,
            Step::Rename { id, name, .. } => {
                self.judge(|state| state.judge_disturbance(id, "renamed"));
                self.rename(id, name).await
            }
            Step::HandOver { .. } => self.hand_over(step).await,
            Step::RemoveVolume { name, .. } => self.remove_volume(name).await,
            Step::RemoveImage { image } => self.remove_image(image, false).await,
            Step::TakeLocks { app_id, force } => {
                let mut state = self.sim.lock();
                if state.dead {
                    return Ok(());
                }
                state
                    .take_locks(*app_id, *force)
                    .map_err(|error| conflict(&error))
            }
            Step::ReleaseLocks { app_id } => {
                self.judge(|state| state.release_locks(*app_id));
                Ok(())
            }
            // Nobody is asked any more: who ended the session was told what it takes away, and locks of its services do not count.
            Step::RemoveLeftover(leftover) => match leftover {
                Leftover::Container(id) => self.remove(id, true).await,
                Leftover::Image(id) => self.remove_image(id, true).await,
                Leftover::Network(id) => self.remove_network(id).await,
                Leftover::Volume(name) => self.remove_volume(name).await,
            },
        }
    }

    /// Something that is so at once, if the agent lives.
    fn judge(&self, judge: impl FnOnce(&mut State)) {
        let mut state = self.sim.lock();
        if !state.dead {
            judge(&mut state);
        }
    }

    async fn make_ground(&self, step: &Step) -> Result<(), EngineError> {
        match step.clone() {
            Step::CreateNetwork {
                name,
                logical_name,
                spec,
            } => {
                let key = name.clone();
                let looked = self.call(on("", false), move |state| {
                    let mut all = state.engine.networks.values();
                    Ok(all.any(|network| network.name == key))
                });
                if looked.await? {
                    return Ok(());
                }
                let call = on(&name, true);
                self.call(call, move |s| s.create_network(&name, &logical_name, &spec))
                    .await
            }
            Step::CreateVolume {
                name,
                logical_name,
                spec,
            } => {
                let at = self.sim.lock().now;
                let call = on(&name, true);
                let made = self.call(call, move |state| {
                    state.create_volume(&name, &logical_name, (&spec, at))
                });
                if made.await? {
                    Ok(())
                } else {
                    Err(conflict("it belongs to something else"))
                }
            }
            _ => Ok(()),
        }
    }

    async fn install(&self, step: &Step) -> Result<(), EngineError> {
        let Step::Install {
            app_id,
            service,
            name,
            config,
            device_name,
            because,
            ..
        } = step.clone()
        else {
            return Ok(());
        };
        self.judge(|state| state.locks.make_directory_as_agent(app_id, &service));
        let order = Order {
            name,
            config,
            device_name,
            because,
        };
        let call = on(&order.name, true);
        let made = self.call(call, move |state| state.create(&order));
        let Created { id, others } = made.await?;
        for (network, endpoint) in others {
            let key = id.clone();
            let connect = move |state: &mut State| state.connect_network(&key, &network, endpoint);
            if let Err(error) = self.call(on(&id, true), connect).await {
                self.judge(|state| state.counts.add(Met::HalfInstalled));
                // Half a container must not be started.
                self.remove(&id, true).await.ok();
                return Err(error);
            }
        }
        Ok(())
    }

    async fn hand_over(&self, step: &Step) -> Result<(), EngineError> {
        let Step::HandOver {
            app_id,
            service,
            id,
            name,
            ..
        } = step
        else {
            return Ok(());
        };
        self.judge(|state| {
            state.judge_disturbance(id, "handed over");
            state.judge_hand_over(id);
            state.clear_markers(*app_id, service);
        });
        let key = id.clone();
        let call = on(id, true);
        self.call(call, move |state| state.restart_no_more(&key))
            .await?;
        self.rename(id, name).await
    }

    async fn start(&self, id: &str) -> Result<(), EngineError> {
        let (call, id) = (on(id, true), id.to_owned());
        self.call(call, move |state| state.start(&id)).await
    }

    async fn stop(&self, id: &str) -> Result<(), EngineError> {
        let call = Call {
            usual: GRACE,
            ..on(id, true)
        };
        let id = id.to_owned();
        let stop = move |state: &mut State| {
            if let Some(container) = state.engine.containers.get_mut(&id) {
                container.by_hand = false;
            }
            state.stop(&id)
        };
        gone_is_done(self.call(call, stop).await)
    }

    async fn remove(&self, id: &str, force: bool) -> Result<(), EngineError> {
        let (call, id) = (on(id, true), id.to_owned());
        match self.call(call, move |state| state.remove(&id, force)).await {
            Err(EngineError::Conflict(message)) if message.contains("already in progress") => {
                Ok(())
            }
            outcome => gone_is_done(outcome),
        }
    }

    async fn rename(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (call, id, name) = (on(id, true), id.to_owned(), name.to_owned());
        match self.call(call, move |state| state.rename(&id, &name)).await {
            Err(EngineError::Refused {
                status: 400,
                message,
            }) if message.contains("same name") => Ok(()),
            outcome => gone_is_done(outcome),
        }
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let (call, id) = (on(id, true), id.to_owned());
        gone_is_done(
            self.call(call, move |state| state.remove_network(&id))
                .await,
        )
    }

    async fn remove_volume(&self, name: &str) -> Result<(), EngineError> {
        let (call, name) = (on(name, true), name.to_owned());
        gone_is_done(
            self.call(call, move |state| state.remove_volume(&name))
                .await,
        )
    }

    async fn remove_image(&self, image: &str, force: bool) -> Result<(), EngineError> {
        let (call, image) = (on(image, true), image.to_owned());
        gone_is_done(
            self.call(call, move |state| state.remove_image(&image, force))
                .await,
        )
    }

    async fn pull(&self, image: &str, tools: &Tools) -> Result<(), EngineError> {
        let set = |progress: Progress| {
            self.judge(|state| state.fetches(image, progress.percent));
            tools.pulls.send_modify(|pulls| {
                pulls.insert(image.to_owned(), progress);
            });
        };
        set(Progress::default());
        let outcome = self.pull_layers(image, set).await;
        tools.pulls.send_modify(|pulls| {
            pulls.remove(image);
        });
        outcome
    }

    async fn pull_layers(&self, image: &str, set: impl Fn(Progress)) -> Result<(), EngineError> {
        for percent in [30, 80] {
            let call = Call {
                usual: 500,
                ..on("", true)
            };
            self.call(call, |_| Ok(())).await?;
            set(Progress {
                percent,
                layers: Vec::new(),
            });
        }
        let (call, image) = (on(image, true), image.to_owned());
        self.call(call, move |state| state.pull(&image)).await
    }
}

/// A call about an object.
fn on(object: &str, is_slow: bool) -> Call {
    Call {
        object: object.to_owned(),
        limit: if is_slow { SLOW } else { QUICK },
        usual: 10,
    }
}

fn gone_is_done(outcome: Result<(), EngineError>) -> Result<(), EngineError> {
    match outcome {
        Err(EngineError::NotFound(_)) => Ok(()),
        outcome => outcome,
    }
}
