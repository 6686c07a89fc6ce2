//! A model of an engine: containers with their states, images, volumes whose content can be told apart, networks.
//!
//! What it refuses is what engines refuse. It never looks at what the agent means by a call.

mod containers;
mod ground;
mod life;
mod others;

pub(super) use containers::{Created, Order};

use std::collections::BTreeMap;

use agent_api::os::Room;

use super::met::Met;
use super::state::{State, Time};
use crate::engine::EngineError;
use crate::model::{
    ContainerState, ImageFacts, Inventory, ObservedContainer, ObservedNetwork, ObservedVolume,
};

/// Milliseconds since the Unix epoch at the beginning of a simulation.
const EPOCH: i64 = 1_800_000_000_000;
/// The label of a service that starts with the machine's next start.
pub(super) const REQUIRES_RESTART: &str = "io.balena.update.requires-reboot";
/// With fewer free bytes nothing is fetched.
const LITTLE: u64 = 64 << 20;
/// Free bytes of a disk that is not full.
const FREE: u64 = 10 << 30;

/// See the module.
#[derive(Debug)]
pub(super) struct Engine {
    /// The present connection; calls of earlier ones are lost. `0` while it is away.
    pub(super) link: u64,
    pub(super) links: u64,
    pub(super) containers: BTreeMap<String, Container>,
    /// Containers that are gone.
    pub(super) gone: BTreeMap<String, Container>,
    pub(super) networks: BTreeMap<String, ObservedNetwork>,
    pub(super) volumes: BTreeMap<String, Volume>,
    /// By id.
    pub(super) images: BTreeMap<String, ImageFacts>,
    /// Ids by reference.
    pub(super) tags: BTreeMap<String, String>,
    /// When images that were here went last, by id.
    gone_images: BTreeMap<String, Time>,
    /// How often each image was built anew, at the registry and here.
    pub(super) builds: BTreeMap<String, u32>,
    pub(super) room: Room,
    /// How much was free, and since when.
    rooms: Vec<(Time, u64)>,
    /// Since when names stand for images, and until when they did.
    tag_times: BTreeMap<String, Vec<(Time, Option<Time>)>>,
    /// Until when the engine is busy with an object.
    pub(super) busy: BTreeMap<String, Time>,
    serial: u32,
}

impl Default for Engine {
    fn default() -> Self {
        Self {
            link: 0,
            links: 0,
            containers: BTreeMap::new(),
            gone: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            images: BTreeMap::new(),
            tags: BTreeMap::new(),
            gone_images: BTreeMap::new(),
            builds: BTreeMap::new(),
            room: Room {
                free: FREE,
                total: 2 * FREE,
            },
            rooms: vec![(0, FREE)],
            tag_times: BTreeMap::new(),
            busy: BTreeMap::new(),
            serial: 0,
        }
    }
}

/// A container.
#[derive(Debug, Clone)]
pub(super) struct Container {
    /// As it is told, but for the state.
    pub(super) told: ObservedContainer,
    pub(super) state: ContainerState,
    pub(super) exit_code: Option<i64>,
    /// What it was, and since when.
    codes: Vec<(Time, i64)>,
    /// Somebody stopped it: the restart policy does not count.
    pub(super) was_stopped: bool,
    /// Grows by one with every start.
    pub(super) run: u32,
    /// Failures in a row.
    pub(super) failures: u32,
    pub(super) history: Vec<(Time, ContainerState)>,
    pub(super) born: Time,
    /// The run of the machine in which it was made.
    pub(super) born_in: u32,
    /// Somebody else than the agent stopped it last.
    pub(super) by_hand: bool,
    pub(super) ended: Option<Time>,
}

/// A volume.
#[derive(Debug, Clone)]
pub(super) struct Volume {
    /// `None`: not ours.
    pub(super) told: Option<ObservedVolume>,
    /// No two volumes have the same.
    pub(super) content: u64,
    /// When its creation was asked for.
    pub(super) asked_at: Time,
    /// A container that has it has run, as can be known: there may be data in it.
    pub(super) is_used: bool,
}

impl Container {
    pub(super) fn is_up(&self) -> bool {
        matches!(
            self.state,
            ContainerState::Running | ContainerState::Restarting | ContainerState::Paused
        )
    }

    /// Neither dead nor on its way out.
    pub(super) fn is_live(&self) -> bool {
        !matches!(self.state, ContainerState::Removing | ContainerState::Dead)
    }

    pub(super) fn is_of(&self, app: u32, service: &str) -> bool {
        self.told.app_id == app && self.told.service_name == service
    }

    /// Whether it was there at some time since.
    pub(super) fn existed(&self, since: Time) -> bool {
        self.ended.is_none_or(|ended| ended >= since)
    }

    /// Whether its label asks for a start of the machine before its own first one.
    pub(super) fn requires_restart(&self) -> bool {
        let label = self.told.config.labels.get(REQUIRES_RESTART);
        label.is_some_and(|value| value == "1")
    }

    fn ends_with(&mut self, code: i64, now: Time) {
        self.exit_code = Some(code);
        self.codes.push((now, code));
    }

    /// Whether it had an exit code at some time since.
    pub(super) fn had_code(&self, code: i64, since: Time) -> bool {
        let later = self.codes.iter().filter(|(at, _)| *at >= since);
        let at_first = self.codes.iter().rev().find(|(at, _)| *at <= since);
        later.chain(at_first).any(|(_, found)| *found == code)
    }

    /// Whether it was in a state at some time since.
    pub(super) fn was(&self, state: ContainerState, since: Time) -> bool {
        let later = self.history.iter().filter(|(at, _)| *at >= since);
        let at_first = self.history.iter().rev().find(|(at, _)| *at <= since);
        later.chain(at_first).any(|(_, found)| *found == state)
    }
}

