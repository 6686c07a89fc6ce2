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

/// Items by their paths in the container, relative to the root.
pub(super) type Puts<'a> = Vec<(Vec<u8>, Spot<'a>)>;

/// What is done in a container, in this order.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Bring<'a> {
    /// Absolute paths of files and links that are removed.
    pub(super) remove: Vec<Vec<u8>>,
    /// Absolute paths of folders that are removed if nothing else is in them, deepest first.
    pub(super) remove_folders: Vec<Vec<u8>>,
    /// What is put there.
    pub(super) put: Puts<'a>,
    /// What follows in the Dockerfile.
    pub(super) then: Vec<Then<'a>>,
    /// Whether the service has to be started anew.
    pub(super) restart: bool,
    /// The step from which on all is done again, should something fail.
    pub(super) first: usize,
}

/// A step that is done again.
#[derive(Debug, PartialEq)]
pub(super) enum Then<'a> {
    /// A command is run.
    Run(&'a Run),
    /// What is copied behind a command is put there once more: the command may have replaced it.
    Put(Puts<'a>),
}

/// What is known of the image and the container.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known<'a> {
    pub(super) recipe: &'a Recipe,
    /// Folders of the image to which single files are copied.
    pub(super) folders: &'a BTreeSet<String>,
    /// What is mounted in the container.
    pub(super) mounts: &'a Mounts,
    /// What was begun and not ended.
    pub(super) begun: &'a Begun,
}

/// What was begun in a container and did not come to its end.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Begun {
    /// The step from which on all has to be done again.
    pub(super) first: Option<usize>,
    /// Paths, relative to the root, of which nobody knows what is there.
    pub(super) paths: BTreeSet<Vec<u8>>,
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
    if !changed.is_empty()
        && let Some(because) = through_links(known.recipe, old.iter().chain(&new))
    {
        return Decision::Rebuild(because);
    }
    let copied = copied(known.recipe, &changed);
    let (first, restart) = match (copied, known.begun.first) {
        (None, None) => return Decision::Nothing,
        (Some(copied), None) => copied,
        (None, Some(first)) => (first, true),
        (Some((copied, _)), Some(first)) => (first.min(copied), true),
    };
    let had = place(known.recipe, &old, known.folders);
    let all = place(known.recipe, &new, known.folders);
    let mut bring = match differences(&had, &all, known.begun) {
        Ok(bring) => bring,
        Err(because) => return Decision::Rebuild(because),
    };
    if let Some((path, at)) = mounted(&bring, known.mounts) {
        // What a build does is the same: nothing, but for a new container.
        let path = String::from_utf8_lossy(path);
        return Decision::Rebuild(format!(
            "{path} has changed, and the service sees what is mounted at {at}"
        ));
    }
    let is_hidden = bring.is_empty();
    for (number, step) in known.recipe.steps.iter().enumerate().skip(first + 1) {
        match step {
            Step::Run(run) => {
                let because = match &run.command {
                    Err(because) => because,
                    Ok(_) if is_hidden => "a file that it used was replaced behind it",
                    Ok(_) => {
                        bring.then.push(Then::Run(run));
                        continue;
                    }
                };
                let text: String = run.text.chars().take(60).collect();
                return Decision::Rebuild(format!("`{text}` has to be run again, and {because}"));
            }
            Step::Copy(_) if !bring.then.is_empty() => {
                let own = all.iter().filter(|(_, spot)| spot.step == number);
                // What something is mounted over is not the image's.
                let own = own.filter(|(path, _)| known.mounts.over(&rooted(path)).is_none());
                let own = own.map(|(path, spot)| (path.clone(), *spot));
                bring.then.push(Then::Put(own.collect()));
            }
            Step::Copy(_) | Step::Unfollowed { .. } => {}
        }
    }
    if is_hidden {
        return Decision::Nothing;
    }
    bring.restart = restart;
    bring.first = first;
    Decision::Bring(bring)
}

impl Bring<'_> {
    fn is_empty(&self) -> bool {
        self.put.is_empty() && self.remove.is_empty() && self.remove_folders.is_empty()
    }

    /// The paths, relative to the root, that are touched.
    pub(super) fn paths(&self) -> BTreeSet<Vec<u8>> {
        let removed = self.remove.iter().chain(&self.remove_folders);
        let removed = removed.map(|path| path.iter().copied().skip(1).collect());
        let put = self.put.iter().map(|(path, _)| path.clone());
        removed.chain(put).collect()
    }
}

/// What has to be put and removed; why a build has to do it, otherwise.
fn differences<'a>(
    had: &BTreeMap<Vec<u8>, Spot<'a>>,
    all: &BTreeMap<Vec<u8>, Spot<'a>>,
    begun: &Begun,
) -> Result<Bring<'a>, String> {
    let is_folder = |spot: &Spot<'_>| spot.item.content == Content::Folder;
    let mut bring = Bring::default();
    for (path, spot) in all {
        let there = had.get(path);
        if there.is_some_and(|there| there.is_same(spot)) && !begun.paths.contains(path) {
            continue;
        }
        match there.map(|there| (is_folder(there), is_folder(spot))) {
            // Something else may be in it, which a build leaves out.
            Some((true, false)) => {
                let path = String::from_utf8_lossy(path);
                return Err(format!("/{path} is no folder any more"));
            }
            Some((false, true)) => bring.remove.push(rooted(path)),
            _ => {}
        }
        bring.put.push((path.clone(), *spot));
    }
    let unknown = begun.paths.iter().filter(|path| !all.contains_key(*path));
    let gone = had.keys().filter(|path| !all.contains_key(*path));
    let gone: BTreeSet<&Vec<u8>> = gone.chain(unknown).collect();
    for path in gone {
        // Below a folder of the context nothing else is uncovered; elsewhere a file of an image below may come to light.
        let at = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let parent = path.get(..at).unwrap_or_default();
        if !had.get(parent).is_some_and(is_folder) && !all.get(parent).is_some_and(is_folder) {
            let path = String::from_utf8_lossy(path);
            return Err(format!(
                "/{path} is gone, and the image may have another one below it"
            ));
        }
        if had.get(path).is_some_and(is_folder) {
            bring.remove_folders.push(rooted(path));
        } else {
            bring.remove.push(rooted(path));
        }
    }
    bring.remove_folders.reverse();
    Ok(bring)
}

/// Why a copy is not followed that leads through a link of the context.
fn through_links<'a>(
    recipe: &Recipe,
    mut items: impl Iterator<Item = &'a Item<'a>>,
) -> Option<String> {
    items.find_map(|item| {
        if !matches!(item.content, Content::Link(_)) {
            return None;
        }
        let path = String::from_utf8_lossy(item.path);
        let mut steps = recipe.steps.iter();
        let is_used = steps.any(|step| match step {
            Step::Copy(copy) => copy
                .sources
                .iter()
                .any(|source| source.leads_through(&path)),
            Step::Run(_) | Step::Unfollowed { .. } => false,
        });
        is_used.then(|| format!("what is copied is behind the link {path}"))
    })
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
            let mut sources = copy.sources.iter();
            sources.any(|source| source.split(path).is_some() || source.leads_through(path))
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
        let used = changed.iter().find(|path| {
            let mut sources = sources.iter();
            sources.any(|source| source.split(path).is_some() || source.leads_through(path))
        });
        let used = if sources.is_empty() { Some(path) } else { used };
        if let Some(path) = used {
            return Some(format!("{path} has changed, and {because}"));
        }
    }
    None
}
