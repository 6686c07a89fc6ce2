//! What is done for each thing that is copied: decided from both sides, without doing anything.

use super::item::{Beneath, Item, Kind};

/// From this size on, files are sent one by one, and gone on with after a cut. What is smaller is sent anew.
pub(super) const LARGE: u64 = 4 << 20;
/// How much is sent together.
const BATCH_BYTES: u64 = 16 << 20;
/// How many are sent together.
const BATCH_ITEMS: usize = 2000;
/// Bytes of paths that are sent together: a shell has to take them as arguments.
const BATCH_NAMES: usize = 90 << 10;

/// What there is already at the place where something is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: FoundKind,
    pub(super) mode: u32,
    pub(super) size: u64,
    pub(super) mtime: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FoundKind {
    Folder,
    File,
    Link,
    Special,
}

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// A folder is made.
    Make,
    /// All of it is sent.
    Send,
    /// It is sent from this byte on, if what is there is the beginning of it.
    Resume(u64),
    /// It is there.
    Same,
    /// It is there, with other permissions.
    Mode,
    /// It cannot be: why.
    Refuse(&'static str),
}

/// All of a copy, in the order of the items.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What is done for each item; those below a refused folder are not there.
    pub(super) steps: Vec<(usize, Step)>,
}

/// Decides about one item. `part` is how much there is of an unfinished copy.
pub(super) fn decide(item: &Item, found: Option<Found>, part: Option<u64>) -> Step {
    let there = found.map(|found| found.kind);
    match (&item.kind, there) {
        (Kind::Special, _) => Step::Refuse("it is neither file, folder nor link"),
        (Kind::Folder, None) => Step::Make,
        (Kind::Folder, Some(FoundKind::Folder)) => Step::Same,
        (Kind::Folder, Some(FoundKind::Link)) => {
            Step::Refuse("a link is in its place, and nothing is written through links")
        }
        (Kind::Folder, Some(FoundKind::File | FoundKind::Special)) => {
            Step::Refuse("something that is no folder is in its place")
        }
        (Kind::File(_) | Kind::Link(_), Some(FoundKind::Folder)) => {
            Step::Refuse("a folder is in its place")
        }
        (Kind::File(_) | Kind::Link(_), Some(FoundKind::Special)) => {
            Step::Refuse("a device, pipe or socket is in its place")
        }
        (Kind::Link(_), _) => Step::Send,
        (Kind::File(size), _) => {
            let same = found.filter(|found| {
                found.kind == FoundKind::File && found.size == *size && found.mtime == item.mtime
            });
            match (same, part) {
                (Some(same), _) if same.mode == item.mode => Step::Same,
                (Some(_), _) => Step::Mode,
                (None, Some(part)) if *size >= LARGE && (1..=*size).contains(&part) => {
                    Step::Resume(part)
                }
                (None, _) => Step::Send,
            }
        }
    }
}

/// Decides about all. What is in a folder that cannot be is left out: the folder is told.
pub(super) fn plan(
    items: &[Item],
    mut there: impl FnMut(&Item) -> (Option<Found>, Option<u64>),
) -> Plan {
    let mut plan = Plan::default();
    let mut refused: Option<&Beneath> = None;
    for (index, item) in items.iter().enumerate() {
        if refused.is_some_and(|folder| item.path.is_in(folder)) {
            continue;
        }
        let (found, part) = there(item);
        let step = decide(item, found, part);
        if let (Step::Refuse(_), Kind::Folder) = (step, &item.kind) {
            refused = Some(&item.path);
        }
        plan.steps.push((index, step));
    }
    plan
}

impl Plan {
    /// Bytes that have to be sent, files that have to, and files that need not.
    pub(super) fn totals(&self, items: &[Item]) -> (u64, u64, u64) {
        let (mut bytes, mut files, mut same) = (0_u64, 0, 0);
        for (item, step) in self.of(items) {
            match (step, &item.kind) {
                (Step::Send, _) => {
                    bytes = bytes.saturating_add(item.size());
                    files += 1;
                }
                (Step::Resume(from), _) => {
                    bytes = bytes.saturating_add(item.size().saturating_sub(from));
                    files += 1;
                }
                (Step::Same | Step::Mode, Kind::File(_)) => same += 1,
                (Step::Same | Step::Mode | Step::Make | Step::Refuse(_), _) => {}
            }
        }
        (bytes, files, same)
    }

