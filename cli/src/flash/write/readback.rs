//! What is on a drive, held against what has to be there.

use std::{ops::Range, sync::mpsc::Receiver};

use super::{
    super::{
        DriveError, Phase,
        buffer::Pool,
        extents::{HEAD, PIECE, WINDOW, is_zero, slice},
        source::{Piece, Whole},
    },
    Message, Writer,
};

impl Writer<'_> {
    /// Reads back a part of the start, of which there is no sum.
    pub(super) fn same(&self, whole: &Whole, part: &Range<u64>) -> Result<(), DriveError> {
        let pool = Pool::new(usize::try_from(PIECE).unwrap_or_default());
        let mut buffer = pool.take();
        for piece in &whole.head {
            let range = piece.offset.max(part.start)..piece.end.min(part.end);
            self.compare(piece, &range, buffer.bytes_mut())
                .map_err(|offset| offset.unwrap_or_else(|offset| DriveError::Differs { offset }))?;
        }
        Ok(())
    }

    /// Holds the drive against what counts of a piece. The first byte that differs is returned, or why it cannot be read.
    fn compare(
        &self,
        piece: &Piece,
        within: &Range<u64>,
        buffer: &mut [u8],
    ) -> Result<(), Result<DriveError, u64>> {
        let parts = piece.mapped.iter().flat_map(|part| {
            let part = part.start.max(within.start)..part.end.min(within.end);
            piece.runs.iter().map(move |run| {
                let range = run.range.start.max(part.start)..run.range.end.min(part.end);
                (run, range)
            })
        });
        for (run, range) in parts {
            if range.is_empty() {
                continue;
            }
            let found = self.read(buffer, &range).map_err(Ok)?;
            if run.is_zero && is_zero(found) {
                continue;
            }
            let expected = piece.bytes(&range);
            if !run.is_zero && expected == found {
                continue;
            }
            let same = found.iter().enumerate().take_while(|(index, byte)| {
                let expected = if run.is_zero {
                    Some(&0)
                } else {
                    expected.get(*index)
                };
                expected == Some(*byte)
            });
            let offset = u64::try_from(same.count()).unwrap_or_default();
            return Err(Err(range.start + offset));
        }
        Ok(())
    }

    /// Reads a part of the drive into `buffer`, whole blocks of it.
    pub(super) fn read<'b>(
        &self,
        buffer: &'b mut [u8],
        range: &Range<u64>,
    ) -> Result<&'b [u8], DriveError> {
        let block = self.medium.block();
        let blocks = range.start / block * block..range.end.next_multiple_of(block);
        let offset = blocks.start;
        let count = usize::try_from(blocks.end - blocks.start).unwrap_or(usize::MAX);
        let failed = |source| DriveError::Read { offset, source };
        let into = buffer.get_mut(..count);
        let into = into.ok_or_else(|| failed(std::io::ErrorKind::InvalidInput.into()))?;
        self.medium.read_at(offset, into).map_err(failed)?;
        Ok(slice(
            into,
            &(range.start - blocks.start..range.end - blocks.start),
        ))
    }

    /// Adds up what counts in the windows of a part, as it is on the medium. Once the start is there, this is not given up.
    pub(super) fn verify(&mut self, whole: &Whole, part: &Range<u64>) -> Result<(), DriveError> {
        let pool = Pool::new(usize::try_from(WINDOW).unwrap_or_default());
        let mut buffer = pool.take();
        let mut start = part.start;
        while start < part.end {
            if part.start > 0 && self.listener.is_stopped() {
                return Err(DriveError::Left);
            }
            let window = start..(start + WINDOW).min(whole.size);
            let index = usize::try_from(start / WINDOW).unwrap_or(usize::MAX);
            let sum = whole.sums.get(index).copied().flatten();
            let mut hasher = blake3::Hasher::new();
            let mut is_zeros = true;
            for mapped in whole.mapped.within(&window) {
                let count = mapped.end - mapped.start;
                if sum.is_none() && self.medium.is_hole(&mapped) {
                    self.counts.holes += count;
                    continue;
                }
                self.counts.verified += count;
                let bytes = self.read(buffer.bytes_mut(), &mapped)?;
                if sum.is_some() {
                    hasher.update(bytes);
                } else {
                    is_zeros &= is_zero(bytes);
                }
            }
            let is_right = sum.map_or(is_zeros, |sum| sum == hasher.finalize());
            if !is_right {
                return Err(if (HEAD..self.from).contains(&start) {
                    DriveError::Stale
                } else {
                    DriveError::Differs { offset: start }
                });
            }
            start = window.end;
            let total = Some(whole.size);
            self.listener.at(Phase::Verifying, start, total);
        }
        Ok(())
    }

    /// Compares the drive with all that comes.
    pub(in crate::flash) fn only_compare(
        &mut self,
        messages: &Receiver<Message>,
    ) -> Result<(), DriveError> {
        let pool = Pool::new(usize::try_from(WINDOW).unwrap_or_default());
        let mut buffer = pool.take();
        self.forget()?;
        loop {
            if self.listener.is_stopped() {
                return Err(DriveError::Left);
            }
            let piece = match messages.recv() {
                Ok(Message::Piece(piece)) => piece,
                Ok(Message::Whole(_)) => return Ok(()),
                Err(_) => return Err(DriveError::Left),
            };
            let has = self.medium.size();
            if piece.end > has {
                let needs = piece.end;
                return Err(DriveError::Small { has, needs });
            }
            self.compare(&piece, &(piece.offset..piece.end), buffer.bytes_mut())
                .map_err(|offset| offset.unwrap_or_else(|offset| DriveError::Other { offset }))?;
            let parts = piece.mapped.iter();
            self.counts.verified += parts.map(|part| part.end - part.start).sum::<u64>();
            self.listener.at(Phase::Comparing, piece.end, None);
        }
    }
}
