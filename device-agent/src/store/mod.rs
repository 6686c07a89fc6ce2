//! The accepted target on disk: survives restart, crash and loss of power.
//!
//! In: validated targets. Out: the stored one with its generation. A file is never changed in place: the new one is
//! written beside it, flushed, and renamed over it; the one before stays as the last good one. What cannot be read is
//! a fault, never an empty target: an empty target would remove every container.

pub(crate) mod disk;
mod format;
#[cfg(test)]
pub(crate) mod fused;
pub(crate) mod fuzz;
mod session;
mod shared;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use crate::model::{Confinement, Inventory, Target};
use disk::{Claim, Disk, OwnDisk, replace, replace_at_need, settle_names};
use format::Content;
use session::{accepted, adopt_volumes, beside_fleet, volumes};

pub(crate) use shared::SharedStore;

/// The present state.
const FILE: &str = "state.json";
/// The state before it.
const LAST_GOOD: &str = "state.last-good.json";
/// A state that could not be read, kept for people.
const SET_ASIDE: &str = "state.unreadable.json";
/// Held while an agent uses the directory.
const LOCK: &str = "lock";
/// How long it is waited for. What an agent had begun that was killed has open all that this one had, until it runs.
const LINGERING: Duration = Duration::from_secs(3);
/// Larger files are not ours: a target's body is at most 10 MB.
const MAX_BYTES: u64 = 64 * 1024 * 1024;

/// Why the state directory cannot be used.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another agent has it.
    #[error("another agent uses the state directory {}", .0.display())]
    InUse(PathBuf),
    /// The file system refused.
    #[error("could not {what} the state")]
    Io {
        /// What was tried: `open`, `save` …
        what: &'static str,
        /// The file system's answer.
        #[source]
        source: io::Error,
    },
}

/// Where targets come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Mode {
    /// The local network.
    Local,
    /// The fleet that the device belongs to.
    Fleet,
}

/// The target that counts, with the number under which it was accepted.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Accepted {
    /// Grows by one with every target that counts; 0 before the first.
    pub(crate) generation: u64,
    /// The generation in which what was sent with the target was said, as that locks are overridden for it: an earlier one
    /// when the fleet has changed something beside a local target since then.
    pub(crate) given: u64,
    /// `None` before the first target was accepted, or when none could be read.
    pub(crate) target: Option<Arc<Target>>,
    /// Where it came from.
    pub(crate) mode: Mode,
    /// What the engine had when a local session began that has ended; what came since must go.
    pub(crate) ended_session: Option<Arc<Inventory>>,
    /// Applications whose update locks are overridden: those of the target that was sent with that word.
    pub(crate) forced: Arc<BTreeSet<u32>>,
    /// Engine names of the volumes that the fleet's target names, in a local session.
    pub(crate) fleet_volumes: Arc<BTreeSet<String>>,
    /// What was wrong with the files, until a new target was stored.
    pub(crate) fault: Option<String>,
}

impl Accepted {
    /// Whether targets come from the local network.
    pub(crate) fn is_local(&self) -> bool {
        self.mode == Mode::Local
    }
}

/// The state directory, held open by one agent at a time.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    /// Whether the device belongs to a fleet: else only local targets count.
    managed: bool,
    /// Of a simulated device: its volumes have names of its own.
    confinement: Option<Confinement>,
    content: Content,
    accepted: Accepted,
    /// What was found unreadable and must not be overwritten.
    unreadable: bool,
    /// Engine names of the volumes of targets of the fleet before the present one: since the agent began and a session began last.
    /// Steps for them may still be under way.
    volumes_before: BTreeSet<String>,
    disk: Arc<dyn Disk>,
    _claim: Claim,
}

impl Store {
    /// Opens the directory, makes it if need be, and reads what is there.
    /// `managed` is whether the device belongs to a fleet, where that is known: else it does if it did.
    /// `confinement` is that of a simulated device.
    pub(crate) fn open(
        dir: &Path,
        managed: Option<bool>,
        confinement: Option<Confinement>,
    ) -> Result<Self, StoreError> {
        Self::open_on(Arc::new(OwnDisk), dir, managed, confinement)
    }

    /// Whether the device belongs to a fleet.
    pub(crate) fn is_managed(&self) -> bool {
        self.managed
    }

