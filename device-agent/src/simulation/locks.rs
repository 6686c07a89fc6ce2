//! A model of the directories of services: update locks and hand-over markers.

use std::collections::{BTreeMap, BTreeSet};

use super::met::Met;
use super::state::{State, Time};
use crate::locks::LockError;
use crate::model::AppLocks;

/// Who has a service's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lock {
    Free,
    Service,
    Agent,
    /// A file of an agent that is no more.
    Stale,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// Directories that exist.
    directories: BTreeMap<(u32, String), Lock>,
    markers: BTreeSet<(u32, String)>,
    /// Applications whose locks the present agent holds, also where there is no directory.
    held: BTreeSet<u32>,
    /// Since when services have their locks, and until when they had them.
    services: Times,
}

/// By service.
type Times = BTreeMap<(u32, String), Vec<(Time, Option<Time>)>>;

/// A service does not have its lock any more.
fn end(times: &mut Times, service: &(u32, String), now: Time) {
    if let Some(times) = times.get_mut(service)
        && let Some((_, until)) = times.last_mut()
    {
        until.get_or_insert(now);
    }
}

impl Locks {
    /// What the agent reads.
    pub(super) fn read(&self) -> (BTreeMap<u32, AppLocks>, BTreeSet<(u32, String)>) {
        let mut found: BTreeMap<u32, AppLocks> = BTreeMap::new();
        for ((app, service), lock) in &self.directories {
            let locks = found.entry(*app).or_default();
            match lock {
                Lock::Free | Lock::Agent => {}
                Lock::Service => {
                    locks.by_services.insert(service.clone());
                }
                Lock::Stale => locks.stale = true,
            }
        }
        for app in &self.held {
            found.entry(*app).or_default().by_agent = true;
        }
        (found, self.markers.clone())
    }

    /// Services of an application that hold their locks.
    pub(super) fn by_services(&self, app: u32) -> Vec<&str> {
        let held = self.directories.iter();
        held.filter(|((of, _), lock)| *of == app && **lock == Lock::Service)
            .map(|((_, service), _)| service.as_str())
            .collect()
    }

    /// Whether a service says that it has taken over.
    pub(super) fn is_marked(&self, app: u32, service: &str) -> bool {
        self.markers.contains(&(app, service.to_owned()))
    }

    /// Whether a service had its lock at some time since.
    pub(super) fn was_held(&self, app: u32, service: &str, since: Time) -> bool {
        let mut times = self.times(app, service);
        times.any(|(_, until)| until.is_none_or(|until| until >= since))
    }

    /// Whether it has had it all the time since.
    pub(super) fn is_held(&self, app: u32, service: &str, since: Time) -> bool {
        let mut times = self.times(app, service);
        times.any(|(from, until)| from < since && until.is_none())
    }

    fn times(&self, app: u32, service: &str) -> impl Iterator<Item = (Time, Option<Time>)> {
        let times = self.services.get(&(app, service.to_owned()));
        times.into_iter().flatten().copied()
    }

    /// Nobody has said that it has taken over.
    pub(super) fn clear_marks(&mut self) {
        self.markers.clear();
    }

    /// The engine makes what it mounts.
    pub(super) fn make_directory(&mut self, app: u32, service: &str) {
        let key = (app, service.to_owned());
        self.directories.entry(key).or_insert(Lock::Free);
    }

    /// The agent makes it before the engine does, and holds it where it holds the others.
    pub(super) fn make_directory_as_agent(&mut self, app: u32, service: &str) {
        let lock = if self.held.contains(&app) {
            Lock::Agent
        } else {
            Lock::Free
        };
        self.directories
            .entry((app, service.to_owned()))
            .or_insert(lock);
    }
}

