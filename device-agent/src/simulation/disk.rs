//! A model of a disk. What was flushed survives a loss of power, what was not is lost or torn; names survive once their
//! directory was flushed, and of those that were not a first part does, in the order in which they were changed.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::met::Met;
use super::state::{Event, Sim, State};
use crate::store::disk::{Claim, Disk, Work};

/// Where what the agent remembers is.
const MEMORY: &str = "/state/memory.json";
/// How long a disk may keep what it says to be flushed, in milliseconds.
const LONGEST_LIE: u64 = 20_000;

/// A file, whatever its names are.
#[derive(Debug, Clone, Default)]
struct File {
    content: Vec<u8>,
    is_flushed: bool,
}

/// A change of a directory.
#[derive(Debug, Clone)]
enum Naming {
    Give(PathBuf, u64),
    Take(PathBuf),
    /// From, to.
    Move(PathBuf, PathBuf, u64),
}

/// The content of the disk.
#[derive(Debug, Default)]
pub(super) struct Files {
    contents: BTreeMap<u64, File>,
    names: BTreeMap<PathBuf, u64>,
    flushed_names: BTreeMap<PathBuf, u64>,
    unflushed: Vec<Naming>,
    serial: u64,
    /// After so many operations the agent is killed, in the middle of the last one.
    pub(super) fuse: Option<u64>,
    /// Something was said to be flushed and is not yet.
    has_lied: bool,
    /// Nothing can be written.
    pub(super) is_full: bool,
}

impl Files {
    /// Whether what the agent remembers says of a container that the agent stops it.
    pub(super) fn is_noted_as_stopped(&self, id: &str) -> bool {
        let file = self.names.get(Path::new(MEMORY));
        let file = file.and_then(|file| self.contents.get(file));
        let content: Option<serde_json::Value> =
            file.and_then(|file| serde_json::from_slice(&file.content).ok());
        let stopped = content.as_ref().and_then(|all| all["stopped"].as_array());
        stopped.is_some_and(|stopped| stopped.iter().any(|one| one == id))
    }

    fn name(&mut self, naming: Naming) {
        apply(&mut self.names, &naming);
        self.unflushed.push(naming);
    }
}

fn apply(names: &mut BTreeMap<PathBuf, u64>, naming: &Naming) {
    match naming {
        Naming::Give(name, file) => {
            names.insert(name.clone(), *file);
        }
        Naming::Take(name) => {
            names.remove(name);
        }
        Naming::Move(from, to, file) => {
            names.remove(from);
            names.insert(to.clone(), *file);
        }
    }
}

impl State {
    /// Power is lost.
    pub(super) fn cut_disk(&mut self) {
        if std::mem::take(&mut self.disk.has_lied) {
            self.is_betrayed();
        }
        let unflushed = std::mem::take(&mut self.disk.unflushed);
        let survive = self
            .random
            .between(0, u64::try_from(unflushed.len()).unwrap());
        for naming in unflushed.iter().take(usize::try_from(survive).unwrap()) {
            apply(&mut self.disk.flushed_names, naming);
        }
        if usize::try_from(survive).unwrap() < unflushed.len() {
            self.counts.add(Met::LostWrite);
        }
        self.disk.names = self.disk.flushed_names.clone();
        let torn: Vec<u64> = self
            .disk
            .contents
            .iter()
            .filter(|(_, file)| !file.is_flushed)
            .map(|(id, _)| *id)
            .collect();
        for id in torn {
            self.tear(id);
        }
    }

    fn tear(&mut self, id: u64) {
        let Some(file) = self.disk.contents.get_mut(&id) else {
            return;
        };
        let kept = self
            .random
            .between(0, u64::try_from(file.content.len()).unwrap());
        file.content.truncate(usize::try_from(kept).unwrap());
        if self.random.chance(20) {
            file.content.fill(0);
        }
    }

    /// Whether something is really flushed. What is not is so some time later, if there is power until then.
    fn is_flushed(&mut self) -> bool {
        let may_lie = self.faults.lies > 0 && !self.calm;
        if !may_lie || !self.random.chance(self.faults.lies) {
            return true;
        }
        self.note(|| "disk: that was not flushed".to_owned());
        self.disk.has_lied = true;
        let delay = self.random.between(1, LONGEST_LIE);
        self.after(delay, |state| {
            let disk = &mut state.disk;
            disk.has_lied = false;
            disk.flushed_names = disk.names.clone();
            disk.unflushed.clear();
            for file in disk.contents.values_mut() {
                file.is_flushed = true;
            }
        });
        false
    }

