//! Files that arrive, on their way to the disk.

use std::{collections::HashMap, io, sync::Arc};

use rustix::io::Errno;

use crate::copy::{
    CopyError,
    archive::{ArchiveEntry, ArchiveReader, EntryKind},
    event::{Event, Events, left, tell},
    here::{Part, Root},
    item::{Beneath, InvalidName, Item, Kind, MODE},
    pipe::Source,
    plan::{Plan, Step, decide},
    settled::Made,
};

/// How many entries an engine's archive may have.
const MOST: usize = 1_000_000;

/// Bytes of a file that says that it has none, as those of a kernel do.
const MOST_UNTOLD: u64 = 64 << 20;

/// Whether a disk takes nothing more.
fn ends(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull
            | io::ErrorKind::QuotaExceeded
            | io::ErrorKind::ReadOnlyFilesystem
    ) || error.raw_os_error() == Some(Errno::IO.raw_os_error())
}

/// Whether it is of what comes, and not of this machine.
fn is_of_content(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::InvalidData
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionAborted
    )
}

/// Where what arrives goes.
#[derive(Debug, Clone)]
pub(super) struct Arrival {
    pub(super) root: Arc<Root>,
    /// What is before each name there.
    pub(super) at: Beneath,
    pub(super) device: String,
    /// The folders that are ours.
    pub(super) made: Made,
    pub(super) events: Events,
}

impl Arrival {
    fn here(&self, path: &Beneath) -> impl FnOnce(io::Error) -> CopyError + use<> {
        CopyError::here(self.root.shown(path))
    }

    fn content(&self, source: io::Error) -> CopyError {
        let device = self.device.clone();
        CopyError::Content { device, source }
    }

    /// Makes folders and links, sets modes, tells what is left out.
    pub(super) fn prepare(&self, items: &[Item], plan: &Plan) -> Result<(), CopyError> {
        for (item, step) in plan.of(items) {
            let at = self.at.join(&item.path);
            let done = match (step, &item.kind) {
                (Step::Make, _) => {
                    self.made.note(&item.path);
                    self.root.make(&at, item.mode)
                }
                (Step::Send, Kind::Link(target)) => {
                    self.root.link(&at, target, item.mtime).inspect(|()| {
                        tell(&self.events, Event::Done { size: 0 });
                    })
                }
                (Step::Mode, _) => self.root.set_mode(&at, item.mode),
                (Step::Refuse(why), _) => {
                    self.left(&at, why);
                    Ok(())
                }
                (Step::Send | Step::Resume(_) | Step::Same, _) => Ok(()),
            };
            self.may_fail(&at, done)?;
        }
        Ok(())
    }

    fn left(&self, at: &Beneath, why: impl Into<String>) {
        let path = self.root.shown(at);
        left(&self.events, path.as_os_str().as_encoded_bytes(), why);
    }