pub(super) fn not_found(what: &str) -> EngineError {
    EngineError::NotFound(format!("no such object: {what}"))
}

pub(super) fn conflict(what: &str) -> EngineError {
    EngineError::Conflict(what.to_owned())
}

fn no_space() -> EngineError {
    EngineError::Refused {
        status: 500,
        message: "no space left on device".to_owned(),
    }
}

impl Engine {
    /// Whether a name stood for an image at some time since.
    pub(super) fn had_tag(&self, reference: &str, since: Time) -> bool {
        let mut times = self.tag_times.get(reference).into_iter().flatten();
        times.any(|(_, until)| until.is_none_or(|until| until >= since))
    }

    /// Whether it did so all the time since.
    pub(super) fn had_tag_all_the_time(&self, reference: &str, since: Time) -> bool {
        let mut times = self.tag_times.get(reference).into_iter().flatten();
        times.any(|(from, until)| *from < since && until.is_none())
    }

    /// Whether there was too little room for an image at some time since.
    pub(super) fn had_no_room(&self, since: Time) -> bool {
        let later = self.rooms.iter().filter(|(at, _)| *at >= since);
        let at_first = self.rooms.iter().rev().find(|(at, _)| *at <= since);
        later.chain(at_first).any(|(_, free)| *free < LITTLE)
    }

    /// Whether an image was here at some time since.
    pub(super) fn had_image(&self, id: &str, since: Time) -> bool {
        let gone = self.gone_images.get(id);
        self.images.contains_key(id) || gone.is_some_and(|gone| *gone >= since)
    }
}

impl State {
    /// A number that was not given before.
    pub(super) fn serial(&mut self) -> u32 {
        self.engine.serial += 1;
        self.engine.serial
    }

    /// An id that says nothing about its age.
    fn new_id(&mut self) -> String {
        let serial = self.serial();
        format!("{:016x}{serial:048x}", self.random.next())
    }

    /// The image that a reference stands for at the registry.
    pub(super) fn offered(&self, reference: &str) -> String {
        let build = self.engine.builds.get(reference).copied().unwrap_or(0);
        format!("sha256:{reference}-{build}")
    }

    /// Somebody builds an image anew: at the registry, and under the same name here if it was here.
    pub(super) fn rebuild(&mut self, reference: &str) {
        *self.engine.builds.entry(reference.to_owned()).or_default() += 1;
        if self.engine.tags.contains_key(reference) {
            self.fetch(reference);
        }
    }

    fn fetch(&mut self, reference: &str) {
        let id = self.offered(reference);
        let facts = ImageFacts {
            id: id.clone(),
            command: vec!["run".to_owned()],
            ..ImageFacts::default()
        };
        self.engine.images.insert(id.clone(), facts);
        self.engine.tags.insert(reference.to_owned(), id);
        let now = self.now;
        let times = self.engine.tag_times.entry(reference.to_owned());
        let times = times.or_default();
        if times.last().is_none_or(|(_, until)| until.is_some()) {
            times.push((now, None));
        }
        self.changed(|| format!("engine: image {reference} is here"));
        self.tell();
    }

    /// The last bytes of an image arrive.
    pub(super) fn pull(&mut self, reference: &str) -> Result<(), EngineError> {
        if self.engine.room.free < FREE {
            self.counts.add(Met::PullWithoutRoom);
            return Err(no_space());
        }
        self.fetch(reference);
        Ok(())
    }

    /// Without any room nothing can be created.
    fn check_room(&mut self) -> Result<(), EngineError> {
        if self.engine.room.free > 0 {
            return Ok(());
        }
        self.counts.add(Met::CreateWithoutRoom);
        Err(no_space())
    }

    pub(super) fn fill_engine(&mut self, full: bool) {
        self.engine.room.free = if full {
            self.random.pick(&[0, 1 << 20, 512 << 20])
        } else {
            FREE
        };
        let free = self.engine.room.free;
        self.engine.rooms.push((self.now, free));
        self.note(|| format!("engine's disk is full: {full}"));
    }

    /// By id or reference.
    pub(super) fn remove_image(&mut self, image: &str, force: bool) -> Result<(), EngineError> {
        let id = match self.engine.tags.get(image) {
            Some(id) => id.clone(),
            None => image.to_owned(),
        };
        if !self.engine.images.contains_key(&id) {
            return Err(not_found(image));
        }
        let mut users = self.engine.containers.values();
        if users.any(|c| c.told.config.image == id && (c.is_up() || !force)) {
            return Err(conflict("image is being used"));
        }
        self.engine.images.remove(&id);
        self.engine.gone_images.insert(id.clone(), self.now);
        let now = self.now;
        let untagged: Vec<String> = (self.engine.tags.iter())
            .filter(|(_, of)| **of == id)
            .map(|(reference, _)| reference.clone())
            .collect();
        for reference in untagged {
            self.engine.tags.remove(&reference);
            let last = self.engine.tag_times.get_mut(&reference);
            if let Some((_, until)) = last.and_then(|times| times.last_mut()) {
                *until = Some(now);
            }
        }
        self.image_is_gone(&id);
        self.changed(|| format!("engine: image {id} is gone"));
        Ok(())
    }

    /// Also those that are gone.
    pub(super) fn all_containers(&self) -> impl Iterator<Item = &Container> {
        let present = self.engine.containers.values();
        present.chain(self.engine.gone.values())
    }

    /// Everything, whoever made it.
    pub(super) fn inventory(&self) -> Inventory {
        Inventory {
            containers: self.engine.containers.keys().cloned().collect(),
            images: self.engine.images.keys().cloned().collect(),
            networks: self.engine.networks.keys().cloned().collect(),
            volumes: self.engine.volumes.keys().cloned().collect(),
        }
    }
}
