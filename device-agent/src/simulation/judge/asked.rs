//! Requests: what each promises once it is confirmed, and which services may be expected to be stopped.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use crate::model::{ContainerState, Refused, Request, Wish};
use crate::simulation::engine::Volume;
use crate::simulation::met::Met;
use crate::simulation::state::{State, Time};

/// One request.
#[derive(Debug)]
pub(in crate::simulation) struct Promise {
    request: Request,
    /// Containers that are to be replaced.
    replaces: BTreeSet<String>,
    /// Containers that had ended and are to run once more, with how often they had.
    starts: BTreeMap<String, u32>,
    /// Contents of volumes that must go.
    purges: BTreeSet<u64>,
    /// Contents of volumes that may go.
    pub(super) condemns: BTreeSet<u64>,
    /// Set when it is confirmed.
    pub(super) number: Option<u64>,
    /// Nobody waits for its answer any more.
    is_over: bool,
    /// Locks count again.
    has_forced: bool,
}

impl Promise {
    /// What a volume's end that was asked for by it is counted as.
    pub(super) fn met(&self) -> Met {
        match self.request.what {
            Wish::CleanVolumes(_) => Met::CleanUp,
            _ => Met::Purge,
        }
    }

    /// Whether containers of an application may go because of it, for good or for their volumes.
    pub(super) fn may_end(&self, app: u32) -> bool {
        match self.request.what {
            Wish::Stop(_) | Wish::Purge(_) => self.request.app_id == app,
            Wish::CleanVolumes(_) => true,
            _ => false,
        }
    }

    /// Whether containers of an application may be replaced because of it.
    pub(super) fn may_replace(&self, app: u32) -> bool {
        let replaces = matches!(self.request.what, Wish::Restart(_) | Wish::Purge(_));
        replaces && self.request.app_id == app
    }

    pub(super) fn wish(&self) -> &Wish {
        &self.request.what
    }

    pub(super) fn forces(&self, app: u32) -> bool {
        // A clean-up disturbs nobody and is about no application, so that it cannot force anything.
        let is_clean_up = matches!(self.request.what, Wish::CleanVolumes(_));
        self.request.force && !is_clean_up && self.request.app_id == app && !self.has_forced
    }
}

/// What is known of whether a service was stopped on request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stop {
    Yes,
    /// Until a target that was sent is confirmed.
    Clearing,
    Perhaps,
}

/// See [`Stop`]; what is not here is not stopped.
#[derive(Debug, Default)]
pub(in crate::simulation) struct Stops {
    services: BTreeMap<(u32, String), Stop>,
    /// Until when it was perhaps so of services of which it is not so any more.
    until: BTreeMap<(u32, String), Time>,
    /// Grows with every target that is sent or confirmed.
    targets: u64,
    /// Targets that were sent and not answered yet.
    pending: u32,
}

impl Stops {
    pub(super) fn may_clear(&mut self) {
        self.targets += 1;
        self.pending += 1;
        for stop in self.services.values_mut() {
            if *stop == Stop::Yes {
                *stop = Stop::Clearing;
            }
        }
    }

    pub(super) fn cleared(&mut self, now: Time) {
        self.targets += 1;
        self.pending = self.pending.saturating_sub(1);
        let until = &mut self.until;
        self.services.retain(|service, stop| {
            let stays = *stop != Stop::Clearing;
            if !stays {
                until.insert(service.clone(), now);
            }
            stays
        });
    }

    /// Nobody answers any more.
    pub(super) fn mourn(&mut self) {
        self.unclear();
        self.pending = 0;
    }

    pub(super) fn unclear(&mut self) {
        self.targets += 1;
        self.pending = self.pending.saturating_sub(1);
        for stop in self.services.values_mut() {
            if *stop == Stop::Clearing {
                *stop = Stop::Perhaps;
            }
        }
    }

    fn set(&mut self, services: &[(u32, String)], stop: Option<Stop>, now: Time) {
        for service in services {
            match stop {
                Some(stop) => {
                    self.services.insert(service.clone(), stop);
                }
                None if self.services.remove(service).is_some() => {
                    self.until.insert(service.clone(), now);
                }
                None => {}
            }
        }
    }

    /// Whether a service was perhaps stopped at some time since.
    pub(super) fn was_stopped(&self, app: u32, service: &str, since: Time) -> bool {
        let until = self.until.get(&(app, service.to_owned()));
        let was = until.is_some_and(|until| *until >= since);
        was || self.is_stopped(app, service) != Some(false)
    }

