//! From changes to steps.

use std::collections::BTreeSet;

use super::{
    Entry, FatError, Part, chain,
    change::{Change, Done, Plan, Stamp},
    check::check,
    content,
    directory::{FOLDER, FREE, Folder},
    field::put,
    geometry::{ENTRY, Geometry, Kind},
    kind,
    mend::mend,
    names::{SHORT, new_name},
    pages::Pages,
    split, table,
};

/// Attribute of what has not been backed up: whatever was written.
const ARCHIVE: u8 = 0x20;
/// Slots that a folder has at most.
const MOST_SLOTS: usize = 65_536;

pub(super) fn plan(
    part: &Part<'_>,
    geometry: &Geometry,
    changes: &[Change<'_>],
    now: Stamp,
) -> Result<Plan, FatError> {
    let reached = check(&mut Pages::new(part, geometry.sector), geometry)?;
    let mut pages = Pages::new(part, geometry.sector);
    let is_mended = mend(&mut pages, part, geometry, &reached)?;
    let mut edit = Edit {
        pages,
        part,
        geometry,
        now,
    };
    let mut done = Vec::new();
    for change in changes {
        let (parent, name) = split(change.path())?;
        done.push(match change {
            Change::Put(path, content) => edit.put(parent, name, path, content)?,
            Change::Remove(path) => edit.remove(parent, name, path)?,
        });
    }
    // The summary alone is a hint that nobody has to write for.
    let is_same = !is_mended && done.iter().all(|done| *done == Done::Same);
    let steps = if is_same {
        Vec::new()
    } else {
        edit.pages.into_steps()
    };
    Ok(Plan {
        done,
        is_mended,
        steps,
    })
}

struct Edit<'e> {
    pages: Pages<'e>,
    part: &'e Part<'e>,
    geometry: &'e Geometry,
    now: Stamp,
}

