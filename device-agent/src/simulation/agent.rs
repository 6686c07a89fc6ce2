//! One life of the agent: the real loop, store and memory on the model of a disk, and those who call its API.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tokio::sync::{broadcast, watch};

use super::disk::ModelDisk;
use super::judge::{Sending, View};
use super::machine::ModelMachine;
use super::met::Met;
use super::outside::ModelEngine;
use super::state::{Event, Sim, State, Time};
use crate::engine::Link;
use crate::engine::events::Happened;
use crate::locks::Held;
use crate::logs::Hub;
use crate::memory::Memory;
use crate::model::{DeviceFacts, HostFacts, Request, Target};
use crate::reconcile::{self, Caller, Clock, Inputs, Proposal, Sleep, Tools};
use crate::report::Snapshot;
use crate::store::disk::Disk;
use crate::store::{SharedStore, Store};

/// Where everything is stored.
const DIR: &str = "/state";

/// Something that waits to be woken.
#[derive(Debug)]
struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

struct Task {
    future: Pin<Box<dyn Future<Output = ()> + Send>>,
    flag: Arc<Flag>,
    waker: Waker,
}

impl Task {
    fn new(future: impl Future<Output = ()> + Send + 'static) -> Self {
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        Self {
            future: Box::pin(future),
            waker: Waker::from(Arc::clone(&flag)),
            flag,
        }
    }
}

/// See the module.
pub(super) struct Agent {
    sim: Sim,
    tasks: Vec<Task>,
    store: SharedStore,
    caller: Caller,
    link: watch::Receiver<Link<ModelEngine>>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What was told and says what is being done, until all of that was begun.
    unheard: Option<Arc<Snapshot>>,
}

impl Agent {
    /// Reads what is stored and begins.
    pub(super) fn begin(sim: &Sim, is_managed: bool) -> Self {
        let (events, link) = Self::wake(sim);
        let disk: Arc<dyn Disk> = Arc::new(ModelDisk(sim.clone()));
        let store =
            Store::open_on(Arc::clone(&disk), DIR.as_ref(), Some(is_managed), None).unwrap();
        let (memory, forgotten) = Memory::open_on(disk, DIR.as_ref());
        let asked = memory.asked().number;
        sim.lock()
            .judge_store(store.accepted(), asked, forgotten.as_ref());
        let (store, targets) = SharedStore::new(store);
        let (caller, calls) = Caller::new();
        let (publish, snapshots) = watch::channel(Arc::new(Snapshot::default()));
        let inputs = Inputs {
            tools: Tools {
                facts: Arc::new(device()),
                hub: Hub::new(None),
                pulls: watch::Sender::default(),
                locks: Held::default(),
            },
            clock: Arc::new(ModelClock {
                sim: sim.clone(),
                began: sim.lock().now,
            }),
            machine: Arc::new(ModelMachine(sim.clone())),
            faults: Vec::new(),
            memory,
            store: store.clone(),
            targets,
            link: link.clone(),
            events,
            calls,
        };
        Self {
            sim: sim.clone(),
            tasks: vec![Task::new(reconcile::run(inputs, publish))],
            store,
            caller,
            link,
            snapshots,
            unheard: None,
        }
    }

    /// The process is there: what it does has effects again.
    fn wake(
        sim: &Sim,
    ) -> (
        broadcast::Receiver<Happened>,
        watch::Receiver<Link<ModelEngine>>,
    ) {
        let mut state = sim.lock();
        let limbo = state.empty_limbo();
        state.dead = false;
        state.agent += 1;
        let capacity = if state.faults.lagging { 1 } else { 256 };
        let (happened, events) = broadcast::channel(capacity);
        let (link_in, link) = watch::channel(Link::Connecting);
        state.happened = Some(happened);
        state.link = Some(link_in);
        drop(state);
        drop(limbo);
        (events, link)
    }

    /// Lets everything go on that was woken, until nothing is any more or the agent is dead.
    pub(super) fn go_on(&mut self) {
        loop {
            let mut has_run = false;
            let mut index = 0;
            while let Some(task) = self.tasks.get_mut(index) {
                if !task.flag.0.swap(false, Ordering::Relaxed) {
                    index += 1;
                    continue;
                }
                has_run = true;
                let mut context = Context::from_waker(&task.waker);
                let ended = task.future.as_mut().poll(&mut context) == Poll::Ready(());
                if self.sim.lock().dead {
                    return;
                }
                self.look_at_report();
                if !ended {
                    index += 1;
                } else if index == 0 {
                    self.sim.lock().violated("the loop has ended".to_owned());
                    return;
                } else {
                    drop(self.tasks.remove(index));
                }
            }
            if !has_run {
                if let Some(told) = self.unheard.take() {
                    self.sim.lock().judge_words(&told);
                }
                return;
            }
        }
    }

    fn look_at_report(&mut self) {
        if self.snapshots.has_changed().is_ok_and(|changed| changed) {
            let told = self.snapshots.borrow_and_update().clone();
            let view = self.view();
            self.sim.lock().judge_report(&told, &view);
            self.unheard = Some(told);
        }
    }

