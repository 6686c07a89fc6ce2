//! Whether a file was one and the same while it was read.

use std::cmp::Ordering;

use crate::copy::{
    item::Item,
    plan::{Found, FoundKind},
};

/// What has become of a file that was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Whole,
    /// It is longer now: as a log, or with another beginning.
    Grown,
    Torn,
}

/// What was read of a file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Read {
    pub(super) bytes: u64,
    /// Whether the beginning was there already.
    pub(super) is_resumed: bool,
}

impl Read {
    pub(super) fn all_of(item: &Item) -> Self {
        Self {
            bytes: item.size(),
            is_resumed: false,
        }
    }
}

/// Whether what was read to its end without a complaint is a state of the file: that which was listed. `found` is what there is afterwards.
pub(super) fn state(item: &Item, read: Read, found: Option<&Found>) -> State {
    let Some(found) = found.filter(|found| found.kind == FoundKind::File) else {
        return State::Torn;
    };
    let size = item.size();
    let is_same = found.size == size && found.mtime == item.mtime;
    let is_whole = match read.bytes.cmp(&size) {
        Ordering::Equal if !is_same && found.size > size => return State::Grown,
        Ordering::Equal => is_same,
        // What a kernel makes as it is read has no length before.
        Ordering::Less => is_same && !read.is_resumed,
        Ordering::Greater => size == 0 && found.size == 0,
    };
    if is_whole { State::Whole } else { State::Torn }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::copy::item::{Beneath, Kind};

    #[test]
    fn a_file_that_changed_is_not_whole() {
        let item = |size| Item {
            path: Beneath::default(),
            kind: Kind::File(size),
            mode: 0o644,
            mtime: 7,
        };
        for (size, bytes, found, is) in [
            (5, 5, Some((5, 7)), State::Whole),
            (5, 5, Some((5, 8)), State::Torn),
            (5, 5, Some((9, 8)), State::Grown),
            (5, 5, Some((4, 8)), State::Torn),
            (5, 5, None, State::Torn),
            (5, 4, Some((4, 8)), State::Torn),
            // Those of a kernel.
            (4096, 12, Some((4096, 7)), State::Whole),
            (0, 12, Some((0, 8)), State::Whole),
            (0, 12, Some((12, 8)), State::Torn),
        ] {
            let read = Read {
                bytes,
                is_resumed: false,
            };
            let found = found.map(|(size, mtime)| Found {
                kind: FoundKind::File,
                mode: 0o644,
                size,
                mtime,
            });
            let answer = state(&item(size), read, found.as_ref());
            assert_eq!(answer, is, "{size} {bytes} {found:?}");
        }
        let read = Read {
            bytes: 4,
            is_resumed: true,
        };
        let found = Found {
            kind: FoundKind::File,
            mode: 0o644,
            size: 5,
            mtime: 7,
        };
        assert_eq!(state(&item(5), read, Some(&found)), State::Torn);
    }
}
