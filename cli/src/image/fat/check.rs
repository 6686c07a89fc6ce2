//! Whether a file system can be changed: each cluster belongs to one file at most, and none that belongs to one is marked as free.
//! Else new content could be written over somebody's old.

use super::{
    FatError,
    directory::Folder,
    geometry::{Geometry, Root},
    pages::Pages,
    table,
};

/// What was found by following all folders and files.
pub(super) struct Reached {
    owned: Owned,
    /// Where pieces of names are that belong to no entry.
    pub(super) pieces: Vec<u64>,
}

impl Reached {
    /// Whether a cluster is somebody's.
    pub(super) fn has(&self, cluster: u32) -> bool {
        let place = usize::try_from(cluster).ok();
        place.and_then(|place| self.owned.0.get(place)) == Some(&true)
    }
}

/// Follows all folders and files. Clusters that belong to nothing do no harm.
pub(super) fn check(pages: &mut Pages<'_>, geometry: &Geometry) -> Result<Reached, FatError> {
    let mut pieces = Vec::new();
    let mut owned = Owned(vec![false; usize::try_from(geometry.end).unwrap_or(0)]);
    let root = Folder::root(pages, geometry)?;
    if let Root::Cluster(_) = geometry.root {
        owned.take(&root.chain, "the root folder")?;
    }
    let mut folders = vec![(root, String::new())];
    while let Some((folder, above)) = folders.pop() {
        let place = |slot: usize| folder.places.get(slot).copied();
        pieces.extend(folder.pieces.into_iter().filter_map(place));
        for entry in folder.entries {
            // The root has no folder above it: so called, there, is an entry like any other.
            let is_above = !above.is_empty() && [".", ".."].contains(&entry.name.as_str());
            let is_dot = entry.name.starts_with('.');
            if is_above || (entry.first == 0 && (is_dot || !entry.is_folder)) {
                continue;
            }
            let path = format!("{above}{}", entry.name);
            owned.take(&table::chain(pages, geometry, entry.first, &path)?, &path)?;
            if entry.is_folder {
                let below = Folder::of(pages, geometry, entry.first, &path)?;
                folders.push((below, format!("{path}/")));
            }
        }
    }
    Ok(Reached { owned, pieces })
}

/// For each cluster, whether it is somebody's.
struct Owned(Vec<bool>);

impl Owned {
    fn take(&mut self, chain: &[u32], path: &str) -> Result<(), FatError> {
        for cluster in chain {
            let place = usize::try_from(*cluster).ok();
            let owned = place.and_then(|place| self.0.get_mut(place));
            if owned.is_none_or(|owned| std::mem::replace(owned, true)) {
                return Err(FatError::Damaged(format!(
                    "{path} has cluster {cluster}, which is another one's, too"
                )));
            }
        }
        Ok(())
    }
}
