//! The sectors of a file system as they will be, and in which order they get so.
//!
//! In: changes of bytes. Out: [`Step`]s. What was changed before is read as changed; nothing is written here.

use std::{
    collections::{BTreeMap, BTreeSet},
    mem,
};

use super::{super::field::put, FatError};
use crate::image::ReadAt;

/// Bytes that are to be at an offset, counted from the start of the file system.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patch {
    /// Where.
    pub offset: u64,
    /// What.
    pub bytes: Vec<u8>,
}

/// What may be written in any order, and has to be on the medium before the next step begins.
pub type Step = Vec<Patch>;

/// Sectors that were read, and what becomes of them.
pub(super) struct Pages<'m> {
    medium: &'m dyn ReadAt,
    sector: usize,
    held: BTreeMap<u64, Vec<u8>>,
    changed: BTreeSet<u64>,
    steps: Vec<Step>,
}

impl<'m> Pages<'m> {
    pub(super) fn new(medium: &'m dyn ReadAt, sector: usize) -> Self {
        Self {
            medium,
            sector,
            held: BTreeMap::new(),
            changed: BTreeSet::new(),
            steps: Vec::new(),
        }
    }

    /// Reads bytes as they will be.
    pub(super) fn read(&mut self, offset: u64, into: &mut [u8]) -> Result<(), FatError> {
        let (mut number, mut skip) = self.place(offset);
        let mut rest = into;
        while !rest.is_empty() {
            let page = self.page(number)?;
            let some = page.get(skip..).unwrap_or_default();
            let count = some.len().min(rest.len());
            let (now, later) = rest.split_at_mut(count);
            put(now, 0, some.get(..count).unwrap_or_default());
            rest = later;
            number += 1;
            skip = 0;
        }
        Ok(())
    }

    /// Changes bytes. Those that are so already are no change.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> Result<(), FatError> {
        let (mut number, mut skip) = self.place(offset);
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = rest.len().min(self.sector - skip);
            let (now, later) = rest.split_at(count);
            let page = self.page(number)?;
            if page.get(skip..skip + count) != Some(now) {
                put(page, skip, now);
                self.changed.insert(number);
            }
            rest = later;
            number += 1;
            skip = 0;
        }
        Ok(())
    }

    /// Content of whole clusters: it goes into the step that is being made, and is not read again.
    pub(super) fn fill(&mut self, offset: u64, bytes: Vec<u8>) {
        let (first, _) = self.place(offset);
        let (end, _) = self.place(offset + u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        for number in first..end {
            self.held.remove(&number);
            self.changed.remove(&number);
        }
        let patch = Patch { offset, bytes };
        match self.steps.last_mut() {
            Some(step) => step.push(patch),
            None => self.steps.push(vec![patch]),
        }
    }

    /// What was changed since the last call has to be there before anything that comes now.
    pub(super) fn barrier(&mut self) {
        let unit = u64::try_from(self.sector).unwrap_or(u64::MAX);
        let mut step = match self.steps.last() {
            Some(_) => self.steps.pop().unwrap_or_default(),
            None => Step::new(),
        };
        for number in mem::take(&mut self.changed) {
            let Some(page) = self.held.get(&number) else {
                continue;
            };
            let offset = number * unit;
            match step.last_mut() {
                // Neighbours are one write.
                Some(last) if end(last) == offset => last.bytes.extend_from_slice(page),
                _ => step.push(Patch {
                    offset,
                    bytes: page.clone(),
                }),
            }
        }
        if !step.is_empty() {
            self.steps.push(step);
        }
        self.steps.push(Step::new());
    }

    pub(super) fn into_steps(mut self) -> Vec<Step> {
        self.barrier();
        self.steps.retain(|step| !step.is_empty());
        self.steps
    }

    fn place(&self, offset: u64) -> (u64, usize) {
        let unit = u64::try_from(self.sector).unwrap_or(u64::MAX);
        let skip = usize::try_from(offset % unit).unwrap_or_default();
        (offset / unit, skip)
    }

    fn page(&mut self, number: u64) -> Result<&mut Vec<u8>, FatError> {
        use std::collections::btree_map::Entry;
        match self.held.entry(number) {
            Entry::Occupied(held) => Ok(held.into_mut()),
            Entry::Vacant(place) => {
                let unit = u64::try_from(self.sector).unwrap_or(u64::MAX);
                let bytes = self
                    .medium
                    .bytes(number.saturating_mul(unit), self.sector)?;
                Ok(place.insert(bytes))
            }
        }
    }
}

fn end(patch: &Patch) -> u64 {
    patch.offset + u64::try_from(patch.bytes.len()).unwrap_or(u64::MAX)
}
