//! The image, as pieces that come from its beginning to its end: unpacked, held against its block map, and summed.

use std::{
    collections::VecDeque,
    io::{self, Read},
    ops::Range,
    path::PathBuf,
    sync::Arc,
};

use super::{
    FlashError,
    bmap::{Bmap, Checker},
    buffer::{Buffer, Pool},
    extents::{HEAD, Mapped, PIECE, Run, WINDOW, is_zero, runs, slice, zeros},
};
use crate::image::container::{Length, fill};

/// How many pieces are kept back until it is known whether they are the image's end.
const KEPT: usize = 2;

/// Some bytes of an image, at most [`PIECE`].
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) offset: u64,
    /// Where it ends in the image.
    pub(super) end: u64,
    /// What counts of it.
    pub(super) mapped: Vec<Range<u64>>,
    pub(super) runs: Vec<Run>,
    /// Not there where all is zeros. What follows the end of the image is zeros.
    buffer: Option<Buffer>,
}

impl Piece {
    /// All of its bytes.
    pub(super) fn copied(&self) -> Vec<u8> {
        let mut bytes = self.bytes(&(self.offset..self.end)).to_vec();
        bytes.resize(
            usize::try_from(self.end - self.offset).unwrap_or_default(),
            0,
        );
        bytes
    }

    /// Bytes of the image, and zeros behind its end.
    pub(super) fn bytes(&self, range: &Range<u64>) -> &[u8] {
        let inside = range.start.saturating_sub(self.offset)..range.end.saturating_sub(self.offset);
        let buffer = self.buffer.as_ref();
        buffer.map_or(&[], |buffer| slice(buffer.bytes(), &inside))
    }
}

/// What is known of an image once it was read to its end, and all of it was right.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) size: u64,
    pub(super) mapped: Mapped,
    /// The start, to be written last.
    pub(super) head: Vec<Arc<Piece>>,
    /// The end, to be written before it.
    pub(super) tail: Vec<Arc<Piece>>,
    /// Of each [`WINDOW`], what counts in it adds up to; `None` is zeros.
    pub(super) sums: Vec<Option<blake3::Hash>>,
}

impl Whole {
    /// Where the image's end begins, which is written when all before it was read back.
    pub(super) fn tail_start(&self) -> u64 {
        let first = self.tail.first();
        first.map_or(self.size.max(HEAD), |piece| piece.offset)
    }
}

/// In which order pieces come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sequence {
    /// As they stand in the image.
    Straight,
    /// Start and end come with the [`Whole`].
    EdgesLast,
}

#[derive(Debug)]
pub(super) enum Next {
    Piece(Arc<Piece>),
    End(Box<Whole>),
}

/// An image while it is read.
pub(super) struct Source<R> {
    image: PathBuf,
    input: R,
    sequence: Sequence,
    /// What its block map says that it holds.
    mapped: Mapped,
    /// What is written of it, and read back.
    written: Mapped,
    checker: Option<Checker>,
    /// Its size by its block map.
    expected: Option<u64>,
    /// Its size as it was opened.
    opened: Option<u64>,
    pool: Arc<Pool>,
    offset: u64,
    is_at_end: bool,
    head: Vec<Arc<Piece>>,
    kept: VecDeque<Arc<Piece>>,
    sums: Vec<Option<blake3::Hash>>,
    hasher: blake3::Hasher,
    window: Window,
}

/// What has come of a [`WINDOW`], as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Window {
    /// Only zeros, so many: they are not summed yet.
    Zeros(u64),
    /// Something else, and all of it is summed.
    Summed,
}

impl<R: Read> Source<R> {
    pub(super) fn new(image: PathBuf, input: R, bmap: Option<&Bmap>, sequence: Sequence) -> Self {
        let mapped = bmap.map_or(Mapped::All, |bmap| {
            Mapped::Ranges(
                bmap.ranges
                    .iter()
                    .map(|found| found.range.clone())
                    .collect(),
            )
        });
        Self {
            image,
            input,
            sequence,
            written: mapped.clone(),
            mapped,
            checker: bmap.map(Checker::new),
            expected: bmap.map(|bmap| bmap.size),
            opened: None,
            pool: Pool::new(usize::try_from(PIECE).unwrap_or_default()),
            offset: 0,
            is_at_end: false,
            head: Vec::new(),
            kept: VecDeque::new(),
            sums: Vec::new(),
            hasher: blake3::Hasher::new(),
            window: Window::Zeros(0),
        }
    }

    /// It has so many bytes, unless it is changed while it is read.
    pub(super) fn of_size(mut self, opened: Option<u64>) -> Self {
        self.opened = opened;
        self
    }

    /// All of it is written, whatever its block map leaves out: a file is to hold nothing else afterwards.
    pub(super) fn whole(mut self) -> Self {
        self.written = Mapped::All;
        self
    }

    pub(super) fn input(&self) -> &R {
        &self.input
    }