    /// The items with their steps.
    pub(super) fn of<'a>(
        &'a self,
        items: &'a [Item],
    ) -> impl Iterator<Item = (&'a Item, Step)> + 'a {
        let steps = self.steps.iter();
        steps.filter_map(|(index, step)| Some((items.get(*index)?, *step)))
    }

    /// What is sent one by one.
    pub(super) fn large<'a>(&'a self, items: &'a [Item]) -> Vec<(&'a Item, Option<u64>)> {
        let large = self.of(items).filter_map(|(item, step)| match step {
            Step::Resume(from) => Some((item, Some(from))),
            Step::Send if item.size() >= LARGE => Some((item, None)),
            _ => None,
        });
        large.collect()
    }

    /// What is sent together.
    pub(super) fn batches<'a>(&'a self, items: &'a [Item]) -> Vec<Vec<&'a Item>> {
        let mut batches: Vec<Vec<&Item>> = Vec::new();
        let (mut bytes, mut names) = (0, 0);
        let small = self
            .of(items)
            .filter(|(item, step)| *step == Step::Send && item.size() < LARGE);
        for (item, _) in small {
            let name = item.path.bytes().len() + 16;
            let is_full = batches.last().is_none_or(|batch| {
                bytes + item.size() > BATCH_BYTES
                    || names + name > BATCH_NAMES
                    || batch.len() >= BATCH_ITEMS
            });
            if is_full {
                batches.push(Vec::new());
                (bytes, names) = (0, 0);
            }
            bytes += item.size();
            names += name;
            if let Some(batch) = batches.last_mut() {
                batch.push(item);
            }
        }
        batches
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(path: &str, kind: Kind) -> Item {
        Item {
            path: Beneath::parse(path.as_bytes()).unwrap(),
            kind,
            mode: 0o644,
            mtime: 7,
        }
    }

    #[expect(
        clippy::unnecessary_wraps,
        reason = "it stands where nothing may be found"
    )]
    fn found(kind: FoundKind, size: u64, mtime: i64) -> Option<Found> {
        Some(Found {
            kind,
            mode: 0o644,
            size,
            mtime,
        })
    }

    #[test]
    fn what_is_there_decides() {
        let large = item("a", Kind::File(LARGE));
        let small = item("a", Kind::File(9));
        let folder = item("a", Kind::Folder);
        for (item, found, part, step) in [
            (&small, None, None, Step::Send),
            (&small, found(FoundKind::File, 9, 7), None, Step::Same),
            (&small, found(FoundKind::File, 9, 8), None, Step::Send),
            (&small, found(FoundKind::File, 8, 7), None, Step::Send),
            (&small, found(FoundKind::Link, 9, 7), None, Step::Send),
            (&small, None, Some(5), Step::Send),
            (&large, None, Some(5), Step::Resume(5)),
            (&large, None, Some(LARGE), Step::Resume(LARGE)),
            (&large, None, Some(LARGE + 1), Step::Send),
            (&large, None, Some(0), Step::Send),
            (
                &large,
                found(FoundKind::File, LARGE, 7),
                Some(5),
                Step::Same,
            ),
            (&folder, None, None, Step::Make),
            (&folder, found(FoundKind::Folder, 0, 0), None, Step::Same),
        ] {
            assert_eq!(decide(item, found, part), step, "{item:?} {found:?}");
        }
        let other = Found {
            mode: 0o600,
            ..found(FoundKind::File, 9, 7).unwrap()
        };
        assert_eq!(decide(&small, Some(other), None), Step::Mode);
        for (item, found) in [
            (&small, found(FoundKind::Folder, 0, 0)),
            (&small, found(FoundKind::Special, 0, 0)),
            (&large, found(FoundKind::Special, 0, 0)),
            (
                &item("a", Kind::Link(b"b".to_vec())),
                found(FoundKind::Special, 0, 0),
            ),
            (&folder, found(FoundKind::File, 0, 0)),
            (&folder, found(FoundKind::Link, 0, 0)),
            (&item("a", Kind::Special), None),
        ] {
            assert!(matches!(decide(item, found, None), Step::Refuse(_)));
        }
    }

    #[test]
    fn what_is_in_a_refused_folder_is_left_out() {
        let items = [
            item("", Kind::Folder),
            item("a", Kind::Folder),
            item("a/b", Kind::File(1)),
            item("ab", Kind::File(1)),
        ];
        let plan = plan(&items, |item| match item.path.bytes() {
            b"a" => (found(FoundKind::Link, 0, 0), None),
            b"" => (found(FoundKind::Folder, 0, 0), None),
            _ => (None, None),
        });
        let indices: Vec<usize> = plan.steps.iter().map(|(index, _)| *index).collect();
        assert_eq!(indices, [0, 1, 3]);
        assert_eq!(plan.totals(&items), (1, 1, 0));
    }

    #[test]
    fn batches_are_bounded() {
        let items: Vec<Item> = (0..5000)
            .map(|number| item(&format!("{number}"), Kind::File(1)))
            .chain((0..9).map(|number| item(&format!("m{number}"), Kind::File(LARGE - 1))))
            .chain([item("huge", Kind::File(LARGE))])
            .collect();
        let plan = plan(&items, |_| (None, None));
        let batches = plan.batches(&items);
        assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 5009);
        for batch in &batches {
            assert!(batch.len() <= BATCH_ITEMS);
            assert!(batch.iter().map(|item| item.size()).sum::<u64>() <= BATCH_BYTES);
        }
        assert_eq!(plan.large(&items).len(), 1);
    }
}