    pub(super) fn report(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    pub(super) fn view(&self) -> View {
        let specs = self.sim.lock().judge.specs.clone();
        View::of(&self.store, &specs)
    }

    fn spawn(&mut self, client: impl Future<Output = ()> + Send + 'static) {
        self.tasks.push(Task::new(client));
    }

    /// A client sends a target, where the agent takes it.
    pub(super) fn put(&mut self, sending: Sending) {
        let Sending {
            number,
            is_fleet,
            force,
        } = sending;
        if !is_fleet && !self.store.accepted().is_local() {
            return;
        }
        let counts = is_fleet != self.store.accepted().is_local();
        let (target, which) = {
            let mut state = self.sim.lock();
            // A target of the fleet counts in part in a local session.
            state.sends_change();
            state.note(|| format!("people: send target t{number} (force {force})"));
            let which = state.sends_target(sending);
            let mut target = state.judge.specs[number].target();
            target.force = force;
            (target, which)
        };
        let (sim, store) = (self.sim.clone(), self.store.clone());
        self.spawn(async move {
            let change = move |store: &mut Store| store_target(store, target, is_fleet);
            let changed = store.change(change).await;
            let mut state = sim.lock();
            if changed.is_ok() {
                state.hears_of_target(is_fleet, which);
            } else {
                state.hears_of_refusal(is_fleet, which);
            }
            state.hears_of_change(changed.as_ref().ok(), counts);
        });
    }

    pub(super) fn ask(&mut self, request: Request) {
        let (sim, store, caller) = (self.sim.clone(), self.store.clone(), self.caller.clone());
        self.spawn(async move { ask(&sim, &store, &caller, request).await });
    }

    pub(super) fn preview(&mut self, number: usize) {
        let target = {
            let mut state = self.sim.lock();
            let target = Arc::new(state.judge.specs[number].target());
            state.judge.proposals.push(Arc::clone(&target));
            target
        };
        let (sim, caller) = (self.sim.clone(), self.caller.clone());
        self.spawn(async move {
            let rebuilt = std::collections::BTreeSet::new();
            // Only that it changes nothing is looked at.
            if caller.preview(Proposal { target, rebuilt }).await.is_ok() {
                sim.lock().counts.add(Met::Preview);
            }
        });
    }

    /// Somebody wants nothing to be changed for so long.
    pub(super) fn hold_still(&mut self, time: Time, force: bool) {
        let (sim, caller) = (self.sim.clone(), self.caller.clone());
        let clock = ModelClock {
            sim: sim.clone(),
            began: 0,
        };
        let which = sim.lock().asks_for_stillness();
        self.spawn(async move {
            let held = caller.hold_still(force).await;
            sim.lock().begins_stillness(held.is_ok());
            if held.is_ok() {
                clock.sleep(Duration::from_millis(time)).await;
            }
            sim.lock().ends_stillness(which);
            drop(held);
        });
    }

    /// Local mode is switched on or off.
    pub(super) fn switch(&mut self, on: bool) {
        if self.store.accepted().is_local() == on {
            return;
        }
        let (sim, store, link) = (self.sim.clone(), self.store.clone(), self.link.clone());
        self.spawn(async move {
            let changed = if on {
                let Link::Up(engine) = link.borrow().clone() else {
                    return;
                };
                let Ok(present) = engine.inventory().await else {
                    return;
                };
                sim.lock().sends_begin(&present);
                store
                    .change(move |store| store.begin_session(present))
                    .await
            } else {
                sim.lock().sends_end();
                let changed = store.change(Store::end_session).await;
                if changed.is_ok() {
                    sim.lock().hears_of_end();
                }
                changed
            };
            let mut state = sim.lock();
            state.note(|| format!("people: local mode {on}"));
            state.hears_of_change(changed.as_ref().ok(), false);
        });
    }
}

fn store_target(
    store: &mut Store,
    target: Target,
    is_fleet: bool,
) -> Result<crate::store::Accepted, crate::store::StoreError> {
    if is_fleet {
        store.put_fleet(target)
    } else {
        store.put(target)
    }
}

async fn ask(sim: &Sim, store: &SharedStore, caller: &Caller, request: Request) {
    let specs = sim.lock().judge.specs.clone();
    let view = View::of(store, &specs);
    let sent = sim.lock().sends_request(&request, &view);
    let answer = caller.ask(vec![request]).await;
    let view = View::of(store, &specs);
    sim.lock().hears_of_request(sent, &answer, &view);
}

/// The simulated time, from when an agent began.
#[derive(Debug)]
struct ModelClock {
    sim: Sim,
    began: Time,
}

impl Clock for ModelClock {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(self.sim.lock().now - self.began)
    }

    fn sleep(&self, time: Duration) -> Sleep {
        let (wake, woken) = tokio::sync::oneshot::channel::<()>();
        let mut state = self.sim.lock();
        let due = state.now + Time::try_from(time.as_millis()).unwrap();
        let change = move |_: &mut State| {
            // Who slept may be gone.
            wake.send(()).ok();
        };
        state.at(due, Event::Change(Box::new(change)));
        Box::pin(async move { drop(woken.await) })
    }
}

fn device() -> DeviceFacts {
    DeviceFacts {
        uuid: "5eee5eee5eee5eee5eee5eee5eee5eee".to_owned(),
        device_type: "generic-amd64".to_owned(),
        arch: "amd64".to_owned(),
        os_version: "simulated".to_owned(),
        hostname: "device".to_owned(),
        listen_port: 48484,
        services_dir: "/services".to_owned(),
        kernel_modules: false,
        firmware: false,
        confinement: None,
        host: HostFacts::default(),
        cloud: None,
    }
}
