//! What has to be done in a container for what has changed in a context. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::place::{Spot, place};
use crate::{
    engine::Mounts,
    project::{
        context::{BuildContext, Content, Item},
        dockerfile::{Recipe, Run, Step},
    },
};

/// What has to be done.
#[derive(Debug, PartialEq)]
pub(super) enum Decision<'a> {
    /// Nothing: what has changed is not in the image.
    Nothing,
    /// Files of the container are replaced.
    Bring(Bring<'a>),
    /// The image is built anew.
    Rebuild(String),
}

/// What is done in a container, in this order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Bring<'a> {
    /// Absolute paths that are removed.
    pub(super) remove: Vec<Vec<u8>>,
    /// Absolute paths of folders that are removed if nothing else is in them, deepest first.
    pub(super) remove_folders: Vec<Vec<u8>>,
    /// What is put there, by its path relative to the root.
    pub(super) put: Vec<(Vec<u8>, Spot<'a>)>,
    /// Commands that are run.
    pub(super) run: Vec<&'a Run>,
    /// Whether the service has to be started anew.
    pub(super) restart: bool,
    /// The step from which on all is done again, should something fail.
    pub(super) first: usize,
}

/// What is known of the image and the container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) recipe: &'a Recipe,
    /// Folders of the image to which single files are copied.
    pub(super) folders: &'a BTreeSet<String>,
    /// What is mounted in the container.
    pub(super) mounts: &'a Mounts,
    /// A step whose commands have failed, and are due.
    pub(super) due: Option<usize>,
}

/// Decides. `before` is what the container has, `after` what is in the folder.
pub(super) fn decide<'a>(
    known: Known<'a>,
    before: &'a BuildContext,
    after: &'a BuildContext,
) -> Decision<'a> {
    if before.dockerfile_text != after.dockerfile_text || before.dockerfile != after.dockerfile {
        return Decision::Rebuild("its Dockerfile has changed".to_owned());
    }
    let (old, new): (Vec<Item<'_>>, Vec<Item<'_>>) =
        (before.items().collect(), after.items().collect());
    let changed = changed(&old, &new);
    if let Some(because) = unfollowed(known.recipe, &changed) {
        return Decision::Rebuild(because);
    }
    let mut had = place(known.recipe, &old, known.folders);
    let mut bring = Bring::default();
    for (path, spot) in place(known.recipe, &new, known.folders) {
        let there = had.remove(&path);
        if there.is_some_and(|there| there.is_same(&spot)) {
            continue;
        }
        // A folder gives way to nothing else by itself, and nothing else to a folder.
        let is_folder = |spot: &Spot<'_>| spot.item.content == Content::Folder;
        if there.is_some_and(|there| is_folder(&there) != is_folder(&spot)) {
            bring.remove.push(rooted(&path));
        }
        bring.put.push((path, spot));
    }
    for (path, spot) in had {
        if spot.item.content == Content::Folder {
            bring.remove_folders.push(rooted(&path));
        } else {
            bring.remove.push(rooted(&path));
        }
    }
    bring.remove_folders.reverse();
    if let Some((path, at)) = mounted(&bring, known.mounts) {
        // What a build does is the same: nothing, but for a new container.
        let path = String::from_utf8_lossy(path);
        return Decision::Rebuild(format!(
            "{path} has changed, and the service sees what is mounted at {at}"
        ));
    }
    let copied = copied(known.recipe, &changed);
    let (first, restart) = match (copied, known.due) {
        (None, None) => return Decision::Nothing,
        (Some((first, restart)), None) => (first, restart),
        (None, Some(due)) => (due, true),
        (Some((first, _)), Some(due)) => (first.min(due), true),
    };
    let is_hidden =
        bring.put.is_empty() && bring.remove.is_empty() && bring.remove_folders.is_empty();
    for step in known.recipe.steps.iter().skip(first + 1) {
        let Step::Run(run) = step else { continue };
        let because = match &run.command {
            Err(because) => because,
            Ok(_) if is_hidden && known.due.is_none() => {
                "a file that it used was replaced behind it"
            }
            Ok(_) => {
                bring.run.push(run);
                continue;
            }
        };
        let text: String = run.text.chars().take(60).collect();
        return Decision::Rebuild(format!("`{text}` has to be run again, and {because}"));
    }
    if is_hidden && bring.run.is_empty() {
        return Decision::Nothing;
    }
    bring.restart = restart;
    bring.first = first;
    Decision::Bring(bring)
}

/// A path over which something is mounted, and where.
fn mounted<'a>(bring: &'a Bring<'_>, mounts: &'a Mounts) -> Option<(&'a [u8], &'a str)> {
    let mut removed = bring.remove.iter().chain(&bring.remove_folders);
    let removed = removed.find_map(|path| Some((path.as_slice(), mounts.over(path)?)));
    removed.or_else(|| {
        let mut put = bring.put.iter();
        put.find_map(|(path, _)| Some((path.as_slice(), mounts.over(&rooted(path))?)))
    })
}

/// The first step that copies something that has changed, and whether one of those asks for a new start.
fn copied(recipe: &Recipe, changed: &[String]) -> Option<(usize, bool)> {
    let copies = recipe.steps.iter().enumerate();
    let copies = copies.filter_map(|(number, step)| match step {
        Step::Copy(copy) => Some((number, copy)),
        Step::Run(_) | Step::Unfollowed { .. } => None,
    });
    let touched = copies.filter(|(_, copy)| {
        let is_of = |path: &String| {
            copy.sources
                .iter()
                .any(|source| source.split(path).is_some())
        };
        changed.iter().any(is_of)
    });
    touched.fold(None, |found, (number, copy)| {
        let (first, restart) = found.unwrap_or((number, false));
        Some((first, restart || !copy.is_live))
    })
}

fn rooted(path: &[u8]) -> Vec<u8> {
    [b"/", path].concat()
}

/// Paths of items that are there on one side only, or differ.
fn changed(old: &[Item<'_>], new: &[Item<'_>]) -> Vec<String> {
    let mut before: BTreeMap<&[u8], &Item<'_>> = old.iter().map(|item| (item.path, item)).collect();
    let mut changed = Vec::new();
    for item in new {
        let there = before.remove(item.path);
        let same =
            there.is_some_and(|there| there.mode == item.mode && there.content == item.content);
        if !same {
            changed.push(String::from_utf8_lossy(item.path).into_owned());
        }
    }
    changed.extend(
        before
            .into_keys()
            .map(|path| String::from_utf8_lossy(path).into_owned()),
    );
    changed
}

/// Why what has changed cannot be brought into a container, if it is used in a way that is not followed.
fn unfollowed(recipe: &Recipe, changed: &[String]) -> Option<String> {
    let path = changed.first()?;
    for step in &recipe.steps {
        let Step::Unfollowed { sources, because } = step else {
            continue;
        };
        let used = changed
            .iter()
            .find(|path| sources.iter().any(|source| source.split(path).is_some()));
        let used = if sources.is_empty() { Some(path) } else { used };
        if let Some(path) = used {
            return Some(format!("{path} has changed, and {because}"));
        }
    }
    None
}