    /// `None`: that cannot be said.
    pub(in crate::simulation) fn is_stopped(&self, app: u32, service: &str) -> Option<bool> {
        match self.services.get(&(app, service.to_owned())) {
            None => Some(false),
            Some(Stop::Yes) => Some(true),
            Some(Stop::Clearing | Stop::Perhaps) => None,
        }
    }
}

impl State {
    /// Whether something like this was asked of a service.
    pub(super) fn was_asked(&self, app: u32, service: &str, what: fn(&Wish) -> bool) -> bool {
        self.judge.promises.iter().any(|promise| {
            let wish = &promise.request.what;
            let names_it = match wish {
                Wish::Restart(Some(name)) | Wish::Stop(Some(name)) | Wish::Start(Some(name)) => {
                    name == service
                }
                _ => true,
            };
            promise.request.app_id == app && names_it && what(wish)
        })
    }

    /// A request is sent. What comes back names it.
    pub(in crate::simulation) fn sends_request(
        &mut self,
        request: &Request,
        view: &View,
    ) -> (usize, u64) {
        self.note(|| format!("people: ask {request:?}"));
        let mut promise = Promise {
            request: request.clone(),
            replaces: BTreeSet::new(),
            starts: BTreeMap::new(),
            purges: BTreeSet::new(),
            condemns: BTreeSet::new(),
            number: None,
            is_over: false,
            has_forced: false,
        };
        if let Wish::Restart(_) | Wish::Purge(_) = request.what {
            promise.replaces = self.of_request(request);
        }
        self.judge.promises.push(promise);
        let index = self.judge.promises.len() - 1;
        self.condemn(index, view);
        let promise = &mut self.judge.promises[index];
        if promise.request.what == Wish::Purge(None) {
            promise.purges = promise.condemns.clone();
        }
        if let Wish::Stop(_) | Wish::Start(_) | Wish::Restart(_) = request.what {
            let services = named(request);
            for service in services {
                let is_start = !matches!(request.what, Wish::Stop(_));
                let known = self.judge.stops.services.contains_key(&service);
                if known || !is_start {
                    let now = self.now;
                    self.judge.stops.set(&[service], Some(Stop::Perhaps), now);
                }
            }
        }
        (index, self.judge.stops.targets)
    }

    fn of_request(&self, request: &Request) -> BTreeSet<String> {
        let named = match &request.what {
            Wish::Restart(name) | Wish::Stop(name) | Wish::Start(name) | Wish::Purge(name) => {
                name.as_deref()
            }
            _ => None,
        };
        let all = self.engine.containers.values().map(|c| &c.told);
        all.filter(|c| c.app_id == request.app_id)
            .filter(|c| named.is_none_or(|name| name == c.service_name))
            .map(|c| c.id.clone())
            .collect()
    }

    /// Containers that a start means, with how often they have run: those that had ended before the world was read.
    fn ended(&self, request: &Request) -> BTreeMap<String, u32> {
        let (Wish::Start(_), Some(reading)) = (&request.what, self.judge.reading) else {
            return BTreeMap::new();
        };
        let ids = self.of_request(request).into_iter();
        let ended = ids.filter_map(|id| {
            let container = self.engine.containers.get(&id)?;
            let (at, state) = container.history.last()?;
            let has_ended = *state == ContainerState::Exited && *at < reading.since;
            has_ended.then_some((id, container.run))
        });
        ended.collect()
    }

    fn condemn(&mut self, index: usize, view: &View) {
        let request = &self.judge.promises[index].request;
        let (app, what) = (request.app_id, request.what.clone());
        let volumes = self.engine.volumes.values().filter(|volume| {
            let Some(told) = &volume.told else {
                return false;
            };
            let of = view.apps.get(&told.app_id);
            match what {
                Wish::Purge(_) => told.app_id == app,
                Wish::CleanVolumes(scope) => {
                    scope.holds(told.app_id)
                        && !of.is_some_and(|app| app.volumes.contains_key(&told.logical_name))
                }
                _ => false,
            }
        });
        let contents: Vec<u64> = volumes.map(|volume| volume.content).collect();
        self.judge.promises[index].condemns.extend(contents);
    }

