//! Which connections are copied to the device, and which are taken away from it.
//!
//! In: what the boot partition holds, what the device holds, what of it was copied by us. Out: [`Deeds`]. Pure.
//!
//! At a start of the device the boot partition's connections win; later only those that changed there do, since people and programs
//! may have changed the device's meanwhile. What is gone from the boot partition goes from the device, unless it was changed there:
//! then it is the device's own.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Names and contents.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// What was copied by us: of each name the digests that its content may have, more than one while a copy is under way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Ours(pub(super) BTreeMap<String, BTreeSet<String>>);

/// What is there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Connections of the boot partition.
    pub(super) wanted: Files,
    /// Files there that are no connections: the device's of these names stay as they are.
    pub(super) unusable: BTreeSet<String>,
    /// Digests of the device's connections, for those that only root reads.
    pub(super) present: BTreeMap<String, Option<String>>,
    pub(super) ours: Ours,
    /// Whether this is the first look since the device started.
    pub(super) is_start: bool,
}

/// What is to be done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Deeds {
    pub(super) write: Files,
    pub(super) remove: Vec<String>,
    /// What is ours until all of it is done, and after a cut of power in the middle.
    pub(super) during: Ours,
    pub(super) after: Ours,
}

pub(super) fn digest(content: &[u8]) -> String {
    blake3::hash(content).to_hex().to_string()
}

/// Decides.
pub(super) fn decide(found: &Found) -> Deeds {
    let mut deeds = Deeds {
        during: found.ours.clone(),
        ..Deeds::default()
    };
    for (name, content) in &found.wanted {
        let wanted = digest(content);
        let known = found.ours.0.get(name);
        let is_known = known == Some(&BTreeSet::from([wanted.clone()]));
        let is_there = found.present.get(name) == Some(&Some(wanted.clone()));
        if !is_there && (found.is_start || !is_known) {
            deeds.write.insert(name.clone(), content.clone());
        }
        let of_name = deeds.during.0.entry(name.clone()).or_default();
        of_name.insert(wanted.clone());
        deeds.after.0.insert(name.clone(), BTreeSet::from([wanted]));
    }
    for (name, digests) in &found.ours.0 {
        if found.wanted.contains_key(name) {
            continue;
        }
        if found.unusable.contains(name) {
            deeds.after.0.insert(name.clone(), digests.clone());
            continue;
        }
        let present = found.present.get(name).and_then(Option::as_ref);
        if present.is_some_and(|present| digests.contains(present)) {
            deeds.remove.push(name.clone());
        }
    }
    deeds
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(wanted: &[(&str, &str)], present: &[(&str, &str)], ours: &[(&str, &[&str])]) -> Found {
        let of = |text: &str| digest(text.as_bytes());
        let wanted = wanted.iter();
        let present = present.iter();
        Found {
            wanted: wanted
                .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
                .collect(),
            present: present
                .map(|(name, text)| ((*name).to_owned(), Some(of(text))))
                .collect(),
            ours: Ours(
                ours.iter()
                    .map(|(name, texts)| {
                        (
                            (*name).to_owned(),
                            texts.iter().map(|text| of(text)).collect(),
                        )
                    })
                    .collect(),
            ),
            ..Found::default()
        }
    }

    fn written(deeds: &Deeds) -> Vec<&str> {
        deeds.write.keys().map(String::as_str).collect()
    }

    #[test]
    fn at_a_start_the_boot_partition_wins_and_later_only_what_changed_there() {
        let mut found = found(
            &[("a", "1"), ("b", "2"), ("c", "3")],
            &[("a", "mine"), ("b", "2"), ("d", "own")],
            &[("a", &["1"]), ("b", &["2"])],
        );
        assert_eq!(
            written(&decide(&found)),
            ["c"],
            "an edit of the device stays"
        );
        found.is_start = true;
        let deeds = decide(&found);
        assert_eq!(written(&deeds), ["a", "c"]);
        assert_eq!(deeds.remove, [""; 0]);
        found.is_start = false;
        found.wanted.insert("a".to_owned(), b"4".to_vec());
        assert_eq!(written(&decide(&found)), ["a", "c"]);
        // Somebody let others read it: `NetworkManager` would not.
        found.wanted.insert("a".to_owned(), b"1".to_vec());
        found.present.insert("b".to_owned(), None);
        found.is_start = true;
        assert_eq!(written(&decide(&found)), ["a", "b", "c"]);
    }

    #[test]
    fn what_is_gone_from_the_boot_partition_goes_unless_the_device_changed_it() {
        let ours: &[(&str, &[&str])] = &[("a", &["1"]), ("b", &["2"]), ("c", &["3"])];
        let deeds = decide(&found(
            &[],
            &[("a", "1"), ("b", "mine"), ("own", "1")],
            ours,
        ));
        assert_eq!(deeds.remove, ["a"]);
        assert_eq!(deeds.after, Ours::default());
        // A file that became unreadable is not gone.
        let mut broken = found(&[], &[("a", "1")], &[("a", &["1"])]);
        broken.unusable.insert("a".to_owned());
        let deeds = decide(&broken);
        assert_eq!((deeds.remove.len(), &deeds.after), (0, &broken.ours));
    }

    #[test]
    fn a_cut_in_the_middle_makes_nothing_the_devices_own() {
        let before = found(&[("a", "new")], &[("a", "old")], &[("a", &["old"])]);
        let during = decide(&before).during;
        for present in ["old", "new"] {
            // Power was cut before or after the copy, and then the file was taken from the boot partition.
            let mut after = found(&[], &[("a", present)], &[]);
            after.ours = during.clone();
            assert_eq!(decide(&after).remove, ["a"], "{present}");
            // Or it stayed there.
            let mut after = found(&[("a", "new")], &[("a", present)], &[]);
            after.ours = during.clone();
            let deeds = decide(&after);
            assert_eq!(deeds.write.len(), usize::from(present == "old"));
            assert_eq!(deeds.after, found(&[], &[], &[("a", &["new"])]).ours);
        }
    }
}