    /// What this machine does not take is left out, and named; a disk that takes nothing more ends the copy.
    fn may_fail<T>(&self, at: &Beneath, done: io::Result<T>) -> Result<Option<T>, CopyError> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(error) if ends(&error) => Err(self.here(at)(error)),
            Err(error) => {
                self.left(at, error.to_string());
                Ok(None)
            }
        }
    }

    /// Folders get their modes and times when nothing more is put into them; deepest first.
    pub(super) fn dress(&self, items: &[Item], plan: &Plan) -> Result<(), CopyError> {
        let all: Vec<_> = plan.of(items).collect();
        for (item, step) in all.into_iter().rev() {
            let at = self.at.join(&item.path);
            if matches!(step, Step::Make | Step::Same) && self.made.has(&item.path) {
                self.may_fail(&at, self.root.dress(&at, item))?;
            }
        }
        Ok(())
    }

    /// One file's content, to its end, and how many bytes it has. It has no name yet: whoever asked for it says whether it is whole. `None`
    /// is one that this machine does not take, which is told.
    pub(super) fn file(
        &self,
        item: &Item,
        from: Option<u64>,
        source: impl io::Read,
    ) -> Result<Option<(Part, u64)>, CopyError> {
        let at = self.at.join(&item.path);
        let begun = self.root.begin(&at, item, from);
        let Some(mut part) = self.may_fail(&at, begun)? else {
            return Ok(None);
        };
        let moved = |bytes| tell(&self.events, Event::Moved(bytes));
        // A file that says that it is empty may be one of a kernel's.
        let most = if item.size() == 0 {
            MOST_UNTOLD
        } else {
            item.size()
        };
        match part.fill(source, most, moved) {
            Ok(size) => Ok(Some((part, size))),
            Err(error) if is_of_content(&error) => Err(self.content(error)),
            Err(error) => {
                part.discard();
                self.may_fail(&at, Err(error))
            }
        }
    }

    /// Gives a file its name.
    pub(super) fn finish(&self, item: &Item, part: Part, size: u64) -> Result<(), CopyError> {
        let at = self.at.join(&item.path);
        if self.may_fail(&at, part.finish(item))?.is_some() {
            tell(&self.events, Event::Done { size });
        }
        Ok(())
    }

    /// An archive of files that were asked for by these names. They wait for their names; what is not in it as it was said to be comes
    /// back.
    pub(super) fn asked(
        &self,
        asked: &HashMap<Vec<u8>, Item>,
        source: Source,
    ) -> Result<(Waiting, Vec<Item>), CopyError> {
        let mut waiting = Waiting {
            arrival: self.clone(),
            items: Vec::new(),
        };
        let mut reader = ArchiveReader::new(source);
        let mut missing = asked.clone();
        while let Some(entry) = reader.entry().map_err(|error| self.content(error))? {
            let name = Beneath::parse(&entry.path)
                .map_err(|error| self.content(io::Error::new(io::ErrorKind::InvalidData, error)))?;
            let Some(item) = missing.get(name.bytes()) else {
                let shown = String::from_utf8_lossy(name.bytes()).into_owned();
                let text = format!("it sends {shown:?}, which it was not asked for");
                return Err(self.content(io::Error::new(io::ErrorKind::InvalidData, text)));
            };
            if entry.kind != EntryKind::File || entry.size != item.size() {
                continue;
            }
            let part = self.filled(item, &mut reader)?;
            let at = self.at.join(&item.path);
            let ready = match part {
                Some(part) => self.may_fail(&at, part.ready(item))?,
                None => None,
            };
            let item = missing.remove(name.bytes());
            waiting.items.extend(item.filter(|_| ready.is_some()));
        }
        reader.drain().map_err(|error| self.content(error))?;
        let mut missing: Vec<Item> = missing.into_values().collect();
        missing.sort_by(|a, b| a.path.cmp(&b.path));
        Ok((waiting, missing))
    }
}

/// Files that have arrived, and have no names yet.
#[derive(Debug)]
pub(super) struct Waiting {
    arrival: Arrival,
    items: Vec<Item>,
}

impl Waiting {
    /// Gives those that are whole their names; the others come back, and are gone.
    pub(super) fn place(
        mut self,
        is_whole: impl Fn(&Item) -> bool,
    ) -> Result<Vec<Item>, CopyError> {
        let (whole, torn): (Vec<_>, Vec<_>) = std::mem::take(&mut self.items)
            .into_iter()
            .partition(is_whole);
        self.items.clone_from(&torn);
        let arrival = &self.arrival;
        for item in whole {
            let at = arrival.at.join(&item.path);
            let placed = arrival.root.place(&at, &item);
            if arrival.may_fail(&at, placed)?.is_none() {
                self.items.push(item);
                continue;
            }
            let size = item.size();
            tell(&arrival.events, Event::Done { size });
        }
        Ok(torn)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        for item in &self.items {
            let at = self.arrival.at.join(&item.path);
            // What cannot be removed is replaced by the next copy.
            drop(self.arrival.root.discard(&at, item));
        }
    }
}

impl Arrival {
    /// Whether a file is there already.
    pub(super) fn is_there(&self, item: &Item) -> Result<bool, CopyError> {
        let at = self.at.join(&item.path);
        let found = self.root.look(&at).map_err(self.here(&at))?;
        Ok(decide(item, found, None) == Step::Same)
    }