    /// The next piece that may be written, or what is left.
    pub(super) fn next(&mut self) -> Result<Next, FlashError> {
        while !self.is_at_end {
            let Some(piece) = self.piece()? else {
                self.is_at_end = true;
                self.end()?;
                break;
            };
            let piece = Arc::new(piece);
            if self.sequence == Sequence::Straight {
                return Ok(Next::Piece(piece));
            }
            if piece.offset < HEAD {
                self.head.push(piece);
                continue;
            }
            self.kept.push_back(piece);
            if self.kept.len() > KEPT
                && let Some(first) = self.kept.pop_front()
            {
                return Ok(Next::Piece(first));
            }
        }
        Ok(Next::End(Box::new(Whole {
            size: self.offset,
            mapped: self.written.clone(),
            head: std::mem::take(&mut self.head),
            tail: std::mem::take(&mut self.kept).into(),
            sums: std::mem::take(&mut self.sums),
        })))
    }

    /// The first piece, once something came that may be written, or the end.
    pub(super) fn head<'s>(&'s self, next: &'s Next) -> Option<&'s Arc<Piece>> {
        match next {
            Next::Piece(_) => self.head.first(),
            Next::End(whole) => whole.head.first(),
        }
    }

    fn end(&mut self) -> Result<(), FlashError> {
        let image = self.image.clone();
        match self.expected {
            _ if self.offset == 0 => return Err(FlashError::Empty { image }),
            Some(says) if says != self.offset => {
                let has = Length::Exactly(self.offset);
                return Err(FlashError::Size { image, has, says });
            }
            _ => {}
        }
        if let Some(had) = self.opened.filter(|had| *had != self.offset) {
            let words = format!("it had {had} bytes, and has {} now", self.offset);
            let source = io::Error::other(words);
            return Err(FlashError::Image { image, source });
        }
        if !self.offset.is_multiple_of(WINDOW) {
            self.sum();
        }
        Ok(())
    }

    fn piece(&mut self) -> Result<Option<Piece>, FlashError> {
        let mut buffer = self.pool.take();
        let count = fill(&mut self.input, buffer.bytes_mut()).map_err(|source| {
            let image = self.image.clone();
            FlashError::Image { image, source }
        })?;
        if count == 0 {
            return Ok(None);
        }
        if let Some(rest) = buffer.bytes_mut().get_mut(count..) {
            rest.fill(0);
        }
        let bytes = buffer.bytes().get(..count).unwrap_or_default();
        let offset = self.offset;
        let end = offset + u64::try_from(count).unwrap_or(u64::MAX);
        self.check(bytes, offset..end)?;
        let runs = runs(bytes, offset, &self.written);
        let mapped = self.written.within(&(offset..end));
        let has_data = runs.iter().any(|run| !run.is_zero);
        self.add(bytes, offset, &mapped, has_data);
        self.offset = end;
        if end.is_multiple_of(WINDOW) {
            self.sum();
        }
        Ok(Some(Piece {
            offset,
            end,
            mapped,
            runs,
            buffer: has_data.then_some(buffer),
        }))
    }

    /// Holds bytes against the block map.
    fn check(&mut self, bytes: &[u8], range: Range<u64>) -> Result<(), FlashError> {
        let image = || self.image.clone();
        if let Some(says) = self.expected.filter(|says| range.end > *says) {
            let (image, has) = (image(), Length::AtLeast(range.end));
            return Err(FlashError::Size { image, has, says });
        }
        for part in self.mapped.without(&range) {
            let inside = part.start - range.start..part.end - range.start;
            let bytes = slice(bytes, &inside);
            if !is_zero(bytes) {
                let first = bytes.iter().take_while(|byte| **byte == 0).count();
                let offset = part.start + u64::try_from(first).unwrap_or_default();
                let image = image();
                return Err(FlashError::Unmapped { image, offset });
            }
        }
        let checked = self
            .checker
            .as_mut()
            .map_or(Ok(()), |checker| checker.take(range.start, bytes));
        checked.map_err(|range| {
            let image = self.image.clone();
            FlashError::Sum { image, range }
        })
    }

    /// Adds up what counts of a piece. Zeros at the beginning of a window are only counted: most windows have nothing else, and no sum.
    fn add(&mut self, bytes: &[u8], offset: u64, mapped: &[Range<u64>], has_data: bool) {
        if let Window::Zeros(count) = &mut self.window {
            if !has_data {
                *count += mapped.iter().map(|part| part.end - part.start).sum::<u64>();
                return;
            }
            for part in zeros(*count) {
                self.hasher.update(part);
            }
            self.window = Window::Summed;
        }
        for part in mapped {
            let part = slice(bytes, &(part.start - offset..part.end - offset));
            self.hasher.update(part);
        }
    }

    fn sum(&mut self) {
        let sum = (self.window == Window::Summed).then(|| self.hasher.finalize());
        self.sums.push(sum);
        self.hasher.reset();
        self.window = Window::Zeros(0);
    }
}