impl State {
    /// The agent takes all locks of an application or none.
    pub(super) fn take_locks(&mut self, app: u32, force: bool) -> Result<(), String> {
        let refused =
            self.locks.by_services(app).first().map(|service| {
                format!("Lockfile exists for {{ appId: {app}, service: {service} }}")
            });
        match refused {
            Some(refused) if !force => {
                self.counts.add(Met::RefusedLock);
                return Err(refused);
            }
            Some(_) => self.counts.add(Met::ForcedLock),
            None => {}
        }
        for (service, lock) in &mut self.locks.directories {
            if service.0 == app {
                *lock = Lock::Agent;
                end(&mut self.locks.services, service, self.now);
            }
        }
        self.locks.held.insert(app);
        self.changed(|| format!("agent takes the locks of {app} (force {force})"));
        Ok(())
    }

    /// The locks of all applications or none; those that were not held before are told.
    pub(super) fn take_all_locks(&mut self, force: bool) -> Result<Vec<u32>, LockError> {
        let apps: BTreeSet<u32> = self.locks.directories.keys().map(|(app, _)| *app).collect();
        let mut taken = Vec::new();
        for app_id in &apps - &self.locks.held {
            if self.take_locks(app_id, force).is_err() {
                for app in taken {
                    self.release_locks(app);
                }
                let lockers = self.locks.by_services(app_id);
                let service = lockers.first().copied().unwrap_or_default().to_owned();
                return Err(LockError::Taken { app_id, service });
            }
            taken.push(app_id);
        }
        Ok(taken)
    }

    pub(super) fn release_locks(&mut self, app: u32) {
        self.locks.held.remove(&app);
        for ((of, _), lock) in &mut self.locks.directories {
            if *of == app && *lock == Lock::Stale {
                self.counts.add(Met::StaleLock);
            }
            if *of == app && matches!(lock, Lock::Agent | Lock::Stale) {
                *lock = Lock::Free;
            }
        }
        self.changed(|| format!("agent lets go of the locks of {app}"));
        self.tell();
    }

    /// The kernel lets go of what a dead process held; its files stay.
    pub(super) fn abandon_locks(&mut self) {
        self.locks.held.clear();
        for lock in self.locks.directories.values_mut() {
            if *lock == Lock::Agent {
                *lock = Lock::Stale;
            }
        }
        self.changes += 1;
    }

    /// Power is lost: directories, with what is in them, lie in memory.
    pub(super) fn lose_directories(&mut self) {
        for service in std::mem::take(&mut self.locks.directories).keys() {
            end(&mut self.locks.services, service, self.now);
        }
        self.locks.clear_marks();
        self.changes += 1;
    }

    /// A service takes its lock, where no file is in the way.
    pub(super) fn service_locks(&mut self, app: u32, service: &str) {
        let Some(lock) = self.locks.directories.get_mut(&(app, service.to_owned())) else {
            return;
        };
        if *lock == Lock::Free {
            *lock = Lock::Service;
            let times = self.locks.services.entry((app, service.to_owned()));
            times.or_default().push((self.now, None));
            self.changed(|| format!("{app}/{service} takes its lock"));
            self.tell();
        }
    }

    pub(super) fn service_unlocks(&mut self, app: u32, service: &str) {
        let Some(lock) = self.locks.directories.get_mut(&(app, service.to_owned())) else {
            return;
        };
        if *lock == Lock::Service {
            *lock = Lock::Free;
            let service_key = (app, service.to_owned());
            end(&mut self.locks.services, &service_key, self.now);
            self.changed(|| format!("{app}/{service} lets go of its lock"));
            self.tell();
        }
    }

    pub(super) fn unlock_all(&mut self) {
        let all: Vec<(u32, String)> = self.locks.directories.keys().cloned().collect();
        for (app, service) in all {
            self.service_unlocks(app, &service);
        }
    }

    /// A service says that its successor may take over.
    pub(super) fn mark(&mut self, app: u32, service: &str) {
        self.locks.markers.insert((app, service.to_owned()));
        self.changed(|| format!("{app}/{service} has taken over"));
        self.tell();
    }

    pub(super) fn clear_markers(&mut self, app: u32, service: &str) {
        self.locks.markers.remove(&(app, service.to_owned()));
        self.changes += 1;
    }
}
