//! What one run has settled: another attempt after a cut decides nothing of it anew, because the first one has changed what would be found.

use std::{
    collections::{BTreeMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use super::{
    item::{Beneath, Item},
    plan::{Plan, Step},
};

/// Of all sources, by their order.
#[derive(Debug, Default)]
pub struct Settled(BTreeMap<usize, Kept>);

impl Settled {
    pub(super) fn of(&mut self, source: usize) -> &mut Kept {
        self.0.entry(source).or_default()
    }
}

/// Of one source.
#[derive(Debug, Default)]
pub(super) struct Kept {
    /// The folder that it goes to, and its name there.
    pub(super) place: Option<(Vec<u8>, Beneath)>,
    /// The folders in which files have waited on the other side.
    pub(super) stages: Vec<Vec<u8>>,
    /// Folders that are made for it.
    pub(super) made: Made,
}

/// Folders that this run makes. Only they get modes and times: others belong to somebody.
#[derive(Debug, Clone, Default)]
pub(super) struct Made(Arc<Mutex<HashSet<Beneath>>>);

impl Made {
    pub(super) fn note(&self, folder: &Beneath) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(folder.clone());
    }

    /// Those that a plan makes, before they are: a cut may come at any moment after.
    pub(super) fn plan(&self, items: &[Item], plan: &Plan) {
        for (item, step) in plan.of(items) {
            if step == Step::Make {
                self.note(&item.path);
            }
        }
    }

    pub(super) fn has(&self, folder: &Beneath) -> bool {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.contains(folder)
    }
}
