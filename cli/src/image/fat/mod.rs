//! FAT12, FAT16 and FAT32: read, and changed so that a cut leaves each file as it was or as it is to be.
//!
//! ```text
//!  first sector ─► geometry ─┐
//!  changes ──────────────────┴─► plan ─► steps      (who has them writes them, in their order)
//! ```
//!
//! In: a partition, files to put and to remove. Out: entries, content, and [`Step`]s: bytes for offsets. A file that changes gets new
//! clusters first; one sector of its folder then leads to them, and only after that the old ones are free. What is not of a changed
//! file is not touched, nor is the time of the last reading. What a change left that was cut is put right by the next one; all other
//! damage is told, and not repaired.

mod change;
mod check;
mod directory;
mod edit;
mod error;
mod geometry;
mod mend;
mod names;
mod pages;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

pub use change::{Change, Done, Outcome, Plan, Stamp};
pub use directory::Entry;
pub use error::FatError;
pub use geometry::Kind;
pub use pages::{Patch, Step};

use super::{Part, ReadAt, WriteAt, field};
use directory::Folder;
use geometry::{BOOT_BYTES, Geometry};
use pages::Pages;

/// A file system that can be read.
#[derive(Debug)]
pub struct Volume<'m> {
    part: Part<'m>,
    geometry: Geometry,
}

impl<'m> Volume<'m> {
    /// Understands the first sector.
    ///
    /// # Errors
    /// [`FatError::NotFat`], or what the medium says.
    pub fn open(part: Part<'m>) -> Result<Self, FatError> {
        if part.size() < 512 {
            return Err(FatError::NotFat("it is shorter than a sector"));
        }
        let boot = part.bytes(0, BOOT_BYTES)?;
        let geometry = Geometry::read(&boot, part.size())?;
        Ok(Self { part, geometry })
    }

