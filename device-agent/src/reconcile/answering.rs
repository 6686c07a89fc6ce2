//! Answers to calls, from the reading of the world that follows them, and what becomes of requests.

use super::calls::{Call, Proposal};
use super::{Outside, Reconciler};
use crate::model::{Asked, Refused, Request, Target, Wish};
use crate::observe::World;
use crate::plan;

impl<E: Outside> Reconciler<E> {
    /// Forgets what is done, in memory and in the reading.
    pub(super) fn settle_requests(&mut self, world: &mut World, target: Option<&Target>) {
        world.observed.boot = self.inputs.machine.boot().unwrap_or_else(|error| {
            tracing::error!(%error, "it is not known whether the machine was started anew");
            String::new()
        });
        let left = plan::settle(&world.observed.asked, &world.observed, target);
        world.observed.asked = left.clone();
        self.settle(left);
        world.observed.unnoted_discards = self.inputs.memory.unnoted_discards();
    }

    fn settle(&mut self, left: Asked) {
        if let Err(error) = self.inputs.memory.settle_asked(left) {
            tracing::error!(%error, "what was asked for could not be kept");
        }
    }

    /// Locks are overridden until there is nothing left to do.
    pub(super) fn forget_force(&mut self) {
        let mut asked = self.inputs.memory.asked().clone();
        asked.force.clear();
        self.settle(asked);
    }

    /// The leftovers of a local session are gone: it need not be remembered any more.
    pub(super) async fn forget_session(&mut self) {
        let forgotten = self.inputs.store.forget_session(self.generation).await;
        if let Err(error) = forgotten {
            tracing::error!(%error, "the end of a local session could not be kept");
        }
    }

    /// Takes the calls that have come. Of one that comes later, what is about to be read may be too old.
    pub(super) fn gather_calls(&mut self) {
        while let Ok(call) = self.inputs.calls.try_recv() {
            self.waiting_calls.push_back(call);
        }
    }

    /// Nothing is known without an engine; what needs none is answered.
    pub(super) fn refuse_calls(&mut self, reason: &str) {
        self.gather_calls();
        for call in std::mem::take(&mut self.waiting_calls) {
            let Some(call) = self.answer_without_engine(call) else {
                continue;
            };
            let refused = || Refused::EngineAway(reason.to_owned());
            // Who asked may be gone.
            match call {
                Call::Ask(_, reply) => drop(reply.send(Err(refused()))),
                Call::Preview(_, reply) => drop(reply.send(Err(refused()))),
                Call::Container(_, reply) => drop(reply.send(Err(refused()))),
                // Waits for the one before it to end.
                call => self.waiting_calls.push_back(call),
            }
        }
    }

    /// Answers what is about keys and locks; gives back any other call, and one that has to wait.
    fn answer_without_engine(&mut self, call: Call) -> Option<Call> {
        let memory = &mut self.inputs.memory;
        let not_stored = |error: std::io::Error| Refused::NotStored(error.to_string());
        match call {
            Call::DeviceKey(reply) => {
                drop(reply.send(memory.device_key().map_err(not_stored)));
            }
            Call::RotateKey(key, reply) => {
                drop(reply.send(memory.rotate_key(&key).map_err(not_stored)));
            }
            Call::Still(_, reply) if reply.is_closed() => {}
            Call::Still(force, reply) if self.still.is_none() => {
                // Dropped unheard, it ends at once.
                drop(reply.send(self.hold_still(force)));
            }
            call => return Some(call),
        }
        None
    }

    pub(super) async fn answer_calls(
        &mut self,
        engine: &E,
        world: &mut World,
        target: Option<&Target>,
    ) {
        // What is asked for is about the newest target, which the next round takes up: it would forget what was asked before.
        if self.inputs.targets.has_changed().unwrap_or(false) {
            return;
        }
        for call in std::mem::take(&mut self.waiting_calls) {
            let Some(call) = self.answer_without_engine(call) else {
                // A key that has changed is another environment.
                world.observed.api_keys = self.inputs.memory.api_keys();
                continue;
            };
            match call {
                Call::Ask(requests, reply) => {
                    drop(reply.send(self.take(world, target, &requests)));
                }
                // Nobody waits for it any more.
                Call::Preview(_, reply) if reply.is_closed() => {}
                Call::Preview(proposal, reply) => {
                    drop(reply.send(self.preview(engine, world, proposal).await));
                }
                Call::Container(service, reply) => {
                    let container = plan::container(&world.observed, &service);
                    drop(reply.send(Ok(container.cloned())));
                }
                // Waits for the one before it to end.
                call => self.waiting_calls.push_back(call),
            }
        }
    }

    /// All requests or none.
    fn take(
        &mut self,
        world: &mut World,
        target: Option<&Target>,
        requests: &[Request],
    ) -> Result<u64, Refused> {
        let mut asked = world.observed.asked.clone();
        for request in requests {
            let target = target.ok_or(Refused::NoApp(request.app_id))?;
            asked = plan::take(&asked, request, &world.observed, target)?;
        }
        let number = asked.number;
        let kept = self.inputs.memory.keep_asked(asked.clone());
        kept.map_err(|error| Refused::NotStored(error.to_string()))?;
        world.observed.asked = asked;
        if requests.iter().any(|request| request.what == Wish::Anew) {
            self.begin_anew(world);
        }
        Ok(number)
    }

    /// What was done so far for the target counts no more, as if the target were new. A pull that is dropped wakes the loop, which
    /// begins it again.
    fn begin_anew(&mut self, world: &mut World) {
        self.failures.clear();
        world.observed.failures.clear();
        self.batches = 0;
        self.pulls.drop_all();
    }

    /// The world is read once more, with the images of the target that is only thought of.
    async fn preview(
        &mut self,
        engine: &E,
        world: &World,
        proposal: Proposal,
    ) -> Result<agent_api::os::Preview, Refused> {
        let mut accepted = self.inputs.targets.borrow().clone();
        accepted.target = Some(proposal.target.clone());
        let read = engine.observe(self.known(&accepted)).await;
        let mut read = read.map_err(|error| Refused::EngineAway(error.to_string()))?;
        read.observed.asked = world.observed.asked.clone();
        let created = &world.observed.created_since_boot;
        read.observed.created_since_boot.clone_from(created);
        let rebuilt = &proposal.rebuilt;
        Ok(plan::preview(&read.observed, &proposal.target, rebuilt))
    }
}