    /// A volume has come: requests whose answer is still awaited may mean it too.
    pub(in crate::simulation) fn judge_birth(&mut self, volume: &Volume) {
        let app = volume.told.as_ref().map(|told| told.app_id);
        for promise in self.judge.promises.iter_mut().filter(|p| !p.is_over) {
            let may_mean = match promise.request.what {
                Wish::Purge(_) => app == Some(promise.request.app_id),
                Wish::CleanVolumes(scope) => app.is_some_and(|app| scope.holds(app)),
                _ => false,
            };
            if may_mean {
                promise.condemns.insert(volume.content);
            }
        }
    }

    /// The answer to a request.
    pub(in crate::simulation) fn hears_of_request(
        &mut self,
        (index, targets): (usize, u64),
        answer: &Result<u64, Refused>,
        view: &View,
    ) {
        self.note(|| format!("people: request {index} is answered: {answer:?}"));
        self.condemn(index, view);
        let stops = &self.judge.stops;
        let targets_stand = stops.targets == targets && stops.pending == 0;
        let starts = self.ended(&self.judge.promises[index].request);
        let promise = &mut self.judge.promises[index];
        promise.is_over = true;
        let services = named(&promise.request);
        match answer {
            Ok(number) => {
                promise.number = Some(*number);
                if !starts.is_empty() {
                    self.counts.add(Met::StartAgain);
                }
                promise.starts = starts;
                let stop = match promise.request.what {
                    Wish::Stop(_) if targets_stand => Some(Stop::Yes),
                    // A target that was sent meanwhile may have cleared it.
                    Wish::Stop(_) => Some(Stop::Perhaps),
                    Wish::Start(_) | Wish::Restart(_) => None,
                    _ => return,
                };
                let services: Vec<_> = services
                    .into_iter()
                    .filter(|(app, name)| {
                        let app = view.apps.get(app);
                        app.is_some_and(|app| app.services.contains_key(name))
                    })
                    .collect();
                let now = self.now;
                self.judge.stops.set(&services, stop, now);
            }
            // It may be on the disk all the same.
            Err(Refused::NotStored(_)) => {}
            Err(refused) => {
                promise.condemns.clear();
                promise.has_forced = true;
                if let Refused::Locked { .. } = refused {
                    self.counts.add(Met::RefusedRequest);
                }
            }
        }
    }

    pub(super) fn end_promises(&mut self) {
        for promise in &mut self.judge.promises {
            promise.is_over = true;
        }
    }

    /// The agent says that all requests up to a number are done and that nothing is left to do.
    pub(in crate::simulation) fn broken_promises(
        &mut self,
        asked: u64,
        view: &View,
    ) -> Vec<String> {
        let stops = &self.judge.stops;
        let runs = |app: u32, name: &str| {
            let service = view.apps.get(&app).and_then(|app| app.services.get(name));
            service.is_some_and(|service| service.running)
                && stops.is_stopped(app, name) == Some(false)
        };
        let mut broken = Vec::new();
        for promise in &mut self.judge.promises {
            if promise.is_over && promise.number.is_none_or(|number| number <= asked) {
                promise.has_forced = true;
            }
            if promise.number.is_none_or(|number| number > asked) {
                continue;
            }
            for id in &promise.replaces {
                if let Some(container) = self.engine.containers.get(id) {
                    broken.push(format!("{} was to be replaced", container.told.name));
                }
            }
            for (id, run) in &promise.starts {
                let container = self.engine.containers.get(id);
                if let Some(container) = container.filter(|container| container.run == *run)
                    && runs(container.told.app_id, &container.told.service_name)
                {
                    broken.push(format!("{} was to be started", container.told.name));
                }
            }
            let volumes = self.engine.volumes.iter();
            let kept = volumes.filter(|(_, v)| promise.purges.contains(&v.content));
            broken.extend(kept.map(|(name, _)| format!("volume {name} was to be purged")));
        }
        broken
    }
}

/// The services that a request may be about.
fn named(request: &Request) -> Vec<(u32, String)> {
    let (Wish::Restart(name) | Wish::Stop(name) | Wish::Start(name)) = &request.what else {
        return Vec::new();
    };
    let names = match name {
        Some(name) => vec![name.clone()],
        None => ["a", "b", "c"].map(str::to_owned).to_vec(),
    };
    names
        .into_iter()
        .map(|name| (request.app_id, name))
        .collect()
}