    /// The same on another disk.
    pub(crate) fn open_on(
        disk: Arc<dyn Disk>,
        dir: &Path,
        managed: Option<bool>,
        confinement: Option<Confinement>,
    ) -> Result<Self, StoreError> {
        let io = |source| StoreError::Io {
            what: "open",
            source,
        };
        disk.create_dir_all(dir).map_err(io)?;
        let Some(claim) = disk.claim(&dir.join(LOCK), LINGERING).map_err(io)? else {
            return Err(StoreError::InUse(dir.to_owned()));
        };
        settle_names(disk.as_ref(), dir);
        let content = Content::default();
        let mut store = Self {
            dir: dir.to_owned(),
            managed: managed.unwrap_or_default(),
            accepted: accepted(
                &content,
                managed.unwrap_or_default(),
                confinement.as_ref(),
                None,
            ),
            confinement,
            content,
            unreadable: false,
            volumes_before: BTreeSet::new(),
            disk,
            _claim: claim,
        };
        store.load(managed);
        Ok(store)
    }

    fn load(&mut self, managed: Option<bool>) {
        let present = self.read(FILE);
        let (content, fault) = match present {
            // What could not be read was set aside, and then its replacement was not written.
            Ok(None) => match self.read(LAST_GOOD) {
                Ok(Some(content)) => (
                    Some(content),
                    Some(format!(
                        "{} is gone: the target before it is used",
                        self.dir.join(FILE).display()
                    )),
                ),
                Ok(None) | Err(_) => (None, None),
            },
            Ok(content) => (content, None),
            Err(reason) => {
                self.unreadable = true;
                let file = self.dir.join(FILE);
                match self.read(LAST_GOOD) {
                    Ok(Some(content)) => (
                        Some(content),
                        Some(format!(
                            "{} cannot be read ({reason}): the target before it is used",
                            file.display()
                        )),
                    ),
                    Ok(None) | Err(_) => (
                        None,
                        Some(format!(
                            "{} cannot be read ({reason}): nothing is changed until a new target arrives",
                            file.display()
                        )),
                    ),
                }
            }
        };
        if let Some(content) = content {
            self.content = content;
        }
        self.managed = managed.unwrap_or(self.content.fleet.is_some());
        self.accepted = accepted(
            &self.content,
            self.managed,
            self.confinement.as_ref(),
            fault,
        );
    }

    /// The present target.
    pub(crate) fn accepted(&self) -> &Accepted {
        &self.accepted
    }

    /// What would count if a target of the local network were stored.
    pub(crate) fn proposed(&self, target: Target) -> Target {
        beside_fleet(target, &self.content, self.managed)
    }

    /// Stores a target of the local network.
    pub(crate) fn put(&mut self, target: Target) -> Result<Accepted, StoreError> {
        let given = self.content.generation.saturating_add(1);
        self.change(true, |content| {
            content.local = Some(Arc::new(target));
            content.local_given = given;
        })
    }

    /// Stores a target of the fleet. The one that it has already is not given anew: a fleet that says the same again asks for
    /// nothing, so that what failed is tried no earlier and what was stopped on request stays so.
    pub(crate) fn put_fleet(&mut self, target: Target) -> Result<Accepted, StoreError> {
        let is_new = self.content.fleet.as_deref() != Some(&target);
        // Whose locks are overridden is said for once, and a fault ends with the next target.
        if !is_new && !target.force && self.accepted.fault.is_none() {
            return Ok(self.accepted.clone());
        }
        let counts = self.accepted.mode == Mode::Fleet;
        let confinement = self.confinement.clone();
        let before = self.content.fleet.iter().filter(|_| counts);
        let before = before.flat_map(|fleet| volumes(fleet, confinement.as_ref()));
        self.volumes_before.extend(before);
        self.change(counts, |content| {
            adopt_volumes(content, confinement.as_ref());
            content.fleet = Some(Arc::new(target));
        })
    }

    /// Whether there was ever a target of those from whom this device takes it. One that could not be read counts, too.
    pub(crate) fn is_told(&self) -> bool {
        let has_fleets = self.content.fleet.is_some();
        let has_local = !self.managed && self.content.local.is_some();
        has_fleets || has_local || self.accepted.fault.is_some()
    }

    /// Whether this is the target of those from whom this device takes it.
    pub(crate) fn has(&self, target: &Target) -> bool {
        let own = if self.managed {
            &self.content.fleet
        } else {
            &self.content.local
        };
        own.as_deref() == Some(target)
    }

