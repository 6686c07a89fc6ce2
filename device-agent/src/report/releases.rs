//! Which release each application is at: that of the target from when nothing is left to do for it, until then the one
//! before. The reference tells it so. Pure.
//!
//! In: what was so before, and what holds up the target. Out: commits by application.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::{Block, Observed, Target};

/// The releases that applications have reached, when there is nothing to be done at once. Those in `pulling` wait for
/// images.
pub(crate) fn reached(
    before: &BTreeMap<u32, String>,
    observed: &Observed,
    target: &Target,
    blocks: &[Block],
    pulling: &BTreeSet<u32>,
) -> BTreeMap<u32, String> {
    let mut releases = before.clone();
    let has_containers = |id: u32| observed.containers.iter().any(|c| c.app_id == id);
    releases.retain(|id, _| target.apps.contains_key(id) || has_containers(*id));
    for app in target.apps.values() {
        let is_held_up = blocks
            .iter()
            .any(|block| block.app_id.is_none_or(|id| id == app.id));
        let is_open = is_held_up || pulling.contains(&app.id);
        if let (Some(commit), false) = (&app.commit, is_open) {
            releases.insert(app.id, commit.clone());
        }
    }
    releases
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Ends;
    use crate::report::tests::{container, observed, target};

    fn block(app_id: Option<u32>) -> Block {
        Block {
            app_id,
            service: None,
            because: "a lock".to_owned(),
            ends: Ends::WithLock,
        }
    }

    #[test]
    fn a_release_counts_when_nothing_is_left_to_do_for_it() {
        let (world, target) = (observed(Vec::new()), target(&["web"]));
        let before = BTreeMap::from([(1, "before".to_owned())]);
        let now = BTreeMap::from([(1, "10ca12e1ea5e".to_owned())]);
        let none = BTreeSet::new();
        let reached = |blocks: &[Block], pulling: &BTreeSet<u32>| {
            reached(&before, &world, &target, blocks, pulling)
        };
        assert_eq!(reached(&[], &none), now);
        assert_eq!(reached(&[block(Some(2))], &BTreeSet::from([2])), now);
        assert_eq!(reached(&[block(Some(1))], &none), before);
        assert_eq!(reached(&[block(None)], &none), before);
        assert_eq!(reached(&[], &BTreeSet::from([1])), before);
    }

    #[test]
    fn what_is_neither_wanted_nor_there_has_no_release() {
        let before = BTreeMap::from([(1, "before".to_owned())]);
        let reached = |containers| {
            let world = observed(containers);
            reached(&before, &world, &Target::default(), &[], &BTreeSet::new())
        };
        assert_eq!(reached(vec![container("web", "a", 1)]), before);
        assert_eq!(reached(Vec::new()), BTreeMap::new());
    }

    #[test]
    fn a_target_without_a_commit_is_no_release() {
        let mut target = target(&[]);
        for app in target.apps.values_mut() {
            app.commit = None;
        }
        let before = BTreeMap::from([(1, "before".to_owned())]);
        let world = observed(Vec::new());
        let now = reached(&before, &world, &target, &[], &BTreeSet::new());
        assert_eq!(now, before);
    }
}