    /// An engine's archive of one path: everything in it is below one name, that of the path.
    pub(super) fn archive(
        &self,
        source: Source,
        is_folder: bool,
        is_left: impl Fn(&Item) -> bool,
    ) -> Result<(), CopyError> {
        let mut reader = ArchiveReader::new(source);
        let mut folders = Vec::new();
        let mut refused: Option<Beneath> = None;
        let mut count = 0_usize;
        while let Some(entry) = reader.entry().map_err(|error| self.content(error))? {
            let invalid =
                |problem: String| self.content(io::Error::new(io::ErrorKind::InvalidData, problem));
            count += 1;
            if count > MOST {
                return Err(invalid(format!("it has more than {MOST} files")));
            }
            let item = item_of(&entry).map_err(|error| invalid(error.to_string()))?;
            if refused
                .as_ref()
                .is_some_and(|folder| item.path.is_in(folder))
                || is_left(&item)
            {
                continue;
            }
            let at = self.at.join(&item.path);
            let found = self.root.look(&at).map_err(self.here(&at))?;
            let step = decide(&item, found, None);
            if entry.kind == EntryKind::HardLink && !matches!(step, Step::Refuse(_)) {
                let from =
                    below_first(&entry.target).map_err(|error| invalid(error.to_string()))?;
                self.hard_link(&item, &self.at.join(&from))?;
                continue;
            }
            if let (Step::Refuse(_), Kind::Folder) = (step, &item.kind) {
                refused = Some(item.path.clone());
            }
            if item.kind == Kind::Folder && matches!(step, Step::Make | Step::Same) {
                folders.push(item.clone());
            }
            if let (Kind::File(_), Step::Send) = (&item.kind, step) {
                self.file_of(&item, &mut reader)?;
            } else {
                let one = Plan {
                    steps: vec![(0, step)],
                };
                self.prepare(std::slice::from_ref(&item), &one)?;
                if matches!((step, &item.kind), (Step::Same | Step::Mode, Kind::File(_))) {
                    let event = Event::Planned {
                        bytes: None,
                        files: 0,
                        same: 1,
                    };
                    tell(&self.events, event);
                }
            }
        }
        reader.drain().map_err(|error| self.content(error))?;
        if is_folder && folders.is_empty() && refused.is_none() {
            let error = io::Error::new(io::ErrorKind::InvalidData, "it is not that of a folder");
            return Err(self.content(error));
        }
        let steps = (0..folders.len())
            .map(|index| (index, Step::Same))
            .collect();
        self.dress(&folders, &Plan { steps })
    }

    /// A file of an archive, which has as many bytes as it was said to have.
    fn filled(&self, item: &Item, content: impl io::Read) -> Result<Option<Part>, CopyError> {
        let Some((part, size)) = self.file(item, None, content)? else {
            return Ok(None);
        };
        if size == item.size() {
            return Ok(Some(part));
        }
        let problem = "a file has fewer bytes than it was said to have";
        let error = io::Error::new(io::ErrorKind::InvalidData, problem);
        Err(self.content(error))
    }

    fn file_of(&self, item: &Item, content: impl io::Read) -> Result<(), CopyError> {
        match self.filled(item, content)? {
            Some(part) => self.finish(item, part, item.size()),
            None => Ok(()),
        }
    }

    /// Another name of a file that has arrived: the same content once more.
    fn hard_link(&self, item: &Item, from: &Beneath) -> Result<(), CopyError> {
        let opened = self.root.again(from).and_then(|file| {
            let about = file.metadata()?;
            if about.is_file() {
                Ok((file, about))
            } else {
                Err(io::Error::other("it is no file"))
            }
        });
        let Some((file, about)) = self.may_fail(&self.at.join(&item.path), opened)? else {
            return Ok(());
        };
        let item = Item {
            kind: Kind::File(about.len()),
            ..item.clone()
        };
        self.file_of(&item, file)
    }
}

/// Names of an archive begin with that of the path that was asked for.
fn below_first(path: &[u8]) -> Result<Beneath, InvalidName> {
    let path = path.strip_suffix(b"/").unwrap_or(path);
    let path = path.strip_prefix(b"/").unwrap_or(path);
    Beneath::parse(path)?;
    let slash = path.iter().position(|byte| *byte == b'/');
    let rest = slash.and_then(|slash| path.get(slash + 1..));
    Beneath::parse(rest.unwrap_or_default())
}

fn item_of(entry: &ArchiveEntry) -> Result<Item, InvalidName> {
    let kind = match entry.kind {
        EntryKind::File | EntryKind::HardLink => Kind::File(entry.size),
        EntryKind::Folder => Kind::Folder,
        EntryKind::Link => Kind::Link(entry.target.clone()),
        EntryKind::Special => Kind::Special,
    };
    Ok(Item {
        path: below_first(&entry.path)?,
        kind,
        mode: entry.mode & MODE,
        mtime: entry.mtime,
    })
}