impl Edit<'_> {
    fn put(
        &mut self,
        parent: &str,
        name: &str,
        path: &str,
        bytes: &[u8],
    ) -> Result<Done, FatError> {
        let mut folder = self.folder(parent, path)?;
        let before = folder.find(name).cloned();
        let mut old = Vec::new();
        if let Some(entry) = &before {
            if entry.is_folder {
                return Err(kind(path, "folder", "file"));
            }
            let is_as_long = usize::try_from(entry.size) == Ok(bytes.len());
            if entry.first != 0 {
                old = chain(&mut self.pages, self.geometry, entry, path)?;
            }
            if is_as_long {
                let now = content(&mut self.pages, self.geometry, self.part, entry, path)?;
                if now == bytes {
                    return Ok(Done::Same);
                }
                if self.is_full(bytes.len())? && self.overwrite(&old, &now, bytes)? {
                    return Ok(Done::Changed);
                }
            }
        }
        let chain = self.room(bytes.len(), path)?;
        self.fill(&chain, bytes);
        self.pages.barrier();
        table::link(&mut self.pages, self.geometry, &chain)?;
        self.pages.barrier();
        let first = chain.first().copied().unwrap_or(0);
        let size = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        let done = before.as_ref().map_or(Done::Added, |_| Done::Changed);
        match before {
            Some(entry) => self.lead(&folder, &entry, first, size)?,
            None => self.enter(&mut folder, name, path, &self.fields(ARCHIVE, first, size))?,
        }
        self.pages.barrier();
        table::release(&mut self.pages, self.geometry, &old)?;
        self.pages.barrier();
        Ok(done)
    }

    fn remove(&mut self, parent: &str, name: &str, path: &str) -> Result<Done, FatError> {
        let Some(folder) = self.existing(parent)? else {
            return Ok(Done::Same);
        };
        let Some(entry) = folder.find(name).cloned() else {
            return Ok(Done::Same);
        };
        if entry.is_folder {
            return Err(kind(path, "folder", "file"));
        }
        let mut old = Vec::new();
        if entry.first != 0 {
            old = table::chain(&mut self.pages, self.geometry, entry.first, path)?;
        }
        // The name that counts goes first.
        for slot in entry.slots.clone().rev() {
            if let Some(place) = folder.places.get(slot) {
                self.pages.write(*place, &[FREE])?;
            }
            if slot == *entry.slots.end() {
                self.pages.barrier();
            }
        }
        self.pages.barrier();
        table::release(&mut self.pages, self.geometry, &old)?;
        self.pages.barrier();
        Ok(Done::Removed)
    }

    /// The folder of a path, if it is there.
    fn existing(&mut self, path: &str) -> Result<Option<Folder>, FatError> {
        let mut folder = Folder::root(&mut self.pages, self.geometry)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            match folder.find(name) {
                Some(entry) if entry.is_folder => {
                    folder = Folder::of(&mut self.pages, self.geometry, entry.first, path)?;
                }
                Some(_) => return Err(kind(path, "file", "folder")),
                None => return Ok(None),
            }
        }
        Ok(Some(folder))
    }

    /// The same; what is not there is made.
    fn folder(&mut self, path: &str, file: &str) -> Result<Folder, FatError> {
        let mut folder = Folder::root(&mut self.pages, self.geometry)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let first = match folder.find(name) {
                Some(entry) if entry.is_folder => entry.first,
                Some(_) => return Err(kind(path, "file", "folder")),
                None => self.make_folder(&mut folder, name, file)?,
            };
            folder = Folder::of(&mut self.pages, self.geometry, first, path)?;
        }
        Ok(folder)
    }

    fn make_folder(
        &mut self,
        parent: &mut Folder,
        name: &str,
        file: &str,
    ) -> Result<u32, FatError> {
        let chain = self.room(1, file)?;
        let first = chain.first().copied().unwrap_or_default();
        let mut bytes = vec![0; self.geometry.cluster];
        let mut own = self.fields(FOLDER, first, 0);
        put(&mut own, 0, b".          ");
        put(&mut bytes, 0, &own);
        let mut above = self.fields(FOLDER, parent.first, 0);
        put(&mut above, 0, b"..         ");
        put(&mut bytes, ENTRY, &above);
        self.pages.write(self.geometry.offset(first), &bytes)?;
        self.pages.barrier();
        table::link(&mut self.pages, self.geometry, &chain)?;
        self.pages.barrier();
        let fields = self.fields(FOLDER, first, 0);
        self.enter(parent, name, file, &fields)?;
        self.pages.barrier();
        Ok(first)
    }

    /// Free clusters for this many bytes.
    fn room(&mut self, bytes: usize, path: &str) -> Result<Vec<u32>, FatError> {
        let cluster = self.geometry.cluster;
        let wanted = bytes.div_ceil(cluster);
        let free = table::free(&mut self.pages, self.geometry, wanted)?;
        if free.len() == wanted {
            return Ok(free);
        }
        let count = |clusters: usize| u64::try_from(clusters * cluster).unwrap_or(u64::MAX);
        Err(FatError::Full {
            path: path.to_owned(),
            needed: count(wanted),
            free: count(free.len()),
        })
    }

    /// Whether there is no room for this many bytes.
    fn is_full(&mut self, bytes: usize) -> Result<bool, FatError> {
        let wanted = bytes.div_ceil(self.geometry.cluster);
        let free = table::free(&mut self.pages, self.geometry, wanted)?;
        Ok(free.len() < wanted)
    }

    /// Writes content where the old one is, if one sector alone differs: it is old or new, whatever happens. Whether it does.
    fn overwrite(&mut self, chain: &[u32], old: &[u8], new: &[u8]) -> Result<bool, FatError> {
        let unit = self.geometry.sector;
        let pairs = old.chunks(unit).zip(new.chunks(unit)).enumerate();
        let mut differ = pairs.filter(|(_, (old, new))| old != new);
        let (Some((index, (_, bytes))), None) = (differ.next(), differ.next()) else {
            return Ok(false);
        };
        let start = index * unit;
        let Some(cluster) = chain.get(start / self.geometry.cluster) else {
            return Ok(false);
        };
        let within = u64::try_from(start % self.geometry.cluster).unwrap_or(u64::MAX);
        self.pages
            .write(self.geometry.offset(*cluster) + within, bytes)?;
        self.pages.barrier();
        Ok(true)
    }

    /// Content of clusters, those next to each other in one piece.
    fn fill(&mut self, chain: &[u32], bytes: &[u8]) {
        let cluster = self.geometry.cluster;
        let runs = chain.chunk_by(|one, next| one.checked_add(1) == Some(*next));
        let mut rest = bytes;
        for run in runs {
            let whole = run.len() * cluster;
            let (now, later) = rest.split_at(whole.min(rest.len()));
            let mut now = now.to_vec();
            // What was in the clusters before is nobody's to read.
            now.resize(whole, 0);
            if let Some(first) = run.first() {
                self.pages.fill(self.geometry.offset(*first), now);
            }
            rest = later;
        }
    }

    /// Lets an entry lead to other clusters: one write within one sector.
    fn lead(
        &mut self,
        folder: &Folder,
        entry: &Entry,
        first: u32,
        size: u32,
    ) -> Result<(), FatError> {
        let Some(place) = folder.places.get(*entry.slots.end()) else {
            return Ok(());
        };
        let mut fields = [0; ENTRY];
        self.pages.read(*place, &mut fields)?;
        let new = self.fields(ARCHIVE, first, size);
        let mut take = |from: usize, count: usize| {
            let bytes = new.get(from..from + count).unwrap_or_default();
            put(&mut fields, from, bytes);
        };
        if self.geometry.kind == Kind::Fat32 {
            take(20, 2);
        }
        take(22, 10);
        if let Some(attributes) = fields.get_mut(11) {
            *attributes |= ARCHIVE;
        }
        self.pages.write(*place, &fields)
    }

    /// Everything of an entry but its name.
    fn fields(&self, attributes: u8, first: u32, size: u32) -> [u8; ENTRY] {
        let Stamp { date, time } = self.now;
        let [low, high] =
            [first & 0xFFFF, first >> 16].map(|half| u16::try_from(half).unwrap_or(0));
        let mut fields = [0; ENTRY];
        put(&mut fields, 11, &[attributes]);
        put(&mut fields, 14, &time.to_le_bytes());
        put(&mut fields, 16, &date.to_le_bytes());
        put(&mut fields, 18, &date.to_le_bytes());
        put(&mut fields, 20, &high.to_le_bytes());
        put(&mut fields, 22, &time.to_le_bytes());
        put(&mut fields, 24, &date.to_le_bytes());
        put(&mut fields, 26, &low.to_le_bytes());
        put(&mut fields, 28, &size.to_le_bytes());
        fields
    }

    /// A new name in a folder.
    fn enter(
        &mut self,
        folder: &mut Folder,
        name: &str,
        path: &str,
        fields: &[u8; ENTRY],
    ) -> Result<(), FatError> {
        let taken: BTreeSet<[u8; SHORT]> = folder.entries.iter().map(|entry| entry.short).collect();
        let made = new_name(name, &taken)?;
        let count = made.pieces.len() + 1;
        let first = loop {
            if let Some(first) = folder.room(count) {
                break first;
            }
            self.grow(folder, path)?;
        };
        let behind = first + count;
        if let Some(end) = folder.end.filter(|end| behind > *end) {
            self.open(folder, end, behind)?;
        }
        let mut own = *fields;
        put(&mut own, 0, &made.short);
        let place = |slot: usize| folder.places.get(slot).copied().unwrap_or_default();
        for (bytes, slot) in made.pieces.iter().zip(first..) {
            self.pages.write(place(slot), bytes)?;
        }
        let place = |slot: usize| place(slot) / self.sector();
        // Pieces alone are nothing: the name that counts comes last.
        if place(first) != place(behind - 1) {
            self.pages.barrier();
        }
        let last = folder.places.get(behind - 1).copied();
        self.pages.write(last.unwrap_or_default(), &own)?;
        Ok(())
    }

    /// Moves the end of a folder. What was behind it is whatever was there before: it is free before it is no longer behind the end.
    fn open(&mut self, folder: &Folder, end: usize, behind: usize) -> Result<(), FatError> {
        let marks = [(behind, 0)].into_iter();
        let marks = marks.chain((end..behind).rev().map(|slot| (slot, FREE)));
        let mut sector = None;
        for (slot, mark) in marks {
            let Some(place) = folder.places.get(slot) else {
                continue;
            };
            let now = place / self.sector();
            if sector.replace(now).is_some_and(|before| before != now) {
                self.pages.barrier();
            }
            self.pages.write(*place, &[mark])?;
        }
        self.pages.barrier();
        Ok(())
    }

    fn sector(&self) -> u64 {
        u64::try_from(self.geometry.sector).unwrap_or(u64::MAX)
    }

    /// Another cluster for a folder.
    fn grow(&mut self, folder: &mut Folder, path: &str) -> Result<(), FatError> {
        let full = || FatError::FolderFull {
            path: path.to_owned(),
        };
        let last = *folder.chain.last().ok_or_else(full)?;
        if folder.places.len() >= MOST_SLOTS {
            return Err(full());
        }
        let chain = self.room(1, path)?;
        let cluster = chain.first().copied().unwrap_or_default();
        let offset = self.geometry.offset(cluster);
        self.pages.write(offset, &vec![0; self.geometry.cluster])?;
        self.pages.barrier();
        table::link(&mut self.pages, self.geometry, &chain)?;
        self.pages.barrier();
        table::append(&mut self.pages, self.geometry, last, cluster)?;
        self.pages.barrier();
        let new = folder.places.len();
        let count = self.geometry.cluster / ENTRY;
        folder.places.extend((offset..).step_by(ENTRY).take(count));
        folder.free.extend(new..new + count);
        folder.end = folder.end.or(Some(new));
        folder.chain.push(cluster);
        Ok(())
    }
}
