//! Folders: their entries, in the order in which they are on the medium.

use std::collections::BTreeSet;

use super::{
    super::field::{array_at, u8_at, u16_at, u32_at},
    FatError,
    geometry::{ENTRY, Geometry, Kind, Root},
    names::{IS_PIECE, LongName, SHORT, is_same, short_text},
    pages::Pages,
    table,
};

/// Bytes of a folder that are read: as many as FAT allows.
const MOST_BYTES: usize = 2 * 1024 * 1024;
/// First byte of an entry that is free.
pub(super) const FREE: u8 = 0xE5;
/// Attribute of a folder.
pub(super) const FOLDER: u8 = 0x10;
/// Attribute of the file system's own name.
const LABEL: u8 = 0x08;

/// What a folder holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a folder.
    pub is_folder: bool,
    /// Bytes; 0 for a folder.
    pub size: u32,
    pub(super) first: u32,
    pub(super) short: [u8; SHORT],
    /// Its slots in the folder: those of the long name, and then its own.
    pub(super) slots: std::ops::RangeInclusive<usize>,
}

/// A folder that was read.
#[derive(Debug)]
pub(super) struct Folder {
    /// Where each of its slots is.
    pub(super) places: Vec<u64>,
    pub(super) entries: Vec<Entry>,
    /// Slots in which nothing is.
    pub(super) free: BTreeSet<usize>,
    /// The first slot that never was one: nothing behind it counts, whatever is there.
    pub(super) end: Option<usize>,
    /// Its clusters; empty for one that cannot grow.
    pub(super) chain: Vec<u32>,
    /// Slots of pieces of names that belong to no entry.
    pub(super) pieces: Vec<usize>,
    /// What `..` of a folder below leads to.
    pub(super) first: u32,
    /// The file system's name, which stands in its first folder.
    pub(super) label: Option<String>,
}

impl Folder {
    /// The folder without a name.
    pub(super) fn root(pages: &mut Pages<'_>, geometry: &Geometry) -> Result<Self, FatError> {
        match geometry.root {
            Root::Fixed { offset, bytes } => {
                let runs = vec![(offset, usize::try_from(bytes).unwrap_or(usize::MAX))];
                Self::read(pages, geometry, &runs, Vec::new(), 0)
            }
            // A folder below it says 0, too.
            Root::Cluster(first) => {
                let mut root = Self::of(pages, geometry, first, "the root folder")?;
                root.first = 0;
                Ok(root)
            }
        }
    }

    /// A folder by its first cluster.
    pub(super) fn of(
        pages: &mut Pages<'_>,
        geometry: &Geometry,
        first: u32,
        path: &str,
    ) -> Result<Self, FatError> {
        let chain = table::chain(pages, geometry, first, path)?;
        if chain.len().saturating_mul(geometry.cluster) > MOST_BYTES.max(geometry.cluster) {
            return Err(FatError::Damaged(format!(
                "{path} is larger than a folder can be"
            )));
        }
        let runs: Vec<(u64, usize)> = chain
            .iter()
            .map(|cluster| (geometry.offset(*cluster), geometry.cluster))
            .collect();
        Self::read(pages, geometry, &runs, chain, first)
    }

    fn read(
        pages: &mut Pages<'_>,
        geometry: &Geometry,
        runs: &[(u64, usize)],
        chain: Vec<u32>,
        first: u32,
    ) -> Result<Self, FatError> {
        let mut folder = Self {
            places: Vec::new(),
            entries: Vec::new(),
            free: BTreeSet::new(),
            end: None,
            chain,
            pieces: Vec::new(),
            first,
            label: None,
        };
        let mut long = LongName::default();
        let mut start = 0;
        let mut alone = Vec::new();
        for &(offset, bytes) in runs {
            let mut run = vec![0; bytes];
            pages.read(offset, &mut run)?;
            let places = (offset..).step_by(ENTRY);
            for (entry, place) in run.as_chunks::<ENTRY>().0.iter().zip(places) {
                let slot = folder.places.len();
                folder.places.push(place);
                let [mark, ..] = *entry;
                if mark == 0 && folder.end.is_none() {
                    folder.end = Some(slot);
                }
                if folder.end.is_some() || mark == FREE {
                    folder.free.insert(slot);
                    long = LongName::default();
                    folder.pieces.append(&mut alone);
                    start = slot + 1;
                    continue;
                }
                let attributes = u8_at(entry, 11).unwrap_or_default();
                if attributes & 0x3F == IS_PIECE {
                    if mark & 0x40 != 0 {
                        start = slot;
                    }
                    long.take(entry);
                    alone.push(slot);
                    continue;
                }
                let name = std::mem::take(&mut long);
                let slots = start..=slot;
                start = slot + 1;
                if attributes & LABEL == 0 {
                    let entry = entry_of(entry, name, slots, geometry);
                    alone.retain(|piece| !entry.slots.contains(piece));
                    folder.pieces.append(&mut alone);
                    folder.entries.push(entry);
                } else {
                    folder.pieces.append(&mut alone);
                    folder.label.get_or_insert_with(|| label_of(entry));
                }
            }
        }
        folder.pieces.append(&mut alone);
        Ok(folder)
    }

    /// The entry of a name.
    pub(super) fn find(&self, name: &str) -> Option<&Entry> {
        let is_dots = |entry: &Entry| [".", ".."].contains(&entry.name.as_str());
        self.entries
            .iter()
            .filter(|entry| !is_dots(entry))
            .find(|entry| is_same(&entry.name, name) || is_same(&short_text(&entry.short, 0), name))
    }

    /// The first free slots that are next to each other.
    pub(super) fn room(&self, count: usize) -> Option<usize> {
        let is_free =
            |first: &usize| (*first..*first + count).all(|slot| self.free.contains(&slot));
        self.free.iter().copied().find(is_free)
    }
}

/// It is written without a dot.
fn label_of(entry: &[u8; ENTRY]) -> String {
    let (label, _) = entry.split_at(SHORT);
    String::from_utf8_lossy(label).trim_end().to_owned()
}

fn entry_of(
    bytes: &[u8; ENTRY],
    name: LongName,
    slots: std::ops::RangeInclusive<usize>,
    geometry: &Geometry,
) -> Entry {
    let short: [u8; SHORT] = array_at(bytes, 0).unwrap_or_default();
    let long = name.end(&short);
    let is_long = long.is_some();
    let case = u8_at(bytes, 12).unwrap_or_default();
    let low = u16_at(bytes, 26).unwrap_or_default();
    // In the older kinds these bytes are something else.
    let high = match geometry.kind {
        Kind::Fat32 => u16_at(bytes, 20).unwrap_or_default(),
        Kind::Fat12 | Kind::Fat16 => 0,
    };
    let own = *slots.end();
    Entry {
        name: long.unwrap_or_else(|| short_text(&short, case)),
        is_folder: u8_at(bytes, 11).unwrap_or_default() & FOLDER != 0,
        size: u32_at(bytes, 28).unwrap_or_default(),
        first: u32::from(high) << 16 | u32::from(low),
        short,
        // Pieces that belong to no name are left where they are.
        slots: if is_long { slots } else { own..=own },
    }
}
