//! Marks where nothing of the image is yet. A card that begins anew behind its true end has them elsewhere, too: where what was written
//! before is read back.
//!
//! What comes last (the image's end, then its start) would else come over what was read back already, and nobody would look there again.

use std::ops::Range;

use super::{
    super::{
        DriveError,
        buffer::{Buffer, Pool},
        extents::{HEAD, PIECE, slice},
        source::Whole,
    },
    Writer,
};

/// What no image has.
const MARK: &[u8] = b"os flash: this drive is not whole yet, and does not boot. ";

impl Writer<'_> {
    /// Marks where the image's end will come.
    pub(super) fn mark_tail(&self, whole: &Whole) -> Result<(), DriveError> {
        if !self.medium.may_wrap() {
            return Ok(());
        }
        let marks = marks();
        for piece in &whole.tail {
            self.fits(piece)?;
            for run in &piece.runs {
                let end = run.range.end.next_multiple_of(self.medium.block());
                self.mark(&marks, &(run.range.start..end))?;
            }
        }
        Ok(())
    }

    /// Marks where the image's start will come, and clears its first block, which a board would look at.
    pub(super) fn mark_head(&self) -> Result<(), DriveError> {
        if !self.medium.may_wrap() {
            return Ok(());
        }
        let size = self.medium.size();
        let first = self.first().min(size);
        self.zero(&(0..first))?;
        self.mark(&marks(), &(first..HEAD.min(size)))
    }

    /// Takes the marks away.
    pub(super) fn unmark_head(&self) -> Result<(), DriveError> {
        if !self.medium.may_wrap() {
            return Ok(());
        }
        let size = self.medium.size();
        let rest = self.first().min(size)..HEAD.min(size);
        self.take_away(std::slice::from_ref(&rest))
    }

    fn mark(&self, marks: &Buffer, range: &Range<u64>) -> Result<(), DriveError> {
        let mut offset = range.start;
        while offset < range.end {
            let next = (offset + PIECE).min(range.end);
            let bytes = slice(marks.bytes(), &(0..next - offset));
            let written = self.medium.write_at(offset, bytes);
            written.map_err(|source| DriveError::Write { offset, source })?;
            offset = next;
        }
        Ok(())
    }
}

fn marks() -> Buffer {
    let mut buffer = Pool::new(usize::try_from(PIECE).unwrap_or_default()).take();
    let text = MARK.iter().cycle();
    for (byte, letter) in buffer.bytes_mut().iter_mut().zip(text) {
        *byte = *letter;
    }
    buffer
}