    /// Stores the target that the image brought along, as its fleet's on a device that is in one. Nobody has told the device another
    /// one: see [`Self::is_told`].
    pub(crate) fn put_preloaded(&mut self, target: Target) -> Result<Accepted, StoreError> {
        if self.managed {
            self.put_fleet(target)
        } else {
            self.put(target)
        }
    }

    /// Begins a local session. What the engine has now outlives it.
    pub(crate) fn begin_session(&mut self, present: Inventory) -> Result<Accepted, StoreError> {
        let begins = self.content.mode != Mode::Local;
        let confinement = self.confinement.clone();
        let before = self.volumes_before.clone();
        let begun = self.change(begins, |content| {
            // What an earlier session left and is not gone yet must still go.
            let session = content.session.get_or_insert_with(|| Arc::new(present));
            // Those that the loop has made since the engine was looked at are among them, also for a target that is not the
            // present one any more.
            Arc::make_mut(session).volumes.extend(before);
            adopt_volumes(content, confinement.as_ref());
            content.mode = Mode::Local;
        });
        if begun.is_ok() {
            self.volumes_before.clear();
        }
        begun
    }

    /// Ends a local session: the fleet's target counts again, and the local one is forgotten.
    pub(crate) fn end_session(&mut self) -> Result<Accepted, StoreError> {
        let ends = self.content.mode == Mode::Local;
        self.change(ends, |content| {
            content.mode = Mode::Fleet;
            content.local = None;
        })
    }

    /// Forgets an ended session, when nothing of it is left as of a generation. Of one that has begun since then nothing was
    /// looked at.
    pub(crate) fn forget_session(&mut self, generation: u64) -> Result<Accepted, StoreError> {
        if self.content.mode == Mode::Local || self.content.generation != generation {
            return Ok(self.accepted.clone());
        }
        self.change(false, |content| content.session = None)
    }

    /// What the engine had when the local session began.
    pub(crate) fn session(&self) -> Option<Arc<Inventory>> {
        self.content.session.clone()
    }

    /// The fleet's target, whether it counts now or not.
    pub(crate) fn fleet(&self) -> Option<Arc<Target>> {
        self.content.fleet.clone()
    }

    /// Stores a change. When this returns, it survives a loss of power; when it fails, the old state still stands. The
    /// generation is the next one if the target that counts was given (`is_given`), by whom too, or is another now.
    fn change(
        &mut self,
        is_given: bool,
        change: impl FnOnce(&mut Content),
    ) -> Result<Accepted, StoreError> {
        let io = |source| StoreError::Io {
            what: "save",
            source,
        };
        let mut content = self.content.clone();
        change(&mut content);
        if is_given
            || accepted(&content, self.managed, self.confinement.as_ref(), None).target
                != self.accepted.target
        {
            content.generation = content.generation.saturating_add(1);
        }
        let text = format::encode(&content).map_err(io)?;
        let file = self.dir.join(FILE);
        if self.unreadable {
            match self.disk.rename(&file, &self.dir.join(SET_ASIDE)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
                _ => self.unreadable = false,
            }
        } else {
            self.keep_last_good(&file).map_err(io)?;
        }
        replace_at_need(self.disk.as_ref(), &file, &text).map_err(io)?;
        self.content = content;
        self.accepted = accepted(&self.content, self.managed, self.confinement.as_ref(), None);
        Ok(self.accepted.clone())
    }

    /// Lets the last good file name the present one too, so that it outlives its replacement.
    fn keep_last_good(&self, file: &Path) -> io::Result<()> {
        let good = self.dir.join(LAST_GOOD);
        let link = good.with_extension("new");
        self.disk.remove(&link)?;
        match self.disk.hard_link(file, &link) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            // Not every file system lets a file have two names.
            Err(_) => {
                let content = self.disk.read(file, MAX_BYTES)?.unwrap_or_default();
                return replace_at_need(self.disk.as_ref(), &good, &content);
            }
            Ok(()) => {}
        }
        self.disk.rename(&link, &good)
    }

    /// `Ok(None)`: there is no such file. The error is a reason for people.
    fn read(&self, name: &str) -> Result<Option<Content>, String> {
        let text = self.disk.read(&self.dir.join(name), MAX_BYTES);
        let Some(text) = text.map_err(|error| error.to_string())? else {
            return Ok(None);
        };
        format::decode(&text)
            .map(Some)
            .map_err(|error| error.to_string())
    }
}

/// Replaces a file of this machine so that after a loss of power either the old or the new content is there, whole.
pub(crate) fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    replace(&OwnDisk, path, content)
}