    /// Whether an operation is done: `Ok(false)` when the agent is killed in the middle of it.
    fn begin_on_disk(&mut self, writes: bool) -> io::Result<bool> {
        if self.dead {
            return Err(io::Error::other("the agent is dead"));
        }
        if let Some(fuse) = &mut self.disk.fuse {
            *fuse = fuse.saturating_sub(1);
            if *fuse == 0 {
                self.dead = true;
                self.counts.add(Met::KillAtDisk);
                self.note(|| "the agent is killed at its disk".to_owned());
                return Ok(false);
            }
        }
        if writes
            && !self.calm
            && let Some(error) = self.refusal()
        {
            self.judge.losses.refusals.insert(error.to_string());
            return Err(error);
        }
        Ok(true)
    }

    /// Why the disk does not write, if it does not.
    fn refusal(&mut self) -> Option<io::Error> {
        if self.disk.is_full {
            self.counts.add(Met::FullDisk);
            return Some(io::ErrorKind::StorageFull.into());
        }
        if self.random.chance(self.faults.disk) {
            self.counts.add(Met::FailedWrite);
            return Some(io::Error::other("input/output error"));
        }
        None
    }

    fn write(&mut self, file: &Path, content: &[u8]) -> io::Result<()> {
        let outcome = self.begin_on_disk(true);
        if self.dead && outcome.is_err() {
            return outcome.map(drop);
        }
        let id = self.disk.names.get(file).copied().unwrap_or_else(|| {
            self.disk.serial += 1;
            let id = self.disk.serial;
            self.disk.name(Naming::Give(file.to_owned(), id));
            id
        });
        let is_written = matches!(outcome, Ok(true));
        let is_flushed = is_written && self.is_flushed();
        let content = content.to_vec();
        self.disk.contents.insert(
            id,
            File {
                content,
                is_flushed,
            },
        );
        if !is_written {
            self.tear(id);
        }
        self.note(|| format!("disk: write {}: {outcome:?}", file.display()));
        outcome.map(drop)
    }

    fn move_name(&mut self, from: &Path, to: &Path, keeps: bool) -> io::Result<()> {
        if keeps && !self.faults.hard_links {
            return Err(io::ErrorKind::Unsupported.into());
        }
        if !self.begin_on_disk(true)? && self.random.chance(50) {
            return Ok(());
        }
        let id = *self.disk.names.get(from).ok_or(io::ErrorKind::NotFound)?;
        if keeps && self.disk.names.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        self.disk.name(if keeps {
            Naming::Give(to.to_owned(), id)
        } else {
            Naming::Move(from.to_owned(), to.to_owned(), id)
        });
        self.note(|| format!("disk: {} is {}", from.display(), to.display()));
        Ok(())
    }
}

/// The agent's view of it.
#[derive(Debug, Clone)]
pub(super) struct ModelDisk(pub(super) Sim);

impl ModelDisk {
    /// An agent that was killed in the middle of an operation hears nothing of its end.
    fn change(&self, operation: impl FnOnce(&mut State) -> io::Result<()>) -> io::Result<()> {
        let mut state = self.0.lock();
        let outcome = operation(&mut state);
        if state.dead {
            return Err(io::Error::other("the agent is dead"));
        }
        outcome
    }
}

impl Disk for ModelDisk {
    fn create_dir_all(&self, _: &Path) -> io::Result<()> {
        Ok(())
    }

    fn claim(&self, _: &Path, _: Duration) -> io::Result<Option<Claim>> {
        Ok(Some(Box::new(())))
    }

    fn read(&self, file: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
        let state = self.0.lock();
        let Some(id) = state.disk.names.get(file) else {
            return Ok(None);
        };
        let content = state.disk.contents[id].content.clone();
        if u64::try_from(content.len()).unwrap() > most {
            return Err(io::Error::other("it is too large"));
        }
        Ok(Some(content))
    }

    fn write_flushed(&self, file: &Path, content: &[u8]) -> io::Result<()> {
        self.change(|state| state.write(file, content))
    }

    fn write_new(&self, file: &Path, _: u32, content: &[u8]) -> io::Result<()> {
        self.remove(file)?;
        self.write_flushed(file, content)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.change(|state| state.move_name(from, to, false))
    }

    fn hard_link(&self, file: &Path, name: &Path) -> io::Result<()> {
        self.change(|state| state.move_name(file, name, true))
    }

    fn remove(&self, file: &Path) -> io::Result<()> {
        self.change(|state| {
            if state.begin_on_disk(false)? && state.disk.names.contains_key(file) {
                state.disk.name(Naming::Take(file.to_owned()));
            }
            Ok(())
        })
    }

    fn flush_dir(&self, _: &Path) -> io::Result<()> {
        self.change(|state| {
            if state.disk.unflushed.is_empty() {
                return Ok(());
            }
            if state.begin_on_disk(true)? && state.is_flushed() {
                state.disk.flushed_names = state.disk.names.clone();
                state.disk.unflushed.clear();
            }
            Ok(())
        })
    }

    fn begin(&self, work: Work) {
        let mut state = self.0.lock();
        if state.dead {
            state.forget(Box::new(work));
            return;
        }
        let agent = state.agent;
        let due = state.now + state.delay(5);
        state.at(due, Event::Disk(agent, work));
    }
}