    /// Which of the three it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.geometry.kind
    }

    /// Bytes for files, and how many of them are free.
    ///
    /// # Errors
    /// What the medium says.
    pub fn room(&self) -> Result<(u64, u64), FatError> {
        let free = table::free(&mut self.pages(), &self.geometry, usize::MAX)?;
        let cluster = u64::try_from(self.geometry.cluster).unwrap_or(u64::MAX);
        let bytes = |clusters: u64| clusters.saturating_mul(cluster);
        let free = u64::try_from(free.len()).unwrap_or(u64::MAX);
        Ok((bytes(self.geometry.count().into()), bytes(free)))
    }

    /// The file system's own name, if it has one.
    ///
    /// # Errors
    /// [`FatError`].
    pub fn label(&self) -> Result<Option<String>, FatError> {
        let root = Folder::root(&mut self.pages(), &self.geometry)?;
        Ok(root.label)
    }

    /// What a folder holds, by names that are separated by `/`; the empty path is the folder without a name.
    ///
    /// # Errors
    /// [`FatError`].
    pub fn list(&self, path: &str) -> Result<Vec<Entry>, FatError> {
        let mut pages = self.pages();
        let mut entries = self.folder(&mut pages, path)?.entries;
        entries.retain(|entry| ![".", ".."].contains(&entry.name.as_str()));
        Ok(entries)
    }

    /// The entry of a file or a folder. `None`: there is none.
    ///
    /// # Errors
    /// [`FatError`].
    pub fn find(&self, path: &str) -> Result<Option<Entry>, FatError> {
        let (parent, name) = split(path)?;
        match self.folder(&mut self.pages(), parent) {
            Ok(folder) => Ok(folder.find(name).cloned()),
            Err(FatError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Gives the content of a file to `take`, in pieces. `None`: there is no such file; else its bytes were so many.
    ///
    /// # Errors
    /// [`FatError`], or the error of `take`.
    pub fn pieces<E: From<FatError>>(
        &self,
        path: &str,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<Option<u64>, E> {
        let Some(entry) = self.find(path)? else {
            return Ok(None);
        };
        if entry.is_folder {
            return Err(kind(path, "folder", "file").into());
        }
        let mut pages = self.pages();
        contents(
            &mut pages,
            &self.geometry,
            &self.part,
            &entry,
            path,
            &mut take,
        )?;
        Ok(Some(entry.size.into()))
    }

    /// The content of a file of at most `most` bytes. `None`: there is no such file.
    ///
    /// # Errors
    /// [`FatError`].
    pub fn read(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, FatError> {
        let Some(entry) = self.find(path)? else {
            return Ok(None);
        };
        if entry.is_folder {
            return Err(kind(path, "folder", "file"));
        }
        let size = u64::from(entry.size);
        if size > most {
            let path = path.to_owned();
            return Err(FatError::Large { path, size, most });
        }
        content(&mut self.pages(), &self.geometry, &self.part, &entry, path).map(Some)
    }

    /// What has to be written for these changes.
    ///
    /// # Errors
    /// [`FatError`]; nothing of the changes can be done then.
    pub fn plan(&self, changes: &[Change<'_>], now: Stamp) -> Result<Plan, FatError> {
        let mut seen = BTreeSet::new();
        for change in changes {
            let path = change.path();
            if !seen.insert(path.to_lowercase()) {
                let because = "it is named twice";
                let path = path.to_owned();
                return Err(FatError::Name { path, because });
            }
        }
        edit::plan(&self.part, &self.geometry, changes, now)
    }

    /// Whether nothing is there that a change leaves which was cut.
    ///
    /// # Errors
    /// [`FatError`], also where it is damaged otherwise.
    pub fn is_closed(&self) -> Result<bool, FatError> {
        let mut pages = self.pages();
        let reached = check::check(&mut pages, &self.geometry)?;
        mend::is_closed(&mut pages, &self.part, &self.geometry, &reached)
    }

    fn pages(&self) -> Pages<'_> {
        Pages::new(&self.part, self.geometry.sector)
    }

    fn folder(&self, pages: &mut Pages<'_>, path: &str) -> Result<Folder, FatError> {
        let mut folder = Folder::root(pages, &self.geometry)?;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let found = folder.find(name).cloned();
            let not_found = || FatError::NotFound {
                path: path.to_owned(),
            };
            let found = found.ok_or_else(not_found)?;
            if !found.is_folder {
                return Err(kind(path, "file", "folder"));
            }
            folder = Folder::of(pages, &self.geometry, found.first, path)?;
        }
        Ok(folder)
    }
}

/// Writes steps to a medium on which the file system begins at `start`.
///
/// # Errors
/// What the medium says. Every file is then as it was or as it is to be.
pub fn apply(medium: &dyn WriteAt, start: u64, steps: &[Step]) -> std::io::Result<()> {
    for step in steps {
        for patch in step {
            medium.write_at(start + patch.offset, &patch.bytes)?;
        }
        medium.flush()?;
    }
    Ok(())
}

fn kind(path: &str, found: &'static str, wanted: &'static str) -> FatError {
    let path = path.to_owned();
    FatError::Kind {
        path,
        found,
        wanted,
    }
}

/// A path's folder and last name.
fn split(path: &str) -> Result<(&str, &str), FatError> {
    let path = path.trim_start_matches('/');
    let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_bad = |name: &str| [".", "..", ""].contains(&name);
    if is_bad(name) || parent.split('/').any(|name| [".", ".."].contains(&name)) {
        return Err(FatError::Name {
            path: path.to_owned(),
            because: "it is no path of a file",
        });
    }
    Ok((parent, name))
}

/// The clusters of a file that has some: enough for its size.
fn chain(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    entry: &Entry,
    path: &str,
) -> Result<Vec<u32>, FatError> {
    let chain = table::chain(pages, geometry, entry.first, path)?;
    let size = usize::try_from(entry.size).unwrap_or(usize::MAX);
    if chain.len().saturating_mul(geometry.cluster) < size {
        return Err(FatError::Damaged(format!(
            "{path} has fewer clusters than its size wants"
        )));
    }
    Ok(chain)
}

/// All of a file.
fn content(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    part: &Part<'_>,
    entry: &Entry,
    path: &str,
) -> Result<Vec<u8>, FatError> {
    let mut content = Vec::new();
    contents(pages, geometry, part, entry, path, &mut |piece| {
        content.extend_from_slice(piece);
        Ok::<_, FatError>(())
    })?;
    Ok(content)
}

/// The same, in pieces.
fn contents<E: From<FatError>>(
    pages: &mut Pages<'_>,
    geometry: &Geometry,
    part: &Part<'_>,
    entry: &Entry,
    path: &str,
    take: &mut dyn FnMut(&[u8]) -> Result<(), E>,
) -> Result<(), E> {
    let mut rest = usize::try_from(entry.size).unwrap_or(usize::MAX);
    if rest == 0 {
        return Ok(());
    }
    let chain = chain(pages, geometry, entry, path)?;
    for cluster in chain {
        let count = rest.min(geometry.cluster);
        if count == 0 {
            break;
        }
        let piece = part.bytes(geometry.offset(cluster), count);
        take(&piece.map_err(FatError::from)?)?;
        rest -= count;
    }
    Ok(())
}
