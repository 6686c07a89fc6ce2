//! Which bytes of an image are written, in which order, and which of them are zeros. Pure.

use std::ops::Range;

/// Bytes that are unpacked and written at once.
pub(super) const PIECE: u64 = 1024 * 1024;
/// Bytes at the start of a drive that are zeros until all else is right.
pub(super) const HEAD: u64 = 4 * PIECE;
/// Bytes at the end of a drive and of an image: there is a copy of the table.
pub(super) const END: u64 = PIECE;
/// Bytes that have one sum.
pub(super) const WINDOW: u64 = 4 * PIECE;
/// Shortest run of zeros that is not written as other bytes are.
const GRAIN: usize = 64 * 1024;
/// What every drive takes: the largest size of their blocks, and what the address of memory for them is a multiple of.
pub(super) const ALIGN: u16 = 4096;
/// Zeros to compare with, and to sum.
const ZEROS: &[u8] = &[0; 8192];

/// Which bytes of an image count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Mapped {
    /// All of them.
    All,
    /// These, in order and apart.
    Ranges(Vec<Range<u64>>),
}

impl Mapped {
    /// What counts within a range, in order.
    pub(super) fn within(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let Self::Ranges(all) = self else {
            return vec![range.clone()];
        };
        let first = all.partition_point(|mapped| mapped.end <= range.start);
        let behind = all.get(first..).unwrap_or_default();
        let within = behind
            .iter()
            .take_while(|mapped| mapped.start < range.end)
            .map(|mapped| mapped.start.max(range.start)..mapped.end.min(range.end));
        within.collect()
    }

    /// What does not count within a range, in order.
    pub(super) fn without(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let mut left = Vec::new();
        let mut at = range.start;
        for mapped in self.within(range) {
            if mapped.start > at {
                left.push(at..mapped.start);
            }
            at = mapped.end;
        }
        if at < range.end {
            left.push(at..range.end);
        }
        left
    }
}

/// Bytes that are written alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) range: Range<u64>,
    pub(super) is_zero: bool,
}

/// What of a drive is cleared before anything is written.
pub(super) fn cleared(drive: u64) -> Vec<Range<u64>> {
    let head = 0..HEAD.min(drive);
    let end = drive.saturating_sub(END).max(head.end)..drive;
    let parts = [head, end].into_iter();
    parts.filter(|part| !part.is_empty()).collect()
}

/// So many zeros, part by part.
pub(super) fn zeros(count: u64) -> impl Iterator<Item = &'static [u8]> {
    let mut left = count;
    std::iter::from_fn(move || {
        let most = usize::try_from(left).unwrap_or(usize::MAX);
        let part = ZEROS.get(..most.min(ZEROS.len())).unwrap_or_default();
        left -= u64::try_from(part.len()).unwrap_or(left);
        (!part.is_empty()).then_some(part)
    })
}

/// Whether all bytes are zeros.
pub(super) fn is_zero(bytes: &[u8]) -> bool {
    bytes
        .chunks(ZEROS.len())
        .all(|part| ZEROS.get(..part.len()) == Some(part))
}

/// The runs of bytes that stand at `offset`. They begin and end where every drive can be written, or at the end of the image.
pub(super) fn runs(bytes: &[u8], offset: u64, mapped: &Mapped) -> Vec<Run> {
    let end = offset + u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let align = u64::from(ALIGN);
    let mut runs: Vec<Run> = Vec::new();
    for part in mapped.within(&(offset..end)) {
        let mut at = (part.start / align * align).max(offset);
        // Two parts in one block are written together.
        at = at.max(runs.last().map_or(at, |last| last.range.end));
        let part_end = part.end.next_multiple_of(align).min(end);
        while at < part_end {
            let next = (at + 1)
                .next_multiple_of(u64::try_from(GRAIN).unwrap_or(align))
                .min(part_end);
            let is_zero = is_zero(slice(bytes, &(at - offset..next - offset)));
            match runs.last_mut() {
                Some(last) if last.range.end == at && last.is_zero == is_zero => {
                    last.range.end = next;
                }
                _ => runs.push(Run {
                    range: at..next,
                    is_zero,
                }),
            }
            at = next;
        }
    }
    runs
}

/// A part of some bytes; none of those that are not there.
pub(super) fn slice<'b>(bytes: &'b [u8], range: &Range<u64>) -> &'b [u8] {
    let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    bytes
        .get(at(range.start)..at(range.end))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_drive_loses_its_tables_first() {
        assert_eq!(cleared(0), []);
        assert_eq!(cleared(HEAD / 2).first(), Some(&(0..HEAD / 2)));
        assert_eq!(cleared(HEAD).len(), 1);
        assert_eq!(cleared(HEAD + 512), [0..HEAD, HEAD..HEAD + 512]);
        let large = 10 * HEAD;
        assert_eq!(cleared(large), [0..HEAD, large - END..large]);
    }

    #[test]
    fn so_many_zeros_are_so_many() {
        let most = u64::try_from(ZEROS.len()).unwrap();
        for count in [0, 1, most - 1, most, most + 1, 3 * most + 7] {
            let parts: Vec<&[u8]> = zeros(count).collect();
            assert_eq!(u64::try_from(parts.concat().len()), Ok(count));
            assert!(parts.iter().all(|part| is_zero(part)));
        }
    }

    #[test]
    fn long_zeros_are_apart_and_short_ones_are_not() {
        let mut bytes = vec![0; 4 * GRAIN];
        bytes[GRAIN + 17] = 1;
        let grain = u64::try_from(GRAIN).unwrap();
        let run = |from, to, is_zero| Run {
            range: PIECE + from * grain..PIECE + to * grain,
            is_zero,
        };
        assert_eq!(
            runs(&bytes, PIECE, &Mapped::All),
            [run(0, 1, true), run(1, 2, false), run(2, 4, true)]
        );
        assert_eq!(runs(&[], PIECE, &Mapped::All), []);
    }

    proptest! {
        #[test]
        fn runs_hold_all_that_counts_once(
            cuts in proptest::collection::btree_set(0_u64..300_000, 0..8),
            ones in proptest::collection::vec(0_usize..250_000, 0..6),
            size in 1_usize..250_000,
        ) {
            let mut bytes = vec![0; size];
            for one in ones {
                if let Some(byte) = bytes.get_mut(one) { *byte = 1; }
            }
            let cuts: Vec<u64> = cuts.into_iter().collect();
            let ranges: Vec<Range<u64>> = cuts.chunks_exact(2).map(|pair| pair[0]..pair[1]).collect();
            let mapped = Mapped::Ranges(ranges.clone());
            let end = u64::try_from(size).unwrap();
            let found = runs(&bytes, 0, &mapped);
            let mut at = 0;
            let align = u64::from(ALIGN);
            for run in &found {
                prop_assert!(run.range.start >= at && run.range.end > run.range.start);
                prop_assert!(run.range.start % align == 0);
                prop_assert!(run.range.end % align == 0 || run.range.end == end);
                prop_assert_eq!(run.is_zero, is_zero(slice(&bytes, &run.range)));
                at = run.range.end;
            }
            for byte in 0..end {
                let counts = ranges.iter().any(|range| range.contains(&byte));
                let is_in = found.iter().any(|run| run.range.contains(&byte));
                prop_assert!(!counts || is_in, "{} is lost", byte);
            }
            let within = mapped.within(&(0..end));
            let without = mapped.without(&(0..end));
            let sum: u64 = within.iter().chain(&without).map(|part| part.end - part.start).sum();
            prop_assert_eq!(sum, end);
        }
    }
}
