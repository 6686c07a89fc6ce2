//! Requests: what each promises once it is confirmed.

use std::collections::{BTreeMap, BTreeSet};

use super::View;
use super::stops::Stop;
use crate::model::{ContainerState, Refused, Request, Wish};
use crate::simulation::engine::Volume;
use crate::simulation::met::Met;
use crate::simulation::spec::AppSpec;
use crate::simulation::state::{State, Time};

/// One request.
#[derive(Debug)]
pub(in crate::simulation) struct Promise {
    pub(super) request: Request,
    /// When it was sent.
    pub(super) since: Time,
    /// Containers that are to be replaced.
    pub(super) replaces: BTreeSet<String>,
    /// Containers that had ended and are to run once more, with how often they had.
    starts: BTreeMap<String, u32>,
    /// Contents of volumes that must go.
    pub(super) purges: BTreeSet<u64>,
    /// Contents of volumes that may go.
    pub(super) condemns: BTreeSet<u64>,
    /// Names of the volumes that it may mean, where it is about those of one service.
    pub(super) means: BTreeSet<String>,
    /// Set when it is confirmed.
    pub(super) number: Option<u64>,
    /// Nobody waits for its answer any more.
    pub(super) is_over: bool,
    /// Locks count again.
    has_forced: bool,
}

impl Promise {
    /// What a volume's end that was asked for by it is counted as.
    pub(super) fn met(&self) -> Met {
        match self.request.what {
            Wish::CleanVolumes(_) => Met::CleanUp,
            Wish::Purge(Some(_)) => Met::PurgeOfOne,
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

    /// Whether it empties a volume of an application.
    pub(super) fn may_purge(&self, app: u32, volume: &str) -> bool {
        let is_meant = match self.request.what {
            Wish::Purge(None) => true,
            Wish::Purge(Some(_)) => self.means.contains(volume),
            _ => false,
        };
        is_meant && self.request.app_id == app
    }

    /// Whether it was taken is not known any more, nor whether it is done.
    pub(super) fn is_lost(&mut self) {
        self.number = None;
        self.has_forced = false;
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

impl State {
    /// Whether something like this was asked of a service.
    pub(super) fn was_asked(&self, app: u32, service: &str, what: fn(&Wish) -> bool) -> bool {
        self.judge.promises.iter().any(|promise| {
            let wish = &promise.request.what;
            let names_it = match wish {
                Wish::Restart(Some(name))
                | Wish::Stop(Some(name))
                | Wish::Start(Some(name))
                | Wish::Purge(Some(name)) => name == service,
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
            since: self.now,
            replaces: BTreeSet::new(),
            starts: BTreeMap::new(),
            purges: BTreeSet::new(),
            condemns: BTreeSet::new(),
            means: BTreeSet::new(),
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
        self.note_meant(index, view);
        let promise = &self.judge.promises[index];
        let what = promise.request.what.clone();
        let volumes = self.engine.volumes.values().filter(|volume| {
            let Some(told) = &volume.told else {
                return false;
            };
            match what {
                Wish::Purge(_) => promise.may_purge(told.app_id, &told.logical_name),
                Wish::CleanVolumes(scope) => scope.holds(told.app_id) && !view.names(told),
                _ => false,
            }
        });
        let contents: Vec<u64> = volumes.map(|volume| volume.content).collect();
        self.judge.promises[index].condemns.extend(contents);
    }

    /// A volume has come: requests whose answer is still awaited may mean it too.
    pub(in crate::simulation) fn judge_birth(&mut self, volume: &Volume) {
        let Some(told) = &volume.told else {
            return;
        };
        for promise in self.judge.promises.iter_mut().filter(|p| !p.is_over) {
            let may_mean = match promise.request.what {
                Wish::Purge(_) => promise.may_purge(told.app_id, &told.logical_name),
                Wish::CleanVolumes(scope) => scope.holds(told.app_id),
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
        let stops = &self.judge.stops;
        let targets_stand = stops.targets == targets && stops.pending == 0;
        if !targets_stand {
            self.note_all_meant(index);
        }
        self.condemn(index, view);
        if answer.is_ok() {
            self.promise_purge(index);
        }
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
                if promise.request.what == Wish::Anew {
                    self.counts.add(Met::Anew);
                }
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
                // What was asked later may have been taken by the time that this is heard of.
                let is_open = |service: &(u32, String)| {
                    let mut open = self.judge.promises.iter().filter(|p| !p.is_over);
                    open.any(|other| named(&other.request).contains(service))
                };
                let (open, sure): (Vec<_>, Vec<_>) = services.into_iter().partition(is_open);
                self.judge.stops.set(&open, Some(Stop::Perhaps), now);
                self.judge.stops.set(&sure, stop, now);
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
        // What is on the disk may have been asked for under any target.
        for index in 0..self.judge.promises.len() {
            if !self.judge.promises[index].is_over {
                self.note_all_meant(index);
                self.condemn(index, &View::default());
            }
        }
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
            let service = view.apps.get(&app).and_then(|app| app.service(name));
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
            // Nothing of a rejected release is touched until another one comes.
            let app = view.apps.get(&promise.request.app_id);
            if app.is_some_and(AppSpec::is_rejected) {
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
