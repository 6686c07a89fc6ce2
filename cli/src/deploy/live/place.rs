//! Where the files of a context are in the image. Pure.

use std::collections::{BTreeMap, BTreeSet};

use crate::project::{
    context::{Content, Item},
    dockerfile::{Copy, Recipe, Source, Step},
};

/// An item in an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Spot<'a> {
    pub(super) item: Item<'a>,
    /// The step that puts it there, and the copy that this is.
    pub(super) step: usize,
    pub(super) copy: &'a Copy,
}

impl Spot<'_> {
    /// Its permissions there.
    pub(super) fn mode(&self) -> u32 {
        match (self.copy.mode, self.item.content) {
            (Some(mode), Content::File(_)) => mode,
            _ => self.item.mode,
        }
    }

    /// Whether the same is there.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        self.item.content == other.item.content
            && self.mode() == other.mode()
            && self.copy.owner == other.copy.owner
    }
}

/// Items by their paths in the image, relative to the root. Of several that come to one path the last one is there. `folders` are those
/// of the image to which a single file is copied, into them.
pub(super) fn place<'a>(
    recipe: &'a Recipe,
    items: &[Item<'a>],
    folders: &BTreeSet<String>,
) -> BTreeMap<Vec<u8>, Spot<'a>> {
    let mut all = BTreeMap::new();
    for (step, copy) in copies(recipe) {
        let to_folder = copy.is_folder || folders.contains(&copy.to);
        let to = copy.to.trim_matches('/').as_bytes();
        for item in items {
            let path = String::from_utf8_lossy(item.path);
            for source in &copy.sources {
                let Some((head, tail)) = source.split(&path) else {
                    continue;
                };
                // The folder itself becomes the one it is copied to.
                if tail.is_empty() && (source.is_all() || item.content == Content::Folder) {
                    continue;
                }
                let is_file = tail.is_empty();
                let name = if is_file {
                    head.rsplit('/').next().unwrap_or(head)
                } else {
                    tail
                };
                // As bytes: what is not UTF-8 keeps its name.
                let name = item.path.get(item.path.len().saturating_sub(name.len())..);
                let name = match name.filter(|_| path.len() == item.path.len()) {
                    Some(name) => name,
                    None => behind(item.path, source),
                };
                let path = if is_file && !to_folder {
                    to.to_vec()
                } else {
                    join(to, name)
                };
                let spot = Spot {
                    item: *item,
                    step,
                    copy,
                };
                all.insert(path, spot);
            }
        }
    }
    all
}

/// The part of a path behind as many parts as a source names; its last part, if there are no more.
fn behind<'a>(path: &'a [u8], source: &Source) -> &'a [u8] {
    let mut rest = path;
    for _ in 0..source.parts() {
        match rest.iter().position(|&byte| byte == b'/') {
            Some(at) => rest = rest.get(at + 1..).unwrap_or_default(),
            None => return rest,
        }
    }
    rest
}

fn join(folder: &[u8], name: &[u8]) -> Vec<u8> {
    if folder.is_empty() {
        name.to_vec()
    } else {
        [folder, b"/", name].concat()
    }
}

fn copies(recipe: &Recipe) -> impl Iterator<Item = (usize, &Copy)> {
    let steps = recipe.steps.iter().enumerate();
    steps.filter_map(|(number, step)| match step {
        Step::Copy(copy) => Some((number, copy)),
        Step::Run(_) | Step::Unfollowed { .. } => None,
    })
}

/// Places of the image of which has to be known whether they are folders: a single file is copied to them.
pub(super) fn doubtful(recipe: &Recipe) -> BTreeSet<String> {
    copies(recipe)
        .filter(|(_, copy)| !copy.is_folder)
        .map(|(_, copy)| copy.to.clone())
        .collect()
}
